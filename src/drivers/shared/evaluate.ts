/**
 * The evaluation of commits, for every driver that can read inside its write transaction. Drivers that evaluate in a
 * script on the server repeat it in the server's language. The same suite tests both.
 *
 * @module
 */
import { MAX_TIME } from '../../core/arguments.ts'
import type {
  Check,
  Commit,
  CommitRequest,
  Current,
  Expiry,
  FailedCheck,
  EntryKey,
  Outcome,
  Value,
} from '../../core/driver.ts'
import { isHoldfastError } from '../../core/errors.ts'
import { encodeNumber, trimmedKey } from '../../core/keys.ts'
import { type Room, roomFor, takesEntry } from '../../core/limits.ts'
import {
  type RequestRecord,
  digestOf,
  late,
  partOf,
  recordOf,
  requireInTime,
  reused,
} from '../../core/request-records.ts'

/** A transaction. Reads see earlier writes of the same transaction. */
export interface Transaction {
  /**
   * Returns the entry as it is stored, even if it has expired.
   *
   * @param room - the longest value wanted, in bytes: a longer one may be left out; with 0, any value may be
   */
  get(at: EntryKey, room: number): Current | null
  /** The last number of the log under this prefix, see `lastNumber` in `keys.ts`; 0 if the log is empty. */
  last(log: EntryKey): number
  put(at: EntryKey, value: Value, version: string, expiresAt: number | null): void
  delete(at: EntryKey): void
  deleteRange(part: string, start: string, end: string): void
  deletePart(part: string): void
}

/** The number of ops in a request. */
export const writesOf = ({ commits }: Pick<CommitRequest, 'commits'>): number =>
  commits.reduce((sum, { ops }) => sum + ops.length, 0)

/** Whether an entry exists at this moment: an expired one counts as absent. */
export const isLive = <E extends { readonly expiresAt: number | null }>(
  entry: E | null | undefined,
  now: number,
): entry is E => !!entry && (entry.expiresAt === null || entry.expiresAt > now)

const holds = (check: Check, tx: Transaction, now: number): boolean => {
  if ('log' in check) return tx.last(check.log) === check.last
  const entry = tx.get(check.at, 0)
  return (isLive(entry, now) ? entry.version : null) === check.version
}

/** The current state of what a check names, with the value if it fits into the answer. */
function current(check: Check, tx: Transaction, now: number, room: Room): FailedCheck['current'] {
  if ('log' in check) return { last: tx.last(check.log) }
  const entry = tx.get(check.at, room.left)
  if (!isLive(entry, now)) return null
  if (entry.value !== undefined && takesEntry(room, entry)) return entry
  const { key, version, expiresAt } = entry
  return { key, version, expiresAt }
}

function apply({ id, ops }: Commit, tx: Transaction, now: number): number[] {
  const seqs: number[] = []
  for (const op of ops) {
    if ('deleteRange' in op) tx.deleteRange(op.deleteRange.part, op.deleteRange.start, op.deleteRange.end)
    else if ('deletePart' in op) tx.deletePart(op.deletePart)
    else if ('trim' in op) trim(op.trim, op.through, tx, id)
  }
  for (const op of ops) {
    if ('append' in op) {
      const { part, key } = op.append
      const seq = tx.last(op.append) + 1
      tx.put({ part, key: key + encodeNumber(seq) }, op.value, id, null)
      if (op.ref !== undefined) tx.put({ part, key: op.ref }, String(seq), id, null)
      seqs.push(seq)
    } else if ('put' in op) tx.put(op.put, op.value, id, expiryOf(op.expires, now))
    else if ('delete' in op) tx.delete(op.delete)
  }
  return seqs
}

