/**
 * Going through a whole store in bounded memory: part by part in order, and in each by key.
 *
 * @module
 */
import type { Database } from '../core/database.ts'
import type { Entry } from '../core/driver.ts'
import { EVERYTHING, tenantBounds } from '../core/keys.ts'
import { ahead } from './ahead.ts'
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

/** Parts are asked for together, since most are short: so many that each has room for this many entries in a batch. */
const SHARE = 12

/** What comes right behind a key or part: a space sorts below everything either is made of. */
export const behind = (name: string): string => `${name} `

const partsIn = (batch: number, { driver }: Database): number =>
  Math.max(1, Math.min(Math.floor(batch / SHARE), driver.capabilities.limits.requestReads))

/** The names of the parts between two, in order, a few at a time. */
export async function* partsBetween(
  db: Database,
  bounds: { readonly start: string; readonly end: string },
  { batch, signal }: { readonly batch: number; readonly signal?: AbortSignal | undefined },
): AsyncGenerator<readonly string[], void> {
  const limit = partsIn(batch, db)
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
  /** How many parts are begun together: as many as are read to their ends by that, mostly. */
  let width = partsIn(batch, db)
  for await (const names of ahead(partsBetween(db, tenantBounds(options.tenant), { batch, signal }))) {
    for (let from = 0, taken = 0; from < names.length; from += taken) {
      const parts = names.slice(from, from + width)
      taken = parts.length
      const limit = Math.max(1, Math.floor(batch / taken))
      const begun = await db.read(
        parts.map((part) => ({ range: { part, ...EVERYTHING, limit, keysOnly } })),
        { signal },
      )
      let ready: Slice[] = []
      let long = 0
      for (const [i, { entries, more }] of begun.entries()) {
        const part = parts[i]!
        const end = more ? behind(entries.at(-1)!.key) : EVERYTHING.end
        ready.push({ part, start: EVERYTHING.start, end, entries })
        if (!more) continue
        long++
        // A part is over before the next one begins.
        yield ready
        ready = []
        yield* rest(part, end)
      }
      if (ready.length > 0) yield ready
      width = 2 * long > taken ? Math.max(1, width >> 1) : long === 0 ? 2 * width : width
    }
  }

  /** What is left of a long part, by itself. */
  async function* rest(part: string, from: string): AsyncGenerator<readonly Slice[], void> {
    for (let start = from, more = true; more;) {
      const range = { part, start, end: EVERYTHING.end, limit: batch, keysOnly }
      const [page] = await db.read([{ range }], { signal })
      more = page.more
      const end = more ? behind(page.entries.at(-1)!.key) : EVERYTHING.end
      yield [{ part, start, end, entries: page.entries }]
      start = end
    }
  }
}
