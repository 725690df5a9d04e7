/** Reads whole logs, many pages in one request. @module */
import type { InnerDatabase } from '../core/database.ts'
import type { CallOptions, Entry, EntryPage, EntryRange } from '../core/driver.ts'
import { decodeNumber, encodeNumber, under } from '../core/keys.ts'

/** The most entries per range. */
const PAGE = 1000
/** The size of one request to a log, in characters or bytes. An answer can carry several times as much. */
const AT_ONCE = 2 ** 21

/** The range of the last entries of a log, as many as a page holds. */
export const lastOf = (db: InnerDatabase, part: string, prefix: string): EntryRange => ({
  part,
  ...under(prefix),
  limit: Math.min(PAGE, db.driver.capabilities.limits.rangeEntries),
  reverse: true,
})

/**
 * Reads the rest of a log, given its last page, see {@link lastOf}. It reads backwards, so the result is as of the moment of
 * that page: entries appended meanwhile come after it.
 *
 * @returns all entries, the oldest first
 */
export async function readRest(
  db: InnerDatabase,
  range: EntryRange,
  page: EntryPage,
  options?: CallOptions,
): Promise<readonly Entry[]> {
  const most = Math.min(db.driver.capabilities.limits.requestReads, Math.floor(AT_ONCE / weightOf(page)))
  const entries = [...page.entries]
  for (let isDone = !page.more; !isDone;) {
    const ranges = rangesBefore(range, entries.at(-1)!.key, most)
    isDone = ranges.at(-1)!.start === range.start
    const pages = await db.read(
      ranges.map((it) => ({ range: it })),
      options,
    )
    for (const { entries: before, more } of pages) {
      entries.push(...before)
      // The backend returned fewer entries than asked for, so the next request continues there.
      if (more) isDone = false
      // Logs have no gaps: a page that is not full is the beginning of a log that was trimmed.
      else if (before.length < range.limit) isDone = true
      else continue
      break
    }
  }
  return entries.toReversed()
}

/** The ranges before a key, nearest first. Entries are numbered, so the start of each range can be computed. */
function rangesBefore(range: EntryRange, key: string, most: number): readonly EntryRange[] {
  const ranges: EntryRange[] = []
  let end = decodeNumber(key)
  do {
    const start = Math.max(1, end - range.limit)
    ranges.push({
      ...range,
      start: start === 1 ? range.start : range.start + encodeNumber(start),
      end: range.start + encodeNumber(end),
    })
    end = start
  } while (end > 1 && ranges.length < most)
  return ranges
}

/** The approximate size of an answer, in characters or bytes. */
const weightOf = ({ entries }: EntryPage): number =>
  entries.reduce((sum, { key, version, value }) => sum + key.length + version.length + value.length, 1)
