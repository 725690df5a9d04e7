/** What the writers write, made from names and numbers alone, so that whoever reads it can tell whether it is whole. */
import type { EntryKey } from '../../src/core/driver.ts'
import { tenantParts } from '../../src/core/keys.ts'

/** How a writer behaves; all but the first are wrong, to show that it is noticed. */
export type Mode = 'correct' | 'acknowledges early' | 'tears pairs'

/** What a writer has to do, as JSON on its command line. */
export interface Order {
  readonly engine: string
  readonly path: string
  readonly mode: Mode
  /** Where each writer goes on: with what it had begun and was not told of. */
  readonly next: Readonly<Record<string, number>>
}

/** A line on the standard output of a writer: this has been acknowledged. */
export interface Ack {
  /** Which writer, and its how-manieth effect. */
  readonly writer: string
  readonly index: number
  /** What it was told: the number of the event or of the batch's last, the sum, or the version. */
  readonly told?: number
}

export const RUNS = ['r0', 'r1']
/** Two of each kind in the same log, and one of batches. */
export const APPENDERS = RUNS.flatMap((run) => [`${run}.single0`, `${run}.single1`, `${run}.batch`])
export const PAIRS = ['pair0', 'pair1']
export const ADDERS = ['add0', 'add1']
export const SNAPSHOTS = RUNS.map((run) => `${run}.snapshot`)
export const WRITERS: readonly string[] = [...APPENDERS, ...PAIRS, ...ADDERS, ...SNAPSHOTS]

export const COUNTER = 'counter'
export const runOf = (writer: string): string => writer.split('.')[0]!
export const isBatch = (writer: string): boolean => writer.endsWith('.batch')

/** Repeats, so that contents differ in size as well: sometimes more than a page. */
const filler = (index: number): string => `${index};`.repeat(index % 97 === 0 ? 1500 : index % 13)

/** The idempotency keys of the events of one effect: `writer/index/place/length`. */
export function eventKeys(writer: string, index: number): string[] {
  const length = isBatch(writer) ? 2 + (index % 4) : 1
  return Array.from({ length }, (_, place) => `${writer}/${index}/${place}/${length}`)
}

export const eventOf = (key: string) => ({
  runId: runOf(key),
  workflow: 'crash',
  kind: 'written',
  idempotencyKey: key,
  at: Number(key.split('/')[1]),
  payload: { key, filler: filler(Number(key.split('/')[1])) },
})

/** The two keys of a pair: in different parts, and far from each other. */
export const pairKeys = (pair: string): [EntryKey, EntryKey] => [
  { part: tenantParts().values, key: pair },
  { part: 'zz!other', key: pair },
]

/** What both hold; `undefined`: neither is there. */
export const pairValue = (index: number): string | undefined =>
  index === 0 || index % 5 === 4 ? undefined : `${index}:${filler(index)}`

export const stateOf = (index: number) => ({ index, filler: filler(index), tags: new Set([index]) })
