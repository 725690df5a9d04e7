/**
 * Entries as rows, and the answers of a read.
 *
 * A row holds its own key, so that a page is one `getAll`, the fastest way to read 20 000 rows in Chromium: the paired
 * `getAll` and `getAllKeys` that rows without it need took 1.2 times as long there, and `getAllRecords` 1.3 times.
 *
 * Long values are in a store of their own. So a page of rows is never long, whatever its values are, and values that do
 * not fit into the answer are not read.
 *
 * @module
 */
import { isLive } from '../shared/evaluate.ts'
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
import { behind, utf8Bytes } from '../../core/keys.ts'
import { type Room, entryBytes } from '../../core/limits.ts'
import { type KeyCursor, type KeyRange, type PromisedStore, between } from './api.ts'

/** An entry at rest. */
export interface Row {
  /** Part and key. */
  readonly id: string
  readonly version: string
  /** Absent where it is stored apart. */
  readonly value?: Value
  /** The size in bytes of a value that is stored apart. */
  readonly apart?: number
  /** Absent where it never expires: an index holds those that have it. */
  readonly expiresAt?: number
}

/** A long value; that of the row with the same id and version, or left over from an earlier one. */
export interface StoredValue {
  readonly id: string
  readonly version: string
  readonly value: Value
}

/** Between part and key: sorts below everything either is made of, so the pairs sort as such. */
export const JOIN = '\n'
/** Sorts above it. */
const AFTER = '\v'
/** Rows fetched at once, for all pages of a read together: more would be a burden on the memory. */
const ROWS = 4096
/** Rows fetched at once where a page is read step by step. */
const STEP = 512
/** Keys fetched at once to find the parts that they are of. */
const KEYS = 1000
/** The longest value in a row, in characters or bytes. */
const LONG = 2 ** 13

/** The name of a row. */
export const idOf = ({ part, key }: EntryKey): string => part + JOIN + key

/** The key in the name of a row. */
export const keyOf = (id: string): string => id.slice(id.indexOf(JOIN) + 1)

/** The rows of a part. */
export const boundsOf = (part: string): { start: string; end: string } => ({ start: part + JOIN, end: part + AFTER })

/** Whether a value is stored apart. */
export const isLong = (value: Value): boolean => value.length > LONG

/** In bytes. */
export const sizeOf = (value: Value): number => (typeof value === 'string' ? utf8Bytes(value) : value.length)

/** A value to be put into its place in the answer. */
export interface Wanted {
  readonly id: string
  readonly version: string
  fill(value: Value): void
}

/** How the questions of a read are asked. */
export interface Asking {
  readonly store: PromisedStore<Row>
  readonly now: () => number
  readonly room: Room
  /** How many rows a page may take at once. */
  readonly rows: number
  /** Whether pages can be read from their end. */
  readonly canReverse: boolean
  /** Called for each value that is stored apart and has its place in the answer. */
  readonly want: (value: Wanted) => void
}

/** How many rows each of the pages of a read may take at once: one, and one more to tell that there are more. */
export const rowsEach = (reads: readonly Read[]): number =>
  Math.max(2, Math.floor(ROWS / Math.max(1, reads.filter((read) => 'range' in read).length)))

/**
 * Asks a question by one request, which is made before anything is waited for.
 *
 * @returns the answer to be, which takes what is left of the room when it is called; `undefined` where one request is not
 *   enough
 */
export async function askAtOnce(read: Read, asking: Asking): Promise<(() => Answer) | undefined> {
  if ('get' in read) return getEntry(read.get, asking)
  // The browser refuses a range that ends where it begins, or before; it is an empty one.
  if ('parts' in read) {
    return read.parts.start < read.parts.end ? partsAtOnce(read.parts, asking) : () => ({ parts: [], more: false })
  }
  return read.range.start < read.range.end ? pageAtOnce(read.range, asking) : () => ({ entries: [], more: false })
}

/** Asks a question by as many requests as it takes, one after the other. */
export async function askStepwise(read: Read, asking: Asking): Promise<Answer> {
  if ('range' in read && read.range.start < read.range.end) {
    return read.range.reverse ? pageDown(read.range, asking) : pageUp(read.range, asking)
  }
  if ('parts' in read && read.parts.start < read.parts.end) return partPage(read.parts, asking.store)
  return (await askAtOnce(read, asking))!()
}

async function getEntry(at: EntryKey, { store, now, want }: Asking): Promise<() => Entry | null> {
  const row = await store.get(idOf(at))
  const isThere = row !== undefined && isLive(headOf(row), now())
  return () => (isThere ? filled(toEntry(row), row, want) : null)
}

