/**
 * Entries as rows, and the answers of a read.
 *
 * A row holds its own key, so that a page is one `getAll`, the fastest way to read 20 000 rows in Chromium. Without the
 * key, `getAll` paired with `getAllKeys` took 1.2 times as long, and `getAllRecords` 1.3 times.
 *
 * Long values have a store of their own. So a page of rows is never large, and values that do not fit into the answer
 * are not read.
 *
 * @module
 */
import { isLive } from '../shared/evaluate.ts'
import { AFTER, JOIN, keyIn, nameOf } from '../shared/names.ts'
import type {
  Answer,
  Entry,
  EntryPage,
  EntryKey,
  PartPage,
  PartRange,
  EntryRange,
  Read,
  Value,
} from '../../core/driver.ts'
import { keyAfter, utf8Bytes } from '../../core/keys.ts'
import { type Room, entryBytes, takesPart } from '../../core/limits.ts'
import { type KeyCursor, type KeyRange, type PromisedStore, between } from './api.ts'

/** A stored entry. */
export interface Row {
  /** Part and key, joined. */
  readonly id: string
  readonly version: string
  /** Absent if the value is in the store of long values. */
  readonly value?: Value
  /** The size of a value in the store of long values, in bytes. */
  readonly apart?: number
  /** Absent if the entry never expires. An index holds the rows that have it. */
  readonly expiresAt?: number
}

/** A long value. It belongs to the row with the same id and version; otherwise it is left over from an earlier one. */
export interface StoredValue {
  readonly id: string
  readonly version: string
  readonly value: Value
}

/** The most rows fetched at once, for all pages of a read together, to save memory. */
const ROWS = 4096
/** Rows fetched at once for a page that is read step by step. */
const STEP = 512
/** Keys fetched at once to find their parts. */
const KEYS = 1000
/** The longest value kept in a row, in characters or bytes. */
const LONG = 2 ** 13

/** Whether a value belongs in the store of long values. */
export const isLong = (value: Value): boolean => value.length > LONG

/** The size of a value, in bytes. */
export const sizeOf = (value: Value): number => (typeof value === 'string' ? utf8Bytes(value) : value.length)

/** A long value that is missing in an answer. */
export interface Wanted {
  readonly id: string
  readonly version: string
  fill(value: Value): void
}

/** How a read asks its questions. */
export interface Asking {
  readonly store: PromisedStore<Row>
  readonly now: () => number
  readonly room: Room
  /** The most rows that a page may fetch at once. */
  readonly rows: number
  /** Whether one request can read a page in reverse. */
  readonly canReverse: boolean
  /** Called for each long value that the answer has room for. */
  readonly want: (value: Wanted) => void
}

/** The most rows that each page of a read may fetch at once, including one that only shows whether there are more. */
export const rowsEach = (reads: readonly Read[]): number =>
  Math.max(2, Math.floor(ROWS / Math.max(1, reads.filter((read) => 'range' in read).length)))

/**
 * Asks a question by one request, made before anything is awaited.
 *
 * @returns a function that makes the answer and takes up room when called; `undefined` if one request is not enough
 */
export async function askAtOnce(read: Read, asking: Asking): Promise<(() => Answer) | undefined> {
  if ('get' in read) return getEntry(read.get, asking)
  // The browser refuses an empty range, so it is not asked.
  if ('parts' in read) {
    return read.parts.start < read.parts.end ? partsAtOnce(read.parts, asking) : () => ({ parts: [], more: false })
  }
  return read.range.start < read.range.end ? pageAtOnce(read.range, asking) : () => ({ entries: [], more: false })
}

/** Asks a question by as many requests as needed, one after the other. */
export async function askStepwise(read: Read, asking: Asking): Promise<Answer> {
  if ('range' in read && read.range.start < read.range.end) {
    return read.range.reverse ? pageDown(read.range, asking) : pageUp(read.range, asking)
  }
  if ('parts' in read && read.parts.start < read.parts.end) return partPage(read.parts, asking)
  return (await askAtOnce(read, asking))!()
}

async function getEntry(at: EntryKey, { store, now, want }: Asking): Promise<() => Entry | null> {
  const row = await store.get(nameOf(at))
  const isThere = row !== undefined && isLive(headOf(row), now())
  return () => (isThere ? filled(toEntry(row), row, want) : null)
}

async function pageAtOnce(range: EntryRange, asking: Asking): Promise<(() => EntryPage) | undefined> {
  const { part, start, end, limit, reverse } = range
  if (reverse && !asking.canReverse) return undefined
  const query = between(nameOf({ part, key: start }), nameOf({ part, key: end }))
  const count = Math.min(limit + 1, asking.rows)
  const rows = await (reverse
    ? asking.store.getAll({ query, count, direction: 'prev' })
    : asking.store.getAll(query, count))
  const live = liveOf(rows, asking.now())
  // The last row only shows that there are more. Whether others follow it is not known.
  const isCut = rows.length === count
  // Too many expired rows: the page may be incomplete.
  if (isCut && (live.length < 2 || (count > limit && live.length <= limit))) return undefined
  return () => {
    const page = emptyPage(range, isCut ? Math.min(limit, live.length - 1) : limit, asking)
    for (const row of live) if (!page.add(row)) break
    return page.finish()
  }
}

