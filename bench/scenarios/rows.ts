/** The rows: the same work on every subject, side by side. */
import type { Durability } from 'holdfast'
import { LOG, NAMES } from '../data.ts'
import { type Contender, type Figure, type RaceOptions, figure, race, speed } from '../measure.ts'
import { holdfast } from '../subjects/holdfast.ts'
import { keyv } from '../subjects/keyv.ts'
import { langgraph } from '../subjects/langgraph.ts'
import { raw } from '../subjects/raw.ts'
import type { Opened, Subject } from '../subjects/subject.ts'
import { unstorageDb0, unstorageFs } from '../subjects/unstorage.ts'

const SUBJECTS: readonly Subject[] = [raw, holdfast, unstorageFs, unstorageDb0, keyv, langgraph]
const IN_FLIGHT = 64

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

type Call = (opened: Opened, n: number) => unknown

export interface RowScenario {
  readonly name: string
  readonly durability: Durability
  readonly lanes: number
  readonly call: Call
  /** Fills the store beforehand. */
  readonly fill?: readonly [call: Call, count: number]
}

const append: Call = (opened, n) => opened.append(n)
const set: Call = (opened, n) => opened.set(n)
const load: Call = async (opened) => {
  const events = await opened.load(LOG)
  if (events !== LOG) throw new Error(`Loaded ${events} events instead of ${LOG}`)
}
const get: Call = async (opened, n) => {
  if (((await opened.get(n)) as { id?: number } | null)?.id === undefined) throw new Error('Got no document')
}

export const ROWS: readonly RowScenario[] = [
  { name: 'append one by one, strict', durability: 'strict', lanes: 1, call: append },
  { name: 'append one by one, relaxed', durability: 'relaxed', lanes: 1, call: append },
  { name: `append ${IN_FLIGHT} in flight, strict`, durability: 'strict', lanes: IN_FLIGHT, call: append },
  { name: `append ${IN_FLIGHT} in flight, relaxed`, durability: 'relaxed', lanes: IN_FLIGHT, call: append },
  { name: 'set 1 kB, strict', durability: 'strict', lanes: 1, call: set },
  { name: 'set 1 kB, relaxed', durability: 'relaxed', lanes: 1, call: set },
  { name: 'get 1 kB', durability: 'relaxed', lanes: 1, call: (opened, n) => opened.get(n), fill: [set, NAMES] },
  { name: 'load 10 000 events', durability: 'relaxed', lanes: 1, call: load, fill: [append, LOG] },
]

/** Runs calls of these numbers, so many at a time. */
async function run(opened: Opened, call: Call, from: number, count: number, lanes: number): Promise<void> {
  let next = from
  const lane = async (): Promise<void> => {
    while (next < from + count) {
      const pending = call(opened, next++)
      // Who answers at once is not made to wait for a microtask.
      if (pending instanceof Promise) await pending
    }
  }
  await Promise.all(Array.from({ length: lanes }, lane))
}

export async function runRow(
  { name, durability, lanes, call, fill }: RowScenario,
  options: RaceOptions,
  directory: (name: string) => string,
): Promise<readonly Row[]> {
  const subjects = SUBJECTS.filter((subject) => subject.survives[durability] !== undefined)
  const contenders: (Contender & { readonly opened: Opened })[] = []
  try {
    for (const subject of subjects) {
      const opened = await subject.open(directory(subject.name), durability)
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
      if (fill) await run(opened, fill[0], 0, fill[1], IN_FLIGHT)
      if (call !== load) await get(opened, (await set(opened, 0), 0))
    }
    const timings = await race(contenders, options)
    const base = timings.find((timing) => timing.name === raw.name)!
    const ours = timings.find((timing) => timing.name === holdfast.name)!
    return timings.map((timing, i) => ({
      name,
      subject: timing.name,
      survives: subjects[i]!.survives[durability]!,
      ops: timing.ops,
      microseconds: figure(timing.rounds.map((nanoseconds) => nanoseconds / 1000)),
      toRaw: speed(timing, base),
      toHoldfast: speed(timing, ours),
    }))
  } finally {
    for (const { opened } of contenders) await opened.close()
  }
}
