/** Work on many things at once, within bounds. @module */

/** So many at a time: files and connections are bounded. */
const AT_ONCE = 16

/**
 * Does the same with all items, some at a time.
 *
 * @returns what came of each, in their order
 * @throws what the first that failed has thrown; then nothing is under way any more
 */
export async function inParallel<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = []
  for (let from = 0; from < items.length; from += AT_ONCE) {
    for (const it of await Promise.allSettled(items.slice(from, from + AT_ONCE).map(work))) {
      if (it.status === 'rejected') throw it.reason
      results.push(it.value)
    }
  }
  return results
}
