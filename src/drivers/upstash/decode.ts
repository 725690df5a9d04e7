/**
 * What the script answers: a list of texts, the server's clock first.
 *
 * | answer to | is |
 * | --- | --- |
 * | open | the clock; a list of how it went, the schema version, the policy by which keys are evicted; the answers of what went along |
 * | `g` | a stored entry; `''` absent, `=` as known, `>` no room left in this answer |
 * | `r` | `1` or `0` for more, then key and stored entry in turn; or `=`, or `>` |
 * | `p` | names of parts, those of each shard in order; or `>` |
 * | commits | `late`, `reused`, or `foreign` and the prefix of a log: nothing was executed |
 * | a commit | `+` and its numbers; or `-`, then the index of each failed check and what is there: a stored entry, `''`, or the end of the log |
 *
 * A stored entry is `expiry \n version \n value`; without its value it ends there. Opening went `ok`; or nothing else was
 * done, because the server is `old`, or to `wait` for what is said of the policy.
 *
 * @module
 */
import { fromBase64 } from '../../core/base64.ts'
import type {
  Answer,
  Check,
  Commit,
  CommitRequest,
  Current,
  Entry,
  EntryPage,
  FailedCheck,
  Outcome,
  PartPage,
  Read,
  Value,
} from '../../core/driver.ts'
import { HoldfastError } from '../../core/errors.ts'
import { notALog } from '../../core/keys.ts'
import { late, reused } from '../../core/requests.ts'
import { partsLimit } from './encode.ts'

/** No room was left for it: to be asked for again. */
export const LATER = '>'
/** It is still what the caller knows. */
const SAME = '='

/** A raw answer of the script. */
export type Raw = string | readonly string[]

const malformed = (): HoldfastError =>
  new HoldfastError('BACKEND', 'The server gave an answer that the script cannot have made', { ambiguous: true })

function asText(raw: unknown): string {
  if (typeof raw !== 'string') throw malformed()
  return raw
}

/** Takes an answer apart; `count` is how many answers follow the clock. */
export function decodeReply(raw: unknown, count?: number): { now: number; answers: readonly unknown[] } {
  if (!Array.isArray(raw)) throw malformed()
  const [time, ...answers] = raw as unknown[]
  const now = Number(asText(time))
  if (!(now > 0) || (count !== undefined && answers.length !== count)) throw malformed()
  return { now, answers }
}

/** What a server said of itself. */
export interface Greeting {
  /** Whether what went along was done: the server may be too old, or tell nothing good of how it evicts keys. */
  readonly state: 'ok' | 'old' | 'wait'
  /** The version of the database; `''` where there is none yet. */
  readonly version: string
  /** By which it evicts keys; `''` where it does not tell. */
  readonly policy: string
}

/** Takes what a first call is answered with apart: what the server says of itself, and the answer without it. */
export function decodeGreeting(raw: unknown): { greeting: Greeting; rest: readonly unknown[] } {
  if (!Array.isArray(raw)) throw malformed()
  const [time, greeting, ...answers] = raw as unknown[]
  const [state, version = '', policy = ''] = asRaw(greeting)
  if (state !== 'ok' && state !== 'old' && state !== 'wait') throw malformed()
  return { greeting: { state, version, policy }, rest: [time, ...answers] }
}

/** The policy that Redis tells among its other settings; `''` where it does not. */
export const policyIn = (info: unknown): string =>
  typeof info === 'string' ? (/^maxmemory_policy:([\w-]+)/m.exec(info)?.[1] ?? '') : ''

/** Requires one raw answer to be a text or a list of texts. */
export function asRaw(raw: unknown): Raw {
  if (typeof raw === 'string') return raw
  if (!Array.isArray(raw) || !raw.every((item) => typeof item === 'string')) throw malformed()
  return raw
}

/** The raw answer, or the one before where the server says that it is still the same. */
export const merged = (raw: Raw, before: Raw | undefined): Raw => (raw === SAME ? (before ?? raw) : raw)

/** By what the script tells whether an answer is still what the caller knows: versions and expiries, no values. */
export function digestOf(raw: Raw | undefined): string {
  if (raw === undefined || raw === LATER) return ''
  if (typeof raw === 'string') return raw === '' ? '-' : headOf(raw)
  return raw.map((item, i) => (i > 0 && i % 2 === 0 ? headOf(item) : item)).join('')
}

