/** Bounded parallel work. @module */

/** Items processed at a time. Files and connections are limited. */
const AT_ONCE = 16

/**
 * Processes all items, at most 16 at a time.
 *
 * @returns the results, in the order of the items
 * @throws the error of the first item that failed, once no other work is under way
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