async function pageAtOnce(range: EntryRange, asking: Asking): Promise<(() => EntryPage) | undefined> {
  const { part, start, end, limit, reverse } = range
  if (reverse && !asking.canReverse) return undefined
  const query = between(idOf({ part, key: start }), idOf({ part, key: end }))
  const count = Math.min(limit + 1, asking.rows)
  const rows = await (reverse
    ? asking.store.getAll({ query, count, direction: 'prev' })
    : asking.store.getAll(query, count))
  const live = liveOf(rows, asking.now())
  // The last one only tells that there are more: whether others come behind it is not known.
  const isCut = rows.length === count
  // What has expired made no room for others.
  if (isCut && (live.length < 2 || (count > limit && live.length <= limit))) return undefined
  return () => {
    const page = emptyPage(range, isCut ? Math.min(limit, live.length - 1) : limit, asking)
    for (const row of live) if (!page.add(row)) break
    return page.finish()
  }
}

async function pageUp(range: EntryRange, asking: Asking): Promise<EntryPage> {
  const { part, start, limit } = range
  const end = idOf({ part, key: range.end })
  const page = emptyPage(range, limit, asking)
  for (let from = idOf({ part, key: start }); ;) {
    const rows = from < end ? await asking.store.getAll(between(from, end), STEP) : []
    for (const row of liveOf(rows, asking.now())) if (!page.add(row)) return page.finish()
    if (rows.length < STEP) return page.finish()
    from = behind(rows.at(-1)!.id)
  }
}

/**
 * Where `getAll` goes upwards only: a cursor over values costs an event for each, so a cursor over keys jumps to where
 * the page begins, and the page is fetched from there.
 */
async function pageDown(range: EntryRange, asking: Asking): Promise<EntryPage> {
  const { part, start, end, limit } = range
  const page = emptyPage(range, limit, asking)
  const from = idOf({ part, key: start })
  for (let to = idOf({ part, key: end }); ;) {
    const wanted = Math.min(limit + 1, STEP)
    const first = await skip(asking.store, between(from, to), wanted - 1)
    const rows = await asking.store.getAll(between(first ?? from, to), wanted)
    for (const row of liveOf(rows.toReversed(), asking.now())) if (!page.add(row)) return page.finish()
    // The browser refuses a range that ends where it begins.
    if (first === undefined || first === from) return page.finish()
    to = first
  }
}

/** The key that so many others follow in a range; `undefined` where there are fewer. */
async function skip(store: PromisedStore<Row>, range: KeyRange, others: number): Promise<string | undefined> {
  const cursor = await store.openKeyCursor(range, 'prev')
  const found: KeyCursor | null | undefined = others > 0 ? await cursor?.advance(others) : cursor
  return found?.key as string | undefined
}

/** A page that is being filled. */
interface PageInMaking {
  /** Takes an entry; `false` where the page ends before it. */
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

async function partsAtOnce({ start, end, limit }: PartRange, { store }: Asking): Promise<(() => PartPage) | undefined> {
  const keys = await store.getAllKeys(between(start, end), KEYS)
  const parts = [...new Set(keys.map(partOf))]
  if (parts.length > limit) return () => ({ parts: parts.slice(0, limit), more: true })
  if (keys.length < KEYS) return () => ({ parts, more: false })
  // Whether something comes behind the last part is not known.
  return parts.length > 1 ? () => ({ parts: parts.slice(0, -1), more: true }) : undefined
}

/** Jumps from part to part. */
async function partPage({ start, end, limit }: PartRange, store: PromisedStore<Row>): Promise<PartPage> {
  const parts: string[] = []
  let cursor = await store.openKeyCursor(between(start, end), 'next')
  while (cursor && parts.length < limit) {
    const part = partOf(cursor.key as string)
    parts.push(part)
    cursor = await cursor.continue(part + AFTER)
  }
  return { parts, more: cursor !== null }
}

const partOf = (id: string): string => id.slice(0, id.indexOf(JOIN))

const liveOf = (rows: readonly Row[], now: number): Row[] => rows.filter((row) => isLive(headOf(row), now))

const headOf = ({ id, version, expiresAt }: Row): Omit<Entry, 'value'> => ({
  key: keyOf(id),
  version,
  expiresAt: expiresAt ?? null,
})

/** The entry of a row; a value that is stored apart has yet to come. */
const toEntry = (row: Row): { value: Value } & Omit<Entry, 'value'> => ({ ...headOf(row), value: row.value ?? '' })

/** The same entry, which gets its value if that is stored apart. */
function filled(entry: ReturnType<typeof toEntry>, { id, version, apart }: Row, want: Asking['want']): Entry {
  if (apart !== undefined) want({ id, version, fill: (value) => void (entry.value = value) })
  return entry
}
