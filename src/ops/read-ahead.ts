/** Reading one item ahead. @module */

/**
 * Requests the next item while the caller works on the current one. If both use the same database, their reads share a
 * request.
 *
 * @param stream - the stream to read; nothing else should read it
 * @returns the same items. The first one is requested at once
 */
export function ahead<T>(stream: AsyncIterable<T>): AsyncGenerator<T, void> {
  const items = stream[Symbol.asyncIterator]()
  const ask = (): Promise<IteratorResult<T>> => {
    const item = items.next()
    // An error surfaces when the item is asked for. Until then it must not count as unhandled.
    item.catch(() => {})
    return item
  }
  let next = ask()
  return (async function* () {
    try {
      for (let item = await next; !item.done; item = await next) {
        next = ask()
        yield item.value
      }
    } finally {
      await items.return?.()
    }
  })()
}
