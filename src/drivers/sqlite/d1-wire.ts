/** Requests as the SQL of D1 takes them: JSON in few parameters. @module */
import type { Commit, Read, Value } from '../../core/driver.ts'
import { behind, under, utf8Bytes } from '../../core/keys.ts'

/** Of the JSON of one statement: D1 takes parameters of 2 MB. */
const STATEMENT_BYTES = 900_000
/** A commit's values of this many characters together are part of its JSON; further ones travel by themselves. */
const INLINE = 200_000

/** A question as the statement for reads takes it. */
export function questionOf(read: Exclude<Read, { parts: unknown }>): unknown[] {
  // A key and a space behind it: nothing lies between them.
  if ('get' in read) return [read.get.part, read.get.key, behind(read.get.key), 1, 0]
  const { part, start, end, limit, reverse, keysOnly } = read.range
  return [part, start, end, limit + 1, (reverse ? 1 : 0) + (keysOnly ? 2 : 0)]
}

/** Commits on their way. */
export interface Encoded {
  /** Commits as JSON, in as many texts as D1 wants, and the number of the first of each. */
  readonly bodies: { first: number; json: string }[]
  /** The values that travel by themselves. */
  readonly staged: Value[]
}

/** Encodes the commits of a request. */
export function encode(commits: readonly Commit[]): Encoded {
  const bodies: Encoded['bodies'] = []
  const staged: Value[] = []
  let texts: string[] = []
  let bytes = 0
  for (const [n, commit] of commits.entries()) {
    const text = encodeCommit(commit, staged)
    const size = utf8Bytes(text)
    if (texts.length > 0 && bytes + size > STATEMENT_BYTES) {
      bodies.push({ first: n - texts.length, json: `[${texts.join()}]` })
      texts = []
      bytes = 0
    }
    texts.push(text)
    bytes += size
  }
  bodies.push({ first: commits.length - texts.length, json: `[${texts.join()}]` })
  return { bodies, staged }
}

function encodeCommit({ id, checks, ops }: Commit, staged: Value[]): string {
  let room = INLINE
  function valueOf(value: Value): [form: string, value: string | number] {
    const size = value.length * 2
    if (size > room) return ['staged', staged.push(value) - 1]
    room -= size
    return typeof value === 'string' ? ['text', value] : ['hex', toHex(value)]
  }
  const at: unknown[] = []
  const logs: unknown[] = []
  for (const [i, check] of checks.entries()) {
    if ('at' in check) at.push([i, check.at.part, check.at.key, check.version])
    else {
      const { start, end } = under(check.log.key)
      logs.push([i, check.log.part, start, end, check.last])
    }
  }
  const bulk: unknown[] = []
  const single: unknown[] = []
  for (const op of ops) {
    if ('deletePart' in op) bulk.push(['deletePart', op.deletePart])
    else if ('deleteRange' in op) {
      const { part, start, end } = op.deleteRange
      bulk.push(['deleteRange', part, start, null, end])
    } else if ('delete' in op) single.push(['delete', op.delete.part, op.delete.key])
    else if ('trim' in op) bulk.push(['trim', op.trim.part, op.trim.key, null, op.through])
    else if ('append' in op) {
      single.push(['append', op.append.part, op.append.key, ...valueOf(op.value), null, null, op.ref])
    } else {
      const { part, key } = op.put
      const after = op.expires && 'in' in op.expires ? Math.ceil(op.expires.in) : null
      const until = op.expires && 'at' in op.expires ? Math.ceil(op.expires.at) : null
      single.push(['put', part, key, ...valueOf(op.value), after, until])
    }
  }
  return JSON.stringify({ id, at, logs, ops: [...bulk, ...single] })
}

const toHex = (bytes: Uint8Array): string => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
