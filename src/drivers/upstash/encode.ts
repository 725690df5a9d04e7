/**
 * Encodes requests as keys and arguments of the script. Parts are numbered from 1 and their keys declared once.
 * Arguments name a part by its number.
 *
 * | request | keys | arguments |
 * | --- | --- | --- |
 * | open | schema, a shard of parts; then those of a call that goes along | `open`, schema version, `1` if keys may be evicted or `0`; then those of that call |
 * | read | per part: entries, keys; then the shards of parts, if asked for | `read`, number of parts, bytes of the answer, questions |
 * | commit | the request's record; per part: entries, keys, expiring, its shards of `p` and `g` | `commit`, deadline or `''`, replay window, digest of the content, bytes for values of failed checks, commits |
 *
 * A question is `g part key known`, `r part start end limit reverse keysOnly known` or `p start end limit`. `known`
 * describes an earlier answer (see {@link digestOf} in `decode.ts`), so that it is not sent again. A commit is its id,
 * the number of its checks, the checks, the number of its ops, and the ops. Checks are `a part key version` and `l part
 * prefix last`. Ops are `p part key value expiry`, `n part prefix value ref`, `d part key`, `r part start end`, `x
 * part` and `t part prefix through`; deletes of ranges and parts and trims come first.
 *
 * @module
 */
import { toBase64 } from '../../core/base64.ts'
import type { Check, Commit, CommitRequest, Expiry, Limits, Op, Read, Value } from '../../core/driver.ts'
import { utf8Bytes } from '../../core/keys.ts'
import { NETWORK_LIMITS } from '../../core/limits.ts'
import { digestOf } from '../../core/request-records.ts'
import { SCHEMA_VERSION } from './script.ts'

/** Keys and arguments of one call of the script. */
export interface Arguments {
  readonly keys: readonly string[]
  readonly args: readonly string[]
}

/**
 * With these limits, a request is at most {@link MAX_BYTES} of JSON. A value takes at most four thirds of its bytes
 * there, see {@link encodeValue}. A part is named by three keys and its shards by two, each with the namespace in
 * front. This holds for names of usual length in the longest of namespaces.
 */
export const LIMITS: Limits = { ...NETWORK_LIMITS, valueOverhead: 8, keyOverhead: 384 }

/** The limit of Upstash for a request and for an answer, in bytes of JSON. */
export const MAX_BYTES = 10_000_000

/** The most bytes of an answer for a failed check whose value was left out. */
const CHECK_BYTES = 100

/** Shards of the list of parts, so that commits to different parts mostly do not wait for the same list. */
const SHARDS = 16

/** The most part names in one answer, over all questions. Every shard returns as many. */
const PARTS_PAGE = 100

/** The most part names on one page. */
export const partsLimit = (limit: number, reads: readonly Read[]): number =>
  Math.min(limit, Math.ceil(PARTS_PAGE / reads.filter((read) => 'parts' in read).length))

/** Names the keys of one database. */
export type Names = (kind: string, name: string | number) => string

/** Makes the names of a namespace. All have one hash tag, so that a cluster keeps them together. */
export const namesOf =
  (namespace: string): Names =>
  (kind, name) =>
    `{${namespace}}:${kind}:${name}`

/** FNV-1a. */
function shardOf(part: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < part.length; i++) hash = Math.imul(hash ^ part.charCodeAt(i), 0x01000193)
  return (hash ^ (hash >>> 16)) & (SHARDS - 1)
}

/** Numbers parts in the order of first mention, and declares their keys. */
function numbering(keys: string[], keysOf: (part: string) => string[]): (part: string) => string {
  const numbers = new Map<string, string>()
  return (part) => {
    let number = numbers.get(part)
    if (number === undefined) {
      number = String(numbers.size + 1)
      numbers.set(part, number)
      keys.push(...keysOf(part))
    }
    return number
  }
}

/**
 * Encodes the check of a server and of the database version, which is set if there is none.
 *
 * @param mayEvict - whether the server's eviction policy does not matter, or is known already
 * @param call - the call to make along with it, if the check succeeds
 */
export const encodeOpen = (
  names: Names,
  mayEvict: boolean,
  { keys, args }: Arguments = { keys: [], args: [] },
): Arguments => ({
  keys: [names('schema', 'version'), names('p', 0), ...keys],
  args: ['open', String(SCHEMA_VERSION), mayEvict ? '1' : '0', ...args],
})

/**
 * Encodes questions.
 *
 * @param known - per question, the description of the known answer; `''` if there is none
 */
