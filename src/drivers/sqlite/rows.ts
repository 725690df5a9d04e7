/** Entries as rows: the transaction of a commit, and the answers of a read, over prepared statements. @module */
import { type Transaction, isLive } from '../../core/apply.ts'
import type { Answer, Entry, EntryPage, PartPage, PartRange, Range, Read, Value } from '../../core/driver.ts'
import { DIGITS, decodeNumber, under } from '../../core/keys.ts'
import type { SqliteRow } from './handle.ts'
import type { Statements } from './statements.ts'

/** Between part and key in one text: neither holds it. */
const JOIN = '\n'

/** Entries and ends of logs remembered at most, and the longest value of an entry that is. */
const MOST = 1000
const LONGEST = 1000

/** Reads and writes inside of whatever transaction the connection is in. */
export interface RowTransaction extends Transaction {
  /** To be called at the beginning of each request: what other connections have written since counts. */
  begin(): void
  /** To be called when a request was rolled back. */
  forget(): void
}

/**
 * Makes the transaction of a connection, one request after the other. What was looked up is remembered for as long as
 * no other connection writes to the file: appends mostly check the same run and go to the same log.
 *
 * @param isShared - whether others write through this very connection, which is not to be seen: then it is remembered
 *   for the length of one request
 */
export function transaction(statements: Statements, isShared: boolean): RowTransaction {
  const entries = new Map<string, Entry | null>()
  const ends = new Map<string, number>()
  let dataVersion: unknown
  let isCurrent = false

  function forget(): void {
    entries.clear()
    ends.clear()
  }

  function recall<T>(memory: Map<string, T>, name: string): T | undefined {
    if (!isCurrent) {
      const found = isShared ? undefined : statements.dataVersion.get()![0]
      if (isShared || found !== dataVersion) forget()
      dataVersion = found
      isCurrent = true
    }
    return memory.get(name)
  }

  function remember<T>(memory: Map<string, T>, name: string, what: T): void {
    if (memory.size === MOST) memory.clear()
    memory.set(name, what)
  }

  return {
    begin() {
      isCurrent = false
    },
    forget,
    get({ part, key }) {
      const name = part + JOIN + key
      let entry = recall(entries, name)
      if (entry === undefined) {
        const row = statements.get.get(part, key)
        entry = row === undefined ? null : toEntry(row)
        // Bytes belong to whoever is answered with them: two failed checks must not share theirs.
        if (entry === null || (typeof entry.value === 'string' && entry.value.length <= LONGEST)) {
          remember(entries, name, entry)
        }
      }
      return entry
    },
    last({ part, key }) {
      const name = part + JOIN + key
      let end = recall(ends, name)
      if (end === undefined) {
        const range = under(key)
        const row = statements.last.get(part, range.start, range.end)
        end = row === undefined ? 0 : decodeNumber(row[0] as string)
        remember(ends, name, end)
      }
      return end
    },
    put({ part, key }, value, version, expiresAt) {
      const stored = value.length === 0 && typeof value !== 'string' ? NO_BYTES : value
      // Under a clock of whole milliseconds, an entry that expires within one lives to its end.
      statements.put.run(part, key, version, expiresAt === null ? null : Math.ceil(expiresAt), stored)
      const name = part + JOIN + key
      entries.delete(name)
      const log = name.slice(0, -DIGITS)
      const end = ends.get(log)
      if (end !== undefined) ends.set(log, Math.max(end, decodeNumber(key)))
    },
    delete({ part, key }) {
      statements.delete.run(part, key)
      forget()
    },
    deleteRange(part, start, end) {
      statements.deleteRange.run(part, start, end)
      forget()
    },
    deletePart(part) {
      statements.deletePart.run(part)
      forget()
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

/** No bytes, but with memory behind them: without it, the node:sqlite of Node 22 binds NULL. */
const NO_BYTES = new Uint8Array(1).subarray(1)

/** Plain bytes instead of an engine's own kind, and never a window into a buffer that others share. */
const toBytes = (bytes: Uint8Array | ArrayBuffer): Uint8Array =>
  bytes instanceof ArrayBuffer
    ? new Uint8Array(bytes)
    : bytes.byteLength === bytes.buffer.byteLength
      ? new Uint8Array(bytes.buffer)
      : new Uint8Array(bytes)
