/**
 * The conditions of an append, and the reason when they fail: expected end, given seqs, idempotency keys.
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

/** The result of an append. */
export interface AppendResult {
  /** The seq of the event; for a batch, of its last event. */
  readonly seq: number
  /** The same event was stored before, at `seq`. Nothing has changed. */
  readonly duplicate: boolean
  /** A pause or cancel request that the run had not followed yet. */
  readonly signal?: SignalKind
}

/** An append to one log, as parts of a commit. */
export interface Append {
  /** These hold if the events are new and in place. */
  readonly checks: readonly Check[]
  readonly ops: readonly Op[]
  /** Whether a repeat of these events can be recognised. */
  readonly isRepeatable: boolean
  /**
   * Decides what failed {@link checks} mean.
   *
   * @param db - reads the stored events
   * @param otherwise - thrown if none of the events is stored, instead of the `CONFLICT` about the end of the log
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
 * @param db - the database that holds the log
 * @param part - the part of the run
 * @param events - in order; either all of them have a seq, without gaps, or none has
 * @param expectedSeq - the seq that the log must end at
 * @throws `INVALID_ARGUMENT` for malformed events, `SERIALIZATION` for a payload that cannot be stored
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
  /** The index of the event that each check is about. The check of the log's end comes after all of these. */
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
      throw invalid('seq must be given to all events of a batch, without gaps, or to none')
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
  // If the first seq and expectedSeq contradict each other, the check cannot hold; it fails and returns the log's end.
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
          // The entry found is the event itself, or its idempotency key with the event's seq as value.
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

/** A seq that no log ends at. */
const NOWHERE = Number.MAX_SAFE_INTEGER

const conflict = (message: string, details?: Record<string, unknown>): HoldfastError =>
  new HoldfastError('CONFLICT', message, { details })
