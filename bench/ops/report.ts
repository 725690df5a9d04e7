/** What the bench of operations measures. @module */
import type { Figure } from '../measure.ts'

/** One way to carry a whole database. */
export interface CarryRow {
  readonly what: string
  readonly by: string
  readonly seconds: Figure
  readonly megabytesPerSecond: number
  readonly recordsPerSecond: number
}

/** What one wrapper adds to a call. */
export interface WrapperRow {
  readonly wrapper: string
  /** In microseconds, above the driver without it. */
  readonly set: Figure
  readonly get: Figure
}

/** All of it. */
export interface OpsReport {
  readonly machine: object
  readonly rounds: number
  /** What was carried: its runs, its entries, and the bytes of their keys and values. */
  readonly runs: number
  readonly entries: number
  readonly bytes: number
  readonly carried: readonly CarryRow[]
  readonly wrappers: readonly WrapperRow[]
}
