/** Requests as the JSON that the functions of the schema take, and what locks they need. @module */
import { MAX_TIME } from '../../core/arguments.ts'
import { toBase64 } from '../../core/base64.ts'
import type { Check, Commit, CommitRequest, Expiry, Op, Read, Value } from '../../core/driver.ts'
import { HoldfastError } from '../../core/errors.ts'
import { DIGITS, utf8Bytes } from '../../core/keys.ts'

/** A request or an answer over HTTP holds 10 MiB at most; a little is left for what surrounds ours. */
const MOST_BYTES = 10 * 2 ** 20 - 2 ** 16
/** The answer may be this large before values are left out or put off: one more of the largest still fits. */
const ANSWER_BUDGET = 3 * 2 ** 20
/** Locks of one request; beyond, it locks out everybody else, because the server's table of locks is limited. */
const MOST_LOCKS = 256

/** Names of locks: of the whole database, of a request, of a part, and of a key in it. No two kinds are alike. */
const ALL = ''
const lockOfRequest = (id: string): string => `\r${id}`
const lockOfKey = (part: string, key: string): string => `${part}\n${NUMBERED.test(key) ? key.slice(0, -DIGITS) : key}`
/** Entries of a log share its lock, so that nobody sees the numbers in between while they grow. */
const NUMBERED = new RegExp(`!\\d{${DIGITS}}$`)

/** The JSON text, refused where it would not fit into a request. */
function sized(request: object): string {
  const text = JSON.stringify(request)
  // In the body of an HTTP request it is text inside JSON once more.
  if (text.length * 3 <= MOST_BYTES) return text
  const size = utf8Bytes(text) + (text.match(/["\\]/g)?.length ?? 0)
  if (size <= MOST_BYTES) return text
  throw new HoldfastError('PAYLOAD_TOO_LARGE', `A request must be at most ${MOST_BYTES} bytes as JSON, not ${size}`, {
    details: { most: MOST_BYTES, size },
  })
}

/** Kind and content: text as it is, or as base64 where escaping would make it longer than that. */
function encodeValue(value: Value): readonly [kind: string, content: string] {
  if (typeof value !== 'string') return ['b', toBase64(value)]
  const escapes = value.match(/[^ !#-[\]-\uffff]/g)?.length ?? 0
  const quotes = value.match(/["\\]/g)?.length ?? 0
  // Inside JSON inside of JSON a quote has three bytes more, other escapes up to six, and base64 a third: so text never
  // takes more than base64 would.
  if (escapes * 18 - quotes * 9 < value.length + 64) return ['t', value]
  return ['u', toBase64(new TextEncoder().encode(value))]
}

/** A question, or only for the versions of what was found before. */
export function encodeRead(read: Read, versionsOnly = false): readonly unknown[] {
  if ('get' in read) return ['g', read.get.part, read.get.key, versionsOnly]
  if ('parts' in read) return ['p', read.parts.start, read.parts.end, read.parts.limit]
  const { part, start, end, limit, reverse = false, keysOnly = false } = read.range
  return ['r', part, start, end, limit, reverse, keysOnly || versionsOnly]
}

/** Questions as `holdfast_read` takes them. */
export const encodeReads = (questions: readonly (readonly unknown[])[]): string =>
  sized({ questions, budget: ANSWER_BUDGET })

/** What a commit request needs besides the commits. */
export interface CommitSettings {
  /** How long the repeated request is recognised, in milliseconds. */
  readonly window: number
  /** How many expired rows to take away. */
  readonly sweep: number
}

/** A request as `holdfast_commit` takes it. */
export function encodeCommits({ id, commits }: CommitRequest, { window, sweep }: CommitSettings): string {
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
    window,
    sweep,
    strict: commits.some(({ durability }) => durability === 'strict'),
    budget: ANSWER_BUDGET,
    parts: [...parts.keys()],
    ...locksOf(id, commits),
    commits: encoded,
  })
}

const isBulk = (op: Op): boolean => 'deleteRange' in op || 'deletePart' in op

/** Deletes of ranges and parts first, as they are applied. */
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

/** Under a clock of whole milliseconds, an entry that expires within one lives to its end. */
function encodeExpiry(expires: Expiry | undefined): readonly unknown[] {
  if (!expires) return []
  return 'in' in expires ? [Math.ceil(expires.in)] : [null, Math.min(Math.ceil(expires.at), MAX_TIME)]
}

/**
 * The names of the locks: shared where a commit only looks, exclusive where it changes something. Who deletes a range or
 * a part locks out all others of the part; everybody else shares that lock and has those of the keys.
 */
function locksOf(id: string, commits: readonly Commit[]): { shared: string[]; exclusive: string[] } {
  const locks = new Map<string, boolean>([
    [ALL, false],
    [lockOfRequest(id), true],
  ])
  const lock = (name: string, isExclusive: boolean): void => {
    locks.set(name, isExclusive || locks.get(name) === true)
  }
  const lockKey = (part: string, key: string, isExclusive: boolean): void => {
    lock(part, false)
    lock(lockOfKey(part, key), isExclusive)
  }
  for (const { checks, ops } of commits) {
    for (const check of checks) {
      const { part, key } = 'log' in check ? check.log : check.at
      lockKey(part, key, false)
    }
    for (const op of ops) {
      if ('append' in op) {
        lockKey(op.append.part, op.append.key, true)
        if (op.ref !== undefined) lockKey(op.append.part, op.ref, true)
      } else if ('put' in op) lockKey(op.put.part, op.put.key, true)
      else if ('delete' in op) lockKey(op.delete.part, op.delete.key, true)
      else if ('trim' in op) lockKey(op.trim.part, op.trim.key, true)
      else lock('deletePart' in op ? op.deletePart : op.deleteRange.part, true)
    }
  }
  if (locks.size > MOST_LOCKS) return { shared: [], exclusive: [ALL] }
  const names = [...locks.keys()]
  return {
    shared: names.filter((name) => !locks.get(name)),
    exclusive: names.filter((name) => locks.get(name)),
  }
}
