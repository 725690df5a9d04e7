/** Entries as rows: the transaction of a commit, and the answers of a read, over prepared statements. @module */
import { type Transaction, isLive } from '../../core/apply.ts'
import type { Answer, Entry, EntryPage, PartPage, PartRange, Range, Read, Value } from '../../core/driver.ts'
import { decodeNumber, under } from '../../core/keys.ts'
import type { SqliteRow } from './handle.ts'
import type { Statements } from './statements.ts'

/** Reads and writes inside of whatever transaction the connection is in. */
export const transaction = (statements: Statements): Transaction => ({
  get({ part, key }) {
    const row = statements.get.get(part, key)
    return row === undefined ? null : toEntry(row)
  },
  last({ part, key }) {
    const { start, end } = under(key)
    const row = statements.last.get(part, start, end)
    return row === undefined ? 0 : decodeNumber(row[0] as string)
  },
  // Under a clock of whole milliseconds, an entry that expires within one lives to its end.
  put: ({ part, key }, value, version, expiresAt) =>
    void statements.put.run(part, key, version, expiresAt === null ? null : Math.ceil(expiresAt), value),
  delete: ({ part, key }) => void statements.delete.run(part, key),
  deleteRange: (part, start, end) => void statements.deleteRange.run(part, start, end),
  deletePart: (part) => void statements.deletePart.run(part),
})

/** Answers one question. */
export function answer(read: Read, statements: Statements, now: number): Answer {
  if ('range' in read) return entryPage(read.range, statements, now)
  if ('parts' in read) return partPage(read.parts, statements)
  const row = statements.get.get(read.get.part, read.get.key)
  const entry = row === undefined ? null : toEntry(row)
  return isLive(entry, now) ? entry : null
}

function entryPage(range: Range, statements: Statements, now: number): EntryPage {
  const { part, start, end, limit, reverse, keysOnly } = range
  const statement = keysOnly
    ? statements[reverse ? 'keysDown' : 'keysUp']
    : statements[reverse ? 'rangeDown' : 'rangeUp']
  const entries = statement.all(part, start, end, now, limit + 1).map(toEntry)
  return entries.length > limit ? { entries: entries.slice(0, limit), more: true } : { entries, more: false }
}

function partPage({ start, end, limit }: PartRange, statements: Statements): PartPage {
  const parts = statements.parts.all(start, end, end, limit + 1).map((row) => row[0] as string)
  return parts.length > limit ? { parts: parts.slice(0, limit), more: true } : { parts, more: false }
}

function toEntry(row: SqliteRow): Entry {
  const [key, version, expiresAt, value] = row as [string, string, number | bigint | null, Value]
  return {
    key,
    version,
    value: typeof value === 'string' ? value : toBytes(value),
    expiresAt: expiresAt === null ? null : Number(expiresAt),
  }
}

/** Plain bytes instead of an engine's own kind, and never a window into a buffer that others share. */
const toBytes = (bytes: Uint8Array): Uint8Array =>
  bytes.byteLength === bytes.buffer.byteLength ? new Uint8Array(bytes.buffer) : new Uint8Array(bytes)
