/** What was found in browsers. */
import type { Machine } from '../machine.ts'
import type { RaceOptions } from '../measure.ts'
import type { Row } from '../scenarios/row.ts'
import type { Target } from '../targets.ts'

export interface EngineReport {
  readonly name: string
  readonly version: string
  readonly rows: readonly Row[]
  readonly targets: readonly Target[]
}

export interface BrowserReport {
  readonly machine: Machine
  readonly settings: RaceOptions
  readonly engines: readonly EngineReport[]
}
