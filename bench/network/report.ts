/** What was found over a network. */
import type { Machine } from '../machine.ts'
import type { Figure, RaceOptions } from '../measure.ts'
import type { Row } from '../scenarios/row.ts'
import type { Target } from '../targets.ts'

/** A call in databases of several sizes, the smallest first. */
export interface Cost {
  readonly call: string
  /** What the server's work is counted in. */
  readonly unit: string
  readonly sizes: readonly { readonly entries: number; readonly microseconds: Figure; readonly work: number }[]
  /** How many times as long it takes in the largest as in the smallest, round by round. */
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
