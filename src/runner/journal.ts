/**
 * Records events, the row of a step, and the change of the run, together in one commit under the claim.
 *
 * The runner is the only writer of these events, so it knows the last seq of the log, and every commit checks that seq.
 * The returned events are decoded from the stored bytes, so a first run sees the same values as every replay.
 *
 * @module
 */
import type { Along } from '../core/cells.ts'
import type { InnerDatabase } from '../core/database.ts'
import type { Check, FailedCheck, Op, Value } from '../core/driver.ts'
import { EVENTS, type TenantParts, encodeNumber } from '../core/keys.ts'
import { defined } from '../core/objects.ts'
import { prepareAppend } from '../stores/persistence/append.ts'
import { claimAt } from '../runs/dispatch.ts'
import type { Claim } from '../stores/claims/store.ts'
import { type NewEvent, decodeEvent } from '../runs/events.ts'
import { pendingSignal } from '../runs/indexes.ts'
import { type RunProposal, type RunRecords, changed, ended } from '../runs/record.ts'
import type { RunRecord, SignalKind } from '../runs/state.ts'
import { isTerminal } from '../runs/status.ts'
import type { StepRecord, StepRecords } from '../runs/step-record.ts'
import type { LogEvent } from './events.ts'

/** An event to record. */
export type Draft = Pick<NewEvent, 'kind' | 'stepId' | 'payload'>

/** A change of a step's row. `seq` is the seq of the event in the same commit. */
export interface Row {
  readonly stepId: string
  next(before: StepRecord | undefined, seq: number, now: number): StepRecord
}

/** The content of one commit. */
export interface Entry {
  readonly events?: readonly Draft[]
  readonly row?: Row | undefined
  /** Returns the run afterwards. */
  readonly run?: ((run: RunRecord, now: number) => RunRecord) | undefined
  readonly checks?: readonly Check[]
  readonly along?: readonly Along[]
  readonly ops?: readonly Op[]
  /** Releases the claim in the same commit. */
  readonly release?: boolean
  /** Called with those of {@link checks} that failed, by their index in that list. */
  readonly learn?: (failed: readonly FailedCheck[]) => void
}

/** Records to the log of a claimed run. */
export interface Journal {
  /**
   * Commits an entry.
   *
   * @param propose - returns the entry for the current state of the run; called again if the run has changed. It may
   *   throw to refuse
   * @returns the recorded events, as every replay will read them
   * @throws `SERIALIZATION` or `PAYLOAD_TOO_LARGE` if a payload cannot be stored; `CLAIM_LOST` if another worker took
   *   over; `ALREADY_COMPLETED` if the run has ended; also the errors of the backend
   */
  record(propose: (run: RunRecord, now: number) => Entry): Promise<readonly LogEvent[]>
  /** Records an event together with the next entry. */
  defer(event: Draft): void
}

/** Options of {@link journal}. */
export interface JournalOptions {
  readonly db: InnerDatabase
  readonly parts: TenantParts
  readonly runs: RunRecords
  readonly steps: StepRecords
  readonly runId: string
  readonly workflow: string
  readonly claim: Claim
  /** The last seq of the log. */
  readonly end: number
  /** Called with the pending signal after every commit. */
  onSignal(pending: SignalKind | undefined): void
  /** Called with each recorded event, in the order of the log. */
  onEvent(event: LogEvent): void
}

/** Creates the journal of a claimed run. */
export function journal(options: JournalOptions): Journal {
  const { db, parts, runs, steps, runId, workflow, claim, onSignal, onEvent } = options
  const part = parts.run(runId)
  /** The last seq as expected. Commits in flight build on each other, and share an epoch. */
  let end = options.end
  let epoch = 0
  const deferred: Draft[] = []

  return {
    defer: (event) => void deferred.push(event),
    async record(propose) {
      const first = deferred.splice(0)
      /** The epoch and the expected last seq of the last attempt at this commit. */
      let mine: { readonly epoch: number; readonly last: number } | undefined
      let told: number | undefined
      const recording = runs.changeExisting(
        runId,
        (run): RunProposal<readonly LogEvent[]> => {
          if (isTerminal(run.status)) throw ended(run)
          if (mine?.epoch === epoch) {
            // This attempt failed, and every commit built on it failed too.
            end = told ?? mine.last
            epoch++
          }
          told = undefined
          const now = db.now()
          const entry = propose(run, now)
          const { checks = [], along = [], ops = [], row, release, learn } = entry
          const drafts = [...first, ...(entry.events ?? [])]
          const last = end
          mine = { epoch, last }
          const append = prepareAppend(db, part, drafts, drafts.length > 0 ? last : undefined)
          end += drafts.length
          const step = row && steps.along(runId, row.stepId, (before) => row.next(before, end, now))
          // The first event after a crash shows progress: the count of deliveries starts again.
          const base = drafts.length > 0 && (run.deliveries ?? 0) > 1 ? changed(run, { deliveries: 1 }, now) : undefined
          const next = entry.run ? entry.run(base ?? run, now) : base
          return {
            next,
            checks: [...append.checks, ...checks],
            ops: [...append.ops, ...(step?.ops ?? []), ...ops, ...(release ? [{ delete: claimAt(parts, runId) }] : [])],
            along: [...along, ...(step ? [step.along] : [])],
            done({ seqs }) {
              onSignal(pendingSignal(next ?? run).signal)
              return (append.ops as readonly { readonly value: Value }[]).map(({ value }, i) =>
                decodeEvent(
                  { key: EVENTS + encodeNumber(seqs[i]!), value, version: '', expiresAt: null },
                  runId,
                  workflow,
                ),
              )
            },
            failed(failed) {
              const own = append.checks.length
              const log = failed.find(({ check }) => check < own)
              if (log) told = (log.current as { readonly last: number }).last
              const others = failed.filter(({ check }) => check >= own)
              if (others.length > 0) learn?.(others.map((it) => ({ ...it, check: it.check - own })))
              return undefined
            },
          }
        },
        { claim },
      )
      const recorded = await recording.catch((error: unknown) => {
        // Perhaps the entry alone cannot be stored, and another one will be recorded instead.
        deferred.unshift(...first)
        throw error
      })
      for (const event of recorded) onEvent(event)
      return recorded
    },
  }
}

/** Makes the change of a step's row that goes with its event. */
export const rowOf = (
  stepId: string,
  fields: Pick<StepRecord, 'status'> & Partial<Pick<StepRecord, 'error' | 'attempts' | 'startedAt'>>,
): Row => ({
  stepId,
  next: (before, seq, now) => {
    const isOver = fields.status === 'completed' || fields.status === 'failed'
    return defined({
      stepId,
      status: fields.status,
      error: fields.error,
      attempts: fields.attempts,
      startedAt: before?.startedAt ?? fields.startedAt ?? now,
      completedAt: isOver ? now : undefined,
      updatedAt: now,
      seq: fields.status === 'completed' ? seq : undefined,
    })
  },
})
