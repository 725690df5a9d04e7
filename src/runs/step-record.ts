/** The record of a step, and its place in the order of the run's steps. @module */
import { type Along, type Cells, cells } from '../core/cells.ts'
import { decode, encode } from '../core/codec.ts'
import type { InnerDatabase } from '../core/database.ts'
import type { EntryKey, Op } from '../core/driver.ts'
import { ORDER, STEPS, type TenantParts, encodeId } from '../core/keys.ts'
import type { StepStatus } from './status.ts'

/** The stored record of a step. Times are in milliseconds since 1970 by the backend's clock. */
export interface StepRecord {
  readonly stepId: string
  readonly status: StepStatus
  /** Any structured value, see `setJson`. */
  readonly result?: unknown
  /** The seq of the event that holds the result, if the record does not. */
  readonly seq?: number
  /** How many times it was tried. */
  readonly attempts?: number
  readonly error?: string
  readonly startedAt?: number
  readonly completedAt?: number
  readonly updatedAt: number
  /** The id under which an outside system completes the step. */
  readonly waitId?: string
  /** The step waited for a message that did not come in time. */
  readonly timedOut?: true
}

/** A step's part in a change of its run. */
export interface StepAlong {
  readonly along: Along
  /** Operations for the same commit. */
  readonly ops: readonly Op[]
}

/** The step records of a tenant's runs, cached. */
export interface StepRecords {
  at(runId: string, stepId: string): EntryKey
  readonly change: Cells<StepRecord>['change']
  /**
   * Changes a step in the commit that changes its run, or creates it as the last step: see `Cells.along`.
   *
   * @param next - called at once with the step; returns the new record, or `undefined` to leave the step as it is
   */
  along(runId: string, stepId: string, next: (step: StepRecord | undefined) => StepRecord | undefined): StepAlong
}

/** The step records of a tenant. All stores over one database share one cache. */
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
