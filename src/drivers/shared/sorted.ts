/**
 * A map in key order. Keys are kept in chunks, so that an insertion moves at most one chunk of them. A plain sorted
 * array would move half of all keys, and a tree would need several times this code.
 *
 * The idea comes from Python's sortedcontainers.
 *
 * @module
 */

const CHUNK = 512

/** A map with string keys that iterates in key order, from any key, in both directions. */
export interface SortedMap<V> {
  get(key: string): V | undefined
  set(key: string, value: V): void
  delete(key: string): void
  /** Removes the entries with `start <= key < end` and returns them. */
  deleteRange(start: string, end: string): [string, V][]
  /** Iterates over the entries with `start <= key < end`. The map must not change meanwhile. */
  range(start: string, end: string, reverse?: boolean): Generator<[string, V], void>
}

/** Bisects sorted items. @returns the index of the first item for which `isBefore` is false */
function seek<T>(items: readonly T[], isBefore: (item: T) => boolean): number {
  let low = 0
  let high = items.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (isBefore(items[middle]!)) low = middle + 1
    else high = middle
  }
  return low
}

export function sortedMap<V>(): SortedMap<V> {
  const values = new Map<string, V>()
  /** Sorted chunks in sorted order. None is empty, except when it is the only one. */
  const chunks: string[][] = [[]]

  /**
   * The position of a key, or where it would be inserted: the last chunk that starts at or before the key, and the
   * index in it.
   */
  function locate(key: string): [chunk: number, place: number] {
    const c = Math.max(0, seek(chunks, ([first]) => first! <= key) - 1)
    return [c, seek(chunks[c]!, (other) => other < key)]
  }

  return {
    get: (key) => values.get(key),
    set(key, value) {
      if (!values.has(key)) {
        const [c, i] = locate(key)
        const chunk = chunks[c]!
        chunk.splice(i, 0, key)
        if (chunk.length > CHUNK) chunks.splice(c + 1, 0, chunk.splice(CHUNK / 2))
      }
      values.set(key, value)
    },
    delete(key) {
      if (!values.delete(key)) return
      const [c, i] = locate(key)
      chunks[c]!.splice(i, 1)
      if (chunks[c]!.length === 0 && chunks.length > 1) chunks.splice(c, 1)
    },
    deleteRange(start, end) {
      if (start >= end) return []
      const [first, from] = locate(start)
      const [last, to] = locate(end)
      const removed: [string, V][] = []
      for (let c = first; c <= last; c++) {
        const chunk = chunks[c]!
        const low = c === first ? from : 0
        const high = c === last ? to : chunk.length
        for (const key of chunk.splice(low, high - low)) {
          removed.push([key, values.get(key)!])
          values.delete(key)
        }
      }
      const left = chunks.slice(first, last + 1).filter((chunk) => chunk.length > 0)
      chunks.splice(first, last + 1 - first, ...left)
      if (chunks.length === 0) chunks.push([])
      return removed
    },
    *range(start, end, reverse) {
      const [first, from] = locate(start)
      const [last, to] = locate(end)
      for (let n = 0; n <= last - first; n++) {
        const c = reverse ? last - n : first + n
        const chunk = chunks[c]!
        const low = c === first ? from : 0
        const high = c === last ? to : chunk.length
        for (let i = 0; i < high - low; i++) {
          const key = chunk[reverse ? high - 1 - i : low + i]!
          yield [key, values.get(key)!]
        }
      }
    },
  }
}
