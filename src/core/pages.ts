/** Lists as pages with an opaque cursor, stable under inserts, and as iterators that hold one page. @module */
import { type Known, requireInteger, requireOptions } from './arguments.ts'
import type { Database } from './database.ts'
import type { CallOptions, Entry, EntryRange } from './driver.ts'
import { invalid } from './errors.ts'
import { keyAfter } from './keys.ts'

/** One page of a list. */
export interface Page<T> {
  readonly items: readonly T[]
  /** Pass it to get the next page; absent on the last page. Its content is internal and may change between releases. */
  readonly cursor?: string
}

/** Options of every list. */
export interface PageOptions extends CallOptions {
  /** The most items per page, from 1; 100 by default. A page may be shorter. */
  readonly limit?: number | undefined
  /** The cursor of the previous page; left out for the first page. */
  readonly cursor?: string | undefined
}

/** The options of lists. */
export const PAGE: Known<PageOptions> = { signal: true, limit: true, cursor: true }

const DEFAULT_LIMIT = 100
const CURSOR = /^[!-~]{1,2048}$/

/** The range for a page: keys strictly after the cursor, at most as many as the backend returns at once. */
export function pageRange(
  db: Database,
  part: string,
  bounds: { start: string; end: string },
  { limit = DEFAULT_LIMIT, cursor }: PageOptions,
): EntryRange {
  requireInteger(limit, 'limit', 1)
  if (
    cursor !== undefined &&
    !(typeof cursor === 'string' && CURSOR.test(cursor) && cursor >= bounds.start && cursor < bounds.end)
  ) {
    throw invalid('cursor must come from a page of this list')
  }
  return {
    part,
    start: cursor === undefined ? bounds.start : keyAfter(cursor),
    end: bounds.end,
    limit: Math.min(limit, db.driver.capabilities.limits.rangeEntries),
  }
}

/** Turns the answer to a range into a page. */
export function toPage<T>(entries: readonly Entry[], more: boolean, item: (entry: Entry) => T): Page<T> {
  const last = entries.at(-1)
  return { items: entries.map(item), ...(more && last && { cursor: last.key }) }
}

/** Reads one page of a list that is a range. */
export async function readPage<T>(
  db: Database,
  part: string,
  bounds: { start: string; end: string },
  item: (entry: Entry) => T,
  options: PageOptions = {},
  keysOnly = false,
): Promise<Page<T>> {
  const range = { ...pageRange(db, part, bounds, options), keysOnly }
  const [{ entries, more }] = await db.read([{ range }], options)
  return toPage(entries, more, item)
}

/** Iterates over all pages, starting at the cursor of the options, with one page in memory at a time. */
export async function* eachItem<T, O extends PageOptions>(
  given: O | undefined,
  known: Known<O>,
  page: (options: O) => Promise<Page<T>>,
): AsyncGenerator<T, void> {
  const options = requireOptions(given, known)
  let { cursor } = options
  do {
    const { items, cursor: next } = await page({ ...options, cursor })
    yield* items
    cursor = next
  } while (cursor !== undefined)
}
