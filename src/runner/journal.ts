/**
 * What the runner records: events, the row of a step, and what becomes of the run, together in one commit under the claim.
 *
 * The runner is the only writer of these events, so it knows by which number a log ends, and every commit checks that.
 * What comes back is decoded from what was stored: a first run sees what every later run will see.
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

/** An event as the runner makes it. */
export type Draft = Pick<NewEvent, 'kind' | 'stepId' | 'payload'>

/** The row of a step, by the number of the event that it comes with. */
export interface Row {
  readonly stepId: string
  next(before: StepRecord | undefined, seq: number, now: number): StepRecord
}

/** What is recorded in one commit. */
export interface Entry {
  readonly events?: readonly Draft[]
  readonly row?: Row | undefined
  /** The run from then on. */
  readonly run?: ((run: RunRecord, now: number) => RunRecord) | undefined
  readonly checks?: readonly Check[]
  readonly along?: readonly Along[]
  readonly ops?: readonly Op[]
  /** Gives the claim back in the same commit. */
  readonly release?: boolean
  /** Learns from failed {@link checks}, by their index in it. */
  readonly learn?: (failed: readonly FailedCheck[]) => void
}

/** The log of a run in the hands of the one who runs it. */
export interface Journal {
  /**
   * Records.
   *
   * @param propose - says what, given what the run is; called again where that has changed. It may throw to refuse
   * @returns the events, as every later run will read them
   * @throws `SERIALIZATION`, `PAYLOAD_TOO_LARGE` for what cannot be stored, `CLAIM_LOST`, `ALREADY_COMPLETED`, and what
   *   the backend throws
   */
  record(propose: (run: RunRecord, now: number) => Entry): Promise<readonly LogEvent[]>
  /** Has an event recorded in the commit of the next one. */
  defer(event: Draft): void
}

/** What a journal is made of. */
export interface JournalOptions {
  readonly db: InnerDatabase
  readonly parts: TenantParts
  readonly runs: RunRecords
  readonly steps: StepRecords
  readonly runId: string
  readonly workflow: string
  readonly claim: Claim
  /** By which number the log ends. */
  readonly end: number
  /** Told of the signal that is pending, with every commit. */
  onSignal(pending: SignalKind | undefined): void
  /** Told of each event, in the order of the log. */
  onEvent(event: LogEvent): void
}

/** Makes the journal of a run that is held. */
export function journal(options: JournalOptions): Journal {
  const { db, parts, runs, steps, runId, workflow, claim, onSignal, onEvent } = options
  const part = parts.run(runId)
  /** What is believed to be the end of the log. Commits on their way build on each other, and share an epoch. */
  let end = options.end
  let epoch = 0
  const deferred: Draft[] = []

  return {
    defer: (event) => void deferred.push(event),
    async record(propose) {
      const first = deferred.splice(0)
      /** Of the last attempt at this commit. */
      let mine: { readonly epoch: number; readonly last: number } | undefined
      let told: number | undefined
      const recorded = await runs.changeExisting(
        runId,
        (run): RunProposal<readonly LogEvent[]> => {
          if (isTerminal(run.status)) throw ended(run)
          if (mine?.epoch === epoch) {
            // Whatever was built on this attempt has failed with it.
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
          // The first event after a crash tells that the run gets on.
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
      for (const event of recorded) onEvent(event)
      return recorded
    },
  }
}

/** The row of a step whose outcome is in the log. */
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
