/** Entries as rows, over prepared statements: the transaction of a commit, and the answers of a read. @module */
import { type Transaction, isLive } from '../shared/evaluate.ts'
import type {
  Answer,
  Current,
  Entry,
  EntryKey,
  EntryPage,
  PartPage,
  PartRange,
  EntryRange,
  Read,
  Value,
} from '../../core/driver.ts'
import {
  DIGITS,
  LAST_NUMBER,
  SEPARATOR,
  keyAfter,
  decodeNumber,
  lastNumber,
  under,
  utf8Bytes,
} from '../../core/keys.ts'
import { type Room, entryBytes, headBytes, roomFor, takesPart } from '../../core/limits.ts'
import type { SqliteRow, SqliteValue } from './handle.ts'
import type { Statements } from './statements.ts'

/** Separates part and key in one text. Neither contains it. */
const JOIN = '\n'

/** The most cached entries and ends of logs, and the longest value that is cached. */
const MOST = 1000
const LONGEST = 1000
/** The rest of a log entry's key, after the prefix. */
const ENTRY = new RegExp(`^\\d{${DIGITS}}$`)
/** How many rows of a page to read at once. */
const CHUNK = 1024

/** An entry: key, version, expiry, value, and the value's bytes. The value is NULL if it is too long. */
type Row = readonly [string, string, number | bigint | null, unknown, number | bigint]

/** Reads and writes inside the current transaction of the connection. */
export interface RowTransaction extends Transaction {
  /** To be called at the start of each request: drops the cache if another connection has written. */
  begin(): void
  /** To be called after a request was rolled back. */
  forget(): void
}

/**
 * Creates the transaction of a connection, for one request after the other. Lookups are cached until another connection
 * writes to the file, because appends mostly check the same run and go to the same log.
 *
 * @param isShared - whether the owner also writes through this connection, which cannot be detected. Lookups are then
 *   cached only within one request
 * @param shortBytes - the most bytes of part, key and value in a row that holds its value itself
 */