const headOf = (stored: string): string => stored.slice(0, stored.indexOf('\n', stored.indexOf('\n') + 1) + 1)

/** The answer to one of the questions. */
export function decodeAnswer(read: Read, raw: Raw, reads: readonly Read[]): Answer {
  if ('get' in read) return decodeEntry(read.get.key, asText(raw))
  if (typeof raw === 'string') throw malformed()
  return 'range' in read ? decodePage(raw, read.range.keysOnly) : decodeParts(raw, partsLimit(read.parts.limit, reads))
}

function decodePage([more, ...items]: readonly string[], keysOnly = false): EntryPage {
  const entries: Entry[] = []
  for (let i = 0; i + 1 < items.length; i += 2) {
    const entry = decodeEntry(items[i]!, items[i + 1]!)
    if (entry === null) throw malformed()
    entries.push(keysOnly ? { ...entry, value: '' } : entry)
  }
  return { entries, more: more === '1' }
}

/** Every shard gave one name more than is asked for, so the first names of all are among them. */
function decodeParts(raw: readonly string[], limit: number): PartPage {
  const parts = [...raw].sort(byCodeUnit)
  return { parts: parts.slice(0, limit), more: parts.length > limit }
}

const byCodeUnit = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

/**
 * The verdicts on a request.
 *
 * @param isRepeated - whether an attempt before may have been executed, or may still be
 * @throws what the script refused the whole request for
 */
export function decodeOutcomes({ id, commits }: CommitRequest, raw: unknown, isRepeated: boolean): Outcome[] {
  const { now, answers } = decodeReply(raw)
  const [refusal, prefix] = answers
  if (refusal === 'late') throw doubted(late(now), isRepeated)
  if (refusal === 'reused') throw reused(id)
  if (refusal === 'foreign') throw doubted(notALog(asText(prefix)), isRepeated)
  if (answers.length !== commits.length) throw malformed()
  return commits.map((commit, i) => decodeOutcome(commit, asRaw(answers[i])))
}

/** The same error, which says nothing of the attempts before. */
const doubted = (error: HoldfastError, isRepeated: boolean): HoldfastError => {
  const { code, message, retryable, details } = error
  return isRepeated ? new HoldfastError(code, message, { retryable, details, ambiguous: true }) : error
}

function decodeOutcome({ checks }: Commit, raw: Raw): Outcome {
  const [verdict, ...rest] = raw
  if (verdict === '+' && typeof raw !== 'string') return { ok: true, seqs: rest.map(Number) }
  if (verdict !== '-' || typeof raw === 'string') throw malformed()
  const failed: FailedCheck[] = []
  for (let i = 0; i + 1 < rest.length; i += 2) {
    const check = Number(rest[i])
    const found = checks[check]
    if (found === undefined) throw malformed()
    failed.push({ check, current: decodeCurrent(found, rest[i + 1]!) })
  }
  return { ok: false, failed }
}

const decodeCurrent = (check: Check, raw: string): FailedCheck['current'] =>
  'log' in check ? { last: Number(raw) } : decodeStored(check.at.key, raw)

function decodeEntry(key: string, stored: string): Entry | null {
  const found = decodeStored(key, stored)
  if (found !== null && found.value === undefined) throw malformed()
  return found as Entry | null
}

function decodeStored(key: string, stored: string): Current | null {
  if (stored === '') return null
  const first = stored.indexOf('\n')
  const second = stored.indexOf('\n', first + 1)
  if (first < 0 || second < 0) throw malformed()
  const expiry = stored.slice(0, first)
  const kind = stored[second + 1]
  return {
    key,
    version: stored.slice(first + 1, second),
    expiresAt: expiry === '' ? null : Number(expiry),
    ...(kind !== undefined && { value: decodeValue(kind, stored.slice(second + 2)) }),
  }
}

function decodeValue(kind: string, text: string): Value {
  if (kind === 't') return text
  if (kind === 'b') return fromBase64(text)
  if (kind === 'u') return new TextDecoder('utf-8', { ignoreBOM: true }).decode(fromBase64(text))
  throw malformed()
}
