/**
 * What the script answers: a list of texts, the server's clock first.
 *
 * | answer to | is |
 * | --- | --- |
 * | open | the clock; a list of `ok` or `old`, the schema version, the policy by which keys are evicted; the answers of what went along |
 * | `g` | a stored entry; `''` absent, `=` as known, `>` no room left in this answer |
 * | `r` | `1` or `0` for more, then key and stored entry in turn; or `=`, or `>` |
 * | `p` | names of parts, those of each shard in order |
 * | a commit | `+` and its numbers; or `-`, then the index of each failed check and what is there: a stored entry, `''`, `>`, or the end of the log |
 *
 * A stored entry is `expiry \n version \n value`.
 *
 * @module
 */
import { fromBase64 } from '../../core/base64.ts'
import type {
  Answer,
  Check,
  Commit,
  Entry,
  EntryPage,
  FailedCheck,
  Key,
  Outcome,
  PartPage,
  Read,
  Value,
} from '../../core/driver.ts'
import { HoldfastError } from '../../core/errors.ts'
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
  readonly isOld: boolean
  /** The version of the database. */
  readonly version: string
  /** By which it evicts keys; `''` where it does not tell. */
  readonly policy: string
}

/** Takes what a first call is answered with apart: what the server says of itself, and the answer without it. */
export function decodeGreeting(raw: unknown): { greeting: Greeting; rest: readonly unknown[] } {
  if (!Array.isArray(raw)) throw malformed()
  const [time, greeting, ...answers] = raw as unknown[]
  const [age, version = '', policy = ''] = asRaw(greeting)
  return { greeting: { isOld: age !== 'ok', version, policy }, rest: [time, ...answers] }
}

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

/** The answer to a question. */
export function decodeAnswer(read: Read, raw: Raw): Answer {
  if ('get' in read) return decodeEntry(read.get.key, asText(raw))
  if (typeof raw === 'string') throw malformed()
  return 'range' in read ? decodePage(raw, read.range.keysOnly) : decodeParts(raw, partsLimit(read.parts))
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
 * The verdict on a commit.
 *
 * @param find - asked for what is there instead where the answer had no room for it
 */
export function decodeOutcome({ checks }: Commit, raw: Raw, find: (key: Key) => Entry | null): Outcome {
  const [verdict, ...rest] = raw
  if (verdict === '+' && typeof raw !== 'string') return { ok: true, seqs: rest.map(Number) }
  if (verdict !== '-' || typeof raw === 'string') throw malformed()
  const failed: FailedCheck[] = []
  for (let i = 0; i + 1 < rest.length; i += 2) {
    const check = Number(rest[i])
    const found = checks[check]
    if (found === undefined) throw malformed()
    failed.push({ check, current: decodeCurrent(found, rest[i + 1]!, find) })
  }
  return { ok: false, failed }
}

function decodeCurrent(check: Check, raw: string, find: (key: Key) => Entry | null): FailedCheck['current'] {
  if ('log' in check) return { last: Number(raw) }
  return raw === LATER ? find(check.at) : decodeEntry(check.at.key, raw)
}

function decodeEntry(key: string, stored: string): Entry | null {
  if (stored === '') return null
  const first = stored.indexOf('\n')
  const second = stored.indexOf('\n', first + 1)
  if (first < 0 || second < 0) throw malformed()
  const expiry = stored.slice(0, first)
  return {
    key,
    version: stored.slice(first + 1, second),
    value: decodeValue(stored[second + 1], stored.slice(second + 2)),
    expiresAt: expiry === '' ? null : Number(expiry),
  }
}

function decodeValue(kind: string | undefined, text: string): Value {
  if (kind === 't') return text
  if (kind === 'b') return fromBase64(text)
  if (kind === 'u') return new TextDecoder('utf-8', { ignoreBOM: true }).decode(fromBase64(text))
  throw malformed()
}
