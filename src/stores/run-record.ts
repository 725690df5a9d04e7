/** The record of a run: what is known of it besides its log. @module */
import { type Cells, cells } from '../core/cells.ts'
import { decode, encode } from '../core/codec.ts'
import type { Database } from '../core/database.ts'
import type { Value } from '../core/driver.ts'
import type { Completion } from './status.ts'

/** What is stored under a run's record key. Ids are kept in clear, so that views can show them. */
export interface RunRecord {
  readonly runId: string
  readonly tenant: string
  readonly workflow: string
  /** Of the event appended last. */
  readonly definitionVersion?: string
  readonly createdAt: number
  readonly completion?: Completion
  readonly completedAt?: number
  readonly resumedFromSeq?: number
  /** How often the run was resumed. */
  readonly resumes?: number
}

/** The run records of a database, remembered. */
export const runCells = (db: Database): Cells<RunRecord> => cells(db, (entry) => decodeRun(entry.value))

export const decodeRun = (value: Value): RunRecord => decode(value) as RunRecord

/** A new content of a run's record. */
export const nextRun = (run: RunRecord): { value: Value; holds: RunRecord } => ({ value: encode(run), holds: run })
