/** The writers of the crash tests: each makes one effect after the other, and says so after each. */
import type { Holdfast } from '../../src/holdfast.ts'
import {
  ADDERS,
  APPENDERS,
  type Ack,
  COUNTER,
  type Mode,
  PAIRS,
  SNAPSHOTS,
  eventKeys,
  eventOf,
  isBatch,
  pairKeys,
  pairValue,
  runOf,
  stateOf,
} from './content.ts'

/** Where writers write, and to whom they tell it. */
export interface Writing {
  readonly holdfast: Holdfast
  readonly mode: Mode
  /** Where each writer goes on. */
  readonly next: Readonly<Record<string, number>>
  /** Resolves when it is sure to be known, whatever happens to the writer. */
  acknowledge(ack: Ack): void | Promise<void>
  /** Ends the writer at once. */
  die(): void
}

/** Writes until the end. */
export async function writeOn(writing: Writing): Promise<void> {
  const { state } = writing.holdfast
  await Promise.all([
    ...APPENDERS.map((writer) => write(writing, writer, (index) => append(writing, writer, index))),
    ...PAIRS.map((writer) => write(writing, writer, (index) => setPair(writing, writer, index))),
    ...ADDERS.map((writer) => write(writing, writer, () => state.increment(COUNTER))),
    ...SNAPSHOTS.map((writer) => write(writing, writer, (index) => save(writing, writer, index))),
  ])
}

async function write(
  { next, mode, acknowledge }: Writing,
  writer: string,
  effect: (index: number) => Promise<number | undefined>,
): Promise<void> {
  for (let index = next[writer]!; ; index++) {
    if (mode === 'acknowledges early') {
      await acknowledge({ writer, index })
      await effect(index)
    } else {
      const told = await effect(index)
      await acknowledge({ writer, index, ...(told !== undefined && { told }) })
    }
  }
}

async function append({ holdfast: { persistence } }: Writing, writer: string, index: number): Promise<number> {
  const events = eventKeys(writer, index).map(eventOf)
  const { seq } = isBatch(writer) ? await persistence.appendBatch(events) : await persistence.append(events[0]!)
  return seq
}

async function setPair({ holdfast: { db }, mode, die }: Writing, pair: string, index: number): Promise<undefined> {
  const value = pairValue(index)
  const ops = pairKeys(pair).map((at) => (value === undefined ? { delete: at } : { put: at, value }))
  if (mode === 'tears pairs') {
    await db.commit({ ops: ops.slice(0, 1) })
    if (index > 10) die()
    await db.commit({ ops: ops.slice(1) })
  } else await db.commit({ ops })
}

async function save({ holdfast: { state, persistence } }: Writing, writer: string, index: number): Promise<number> {
  const runId = runOf(writer)
  const throughSeq = (await persistence.getLatestSeq(runId)) ?? 0
  const { version } = await state.saveSnapshot({ runId, state: stateOf(index), throughSeq })
  return version
}
