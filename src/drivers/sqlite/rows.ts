/** Entries as rows: the transaction of a commit, and the answers of a read, over prepared statements. @module */
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
import { DIGITS, SEPARATOR, keyAfter, decodeNumber, lastNumber, under, utf8Bytes } from '../../core/keys.ts'
import { type Room, entryBytes, roomFor } from '../../core/limits.ts'
import type { SqliteRow, SqliteValue } from './handle.ts'
import type { Statements } from './statements.ts'

/** Between part and key in one text: neither holds it. */
const JOIN = '\n'

/** Entries and ends of logs remembered at most, and the longest value of an entry that is. */
const MOST = 1000
const LONGEST = 1000
/** What lies behind the prefix of a log in the key of an entry. */
const ENTRY = new RegExp(`^\\d{${DIGITS}}$`)
/** Rows of a page that are read at once. */
const CHUNK = 1000

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
 * @param shortBytes - how much part, key and value of a row may have together for the value to lie in it, in bytes
 */
export function transaction(statements: Statements, isShared: boolean, shortBytes: number): RowTransaction {
  const entries = new Map<string, Current | null>()
  const ends = new Map<string, number>()
  let dataVersion: unknown
  let isCurrent = false

  function forget(): void {
    // Clearing an empty map takes longer than looking.
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
      // Under a clock of whole milliseconds, an entry that expires within one lives to its end.
      write(part, key, version, expiresAt === null ? null : Math.ceil(expiresAt), stored)
      entries.delete(part + JOIN + key)
      // Of every log that it may lie in: an entry moves the end on, and of anything else the end has to be looked up.
      for (let at = key.indexOf(SEPARATOR); at >= 0; at = key.indexOf(SEPARATOR, at + 1)) {
        const log = part + JOIN + key.slice(0, at + 1)
        const end = ends.get(log)
        if (end === undefined) continue
        const number = ENTRY.test(key.slice(at + 1)) ? decodeNumber(key) : 0
        if (number > 0) ends.set(log, Math.max(end, number))
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

/** Whether a value has at most so many bytes. The bytes of text are counted only where its length does not tell. */
const isShort = (value: Value, bytes: number): boolean =>
  value.length <= bytes && (typeof value !== 'string' || value.length * 3 <= bytes || utf8Bytes(value) <= bytes)

/** Gives an answer step by step, so that whoever takes the steps can let other work have its turn in between. */
export type Reading<T> = Generator<undefined, T, undefined>

/** Answers questions, with pages of so many bytes altogether; a step is one question, or one statement of a page. */
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

/** Takes all steps at once. */
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
    // As many values as fit are read along; larger ones are looked at one by one.
    const longest = keysOnly ? [] : [Math.floor(room.left / asked)]
    const rows = statements[name].all(...longest, part, start, end, now, asked)
    for (const row of rows) {
      const { value, ...head } = toCurrent(row)
      const bytes = entryBytes(head) + Number(row[4])
      if (entries.length === limit || !room.takes(bytes, entries.length === 0)) return { entries, more: true }
      if (value === undefined) yield
      entries.push({ ...head, value: value ?? toValue(statements.get.get(part, head.key)![3]) })
    }
    if (rows.length < asked) return { entries, more: false }
    yield
    const last = entries.at(-1)!.key
    if (reverse) end = last
    else start = keyAfter(last)
  }
}

function partPage({ start, end, limit }: PartRange, statements: Statements, room: Room): PartPage {
  const asked = Math.min(limit + 1, mostIn(room))
  const parts: string[] = []
  for (const [name] of statements.parts.all(start, end, end, asked) as [string][]) {
    const bytes = entryBytes({ key: name, version: '', expiresAt: null })
    if (parts.length === limit || !room.takes(bytes, parts.length === 0)) return { parts, more: true }
    parts.push(name)
  }
  return { parts, more: false }
}

/** No more rows than this fit into an answer, with one that need not fit and one that shows that there are more. */
const mostIn = (room: Room): number => 2 + Math.floor(room.left / entryBytes({ key: '', version: '', expiresAt: null }))

/** What is remembered of an entry: bytes belong to the caller, and two failed checks must not share theirs. */
function memorable(entry: Current): Current {
  const { key, version, expiresAt, value } = entry
  return typeof value === 'string' && value.length <= LONGEST ? entry : { key, version, expiresAt }
}

function toCurrent(row: SqliteRow): Current {
  const [key, version, expiresAt, value] = row as [string, string, number | bigint | null, unknown]
  return {
    key,
    version,
    expiresAt: expiresAt === null ? null : Number(expiresAt),
    ...(value !== null && { value: toValue(value) }),
  }
}

const toValue = (value: unknown): Value => (typeof value === 'string' ? value : toBytes(value as Uint8Array))

/** No bytes, but with memory behind them: without it, the node:sqlite of Node 22 binds NULL. */
const NO_BYTES = new Uint8Array(1).subarray(1)

/** Plain bytes instead of an engine's own kind, and never a window into a buffer that others share. */
const toBytes = (bytes: Uint8Array | ArrayBuffer): Uint8Array =>
  bytes instanceof ArrayBuffer
    ? new Uint8Array(bytes)
    : bytes.byteLength === bytes.buffer.byteLength
      ? new Uint8Array(bytes.buffer)
      : new Uint8Array(bytes)
