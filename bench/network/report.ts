/** What was found over a network. */
import type { Machine } from '../machine.ts'
import type { Figure, RaceOptions } from '../measure.ts'
import type { Row } from '../scenarios/row.ts'
import type { Target } from '../targets.ts'

/** A call in a database of few entries and in one of many. */
export interface Cost {
  readonly call: string
  readonly entries: number
  /** Microseconds among 1000 entries, and among that many. */
  readonly few: Figure
  readonly many: Figure
  /** How many times as much, round by round. */
  readonly ratio: Figure
}

export interface ServerReport {
  readonly name: string
  readonly rows: readonly (Row & { readonly latency: number })[]
  readonly costs: readonly Cost[]
  readonly targets: readonly Target[]
}

export interface NetworkReport {
  readonly machine: Machine
  readonly settings: RaceOptions
  readonly servers: readonly ServerReport[]
}
