/** A process of the multi-process tests: does what it was told, on a file that others use at the same time. */
import { setTimeout } from 'node:timers/promises'
import { isHoldfastError } from '../../src/core/errors.ts'
import { type Holdfast, createHoldfast } from '../../src/holdfast.ts'
import type { Claim } from '../../src/stores/claims/store.ts'
import { engineNamed } from '../support/engines.ts'

/** What a process has to do. */
export interface Order {
  readonly engine: string
  readonly path: string
  readonly workerId: string
  readonly job: keyof typeof JOBS
  /** How many runs there are. */
  readonly runs: number
}

/** Milliseconds for which a claim outlives its worker. */
const LEASE = 1000

const JOBS = { work, start, fire, hold }

/** Takes what is offered, does it once, and goes on until nothing is left to do. */
async function work({ claims, persistence, workflows }: Holdfast, { workerId }: Order): Promise<void> {
  for (;;) {
    const offered = await claims.findAvailableTasks({ workerId, limit: 16 })
    const open = await workflows.listRuns({ status: 'running', limit: 1 })
    if (open.items.length === 0) return
    // Whoever is first in the list is first in every worker's: begin anywhere.
    const task = offered[Math.floor(Math.random() * offered.length)]
    const claim = task && (await claims.claimTask({ runId: task.runId, workerId, ttl: LEASE }))
    if (claim) await doTask({ claims, persistence } as Holdfast, claim, workerId)
    else await setTimeout(5)
  }
}

async function doTask({ claims, persistence }: Holdfast, claim: Claim, workerId: string): Promise<void> {
  const { runId } = claim
  try {
    const done = await persistence.append({ runId, workflow: 'job', kind: 'begun', payload: workerId }, { claim })
    await persistence.complete(runId, 'completed', { claim, event: { kind: 'done', payload: done.seq } })
    await claims.releaseTaskClaim(claim)
  } catch (error) {
    if (!isHoldfastError(error, 'CLAIM_LOST') && !isHoldfastError(error, 'ALREADY_COMPLETED')) throw error
  }
}

/** Starts every run, as all the others do; tells which it created. */
async function start({ workflows }: Holdfast, { runs, workerId }: Order): Promise<string[]> {
  const created: string[] = []
  for (let n = 0; n < runs; n++) {
    const run = { runId: `run ${n}`, workflow: 'job', input: workerId, policy: 'useExisting' } as const
    if ((await workflows.prepareRun(run)).created) created.push(run.runId)
  }
  return created
}

/** Moves on what is due until nothing is; tells what it moved. */
async function fire({ timers, workflows }: Holdfast): Promise<string[]> {
  const fired: string[] = []
  for (;;) {
    fired.push(...(await timers.advanceDue({ limit: 7 })).map(({ runId }) => runId))
    if ((await workflows.listRuns({ status: 'waiting', limit: 1 })).items.length === 0) return fired
  }
}

/** Takes a claim, says so, and writes when it is told to; tells what became of each write. */
async function hold(holdfast: Holdfast, { workerId }: Order): Promise<string[]> {
  const { claims, persistence, state, workflows, signals } = holdfast
  const claim = await claims.claimTask({ runId: 'run 0', workerId, ttl: LEASE })
  process.send!({ claimed: claim !== undefined })
  await new Promise((resolve) => process.once('message', resolve))
  const options = { claim: claim! }
  const event = { runId: 'run 0', workflow: 'job', kind: workerId }
  const writes = [
    () => persistence.append(event, options),
    () => persistence.complete('run 0', 'completed', options),
    () => state.set('k', workerId, options),
    () => state.increment('n', options),
    () => state.saveSnapshot({ runId: 'run 0', state: workerId }, options),
    () => workflows.patchContext('run 0', { by: workerId }, options),
    () => workflows.saveTaskResult('run 0', 'step', workerId, options),
    () => signals.storeSignal('run 0', 'cancel', options),
    () => claims.extendTaskClaim(options.claim, LEASE),
  ]
  const verdicts: string[] = []
  for (const write of writes) {
    verdicts.push(
      await write().then(
        () => 'written',
        (error: unknown) => (isHoldfastError(error) ? error.code : String(error)),
      ),
    )
  }
  return verdicts
}

const order = JSON.parse(process.argv[2]!) as Order
const holdfast = createHoldfast({ driver: await engineNamed(order.engine).make(order.path), durability: 'relaxed' })
const told = await JOBS[order.job](holdfast, order)
await holdfast.close()
process.send!({ told })
process.disconnect()
