/** Requests as JSON for the SQL of D1, and entries from its rows. @module */
import type { Commit, Current, Entry, Read, Value } from '../../core/driver.ts'
import { keyAfter, under, utf8Bytes } from '../../core/keys.ts'
import { GET, KEYS_ONLY, KNOWN, REVERSE } from './d1-sql.ts'

/** The most JSON in one statement. D1 allows 2 MB per parameter. */
const STATEMENT_BYTES = 900_000
/** The total length of values in a commit's JSON, in characters. Further values travel as parameters. */
const INLINE = 200_000

/** A question about entries. */
export type Question = Exclude<Read, { parts: unknown }>

/**
 * Encodes a question for the statement that reads.
 *
 * @param isKnown - whether it was answered before, and only versions are needed
 */
function questionOf(read: Question, isKnown: boolean): unknown[] {
  const known = isKnown ? KNOWN + KEYS_ONLY : 0
  // The key followed by a space: no other key sorts between them.
  if ('get' in read) return [read.get.part, read.get.key, keyAfter(read.get.key), 2, GET + known]
  const { part, start, end, limit, reverse, keysOnly } = read.range
  return [part, start, end, limit + 1, (reverse ? REVERSE : 0) + (known || (keysOnly ? KEYS_ONLY : 0))]
}

/**
 * Encodes questions.
 *
 * @param known - how many of the first questions were answered before
 */
export const encodeReads = (reads: readonly Question[], known: number): Body[] =>
  joined(reads.map((read, i) => JSON.stringify(questionOf(read, i < known))))

/** JSON lists for one statement each, and the index of the first member. */
export interface Body {
  readonly first: number
  readonly json: string
}

/** Encoded commits. */
export interface Encoded {
  readonly bodies: Body[]
  /** The values that travel as parameters. */
  readonly staged: Value[]
}

/** Encodes the commits of a request. */
export function encode(commits: readonly Commit[]): Encoded {
  const staged: Value[] = []
  return { bodies: joined(commits.map((commit) => encodeCommit(commit, staged))), staged }
}

/** Builds JSON lists, as many as D1's limits need. */
function joined(items: readonly string[]): Body[] {
  const bodies: Body[] = []
  let texts: string[] = []
  let bytes = 0
  for (const [n, text] of items.entries()) {
    const size = utf8Bytes(text)
    if (texts.length > 0 && bytes + size > STATEMENT_BYTES) {
      bodies.push({ first: n - texts.length, json: `[${texts.join()}]` })
      texts = []
      bytes = 0
    }
    texts.push(text)
    bytes += size
  }
  bodies.push({ first: items.length - texts.length, json: `[${texts.join()}]` })
  return bodies
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

/** The columns of an entry. `value` and `rest` are hex for bytes, see `valueOf` in `d1-sql.ts`. */
export interface EntryRow {
  readonly key: string
  readonly version: string
  readonly expires_at: number | null
  readonly value: string | null
  readonly rest: string | null
}

/** Decodes the entry of a row, without its value if that was left out. */
export const toCurrent = ({ key, version, expires_at, value, rest }: EntryRow): Current => ({
  key,
  version,
  ...(value !== null && { value: rest === null ? value : fromHex(value, rest) }),
  expiresAt: expires_at,
})

/** Decodes the entry of a row that has its value. The value is `''` if only keys were requested. */
export const toEntry = (row: EntryRow): Entry => ({ value: '', ...toCurrent(row) })

function fromHex(...texts: readonly string[]): Uint8Array {
  const bytes = new Uint8Array(texts.reduce((sum, { length }) => sum + length / 2, 0))
  let n = 0
  for (const text of texts) {
    for (let i = 0; i < text.length; i += 2)
      bytes[n++] = (digit(text.charCodeAt(i)) << 4) | digit(text.charCodeAt(i + 1))
  }
  return bytes
}

/** Decodes the hex digits that SQLite writes, `0` to `9` and `A` to `F`. */
const digit = (code: number): number => (code < 58 ? code - 48 : code - 55)
