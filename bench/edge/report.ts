/** What was found at the edge. @module */
import type { Machine } from '../machine.ts'
import type { Figure, RaceOptions } from '../measure.ts'
import type { Target } from '../targets.ts'

/** How long it takes to import an entry in a fresh process. */
export interface ImportRow {
  readonly entry: string
  /** In milliseconds, its packages included. */
  readonly milliseconds: Figure
}

/** The same work by hand and by holdfast. */
export interface PairRow {
  readonly name: string
  /** In microseconds per operation. */
  readonly raw: Figure
  readonly holdfast: Figure
  /** How many times as long as raw, round by round. */
  readonly cost: Figure
}

/** What it takes to make a holdfast, with the stores of state and logs. */
export interface MakingRow {
  readonly where: string
  readonly microseconds: Figure
}

/** What a call came to on D1. */
export interface D1Row {
  readonly call: string
  /** Calls of `batch()`: round trips. */
  readonly batches: number
  readonly statements: number
}

export interface EdgeReport {
  readonly machine: Machine
  readonly settings: RaceOptions
  readonly imports: readonly ImportRow[]
  readonly object: readonly PairRow[]
  readonly handler: readonly PairRow[]
  readonly making: readonly MakingRow[]
  readonly d1: readonly D1Row[]
  readonly targets: readonly Target[]
}

const MOST_HANDLER = 1.3
const MOST_MAKING = 50

/** Judges what was measured in this run. */
export function judge({ handler, making }: Pick<EdgeReport, 'handler' | 'making'>): Target[] {
  return [
    ...handler.map(({ name, cost: { median } }) => ({
      name: `${name}: cost of a bare handler`,
      wanted: `<= ${MOST_HANDLER}`,
      measured: median.toFixed(2),
      reached: median <= MOST_HANDLER,
    })),
    ...making.map(({ where, microseconds: { median } }) => ({
      name: `a holdfast made ${where}`,
      wanted: `< ${MOST_MAKING} µs`,
      measured: `${median.toFixed(1)} µs`,
      reached: median < MOST_MAKING,
    })),
  ]
}
