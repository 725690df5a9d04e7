/**
 * Compares two stores key by key in bounded memory: slices of a source, and the target.
 *
 * @module
 */
import type { Database } from '../core/database.ts'
import type { CallOptions, Entry } from '../core/driver.ts'
import { EVERYTHING, keyAfter } from '../core/keys.ts'
import { ahead } from './read-ahead.ts'
import { type Slice, partsBetween } from './scan.ts'

/** One key in both stores. At least one of them has it. */
export interface Pair {
  readonly part: string
  readonly key: string
  readonly source: Entry | undefined
  readonly target: Entry | undefined
}

/** Options of {@link pairs}. */
export interface PairOptions extends CallOptions {
  /** The parts of the target to read. */
  readonly bounds: { readonly start: string; readonly end: string }
  /** The most entries read from the target at once. */
  readonly batch: number
  /** Leaves the values of the target out. */
  readonly keysOnly: boolean
}

/** A slice of the source, and the progress of reading the target beside it. */
interface Side {
  readonly slice: Slice
  /** Entries of the source not yet found in the target. */
  readonly left: Map<string, Entry>
  start: string
}

/**
 * Pairs a store with slices of another, in the order of the slices. Parts that only the target has come in between.
 *
 * @param slices - in order, covering the whole source
 * @param target - the other store
 * @param options - `bounds`, `batch`, `keysOnly`, `signal`
 */
export async function* pairs(
  slices: AsyncIterable<readonly Slice[]>,
  target: Database,
  options: PairOptions,
): AsyncGenerator<readonly Pair[], void> {
  let { start } = options.bounds
  for await (const group of ahead(slices)) {
    const last = group.at(-1)
    if (!last) continue
    // Started together, both share a request.
    const between = ahead(strangers(start, keyAfter(last.part), new Set(group.map(({ part }) => part))))
    const own = ahead(beside(group))
    yield* between
    yield* own
    start = keyAfter(last.part)
  }
  yield* strangers(start, options.bounds.end, new Set())

  /** The parts that the source lacks. */
  async function* strangers(
    from: string,
    end: string,
    known: ReadonlySet<string>,
  ): AsyncGenerator<readonly Pair[], void> {
    if (from >= end) return
    for await (const parts of partsBetween(target, { start: from, end }, options)) {
      const strange = parts.filter((part) => !known.has(part))
      yield* beside(strange.map((part) => ({ part, ...EVERYTHING, entries: [] })))
    }
  }

  async function* beside(group: readonly Slice[]): AsyncGenerator<readonly Pair[], void> {
    const { signal, keysOnly } = options
    const most = target.driver.capabilities.limits.rangeEntries
    let open: Side[] = group.map((slice) => ({
      slice,
      left: new Map(slice.entries.map((entry) => [entry.key, entry])),
      start: slice.start,
    }))
    while (open.length > 0) {
      const asked = open.slice(0, target.driver.capabilities.limits.requestReads)
      const share = Math.floor(options.batch / asked.length)
      const pages = await target.read(
        asked.map(({ slice: { part, end }, start: from, left }) => ({
          // The target usually has as many entries as the source. One more shows that there are no others.
          range: { part, start: from, end, limit: Math.min(most, Math.max(share, left.size + 1)), keysOnly },
        })),
        { signal },
      )
      const found: Pair[] = []
      const unread = open.slice(asked.length)
      asked.forEach((side, i) => {
        const { part } = side.slice
        const { entries, more } = pages[i]!
        for (const entry of entries) {
          found.push({ part, key: entry.key, source: side.left.get(entry.key), target: entry })
          side.left.delete(entry.key)
        }
        if (more) {
          side.start = keyAfter(entries.at(-1)!.key)
          unread.push(side)
        } else {
          for (const [key, source] of side.left) found.push({ part, key, source, target: undefined })
        }
      })
      yield found
      open = unread
    }
  }
}
