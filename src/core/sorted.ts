/**
 * A map in key order. Keys are kept in chunks, so that an insertion moves at most one chunk's worth of them: a plain
 * sorted array would move half of everything, and a tree is several times this code.
 *
 * The idea is that of Python's sortedcontainers.
 *
 * @module
 */

const CHUNK = 512

/** A map with string keys that iterates in their order, from any of them, in both directions. */
export interface SortedMap<V> {
  get(key: string): V | undefined
  set(key: string, value: V): void
  delete(key: string): void
  /** The entries with `start <= key < end`; the map must not change in between. */
  range(start: string, end: string, reverse?: boolean): Generator<[string, V], void>
}

/** The first place in sorted items where the item is no longer below the key, by bisection. */
function seek<T>(items: readonly T[], key: string, keyOf: (item: T) => string): number {
  let low = 0
  let high = items.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (keyOf(items[middle]!) < key) low = middle + 1
    else high = middle
  }
  return low
}

const itself = (key: string): string => key
const lastOf = (chunk: readonly string[]): string => chunk.at(-1)!

export function sortedMap<V>(): SortedMap<V> {
  const values = new Map<string, V>()
  /** Sorted inside and among each other; none is empty. */
  const chunks: string[][] = []

  return {
    get: (key) => values.get(key),
    set(key, value) {
      if (!values.has(key)) {
        // The last chunk also takes what lies behind it.
        const c = Math.max(0, Math.min(seek(chunks, key, lastOf), chunks.length - 1))
        const chunk = (chunks[c] ??= [])
        chunk.splice(seek(chunk, key, itself), 0, key)
        if (chunk.length > CHUNK) chunks.splice(c + 1, 0, chunk.splice(CHUNK / 2))
      }
      values.set(key, value)
    },
    delete(key) {
      if (!values.delete(key)) return
      const c = seek(chunks, key, lastOf)
      const chunk = chunks[c]!
      chunk.splice(seek(chunk, key, itself), 1)
      if (chunk.length === 0) chunks.splice(c, 1)
    },
    *range(start, end, reverse) {
      const from = reverse ? end : start
      let c = seek(chunks, from, lastOf)
      let i = seek(chunks[c] ?? [], from, itself)
      for (i -= reverse ? 1 : 0; ; i += reverse ? -1 : 1) {
        if (i < 0) i = (chunks[--c]?.length ?? 0) - 1
        else if (i >= (chunks[c]?.length ?? 0)) [c, i] = [c + 1, 0]
        const key = chunks[c]?.[i]
        if (key === undefined || (reverse ? key < start : key >= end)) return
        yield [key, values.get(key)!]
      }
    },
  }
}
