/** The record of a run: what is known of it besides its log. @module */
import { type Proposal, cells } from '../core/cells.ts'
import { decode, encode } from '../core/codec.ts'
import type { Database, WriteOptions } from '../core/database.ts'
import type { Key, Value } from '../core/driver.ts'
import { HoldfastError } from '../core/errors.ts'
import { RUN, type TenantParts } from '../core/keys.ts'
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

/** What a change of a run wants committed. */
export type RunProposal<R> = Proposal<RunRecord, R>

/** The run records of a tenant, remembered. */
export interface RunRecords {
  /** Changes a run, or makes it: see `Cells.change`. */
  change<R>(runId: string, propose: (run: RunRecord | undefined) => RunProposal<R>, options: WriteOptions): Promise<R>
  /**
   * Changes a run that must be there.
   *
   * @throws `NOT_FOUND`
   */
  changeExisting<R>(runId: string, propose: (run: RunRecord) => RunProposal<R>, options: WriteOptions): Promise<R>
}

export function runRecords(db: Database, parts: TenantParts): RunRecords {
  const { change } = cells(db, (entry) => decodeRun(entry.value))
  const at = (runId: string): Key => ({ part: parts.run(runId), key: RUN })
  return {
    change: (runId, propose, options) => change(at(runId), propose, options),
    changeExisting: (runId, propose, options) =>
      change(
        at(runId),
        (run) => {
          if (run === undefined) throw new HoldfastError('NOT_FOUND', 'There is no such run', { details: { runId } })
          return propose(run)
        },
        options,
      ),
  }
}

export const decodeRun = (value: Value): RunRecord => decode(value) as RunRecord

/** A new content of a run's record. */
export const nextRun = (run: RunRecord): { value: Value; holds: RunRecord } => ({ value: encode(run), holds: run })

/** `WORKFLOW_MISMATCH`, with the workflow that the run is of. */
export const mismatch = ({ runId, workflow }: RunRecord): HoldfastError =>
  new HoldfastError('WORKFLOW_MISMATCH', 'The run is of another workflow', { details: { runId, workflow } })

/** `ALREADY_COMPLETED`, with how and when. */
export const ended = ({ runId, completion, completedAt }: RunRecord): HoldfastError =>
  new HoldfastError('ALREADY_COMPLETED', `The run has ended: ${completion}`, {
    details: { runId, completion, completedAt },
  })
