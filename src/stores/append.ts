/**
 * What an append asks of the log, and what its refusal means: an expected end, given numbers, idempotency keys.
 *
 * @module
 */
import { requireInteger } from '../core/arguments.ts'
import type { Database } from '../core/database.ts'
import type { CallOptions, Check, Entry, FailedCheck, Key, Op, Value } from '../core/driver.ts'
import { HoldfastError, invalid } from '../core/errors.ts'
import { EVENTS, IDEMPOTENCY, encodeId, encodeNumber } from '../core/keys.ts'
import { type NewEvent, encodeEvent, isSameEvent } from './events.ts'

/** What became of an append. */
export interface AppendResult {
  /** The number of the event; of a batch, of its last. */
  readonly seq: number
  /** The same was stored before: nothing has changed, and `seq` is where it is. */
  readonly duplicate: boolean
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
   * @param otherwise - thrown where none of the events is stored, in place of the `CONFLICT` about the end of the log
   * @throws `CONFLICT` unless all events are stored already
   */
  judge(failed: readonly FailedCheck[], options: CallOptions, otherwise?: HoldfastError): Promise<AppendResult>
}

/** Names the events that a check is about: by the place of their numbers, or of their keys. */
type Subject = { readonly event: number; readonly by: 'seq' | 'key' } | 'end'

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
  db: Database,
  part: string,
  events: readonly Omit<NewEvent, 'runId' | 'workflow'>[],
  expectedSeq?: number,
): Append {
  const checks: Check[] = []
  const subjects: Subject[] = []
  const add = (check: Check, subject: Subject): void => {
    checks.push(check)
    subjects.push(subject)
  }
  const log = { part, key: EVENTS }
  const first = events[0]?.seq
  const eventAt = (seq: number): Key => ({ part, key: EVENTS + encodeNumber(seq) })
  const names = new Set<string>()
  const values: Value[] = []
  const ops = events.map((event, i): Op => {
    const value = encodeEvent(event, db.now())
    values.push(value)
    if (event.seq !== undefined) requireInteger(event.seq, 'seq', 1)
    if (event.seq !== (first && first + i)) {
      throw invalid('seq must be given to all events of a batch, one after the other, or to none')
    }
    if (event.seq !== undefined) add({ at: eventAt(event.seq), version: null }, { event: i, by: 'seq' })
    if (event.idempotencyKey === undefined) return { append: log, value }
    const ref = IDEMPOTENCY + encodeId(event.idempotencyKey, 'idempotencyKey')
    if (names.has(ref)) throw invalid('idempotencyKey must differ between the events of a batch')
    names.add(ref)
    add({ at: { part, key: ref }, version: null }, { event: i, by: 'key' })
    return { append: log, value, ref }
  })
  if (first !== undefined) add({ log, last: first - 1 }, 'end')
  if (expectedSeq !== undefined) add({ log, last: requireInteger(expectedSeq, 'expectedSeq') }, 'end')

  return {
    checks,
    ops,
    isRepeatable: subjects.some((subject) => subject !== 'end'),
    async judge(failed, options, otherwise) {
      const seqs = new Map<number, number>()
      const stored = new Map<number, Entry>()
      let latest: number | undefined
      for (const { check, current } of failed) {
        const subject = subjects[check]!
        if (subject === 'end') latest = (current as { last: number }).last
        else if (subject.by === 'key') seqs.set(subject.event, Number((current as Entry).value))
        else {
          seqs.set(subject.event, events[subject.event]!.seq!)
          stored.set(subject.event, current as Entry)
        }
      }
      if (seqs.size === 0) throw otherwise ?? conflict(`The log ends at ${latest}`, { latestSeq: latest })
      if (seqs.size < events.length) throw conflict('Some events of the batch are stored, others are not', {})
      const missing = [...seqs].filter(([event]) => !stored.has(event))
      const entries = await db.read(
        missing.map(([, seq]) => ({ get: eventAt(seq) })),
        options,
      )
      missing.forEach(([event], i) => entries[i] && stored.set(event, entries[i]))
      values.forEach((value, event) => {
        const entry = stored.get(event)
        if (entry === undefined || !isSameEvent(entry.value, value)) {
          throw conflict('Another event is stored under this seq or idempotency key', { seq: seqs.get(event) })
        }
      })
      return { seq: seqs.get(events.length - 1)!, duplicate: true }
    },
  }
}

const conflict = (message: string, details: Record<string, unknown>): HoldfastError =>
  new HoldfastError('CONFLICT', message, { details })
