/**
 * The meaning of a commit, once, for every driver that can read inside its write transaction. Drivers that leave the
 * evaluation to a script on the server say the same in its language, and are held to it by the same suite.
 *
 * @module
 */
import { MAX_TIME } from './arguments.ts'
import type { Check, Commit, CommitRequest, Entry, Expiry, FailedCheck, Key, Op, Outcome, Value } from './driver.ts'
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

/** How much a request writes, in changes. */
export const writesOf = ({ commits }: Pick<CommitRequest, 'commits'>): number =>
  commits.reduce((sum, { ops }) => sum + ops.length, 0)

/** Whether an entry is there at this moment: an expired one is absent. */
export const isLive = (entry: Entry | null | undefined, now: number): entry is Entry =>
  !!entry && (entry.expiresAt === null || entry.expiresAt > now)

const current = (check: Check, tx: Transaction, now: number): FailedCheck['current'] => {
  if ('log' in check) return { last: tx.last(check.log) }
  const entry = tx.get(check.at)
  return isLive(entry, now) ? entry : null
}

const holds = (check: Check, found: FailedCheck['current']): boolean =>
  'log' in check
    ? (found as { last: number }).last === check.last
    : ((found as Entry | null)?.version ?? null) === check.version

function apply({ id, ops }: Commit, tx: Transaction, now: number): number[] {
  const seqs: number[] = []
  for (const op of ops) {
    if ('deleteRange' in op) tx.deleteRange(op.deleteRange.part, op.deleteRange.start, op.deleteRange.end)
    else if ('deletePart' in op) tx.deletePart(op.deletePart)
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

const expiryOf = (expires: Expiry | undefined, now: number): number | null =>
  expires ? ('in' in expires ? Math.min(now + expires.in, MAX_TIME) : expires.at) : null

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
      const found = current(check, tx, now)
      if (!holds(check, found)) failed.push({ check: index, current: found })
    })
    return failed.length > 0 ? { ok: false, failed } : { ok: true, seqs: apply(commit, tx, now) }
  })

const partOf = (op: Op): string => {
  if ('put' in op) return op.put.part
  if ('append' in op) return op.append.part
  if ('delete' in op) return op.delete.part
  return 'deletePart' in op ? op.deletePart : op.deleteRange.part
}

/** The parts that the commits which took effect may have changed, each once: what `Driver.watch` announces. */
export const changedParts = (commits: readonly Commit[], outcomes: readonly Outcome[]): string[] => [
  ...new Set(commits.flatMap(({ ops }, i) => (outcomes[i]!.ok ? ops.map(partOf) : []))),
]

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