export function encodeRead(reads: readonly Read[], names: Names, known: readonly string[]): Arguments {
  const keys: string[] = []
  const args: string[] = []
  const number = numbering(keys, (part) => [names('e', part), names('k', part)])
  reads.forEach((read, i) => {
    if ('get' in read) args.push('g', number(read.get.part), read.get.key, known[i]!)
    else if ('parts' in read) {
      const { start, end, limit } = read.parts
      args.push('p', start, end, String(partsLimit(limit, reads)))
    } else {
      const { part, start, end, limit, reverse, keysOnly } = read.range
      args.push('r', number(part), start, end, String(limit), reverse ? '1' : '0', keysOnly ? '1' : '0', known[i]!)
    }
  })
  const parts = keys.length / 2
  if (reads.some((read) => 'parts' in read)) for (let i = 0; i < SHARDS; i++) keys.push(names('p', i))
  return { keys, args: ['read', String(parts), String(LIMITS.answerBytes), ...args] }
}

/**
 * Encodes a commit request.
 *
 * @param window - how long a repeat is answered, in milliseconds
 */
export function encodeCommit(request: CommitRequest, names: Names, window: number): Arguments {
  const { id, commits, deadline } = request
  const checks = commits.reduce((sum, commit) => sum + commit.checks.length, 0)
  const room = Math.max(0, LIMITS.answerBytes - CHECK_BYTES * checks)
  const keys = [names('r', id)]
  const by = deadline === undefined ? '' : String(deadline)
  const args = ['commit', by, String(window), digestOf(request), String(room)]
  const number = numbering(keys, (part) => [
    names('e', part),
    names('k', part),
    names('x', part),
    names('p', shardOf(part)),
    names('g', shardOf(part)),
  ])
  for (const commit of commits) pushCommit(args, commit, number)
  return { keys, args }
}

function pushCommit(args: string[], { id, checks, ops }: Commit, number: (part: string) => string): void {
  args.push(id, String(checks.length))
  for (const check of checks) pushCheck(args, check, number)
  args.push(String(ops.length))
  for (const op of ops) if (isBulk(op)) pushOp(args, op, number)
  for (const op of ops) if (!isBulk(op)) pushOp(args, op, number)
}

const isBulk = (op: Op): boolean => 'deleteRange' in op || 'deletePart' in op || 'trim' in op

function pushCheck(args: string[], check: Check, number: (part: string) => string): void {
  if ('log' in check) args.push('l', number(check.log.part), check.log.key, String(check.last))
  else args.push('a', number(check.at.part), check.at.key, check.version ?? '')
}

function pushOp(args: string[], op: Op, number: (part: string) => string): void {
  if ('append' in op) {
    args.push('n', number(op.append.part), op.append.key, encodeValue(op.value), op.ref ?? '')
  } else if ('put' in op) {
    args.push('p', number(op.put.part), op.put.key, encodeValue(op.value), encodeExpiry(op.expires))
  } else if ('delete' in op) args.push('d', number(op.delete.part), op.delete.key)
  else if ('trim' in op) args.push('t', number(op.trim.part), op.trim.key, String(op.through))
  else if ('deletePart' in op) args.push('x', number(op.deletePart))
  else args.push('r', number(op.deleteRange.part), op.deleteRange.start, op.deleteRange.end)
}

const encodeExpiry = (expires: Expiry | undefined): string =>
  expires ? ('in' in expires ? `i${expires.in}` : `a${expires.at}`) : ''

/** Matches characters that JSON escapes. */
const ESCAPED = /["\\<>&\u2028\u2029]|[^ -\uffff]/

/** The most bytes that any encoder adds to a text: some JSON encoders write six characters for one of HTML. */
function escapesOf(text: string): number {
  let bytes = 0
  for (let i = text.search(ESCAPED); i >= 0 && i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code === 0x22 || code === 0x5c || code === 0x09 || code === 0x0a || code === 0x0d) bytes++
    else if (code < 0x20 || code === 0x3c || code === 0x3e || code === 0x26) bytes += 5
    else if (code === 0x2028 || code === 0x2029) bytes += 3
  }
  return bytes
}

/** Whether a text takes more room in JSON than in Base64, which takes four thirds of its bytes. */
function isSwollen(text: string): boolean {
  const escapes = escapesOf(text)
  // Characters beyond ASCII only make Base64 longer.
  if (3 * escapes <= text.length) return false
  const bytes = utf8Bytes(text)
  return bytes + escapes > 4 * Math.ceil(bytes / 3)
}

/** Encodes a value after the mark of its kind: `t` text, `b` bytes in Base64, `u` text in Base64. */
function encodeValue(value: Value): string {
  if (typeof value !== 'string') return `b${toBase64(value)}`
  return isSwollen(value) ? `u${toBase64(new TextEncoder().encode(value))}` : `t${value}`
}
