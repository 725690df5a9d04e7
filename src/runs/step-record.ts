/** The record of a step of a run, and its place among the run's steps. @module */
import { type Along, type Cells, cells } from '../core/cells.ts'
import { decode, encode } from '../core/codec.ts'
import type { InnerDatabase } from '../core/database.ts'
import type { EntryKey, Op } from '../core/driver.ts'
import { ORDER, STEPS, type TenantParts, encodeId } from '../core/keys.ts'
import type { StepStatus } from './status.ts'

/** What is stored of a step. Times are in milliseconds since 1970 by the backend's clock. */
export interface StepRecord {
  readonly stepId: string
  readonly status: StepStatus
  /** Any structured value, see `setJson`. */
  readonly result?: unknown
  /** The number of the event that holds the result in its place. */
  readonly seq?: number
  /** How often it was tried. */
  readonly attempts?: number
  readonly error?: string
  readonly startedAt?: number
  readonly completedAt?: number
  readonly updatedAt: number
  /** Under which somebody outside completes it. */
  readonly waitId?: string
  /** It waited for a message that did not come in time. */
  readonly timedOut?: true
}

/** A step in the change of its run. */
export interface StepAlong {
  readonly along: Along
  /** To be committed with it. */
  readonly ops: readonly Op[]
}

/** The steps of a tenant's runs, remembered. */
export interface StepRecords {
  at(runId: string, stepId: string): EntryKey
  readonly change: Cells<StepRecord>['change']
  /**
   * Has a step changed by the commit that changes its run, or makes it behind all others: see `Cells.along`.
   *
   * @param next - called at once: the step afterwards; `undefined` to leave it
   */
  along(runId: string, stepId: string, next: (step: StepRecord | undefined) => StepRecord | undefined): StepAlong
}

/** The step records of a tenant; all stores over one database share what is remembered. */
export const stepRecords = (db: InnerDatabase, parts: TenantParts): StepRecords =>
  db.shared(`step records of ${parts.runs}`, () => {
    const { change, along } = cells(db, (entry) => decode(entry.value) as StepRecord)
    const at = (runId: string, stepId: string): EntryKey => ({
      part: parts.run(runId),
      key: STEPS + encodeId(stepId, 'stepId'),
    })
    return {
      at,
      change,
      along(runId, stepId, makeNext) {
        let isNew = false
        const it = along(at(runId, stepId), (step) => {
          const next = makeNext(step)
          isNew = !step && next !== undefined
          return next && { value: encode(next), holds: next }
        })
        return {
          along: it,
          ops: isNew ? [{ append: { part: parts.run(runId), key: ORDER }, value: encodeId(stepId, 'stepId') }] : [],
        }
      },
    }
  })
