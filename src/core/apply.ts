/**
 * The meaning of a commit, once, for every driver that can read inside its write transaction. Drivers that leave the
 * evaluation to a script on the server say the same in its language, and are held to it by the same suite.
 *
 * @module
 */
import type { Check, Commit, CommitRequest, Entry, FailedCheck, Key, Op, Outcome, Value } from './driver.ts'
import { encodeNumber } from './keys.ts'

/** A transaction: what was written through it is seen by the next read. */
export interface Transaction {
  /** The entry as it is stored; it may have expired. */
  get(at: Key): Entry | null
  /** The number at which the log under this prefix ends, 0 when it is empty. */
  last(log: Key): number
  put(at: Key, value: Value, version: string, expiresAt: number | null): void
  delete(at: Key): void
  deleteRange(part: string, start: string, end: string): void
  deletePart(part: string): void
}

/** Whether an entry is there at this moment: an expired one is absent. */
export const isLive = (entry: Entry | null, now: number): entry is Entry =>
  entry !== null && (entry.expiresAt === null || entry.expiresAt > now)

const current = (check: Check, tx: Transaction, now: number): FailedCheck['current'] => {
  if ('log' in check) return { last: tx.last(check.log) }
  const entry = tx.get(check.at)
  return isLive(entry, now) ? entry : null
}

function evaluate(check: Check, tx: Transaction, now: number): FailedCheck['current'] | undefined {
  const found = current(check, tx, now)
  const holds =
    'log' in check
      ? (found as { last: number }).last === check.last
      : ((found as Entry | null)?.version ?? null) === check.version
  return holds ? undefined : found
}

function apply(commit: Commit, tx: Transaction, now: number): number[] {
  const seqs: number[] = []
  for (const op of commit.ops) {
    if ('deleteRange' in op) tx.deleteRange(op.deleteRange.part, op.deleteRange.start, op.deleteRange.end)
    else if ('deletePart' in op) tx.deletePart(op.deletePart)
  }
  for (const op of commit.ops) {
    if ('append' in op) seqs.push(append(op, commit.id, tx))
    else if ('put' in op) tx.put(op.put, op.value, commit.id, expiryOf(op.expires, now))
    else if ('delete' in op) tx.delete(op.delete)
  }
  return seqs
}

function append(op: Extract<Op, { append: Key }>, version: string, tx: Transaction): number {
  const { part, key } = op.append
  const seq = tx.last(op.append) + 1
  tx.put({ part, key: key + encodeNumber(seq) }, op.value, version, null)
  if (op.ref !== undefined) tx.put({ part, key: op.ref }, String(seq), version, null)
  return seq
}

const expiryOf = (expires: { in?: number; at?: number } | undefined, now: number): number | null =>
  expires === undefined ? null : expires.in === undefined ? expires.at! : now + expires.in

/**
 * Applies the commits in order, each seeing the effects of those before it.
 *
 * @param commits - well-formed, inside the driver's limits
 * @param tx - a transaction that undoes everything if this throws
 * @param now - the backend's clock
 * @returns one outcome per commit
 */
export const applyCommits = (commits: readonly Commit[], tx: Transaction, now: number): Outcome[] =>
  commits.map((commit) => {
    const failed: FailedCheck[] = []
    commit.checks.forEach((check, index) => {
      const found = evaluate(check, tx, now)
      if (found !== undefined) failed.push({ check: index, current: found })
    })
    return failed.length > 0 ? { ok: false, failed } : { ok: true, seqs: apply(commit, tx, now) }
  })

/** The record of a request that took effect: numbers where a commit did, indexes of failed checks where not. */
export type RequestRecord = readonly (readonly number[] | { readonly failed: readonly number[] })[]

/** What to keep of a request so that its repetition can be answered, or `undefined` when it changed nothing. */
export const recordOf = (outcomes: readonly Outcome[]): RequestRecord | undefined =>
  outcomes.some((outcome) => outcome.ok)
    ? outcomes.map((outcome) => (outcome.ok ? outcome.seqs : { failed: outcome.failed.map((f) => f.check) }))
    : undefined

/** The answer to a repeated request: the recorded verdicts and numbers, with what the failed checks would see now. */
export const replay = (request: CommitRequest, record: RequestRecord, tx: Transaction, now: number): Outcome[] =>
  request.commits.map(({ checks }, i) => {
    const kept = record[i]!
    return 'failed' in kept
      ? { ok: false, failed: kept.failed.map((check) => ({ check, current: current(checks[check]!, tx, now) })) }
      : { ok: true, seqs: kept }
  })
