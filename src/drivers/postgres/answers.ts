/** Decodes the rows that the functions of the schema return. @module */
import { fromBase64 } from '../../core/base64.ts'
import type { Answer, CommitRequest, Entry, FailedCheck, Outcome, Read, Value } from '../../core/driver.ts'
import { HoldfastError, isHoldfastError } from '../../core/errors.ts'
import { type Verdict, late, reused } from '../../core/request-records.ts'
import type { Row } from './handle.ts'

/** `n, key, version, expires_at, kind, value`. Numbers arrive as numbers, bigints or text, depending on the client. */
type Answered = readonly [
  n: number | string | null,
  key: string | null,
  version: string | null,
  expiresAt: number | bigint | string | null,
  kind: string | null,
  value: string | null,
]

function decodeValue(kind: string | null, value: string | null): Value {
  if (kind === 't') return value ?? ''
  if (kind !== 'b' && kind !== 'u') throw new TypeError('Not a kind of value')
  const bytes = fromBase64(value ?? '')
  return kind === 'u' ? new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes) : bytes
}

function toHead([, key, version, expiresAt]: Answered): Omit<Entry, 'value'> {
  if (typeof key !== 'string' || typeof version !== 'string') throw new TypeError('Not an entry')
  return { key, version, expiresAt: expiresAt === null ? null : requireNumber(expiresAt) }
}

const toEntry = (row: Answered): Entry => ({ ...toHead(row), value: decodeValue(row[4], row[5]) })

/** Decodes an answer. @throws `BACKEND` for one that our functions cannot have made */
function decodeRows<T>(ambiguous: boolean, take: () => T): T {
  try {
    return take()
  } catch (cause) {
    if (isHoldfastError(cause)) throw cause
    throw new HoldfastError('BACKEND', 'PostgreSQL returned rows that the functions of holdfast cannot have made', {
      ambiguous,
    })
  }
}

function requireNumber(value: unknown): number {
  const number = Number(value ?? Number.NaN)
  if (!Number.isSafeInteger(number)) throw new TypeError('Not a whole number')
  return number
}

/** Decodes the row with the version of the schema; 0 if there is none yet. */
export const readVersion = (rows: readonly Row[]): number => decodeRows(false, () => requireNumber(rows[0]?.[0] ?? 0))

/** The decoded answer of `holdfast_read`. */
export interface ReadRows {
  readonly now: number
  /** Answers to the first questions. The others must wait if the answer would grow too large. */
  readonly answers: readonly Answer[]
}

/** Decodes the rows of `holdfast_read`. */
export const readAnswers = (reads: readonly Read[], rows: readonly Row[]): ReadRows =>
  decodeRows(false, () => {
    const last = rows.at(-1) as Answered
    const groups: Answered[][] = reads.slice(0, requireNumber(last[0])).map(() => [])
    for (const row of rows.slice(0, -1) as unknown as Answered[]) groups[requireNumber(row[0])]!.push(row)
    return { now: requireNumber(last[3]), answers: groups.map((group, i) => toAnswer(reads[i]!, group)) }
  })

function toAnswer(read: Read, rows: readonly Answered[]): Answer {
  if ('get' in read) return rows.length === 0 ? null : toEntry(rows[0]!)
  const more = rows.at(-1)?.[1] === null
  const found = more ? rows.slice(0, -1) : rows
  return 'parts' in read ? { parts: found.map((row) => row[1]!), more } : { entries: found.map(toEntry), more }
}

/** The decoded answer of `holdfast_commit`. */
export interface CommitRows {
  readonly now: number
  readonly outcomes: readonly Outcome[]
  /** The number of expired rows that were removed. */
  readonly swept: number
}

/** Whether `holdfast_commit` has only created locks, and must be called again to use them. */
export const isAgain = (rows: readonly Row[]): boolean => rows.at(-1)?.[4] === 'again'

/**
 * Decodes the rows of `holdfast_commit`.
 *
 * @throws `UNAVAILABLE` if the request came too late; `CONFLICT` if its id was used with other content
 */
export const commitOutcomes = ({ id, commits }: CommitRequest, rows: readonly Row[]): CommitRows =>
  decodeRows(true, () => {
    const [n, , , now, refusal, verdicts] = rows.at(-1) as Answered
    if (refusal === 'late') throw late(requireNumber(now))
    if (refusal === 'reused') throw reused(id)
    let next = 0
    const current = (commit: number, check: number): FailedCheck['current'] => {
      const asked = commits[commit]!.checks[check]!
      const [n, , version, expiresAt, kind, value] = rows[next++] as Answered
      if ('log' in asked) return { last: requireNumber(value) }
      if (version === null) return null
      // The answer leaves out the key, which is known.
      const row: Answered = [n, asked.at.key, version, expiresAt, kind, value]
      return kind === 'x' ? toHead(row) : toEntry(row)
    }
    const kept = JSON.parse(verdicts!) as readonly Verdict[]
    if (kept.length !== commits.length) throw new TypeError('Not a verdict for each commit')
    const outcomes = kept.map((verdict, commit): Outcome =>
      'failed' in verdict
        ? { ok: false, failed: verdict.failed.map((check) => ({ check, current: current(commit, check) })) }
        : { ok: true, seqs: verdict },
    )
    return { now: requireNumber(now), outcomes, swept: requireNumber(n) }
  })
