/**
 * What an append asks of the log, and what its refusal means: an expected end, given numbers, idempotency keys.
 *
 * @module
 */
import { requireInteger } from '../../core/arguments.ts'
import type { InnerDatabase } from '../../core/database.ts'
import type { CallOptions, Check, Entry, FailedCheck, EntryKey, Op } from '../../core/driver.ts'
import { HoldfastError, invalid } from '../../core/errors.ts'
import { EVENTS, IDEMPOTENCY, decodeNumber, encodeId, encodeNumber } from '../../core/keys.ts'
import { type NewEvent, encodeEvent, isSameEvent } from '../../runs/events.ts'
import type { SignalKind } from '../../runs/state.ts'

/** What became of an append. */
export interface AppendResult {
  /** The number of the event; of a batch, of its last. */
  readonly seq: number
  /** The same was stored before: nothing has changed, and `seq` is where it is. */
  readonly duplicate: boolean
  /** What the run was asked at that moment, and did not do yet. */
  readonly signal?: SignalKind
}

/** Events on their way into one log. */
export interface Append {
  /** What must hold for the events to be new and in place. */
  readonly checks: readonly Check[]
  readonly ops: readonly Op[]
  /** Whether a repetition of these events can be told from new ones. */
  readonly isRepeatable: boolean
  /**
   * Judges failed {@link checks}.
   *
   * @param db - to ask what is stored
   * @param otherwise - thrown where none of the events is stored, in place of the `CONFLICT` about the end of the log
   * @throws `CONFLICT` unless all events are stored already
   */
  judge(
    db: InnerDatabase,
    failed: readonly FailedCheck[],
    options: CallOptions,
    otherwise?: HoldfastError,
  ): Promise<AppendResult>
}

/**
 * Prepares events for a log.
 *
 * @param db - where the log is
 * @param part - of the run
 * @param events - in order; numbers are given to all of them, one after the other, or to none
 * @param expectedSeq - where the log must end
 * @throws `INVALID_ARGUMENT`, `SERIALIZATION`
 */
export function prepareAppend(
  db: InnerDatabase,
  part: string,
  events: readonly Omit<NewEvent, 'runId' | 'workflow'>[],
  expectedSeq?: number,
): Append {
  const log = { part, key: EVENTS }
  const first = events[0]?.seq
  const eventAt = (seq: number): EntryKey => ({ part, key: EVENTS + encodeNumber(seq) })
  const checks: Check[] = []
  /** Which event a check is about; checks of the log's end are behind them. */
  const owners: number[] = []
  const mustBeAbsent = (at: EntryKey, event: number): void => {
    checks.push({ at, version: null })
    owners.push(event)
  }
  const names = new Set<string>()
  const ops = events.map((event, i) => {
    const { seq, idempotencyKey } = event
    const append = { append: log, value: encodeEvent(event, db.now()) }
    if (seq !== undefined) mustBeAbsent(eventAt(requireInteger(seq, 'seq', 1)), i)
    if (seq !== (first && first + i)) {
      throw invalid('seq must be given to all events of a batch, one after the other, or to none')
    }
    if (idempotencyKey === undefined) return append
    const ref = IDEMPOTENCY + encodeId(idempotencyKey, 'idempotencyKey')
    if (names.has(ref)) throw invalid('idempotencyKey must differ between the events of a batch')
    names.add(ref)
    mustBeAbsent({ part, key: ref }, i)
    return { ...append, ref }
  })
  if (expectedSeq !== undefined) requireInteger(expectedSeq, 'expectedSeq')
  const end = first === undefined ? expectedSeq : first - 1
  // Two that differ cannot both hold: the check fails, and tells where the log ends.
  if (end !== undefined) checks.push({ log, last: end === (expectedSeq ?? end) ? end : NOWHERE })

  return {
    checks,
    ops,
    isRepeatable: owners.length > 0,
    async judge(db, failed, options, otherwise) {
      const seqs = new Map<number, number>()
      let latestSeq: number | undefined
      for (const { check, current } of failed) {
        const event = owners[check]
        if (event === undefined) {
          latestSeq = (current as { last: number }).last
        } else {
          const { key, value } = current as Entry
          // What is there is the event itself, or the number of one under its idempotency key.
          seqs.set(event, key.startsWith(EVENTS) ? decodeNumber(key) : Number(value))
        }
      }
      if (seqs.size === 0) throw otherwise ?? conflict(`The log ends at ${latestSeq}`, { latestSeq })
      if (seqs.size < events.length) throw conflict('Some events of the batch are stored, others are not')
      const stored: (Entry | null)[] = []
      const { requestReads } = db.driver.capabilities.limits
      while (stored.length < ops.length) {
        const some = ops.slice(stored.length, stored.length + requestReads)
        const reads = some.map((_, i) => ({ get: eventAt(seqs.get(stored.length + i)!) }))
        stored.push(...(await db.read(reads, options)))
      }
      ops.forEach(({ value }, event) => {
        const entry = stored[event]
        if (!entry || !isSameEvent(entry.value, value)) {
          throw conflict('Another event is stored under this seq or idempotency key', { seq: seqs.get(event) })
        }
      })
      return { seq: seqs.get(events.length - 1)!, duplicate: true }
    },
  }
}

/** Where no log ends. */
const NOWHERE = Number.MAX_SAFE_INTEGER

const conflict = (message: string, details?: Record<string, unknown>): HoldfastError =>
  new HoldfastError('CONFLICT', message, { details })
