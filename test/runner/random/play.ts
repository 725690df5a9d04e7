/** Random programs, killed at random commits and run again, until they have ended; then what they did is judged. */
import type { Driver } from '../../../src/core/driver.ts'
import { isHoldfastError } from '../../../src/core/errors.ts'
import { type Holdfast, createHoldfast } from '../../../src/holdfast.ts'
import { type Context, type RunOutcome, defineWorkflow, drain, replay, run } from '../../../src/runner/index.ts'
import { type Node, type Random, childOf, evaluate, generate, mutate } from './programs.ts'

/** What is counted. */
export interface Count {
  programs: number
  kills: number
  mutations: number
  detected: number
  harmless: number
  /** What must not be: in words, with the program. */
  readonly faults: string[]
}

export const newCount = (): Count => ({ programs: 0, kills: 0, mutations: 0, detected: 0, harmless: 0, faults: [] })

class Killed extends Error {}

/** A driver that dies at its n-th commit, before or after it takes effect, and stays dead. */
export function mortal(driver: Driver, n: number, isAfter: boolean, onDeath: () => void): Driver {
  let commits = 0
  const die = (): never => {
    onDeath()
    throw new Killed()
  }
  return {
    ...driver,
    close: async () => {},
    read: (reads, options) => (commits >= n ? die() : driver.read(reads, options)),
    async commit(request, options) {
      if (commits >= n) die()
      if (++commits < n) return driver.commit(request, options)
      if (isAfter) await driver.commit(request, options)
      return die()
    },
  }
}

const RETRY = { maxAttempts: 30, initialDelay: 1 }

/** Plays one program, in a tenant of its own. */
export async function playOne(driver: Driver, rnd: Random, count: Count, runId: string): Promise<void> {
  const tree = generate(rnd)
  const isFailing = rnd(4) === 0
  const effects = new Map<string, string>()
  const undone: string[] = []
  const fault = (what: string): void => void count.faults.push(`${runId}: ${what} in ${JSON.stringify(tree)}`)
  const effect = (name: string, key: string): void => {
    const before = effects.get(key)
    // A key is of one step, however often that is done.
    if (before !== undefined && before !== name) fault(`${key} is of ${before} and of ${name}`)
    if (before === undefined && name.startsWith('undo ')) undone.push(key)
    effects.set(key, name)
  }
  const body = (program: Node, sees: typeof effect) => async (ctx: Context) => {
    const value = await evaluate(program, ctx, sees).catch((error: Error) => error.message.length)
    if (isFailing) throw new Error(`broken ${value}`)
    return value
  }
  const program = defineWorkflow({ name: 'program' }, body(tree, effect))
  const intact = (): Holdfast =>
    createHoldfast({ driver: { ...driver, close: async () => {} }, tenant: runId, durability: 'relaxed' })
  let outcome: RunOutcome<unknown> | undefined
  const messages = Array.from({ length: 4 }, (_, i) => ({ name: 'xy'[rnd(2)]!, payload: i }))
  for (let lives = 0; outcome === undefined; lives++) {
    const isKilling = lives < 6 && rnd(8) > 0
    let isDead = false
    const holdfast = createHoldfast({
      driver: mortal(driver, isKilling ? 1 + rnd(14) : Infinity, rnd(2) === 0, () => (isDead = true)),
      tenant: runId,
      durability: 'relaxed',
    })
    try {
      const free = intact()
      const runIds = [runId]
      for await (const { runId: id } of free.workflows.runs()) runIds.push(id)
      for (const id of runIds) await free.claims.forceReleaseClaim(id)
      const message = messages.shift()
      const send = async (): Promise<void> => {
        if (!message) return
        await free.signals.sendMessage(runId, message.name, message.payload).catch(() => {})
      }
      const going = run(holdfast, program, {
        runId,
        maxWait: rnd(2) === 0 ? '1 m' : 2,
        lease: '1 h',
        retry: RETRY,
        grace: 300,
        maxDeliveries: 1000,
        onError: () => {},
      })
      let isOver = false
      /** Does the runs that the program starts, in the same process: they die with it. */
      const serve = async (): Promise<void> => {
        for (;;) {
          const options = { lease: '1 h', maxDeliveries: 1000, retry: { maxAttempts: 1 }, onError: () => {} } as const
          await drain(holdfast, [childOf(effect)], options).catch((error: unknown) => {
            if (!isDead) throw error
          })
          if (isOver || isDead) return
          await new Promise((resolve) => setTimeout(resolve, 2))
        }
      }
      const [found] = await Promise.all([going.finally(() => (isOver = true)), send(), serve()])
      if (found.status !== 'waiting') outcome = found
      else await new Promise((resolve) => setTimeout(resolve, Math.max((found.until ?? 0) - Date.now(), 0)))
    } catch (error) {
      if (!isDead) {
        fault((error as Error).message)
        return
      }
      count.kills++
    }
  }
  count.programs++
  const holdfast = intact()
  const { events } = (await holdfast.persistence.load(runId))!
  const completed = events.filter(({ kind }) => kind === 'step.completed').map(({ stepId }) => stepId!)
  if (new Set(completed).size < completed.length) fault('A step is recorded twice')
  for (let i = 1; i < events.length; i++) if (events[i]!.seq !== events[i - 1]!.seq + 1) fault('The log has a gap')
  // What was undone is what was done and can be undone, the last first.
  const undoneIds = completed.filter((id) => id.endsWith('#undo')).map((id) => id.slice(0, -'#undo'.length))
  const doneOrder = completed.filter((id) => undoneIds.includes(id))
  if (undoneIds.toReversed().join() !== doneOrder.join()) fault(`Undone ${undoneIds.join()} after ${doneOrder.join()}`)
  if (undone.length !== undoneIds.length) fault('What is recorded as undone is not what was undone')
  if (isFailing && undoneIds.length === 0 && outcome.status !== 'failed')
    fault(`${outcome.status} without anything undone`)
  const rows = new Map<string, string>()
  for await (const { stepId, status } of holdfast.workflows.steps(runId, { limit: 1000 })) rows.set(stepId, status)
  for (const id of completed) if (rows.get(id) !== 'completed') fault(`The row of ${id} is ${String(rows.get(id))}`)

  // The log alone gives the same outcome, without doing anything.
  const { input } = (await holdfast.workflows.getRun(runId))!
  const recorded = { runId, input, events }
  const quiet = defineWorkflow(
    { name: 'program' },
    body(tree, () => fault('A replay has an effect')),
  )
  try {
    const again = await replay(quiet, recorded, { grace: 300 })
    const said = again.status === 'completed' ? again.result : again.status === 'open' ? 'open' : again.error
    const was =
      outcome.status === 'completed'
        ? outcome.result
        : outcome.status === 'failed' || outcome.status === 'compensated'
          ? outcome.error
          : outcome.status
    if (said !== was) fault(`A replay gives ${String(said)} and not ${String(was)}`)
  } catch (error) {
    fault(`A replay fails: ${(error as Error).message}`)
  }

  await mutation(tree, recorded, rnd, count, isFailing, fault)
}

