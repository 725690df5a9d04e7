/** Entries as rows: the transaction of a commit, and the answers of a read, over prepared statements. @module */
import { type Transaction, isLive } from '../../core/apply.ts'
import type { Answer, Entry, EntryPage, PartPage, PartRange, Range, Read, Value } from '../../core/driver.ts'
import { DIGITS, decodeNumber, under } from '../../core/keys.ts'
import type { SqliteRow } from './handle.ts'
import type { Statements } from './statements.ts'

/** Between part and key in one text: neither holds it. */
const JOIN = '\n'

/**
 * Reads and writes inside of whatever transaction the connection is in, for the length of one request. What was looked
 * up is remembered: commits that leave together mostly check the same run and append to the same log.
 */
export function transaction(statements: Statements): Transaction {
  const entries = new Map<string, Entry | null>()
  const ends = new Map<string, number>()

  function forgetAll(): void {
    entries.clear()
    ends.clear()
  }

  return {
    get({ part, key }) {
      const name = part + JOIN + key
      let entry = entries.get(name)
      if (entry === undefined) {
        const row = statements.get.get(part, key)
        entry = row === undefined ? null : toEntry(row)
        // Bytes belong to whoever is answered with them: two failed checks must not share theirs.
        if (typeof entry?.value !== 'object') entries.set(name, entry)
      }
      return entry
    },
    last({ part, key }) {
      const name = part + JOIN + key
      let end = ends.get(name)
      if (end === undefined) {
        const range = under(key)
        const row = statements.last.get(part, range.start, range.end)
        end = row === undefined ? 0 : decodeNumber(row[0] as string)
        ends.set(name, end)
      }
      return end
    },
    put({ part, key }, value, version, expiresAt) {
      // Under a clock of whole milliseconds, an entry that expires within one lives to its end.
      statements.put.run(part, key, version, expiresAt === null ? null : Math.ceil(expiresAt), value)
      const name = part + JOIN + key
      entries.delete(name)
      const log = name.slice(0, -DIGITS)
      const end = ends.get(log)
      if (end !== undefined) ends.set(log, Math.max(end, decodeNumber(key)))
    },
    delete({ part, key }) {
      statements.delete.run(part, key)
      forgetAll()
    },
    deleteRange(part, start, end) {
      statements.deleteRange.run(part, start, end)
      forgetAll()
    },
    deletePart(part) {
      statements.deletePart.run(part)
      forgetAll()
    },
  }
}

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
