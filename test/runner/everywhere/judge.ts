/** Judges a play by one over memory in which no worker died. */
import { expect } from 'vitest'
import { memory } from '../../../src/drivers/memory.ts'
import { createHoldfast } from '../../../src/holdfast.ts'
import { isNote } from '../../../src/runner/events.ts'
import { idempotencyKeyOf } from '../../../src/runner/ids.ts'
import { ORDERS, RETURNED, type Receipt } from './order.ts'
import { FIRST, type Play, type ReportedDeed, stage } from './stage.ts'
import { type RunRecord, finishAll, replayed } from './worker.ts'

let calm: Promise<Play> | undefined

/** The play without a death. */
export const calmPlay = (): Promise<Play> => (calm ??= playCalmly())

async function playCalmly(): Promise<Play> {
  const { take, play } = stage(false)
  const holdfast = createHoldfast({ driver: memory() })
  await finishAll({ worker: FIRST, holdfast, report: take })
  await holdfast.close()
  return play
}

/** Without the part that is derived from the life of the run that started it. */
const stable = (runId: string): string => runId.replace(/\/[\da-f]{12}$/, '')

const receiptOf = ({ run }: RunRecord): Receipt | undefined =>
  run.workflow === 'order' ? (run.result as Receipt | undefined) : undefined

/** What has to be equal in every play. */
function outlineOf(record: RunRecord): unknown {
  const { run, steps, recorded, received } = record
  const { status, error, workflow } = run
  const carrier = carrierOf(record)
  const plain = (id: string): string => (id === `book ${carrier}` ? 'book' : id)
  return {
    workflow,
    status,
    error,
    facts: receiptOf(record)?.facts,
    received,
    steps: Object.fromEntries(steps.map(({ stepId, status, seq }) => [plain(stepId), [status, seq !== undefined]])),
    // Each once; notes depend on who was there first.
    log: recorded.events
      .filter((event) => !isNote(event))
      .map(({ kind, stepId = '' }) => `${kind} ${plain(stepId)}`)
      .toSorted(),
  }
}

/** The carrier that answered first, by the log. */
const carrierOf = ({ recorded }: RunRecord): string | undefined =>
  recorded.events.find(({ kind, stepId }) => kind === 'step.completed' && stepId?.startsWith('ask '))?.payload as
    | string
    | undefined

const outlinesOf = ({ records }: Play): unknown =>
  Object.fromEntries(records.map((record) => [stable(record.run.runId), outlineOf(record)]))

/** How many attempts there were, by run and step. */
function countsOf({ deeds }: Play): ReadonlyMap<string, number> {
  const counts = new Map<string, number>()
  for (const { runId, what } of deeds) {
    const id = `${stable(runId)}: ${what}`
    counts.set(id, (counts.get(id) ?? 0) + 1)
  }
  return counts
}

/** Expects that all has come about as if no worker had died, and that one has. */
export async function expectAsIfNobodyDied(play: Play): Promise<void> {
  const undisturbed = await calmPlay()
  for (const { records } of [undisturbed, play]) {
    for (const [runId, { isReturned }] of Object.entries(ORDERS)) {
      const { status, error } = records.find(({ run }) => run.runId === runId)?.run ?? {}
      expect([runId, status, error]).toEqual([
        runId,
        ...(isReturned ? ['compensated', RETURNED] : ['completed', undefined]),
      ])
    }
  }
  expect(play.records.length).toBe(undisturbed.records.length)
  expect(outlinesOf(play)).toEqual(outlinesOf(undisturbed))
  expect(play.troubles.filter((trouble) => !trouble.endsWith(RETURNED))).toEqual([])

  const chances = play.records.flatMap((record) => receiptOf(record)?.chance ?? [])
  for (const name of ['number', 'dice'] as const)
    expect(new Set(chances.map((it) => it[name])).size).toBe(chances.length)
  for (const { run, recorded, replayed: there } of play.records) {
    const { workflow, status, result, error } = run
    expect(there).toEqual(status === 'completed' ? { status, result } : { status, error })
    // What one runtime has recorded is the same to another one.
    expect(await replayed(workflow, recorded)).toEqual(there)
  }
  expectAttempts(play, undisturbed)
}

/** Expects that nothing ran after it was recorded, and that only what the dead worker had begun ran once more. */
function expectAttempts(play: Play, undisturbed: Play): void {
  const { deeds, records } = play
  const [victim] = deeds.map(({ worker }) => worker)
  const halted = deeds.filter(({ isHalted }) => isHalted)
  expect(halted.length).toBeGreaterThan(0)
  expect(new Set(deeds.map(({ worker }) => worker)).size).toBe(2)
  const byKey = new Map<string, ReportedDeed[]>()
  for (const deed of deeds) byKey.set(deed.key, [...(byKey.get(deed.key) ?? []), deed])
  const calmCounts = countsOf(undisturbed)
  expect([...countsOf(play).keys()].toSorted()).toEqual([...calmCounts.keys()].toSorted())
  // One step has one key, and no other step has it.
  expect(byKey.size).toBe(calmCounts.size)

  for (const attempts of byKey.values()) {
    const { runId, what } = attempts[0]!
    expect(new Set(attempts.map((it) => `${it.runId}: ${it.what}`)).size).toBe(1)
    const numbers = attempts.map(({ attempt }) => attempt)
    expect(numbers).toEqual([...new Set(numbers)].toSorted((a, b) => a - b))
    const mayRepeat = attempts.some(({ worker }) => worker === victim) ? 1 : 0
    expect(attempts.length).toBeLessThanOrEqual(calmCounts.get(`${stable(runId)}: ${what}`)! + mayRepeat)
    if (attempts.some(({ isHalted }) => isHalted)) expect(attempts.at(-1)!.worker).not.toBe(victim)
  }

  const recorded = records.flatMap(({ recorded: { life }, steps }) =>
    steps.map(({ stepId, attempts }) => [idempotencyKeyOf(life!, stepId), attempts] as const),
  )
  const last = [...byKey].map(([key, attempts]) => [key, attempts.at(-1)!.attempt] as const)
  expect(new Map(recorded)).toEqual(new Map(last))
}