/** Other code, against the log up to some point: it is detected, or it makes every call that has an event. */
async function mutation(
  tree: Node,
  recorded: Parameters<typeof replay>[1],
  rnd: Random,
  count: Count,
  isFailing: boolean,
  fault: (what: string) => void,
): Promise<void> {
  const other = mutate(tree, rnd)
  const log = recorded.events.filter(({ kind }) => !kind.startsWith('run.') && !kind.startsWith('intervention'))
  const steps = log.filter(({ stepId = '' }) => !stepId.endsWith('#undo'))
  const events = steps.slice(0, 1 + rnd(steps.length || 1))
  if (events.length === 0) return
  const called = new Set<string>()
  const numbers = new Map<string, number>()
  const note = (kind: string, name: string): string => {
    const n = (numbers.get(`${kind} ${name}`) ?? 0) + 1
    numbers.set(`${kind} ${name}`, n)
    const id = n === 1 && !/#\d+$/.test(name) ? name : `${name}#${n}`
    called.add(`${kind} ${id}`)
    return id
  }
  const workflow = defineWorkflow({ name: 'program' }, async (ctx) => {
    const watched = {
      ...ctx,
      step: (name: string, ...rest: [never, never]) => (note('step', name), ctx.step(name, ...rest)),
      sleep: (duration: number) => (note('sleep', 'sleep'), ctx.sleep(duration)),
      message: (name: string, options: object) => (note('message', name), ctx.message(name, options)),
      async start(...rest: [never, never]) {
        const id = note('child', 'child')
        const child = await ctx.start(...rest)
        return { ...child, result: () => (note('result', id), child.result()) }
      },
    } as unknown as Context
    const value = await evaluate(other, watched, () => fault('A replay of other code has an effect')).catch(
      (error: Error) => error.message.length,
    )
    if (isFailing) throw new Error(`broken ${value}`)
    return value
  })
  count.mutations++
  try {
    await replay(workflow, { ...recorded, events }, { grace: 20 })
    const missed = events.find(({ kind, stepId }) => !called.has(`${kind.split('.')[0]} ${stepId}`))
    if (missed) fault(`Other code was not detected: ${missed.kind} ${missed.stepId} in ${JSON.stringify(other)}`)
    count.harmless++
  } catch (error) {
    if (!isHoldfastError(error, 'NON_DETERMINISTIC')) throw error
    count.detected++
  }
}
