/**
 * Reading a whole store in bounded memory: part by part in order, and each part by key.
 *
 * @module
 */
import type { Database } from '../core/database.ts'
import type { CallOptions, Entry, EntryPage } from '../core/driver.ts'
import { EVERYTHING, keyAfter, tenantBounds } from '../core/keys.ts'
import { ahead } from './read-ahead.ts'
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
  /** Leaves the values out. */
  readonly keysOnly?: boolean
  /** Holds the pages of a long part, within limits, so that all are from one view; `false` by default. */
  readonly settled?: boolean
}

/** The most held of one part: pages, and characters or bytes of values. */
const HELD_PAGES = 16
const HELD_LENGTH = 2 ** 25

/** Most parts are short, so several are read together. Each has room for this many entries of a batch. */
const SHARE = 12

const partsIn = (batch: number, { driver }: Database): number =>
  Math.max(1, Math.min(Math.floor(batch / SHARE), driver.capabilities.limits.requestReads))

/** The names of the parts in a range, in order, a few at a time. */
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
    start = keyAfter(page.parts.at(-1) ?? start)
  }
}

/**
 * Reads a store, or one tenant of it. Slices yielded together are from one view. All slices together cover every key of
 * every part exactly once.
 *
 * @param db - the store
 * @param options - `tenant`, `batch`, `keysOnly`, `settled`, `signal`
 * @throws `INVALID_ARGUMENT`, `ABORTED`, and errors of the backend
 */
export async function* scan(db: Database, options: ScanOptions = {}): AsyncGenerator<readonly Slice[], void> {
  const { signal, keysOnly = false, settled = false } = options
  const batch = batchOf(options, db.driver.capabilities.limits)
  /** How many parts to start together, adapted so that most of them end within that request. */
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
        const end = more ? keyAfter(entries.at(-1)!.key) : EVERYTHING.end
        const slice = { part, start: EVERYTHING.start, end, entries }
        const isHeld = more && settled
        if (!isHeld) ready.push(slice)
        if (!more) continue
        long++
        // A part ends before the next one begins.
        if (ready.length > 0) yield ready
        ready = []
        yield* isHeld ? whole(slice) : rest(part, end)
      }
      if (ready.length > 0) yield ready
      width = 2 * long > taken ? Math.max(1, width >> 1) : long === 0 ? 2 * width : width
    }
  }

  /** The rest of a long part, page by page. */
  async function* rest(part: string, from: string): AsyncGenerator<readonly [Slice], void> {
    for (let start = from, more = true; more;) {
      const range = { part, start, end: EVERYTHING.end, limit: batch, keysOnly }
      const [page] = await db.read([{ range }], { signal })
      more = page.more
      const end = more ? keyAfter(page.entries.at(-1)!.key) : EVERYTHING.end
      yield [{ part, start, end, entries: page.entries }]
      start = end
    }
  }

  /** A long part, given its first page: from one view, if its pages fit into memory. */
  async function* whole(first: Slice): AsyncGenerator<readonly Slice[], void> {
    const held = [first]
    let length = lengthOf(first)
    for await (const [page] of rest(first.part, first.end)) {
      if (held.length > 0) {
        held.push(page)
        length += lengthOf(page)
        if (held.length <= HELD_PAGES && length <= HELD_LENGTH) continue
        yield* held.splice(0).map((it) => [it])
      } else yield [page]
    }
    if (held.length > 0) yield await settle(db, held, { signal })
  }
}

const lengthOf = ({ entries }: Slice): number => entries.reduce((sum, { value }) => sum + value.length, 0)

/**
 * Makes the pages of one part be from one view. Each round reads all pages in one request: unchanged pages only with
 * keys and versions, pages that have changed with their values. A round either finds everything as it was read, or
 * finds one more page that changes. So there are at most as many rounds as pages.
 *
 * @param db - the store
 * @param pages - they cover the part, in order
 * @returns the pages from one view; the given pages if one has outgrown a request or an answer
 */
async function settle(db: Database, pages: readonly Slice[], { signal }: CallOptions): Promise<readonly Slice[]> {
  const { rangeEntries: limit, requestReads } = db.driver.capabilities.limits
  if (pages.length > requestReads) return pages
  const settled = [...pages]
  const moving = new Set<number>()
  for (;;) {
    const found: readonly EntryPage[] = await db.read(
      pages.map(({ part, start, end }, i) => ({ range: { part, start, end, limit, keysOnly: !moving.has(i) } })),
      { signal },
    )
    if (found.some(({ more }) => more)) return pages
    let isSettled = true
    for (const [i, { entries }] of found.entries()) {
      if (moving.has(i)) settled[i] = { ...pages[i]!, entries }
      else if (!isSame(pages[i]!, entries)) {
        moving.add(i)
        isSettled = false
      }
    }
    if (isSettled) return settled
  }
}

/** Entries with the same version are the same. */
const isSame = ({ entries }: Slice, others: Slice['entries']): boolean =>
  entries.length === others.length &&
  entries.every(({ key, version }, i) => key === others[i]!.key && version === others[i]!.version)