function trim({ part, key }: EntryKey, through: number, tx: Transaction, version: string): void {
  const at = { part, key: trimmedKey(key) }
  const trimmed = Number(tx.get(at, Infinity)?.value ?? 0)
  const upTo = Math.min(through, tx.last({ part, key }))
  if (upTo <= trimmed) return
  tx.deleteRange(part, key + encodeNumber(trimmed + 1), key + encodeNumber(upTo + 1))
  tx.put(at, String(upTo), version, null)
}

const expiryOf = (expires: Expiry | undefined, now: number): number | null =>
  expires ? Math.min('in' in expires ? now + expires.in : expires.at, MAX_TIME) : null

/**
 * Applies commits in order. Each sees the effects of those before it.
 *
 * @param commits - well-formed, within the driver's limits
 * @param tx - a transaction that is rolled back if this throws
 * @param now - the backend's clock, in milliseconds since 1970
 * @param answerBytes - the most bytes in the answer: the driver's limit
 * @returns one outcome per commit
 */
export function applyCommits(commits: readonly Commit[], tx: Transaction, now: number, answerBytes: number): Outcome[] {
  const room = roomFor(answerBytes)
  return commits.map((commit) => {
    const failed: FailedCheck[] = []
    commit.checks.forEach((check, index) => {
      if (!holds(check, tx, now)) failed.push({ check: index, current: current(check, tx, now, room) })
    })
    return failed.length > 0 ? { ok: false, failed } : { ok: true, seqs: apply(commit, tx, now) }
  })
}

/**
 * Records of requests, kept for two replay windows. In the first, a repeat is answered. In the second, it is known to
 * be too late, even if it has no deadline.
 */
export interface Records {
  /** Finds the record of a request, and until when a repeat is answered. */
  find(id: string): { readonly record: RequestRecord; readonly until: number } | undefined
  keep(id: string, record: RequestRecord, until: number): void
}

/**
 * Applies a new request, or answers a repeated one: with the verdicts and numbers of the first time, and the current
 * state for failed checks.
 *
 * @param window - how long a repeat is recognised, in milliseconds
 * @throws `CONFLICT` if the id was used with other content; `UNAVAILABLE` if the request is too late; see {@link
 *   Transaction} and {@link applyCommits} for the other parameters
 */
export function applyRequest(
  request: CommitRequest,
  records: Records,
  tx: Transaction,
  now: number,
  window: number,
  answerBytes: number,
): Outcome[] {
  const digest = digestOf(request)
  const kept = records.find(request.id)
  if (kept !== undefined) {
    if (kept.until <= now) throw late(now)
    if (kept.record.digest !== digest) throw reused(request.id)
    return replayed(request, kept.record, tx, now, answerBytes)
  }
  requireInTime(request, now, window)
  const outcomes = applyCommits(request.commits, tx, now, answerBytes)
  records.keep(request.id, recordOf(digest, outcomes), now + window)
  return outcomes
}

function replayed(
  { commits }: CommitRequest,
  { verdicts }: RequestRecord,
  tx: Transaction,
  now: number,
  answerBytes: number,
): Outcome[] {
  const room = roomFor(answerBytes)
  // The keys may no longer form a log. The verdict still stands.
  const last: Transaction['last'] = (log) => {
    try {
      return tx.last(log)
    } catch (refusal) {
      if (isHoldfastError(refusal, 'INVALID_ARGUMENT')) return 0
      throw refusal
    }
  }
  const tolerant = { ...tx, last }
  return commits.map(({ checks }, i) => {
    const verdict = verdicts[i]!
    return 'failed' in verdict
      ? {
          ok: false,
          failed: verdict.failed.map((check) => ({ check, current: current(checks[check]!, tolerant, now, room) })),
        }
      : { ok: true, seqs: verdict }
  })
}

/** The parts that successful commits may have changed, without duplicates, for `Driver.watch`. */
export const changedParts = (commits: readonly Commit[], outcomes: readonly Outcome[]): string[] => [
  ...new Set(commits.flatMap(({ ops }, i) => (outcomes[i]!.ok ? ops.map(partOf) : []))),
]
