/** Encodes requests as JSON for the functions of the schema, and limits the size of requests and answers. @module */
import { MAX_TIME } from '../../core/arguments.ts'
import { toBase64 } from '../../core/base64.ts'
import type { Check, CommitRequest, Expiry, Limits, Op, Read, Value } from '../../core/driver.ts'
import { HoldfastError } from '../../core/errors.ts'
import { utf8Bytes } from '../../core/keys.ts'
import { NETWORK_LIMITS } from '../../core/limits.ts'
import { digestOf } from '../../core/request-records.ts'
import { locksOf } from './locks.ts'

/** A request or an answer over HTTP holds at most 10 MiB. A little is reserved for the surrounding syntax. */
const MAX_BYTES = 10 * 2 ** 20 - 2 ** 16

/**
 * Whatever its characters, an encoded value is at most a third larger than its counted size, as with base64 (see {@link
 * encodeValue}). The rest of a check or an op, with its lock, is smaller than what is counted for its key. So a request
 * within these limits fits, unless its names consist of quotes and backslashes.
 *
 * An answer has room for its pages, for the versions of their entries once more, and for one largest value that a get
 * asks for.
 */
export const LIMITS: Limits = { ...NETWORK_LIMITS, keyOverhead: 128, answerBytes: 3 * 2 ** 20 }

/** Encodes a request as JSON. @throws `PAYLOAD_TOO_LARGE` if that does not fit into an HTTP request */
function sized(request: object): string {
  const text = JSON.stringify(request)
  // The body of an HTTP request holds this text as a string inside JSON, so it is escaped once more.
  if (text.length * 3 <= MAX_BYTES) return text
  const size = utf8Bytes(text) + escapesOf(text).quotes
  if (size <= MAX_BYTES) return text
  throw new HoldfastError(
    'PAYLOAD_TOO_LARGE',
    `A request must be at most ${MAX_BYTES} bytes as JSON, not ${size}; split it`,
    {
      details: { most: MAX_BYTES, size },
    },
  )
}

const QUOTE = '"'.charCodeAt(0)
const BACKSLASH = '\\'.charCodeAt(0)
const SPACE = ' '.charCodeAt(0)

/** Counts the characters that JSON escapes. A pattern would make a list of millions. */
function escapesOf(text: string): { quotes: number; controls: number } {
  let quotes = 0
  let controls = 0
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code === QUOTE || code === BACKSLASH) quotes++
    else if (code < SPACE) controls++
  }
  return { quotes, controls }
}

/** Encodes a value as kind and content: text as it is, or as base64 if escaping would make it longer. */
function encodeValue(value: Value): readonly [kind: string, content: string] {
  if (typeof value !== 'string') return ['b', toBase64(value)]
  // In JSON inside JSON, a quote takes three extra bytes, other escapes up to six, and base64 a third. So text never
  // takes more than base64 would.
  const { quotes, controls } = escapesOf(value)
  if (quotes * 9 + controls * 18 < value.length + 64) return ['t', value]
  return ['u', toBase64(new TextEncoder().encode(value))]
}

/**
 * Encodes a read.
 *
 * @param isKnown - whether it was answered before, and only the versions are needed
 */
export function encodeRead(read: Read, isKnown: boolean): readonly unknown[] {
  if ('get' in read) return ['g', isKnown, read.get.part, read.get.key]
  if ('parts' in read) return ['p', isKnown, read.parts.start, read.parts.end, read.parts.limit]
  const { part, start, end, limit, reverse = false, keysOnly = false } = read.range
  return ['r', isKnown, part, start, end, limit, reverse, keysOnly || isKnown]
}

/**
 * Encodes the request of `holdfast_read`.
 *
 * @param room - the most bytes for all pages together, counted as in `Limits.answerBytes`
 */
export const encodeReads = (questions: readonly (readonly unknown[])[], room: number): string =>
  sized({ questions, room, most: MAX_BYTES })

/** Settings of a commit request. */
export interface CommitSettings {
  /** How long a repeat of the request is recognised, in milliseconds. */
  readonly window: number
  /** How many expired rows to remove. */
  readonly sweep: number
}

/** Encodes the request of `holdfast_commit`. */
export function encodeCommits(request: CommitRequest, { window, sweep }: CommitSettings): string {
  const { id, commits, deadline = null } = request
  const parts = new Map<string, number>()
  const indexOf = (part: string): number => {
    const known = parts.get(part)
    if (known === undefined) parts.set(part, parts.size)
    return known ?? parts.size - 1
  }
  const encoded = commits.map((commit) => [
    commit.id,
    commit.checks.map((check) => encodeCheck(check, indexOf)),
    inOrder(commit.ops).map((op) => encodeOp(op, indexOf)),
  ])
  return sized({
    id,
    digest: digestOf(request),
    deadline,
    window,
    sweep,
    strict: commits.some(({ durability }) => durability === 'strict'),
    room: LIMITS.answerBytes,
    most: MAX_BYTES,
    locks: locksOf(id, commits).map(([mode, ids, names]) => (names ? [mode, ids, names.map(indexOf)] : [mode, ids])),
    parts: [...parts.keys()],
    commits: encoded,
  })
}

const isBulk = (op: Op): boolean => 'deleteRange' in op || 'deletePart' in op || 'trim' in op

/** Deletes of ranges and parts and trims first, in the order of application. */
const inOrder = (ops: readonly Op[]): readonly Op[] =>
  ops.some(isBulk) ? [...ops.filter(isBulk), ...ops.filter((op) => !isBulk(op))] : ops

const encodeCheck = (check: Check, indexOf: (part: string) => number): readonly unknown[] =>
  'log' in check
    ? [indexOf(check.log.part), check.log.key, check.last]
    : [indexOf(check.at.part), check.at.key, check.version]

function encodeOp(op: Op, indexOf: (part: string) => number): readonly unknown[] {
  if ('append' in op) {
    return [
      'a',
      indexOf(op.append.part),
      op.append.key,
      ...encodeValue(op.value),
      ...(op.ref === undefined ? [] : [op.ref]),
    ]
  }
  if ('put' in op) return ['p', indexOf(op.put.part), op.put.key, ...encodeValue(op.value), ...encodeExpiry(op.expires)]
  if ('delete' in op) return ['d', indexOf(op.delete.part), op.delete.key]
  if ('trim' in op) return ['t', indexOf(op.trim.part), op.trim.key, op.through]
  if ('deletePart' in op) return ['x', indexOf(op.deletePart)]
  return ['r', indexOf(op.deleteRange.part), op.deleteRange.start, op.deleteRange.end]
}

/** The clock has whole milliseconds: an entry that expires within one lives to the end of it. */
function encodeExpiry(expires: Expiry | undefined): readonly unknown[] {
  if (!expires) return []
  return 'in' in expires ? [Math.ceil(expires.in)] : [null, Math.min(Math.ceil(expires.at), MAX_TIME)]
}