async function pageUp(range: EntryRange, asking: Asking): Promise<EntryPage> {
  const { part, start, limit } = range
  const end = nameOf({ part, key: range.end })
  const page = emptyPage(range, limit, asking)
  for (let from = nameOf({ part, key: start }); ;) {
    const rows = from < end ? await asking.store.getAll(between(from, end), STEP) : []
    for (const row of liveOf(rows, asking.now())) if (!page.add(row)) return page.finish()
    if (rows.length < STEP) return page.finish()
    from = keyAfter(rows.at(-1)!.id)
  }
}

/**
 * Reads a page in reverse where `getAll` only goes forward. A cursor over values costs an event per value, so a cursor
 * over keys jumps to the start of the page, and `getAll` fetches the page from there.
 */
async function pageDown(range: EntryRange, asking: Asking): Promise<EntryPage> {
  const { part, start, end, limit } = range
  const page = emptyPage(range, limit, asking)
  const from = nameOf({ part, key: start })
  for (let to = nameOf({ part, key: end }); ;) {
    const wanted = Math.min(limit + 1, STEP)
    const first = await skip(asking.store, between(from, to), wanted - 1)
    const rows = await asking.store.getAll(between(first ?? from, to), wanted)
    for (const row of liveOf(rows.toReversed(), asking.now())) if (!page.add(row)) return page.finish()
    // The browser refuses an empty range.
    if (first === undefined || first === from) return page.finish()
    to = first
  }
}

/** The key that is followed by `others` more keys in a range; `undefined` if there are fewer. */
async function skip(store: PromisedStore<Row>, range: KeyRange, others: number): Promise<string | undefined> {
  const cursor = await store.openKeyCursor(range, 'prev')
  const found: KeyCursor | null | undefined = others > 0 ? await cursor?.advance(others) : cursor
  return found?.key as string | undefined
}

/** A page under construction. */
interface PageInMaking {
  /** Adds an entry. @returns `false` if the page ends before it */
  add(row: Row): boolean
  finish(): EntryPage
}

function emptyPage({ keysOnly }: EntryRange, limit: number, { room, want }: Asking): PageInMaking {
  const entries: Entry[] = []
  let more = false
  return {
    add(row) {
      const entry = keysOnly ? { ...headOf(row), value: '' } : toEntry(row)
      const bytes = entryBytes(entry) + (keysOnly ? 0 : (row.apart ?? 0))
      const fits = entries.length < limit && room.takes(bytes, entries.length === 0)
      if (fits) entries.push(keysOnly ? entry : filled(entry, row, want))
      else more = true
      return fits
    },
    finish: () => ({ entries, more }),
  }
}

async function partsAtOnce(
  { start, end, limit }: PartRange,
  { store, room }: Asking,
): Promise<(() => PartPage) | undefined> {
  const keys = await store.getAllKeys(between(start, end), KEYS)
  const parts = [...new Set(keys.map(partOf))]
  const isCut = keys.length === KEYS && parts.length <= limit
  // Whether anything follows the last part is not known.
  if (isCut && parts.length < 2) return undefined
  const found = isCut ? parts.slice(0, -1) : parts.slice(0, limit)
  return () => {
    const end = found.findIndex((part, i) => !takesPart(room, part, i === 0))
    return end < 0 ? { parts: found, more: isCut || parts.length > limit } : { parts: found.slice(0, end), more: true }
  }
}

/** Reads names of parts, jumping from part to part. */
async function partPage({ start, end, limit }: PartRange, { store, room }: Asking): Promise<PartPage> {
  const parts: string[] = []
  let cursor = await store.openKeyCursor(between(start, end), 'next')
  while (cursor && parts.length < limit) {
    const part = partOf(cursor.key as string)
    if (!takesPart(room, part, parts.length === 0)) break
    parts.push(part)
    cursor = await cursor.continue(part + AFTER)
  }
  return { parts, more: cursor !== null }
}

const partOf = (id: string): string => id.slice(0, id.indexOf(JOIN))

const liveOf = (rows: readonly Row[], now: number): Row[] => rows.filter((row) => isLive(headOf(row), now))

const headOf = ({ id, version, expiresAt }: Row): Omit<Entry, 'value'> => ({
  key: keyIn(id),
  version,
  expiresAt: expiresAt ?? null,
})

/** The entry of a row. A long value is filled in later. */
const toEntry = (row: Row): { value: Value } & Omit<Entry, 'value'> => ({ ...headOf(row), value: row.value ?? '' })

/** Returns the entry, and requests its value if that is long. */
function filled(entry: ReturnType<typeof toEntry>, { id, version, apart }: Row, want: Asking['want']): Entry {
  if (apart !== undefined) want({ id, version, fill: (value) => void (entry.value = value) })
  return entry
}
