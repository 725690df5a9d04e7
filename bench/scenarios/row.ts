/** One row: the same work on every subject, side by side. */
import type { Durability } from 'holdfast'
import { type Contender, type Figure, type RaceOptions, type Timing, race, speed, timeOf } from '../measure.ts'
import type { Opened, Subject } from '../subjects/subject.ts'

/** Calls under way at a time while a store is filled. */
const FILLERS = 100

export interface Row {
  readonly name: string
  readonly subject: string
  /** What an answered write of this subject survives here. */
  readonly survives: string
  /** Operations in a round. */
  readonly ops: number
  /** Microseconds per operation. */
  readonly microseconds: Figure
  /** How many times as fast as the other, round by round. */
  readonly toRaw: Figure
  readonly toHoldfast: Figure
}

export type Call = (opened: Opened, n: number) => unknown

export interface RowScenario {
  readonly name: string
  readonly durability: Durability
  readonly lanes: number
  readonly call: Call
  /** Fills the store beforehand. */
  readonly fill?: readonly [call: Call, count: number]
}

export const append: Call = (opened, n) => opened.append(n)
export const set: Call = (opened, n) => opened.set(n)
export const get: Call = async (opened, n) => {
  if (((await opened.get(n)) as { id?: number } | null)?.id === undefined) throw new Error('Got no document')
}
/** Makes the call that reads a log of so many events. */
export const load =
  (log: number): Call =>
  async (opened) => {
    const events = await opened.load(log)
    if (events !== log) throw new Error(`Loaded ${events} events instead of ${log}`)
  }

const isThenable = (it: unknown): boolean => typeof (it as { then?: unknown } | null | undefined)?.then === 'function'

/** Runs calls of these numbers, so many at a time. */
async function run(opened: Opened, call: Call, from: number, count: number, lanes: number): Promise<void> {
  let next = from
  const lane = async (): Promise<void> => {
    while (next < from + count) {
      const pending = call(opened, next++)
      // Who answers at once is not made to wait for a microtask; some have promises of their own.
      if (isThenable(pending)) await pending
    }
  }
  await Promise.all(Array.from({ length: lanes }, lane))
}

/**
 * Races the subjects that can give what the row is about.
 *
 * @param subjects - begins with the raw one, which all are compared with; the second one is ours
 * @param place - makes the place that a subject of this name gets for its store
 */
export async function runRow(
  { name, durability, lanes, call, fill }: RowScenario,
  subjects: readonly Subject[],
  options: Omit<RaceOptions, 'step'>,
  place: (name: string) => string,
): Promise<readonly Row[]> {
  const able = subjects.filter((subject) => subject.survives[durability] !== undefined)
  const contenders: (Contender & { readonly opened: Opened })[] = []
  try {
    for (const subject of able) {
      const opened = await subject.open(place(subject.name), durability)
      let n = 0
      contenders.push({
        name: subject.name,
        opened,
        async time(ops) {
          const start = performance.now()
          await run(opened, call, n, ops, lanes)
          n += ops
          return performance.now() - start
        },
      })
      if (fill) await run(opened, fill[0], 0, fill[1], FILLERS)
      if (fill?.[0] !== append) await get(opened, (await set(opened, 0), 0))
    }
    const timings = await race(contenders, { ...options, step: lanes })
    const [base, ours] = timings as [Timing, Timing]
    return timings.map((timing, i) => ({
      name,
      subject: timing.name,
      survives: able[i]!.survives[durability]!,
      ops: timing.ops,
      microseconds: timeOf(timing, 1000),
      toRaw: speed(timing, base),
      toHoldfast: speed(timing, ours),
    }))
  } finally {
    for (const { opened } of contenders) await opened.close()
  }
}
