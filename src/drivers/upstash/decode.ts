/**
 * Decodes the answers of the script: lists of texts, with the server's clock first.
 *
 * | answer to | is |
 * | --- | --- |
 * | open | the clock; a list of the state, the schema version and the eviction policy; the answers of the call that went along |
 * | `g` | a stored entry; `''` if absent, `=` if unchanged, `>` if this answer has no room left |
 * | `r` | `1` or `0` for more, then key and stored entry in turn; or `=`, or `>` |
 * | `p` | names of parts, sorted within each shard; or `>` |
 * | commits | `late`, `reused`, or `foreign` and the prefix of a log: nothing was executed |
 * | a commit | `+` and its numbers; or `-`, then the index of each failed check and the current state: a stored entry, `''`, or the end of the log |
 *
 * A stored entry is `expiry \n version \n value`; without its value it ends after the version. The state of opening is
 * `ok`, or nothing else was done, because the server is `old`, or the call must `wait` until the eviction policy is
 * known.
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
import { HoldfastError, inDoubt } from '../../core/errors.ts'
import { notALog } from '../../core/keys.ts'
import { late, reused } from '../../core/request-records.ts'
import { partsLimit } from './encode.ts'

/** The answer had no room for it; ask again. */
export const LATER = '>'
/** The answer is the one that the caller knows. */
const SAME = '='

/** A raw answer of the script. */
export type Raw = string | readonly string[]

const malformed = (): HoldfastError =>
  new HoldfastError('BACKEND', 'The server returned an answer that the script cannot have made', { ambiguous: true })

function asText(raw: unknown): string {
  if (typeof raw !== 'string') throw malformed()
  return raw
}

/** Decodes an answer. @param count - the number of answers after the clock */
export function decodeReply(raw: unknown, count?: number): { now: number; answers: readonly unknown[] } {
  if (!Array.isArray(raw)) throw malformed()
  const [time, ...answers] = raw as unknown[]
  const now = Number(asText(time))
  if (!(now > 0) || (count !== undefined && answers.length !== count)) throw malformed()
  return { now, answers }
}

/** A server's report about itself. */
export interface Greeting {
  /** Whether the call that went along was done; otherwise the server is too old, or its policy bad or unknown. */
  readonly state: 'ok' | 'old' | 'wait'
  /** The version of the database; `''` if there is none yet. */
  readonly version: string
  /** The eviction policy; `''` if the server does not report it. */
  readonly policy: string
}

/** Splits the answer to a first call into the server's report and the rest. */
export function decodeGreeting(raw: unknown): { greeting: Greeting; rest: readonly unknown[] } {
  if (!Array.isArray(raw)) throw malformed()
  const [time, greeting, ...answers] = raw as unknown[]
  const [state, version = '', policy = ''] = asRaw(greeting)
  if (state !== 'ok' && state !== 'old' && state !== 'wait') throw malformed()
  return { greeting: { state, version, policy }, rest: [time, ...answers] }
}

/** The eviction policy in the settings of Redis; `''` if it is missing. */
export const policyIn = (info: unknown): string =>
  typeof info === 'string' ? (/^maxmemory_policy:([\w-]+)/m.exec(info)?.[1] ?? '') : ''

/** @throws `BACKEND` for anything but a text or a list of texts */
export function asRaw(raw: unknown): Raw {
  if (typeof raw === 'string') return raw
  if (!Array.isArray(raw) || !raw.every((item) => typeof item === 'string')) throw malformed()
  return raw
}

/** The raw answer, or the earlier one if the server says that it is unchanged. */
export const merged = (raw: Raw, before: Raw | undefined): Raw => (raw === SAME ? (before ?? raw) : raw)

/** The text by which the script recognises a known answer: versions and expiries, without values. */
export function digestOf(raw: Raw | undefined): string {
  if (raw === undefined || raw === LATER) return ''
  if (typeof raw === 'string') return raw === '' ? '-' : headOf(raw)
  return raw.map((item, i) => (i > 0 && i % 2 === 0 ? headOf(item) : item)).join('')
}

const headOf = (stored: string): string => stored.slice(0, stored.indexOf('\n', stored.indexOf('\n') + 1) + 1)

/** Decodes the answer to one question. */
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

/** Each shard returns one name more than requested, so the first names of all shards are among them. */
function decodeParts(raw: readonly string[], limit: number): PartPage {
  const parts = [...raw].sort(byCodeUnit)
  return { parts: parts.slice(0, limit), more: parts.length > limit }
}

const byCodeUnit = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

/**
 * Decodes the verdicts on a request.
 *
 * @param isRepeated - whether an earlier attempt may have been executed, or still may be
 * @throws the error with which the script refused the whole request
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

/** The same error, ambiguous if the request was repeated: it says nothing about earlier attempts. */
const doubted = (error: HoldfastError, isRepeated: boolean): HoldfastError => (isRepeated ? inDoubt(error) : error)

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
