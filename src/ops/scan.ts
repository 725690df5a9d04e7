/**
 * Going through a whole store in bounded memory: part by part in order, and in each by key.
 *
 * @module
 */
import type { Database } from '../core/database.ts'
import type { Entry } from '../core/driver.ts'
import { EVERYTHING, tenantBounds } from '../core/keys.ts'
import { type StoreWideOptions, batchOf } from './options.ts'

/** All entries of one part with `start <= key < end`, in key order. */
export interface Slice {
  readonly part: string
  readonly start: string
  readonly end: string
  readonly entries: readonly Entry[]
}

/** Options of {@link scan}. */
export interface ScanOptions extends StoreWideOptions {
  /** Leave the values out. */
  readonly keysOnly?: boolean
}

/** Parts asked for at once: most are short, and one request reads the beginnings of several. */
const PARTS = 16

/** What comes right behind a key or part: a space sorts below everything either is made of. */
export const behind = (name: string): string => `${name} `

/** The names of the parts between two, in order, a few at a time. */
export async function* partsBetween(
  db: Database,
  bounds: { readonly start: string; readonly end: string },
  { signal }: Pick<ScanOptions, 'signal'>,
): AsyncGenerator<readonly string[], void> {
  const { requestReads, rangeEntries } = db.driver.capabilities.limits
  const limit = Math.min(PARTS, requestReads, rangeEntries)
  let { start } = bounds
  for (let more = true; more;) {
    const [page] = await db.read([{ parts: { start, end: bounds.end, limit } }], { signal })
    if (page.parts.length > 0) yield page.parts
    more = page.more
    start = behind(page.parts.at(-1) ?? start)
  }
}

/**
 * Reads a store, or one tenant's part of it. The slices that come together are from one view; together they cover every
 * key of every part, and no key twice.
 *
 * @param db - the store
 * @param options - tenant, batch, `keysOnly`, signal
 * @throws `INVALID_ARGUMENT`, `ABORTED`, whatever the backend throws
 */
export async function* scan(db: Database, options: ScanOptions = {}): AsyncGenerator<readonly Slice[], void> {
  const { signal, keysOnly = false } = options
  const batch = batchOf(options, db.driver.capabilities.limits)
  for await (const parts of partsBetween(db, tenantBounds(options.tenant), options)) {
    const limit = Math.max(1, Math.floor(batch / parts.length))
    let open: readonly { readonly part: string; readonly start: string }[] = parts.map((part) => ({
      part,
      start: EVERYTHING.start,
    }))
    while (open.length > 0) {
      // What is left of a long part is read by itself, so that a part is over before the next one begins.
      const asked = open[0]!.start === EVERYTHING.start ? open : open.slice(0, 1)
      const pages = await db.read(
        asked.map(({ part, start }) => ({
          range: { part, start, end: EVERYTHING.end, limit: asked.length > 1 ? limit : batch, keysOnly },
        })),
        { signal },
      )
      const long = pages.findIndex((page) => page.more)
      const taken = long < 0 ? pages.length : long + 1
      yield pages.slice(0, taken).map(({ entries, more }, i) => ({
        ...asked[i]!,
        end: more ? behind(entries.at(-1)!.key) : EVERYTHING.end,
        entries,
      }))
      const rest = long < 0 ? [] : [{ part: asked[long]!.part, start: behind(pages[long]!.entries.at(-1)!.key) }]
      open = [...rest, ...open.slice(taken)]
    }
  }
}