export function transaction(statements: Statements, isShared: boolean, shortBytes: number): RowTransaction {
  const entries = new Map<string, Current | null>()
  const ends = new Map<string, number>()
  let dataVersion: unknown
  let isCurrent = false

  function forget(): void {
    // Clearing an empty map takes longer than this check.
    if (entries.size > 0) entries.clear()
    if (ends.size > 0) ends.clear()
  }

  function write(part: string, key: string, version: string, until: number | null, value: SqliteValue & Value): void {
    if (isShort(value, shortBytes - part.length - key.length)) {
      if (Number(statements.put.run(part, key, version, until, value).changes) > 0) return
      statements.shorten.run(part, key)
      statements.putInstead.run(version, until, value, part, key)
    } else if (Number(statements.replaceLong.run(value, part, key).changes) > 0) {
      statements.renew.run(version, until, part, key)
    } else {
      statements.addLong.run(value)
      statements.putLong.run(part, key, version, until)
    }
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
    get({ part, key }, room) {
      const name = part + JOIN + key
      let entry = recall(entries, name)
      if (entry === undefined || (entry && entry.value === undefined && room > 0)) {
        // A check that holds needs no value.
        const row = room > 0 ? statements.entry.get(Math.max(room, LONGEST), part, key) : statements.head.get(part, key)
        entry = row === undefined ? null : toCurrent(row)
        remember(entries, name, entry && memorable(entry))
      }
      return entry
    },
    last({ part, key }) {
      const name = part + JOIN + key
      let end = recall(ends, name)
      if (end === undefined) {
        const range = under(key)
        const row = statements.last.get(part, range.start, range.end)
        end =
          row === undefined
            ? 0
            : lastNumber(key, row[0] as string, () => statements.get.get(part, row[0] as string)![3])
        remember(ends, name, end)
      }
      return end
    },
    put({ part, key }, value, version, expiresAt) {
      const stored = value.length === 0 && typeof value !== 'string' ? NO_BYTES : value
      // The clock has whole milliseconds, so an entry lives to the end of the one it expires in.
      write(part, key, version, expiresAt === null ? null : Math.ceil(expiresAt), stored)
      entries.delete(part + JOIN + key)
      // For every log that the entry may belong to: a log entry moves the end; for any other key the end is read again.
      for (let at = key.indexOf(SEPARATOR); at >= 0; at = key.indexOf(SEPARATOR, at + 1)) {
        const log = part + JOIN + key.slice(0, at + 1)
        const end = ends.get(log)
        if (end === undefined) continue
        const number = ENTRY.test(key.slice(at + 1)) ? decodeNumber(key) : 0
        if (number > 0 && number <= LAST_NUMBER) ends.set(log, Math.max(end, number))
        else ends.delete(log)
      }
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

/** Whether a value has at most this many bytes. The bytes of text are counted only if its length does not decide. */
const isShort = (value: Value, bytes: number): boolean =>
  value.length <= bytes && (typeof value !== 'string' || value.length * 3 <= bytes || utf8Bytes(value) <= bytes)

/** Creates an answer step by step, so that the caller can run other work between the steps. */
export type Reading<T> = Generator<undefined, T, undefined>

/** Answers questions within a total size. Each step is one question, or one statement of a page. */
export function* answering(
  reads: readonly Read[],
  statements: Statements,
  now: number,
  answerBytes: number,
): Reading<readonly Answer[]> {
  const room = roomFor(answerBytes)
  const answers: Answer[] = []
  for (const read of reads) {
    if (answers.length > 0) yield
    if ('range' in read) answers.push(yield* entryPage(read.range, statements, now, room))
    else answers.push('parts' in read ? partPage(read.parts, statements, room) : entryAt(read.get, statements, now))
  }
  return answers
}

/** Runs all steps at once. */
export function whole<T>(reading: Reading<T>): T {
  for (;;) {
    const { done, value } = reading.next()
    if (done) return value
  }
}

/** The answer to a get. */
export function entryAt({ part, key }: EntryKey, statements: Statements, now: number): Entry | null {
  const row = statements.get.get(part, key)
  const entry = row === undefined ? null : (toCurrent(row) as Entry)
  return isLive(entry, now) ? entry : null
}

function* entryPage(range: EntryRange, statements: Statements, now: number, room: Room): Reading<EntryPage> {
  const { part, limit, reverse, keysOnly } = range
  const name = `${keysOnly ? 'keys' : 'range'}${reverse ? 'Down' : 'Up'}` as const
  const entries: Entry[] = []
  let { start, end } = range
  for (;;) {
    const asked = Math.min(limit - entries.length + 1, CHUNK, mostIn(room))
    // As many values as fit are read along with the keys. Larger ones are read one by one.
    const longest = keysOnly ? [] : [Math.floor(room.left / asked)]
    const rows = statements[name].all(...longest, part, start, end, now, asked)
    for (const row of rows) {
      const [key, version, expiresAt, value, octets] = row as Row
      const bytes = headBytes(key, version) + Number(octets)
      if (entries.length === limit || !room.takes(bytes, entries.length === 0)) return { entries, more: true }
      if (value === null) yield
      const found = value ?? statements.get.get(part, key)![3]
      entries.push({ key, version, value: toValue(found), expiresAt: toExpiry(expiresAt) })
    }
    if (rows.length < asked) return { entries, more: false }
    yield
    const last = entries.at(-1)!.key
    if (reverse) end = last
    else start = keyAfter(last)
  }
}

function partPage({ start, end, limit }: PartRange, statements: Statements, room: Room): PartPage {
  const rows = statements.parts.all(start, end, end, Math.min(limit + 1, mostIn(room)))
  return partsOf(
    rows.map(([name]) => name as string),
    limit,
    room,
  )
}

/** The parts of a page, of which there is one more if the walk found more than a page or an answer holds. */
export function partsOf(names: readonly string[], limit: number, room: Room): PartPage {
  const parts: string[] = []
  for (const name of names) {
    if (parts.length === limit || !takesPart(room, name, parts.length === 0)) return { parts, more: true }
    parts.push(name)
  }
  return { parts, more: false }
}

/** The most rows to read: those that fit, one that need not fit, and one that shows that there are more. */
const mostIn = (room: Room): number => 2 + Math.floor(room.left / entryBytes({ key: '', version: '', expiresAt: null }))

/** A copy of a cached entry. Bytes belong to the caller, so two failed checks must not share them. */
function memorable(entry: Current): Current {
  const { key, version, expiresAt, value } = entry
  return typeof value === 'string' && value.length <= LONGEST ? entry : { key, version, expiresAt }
}

function toCurrent(row: SqliteRow): Current {
  const [key, version, until, value] = row as Row
  const expiresAt = toExpiry(until)
  return value === null ? { key, version, expiresAt } : { key, version, expiresAt, value: toValue(value) }
}

const toExpiry = (until: Row[2]): number | null => (until === null ? null : Number(until))

const toValue = (value: unknown): Value => (typeof value === 'string' ? value : toBytes(value as Uint8Array))

/** Empty bytes, with memory allocated. Without it, the node:sqlite of Node 22 binds NULL. */
const NO_BYTES = new Uint8Array(1).subarray(1)

/** Plain bytes instead of an engine's own type, and never a view of a shared buffer. */
const toBytes = (bytes: Uint8Array | ArrayBuffer): Uint8Array =>
  bytes instanceof ArrayBuffer
    ? new Uint8Array(bytes)
    : bytes.byteLength === bytes.buffer.byteLength
      ? new Uint8Array(bytes.buffer)
      : new Uint8Array(bytes)
