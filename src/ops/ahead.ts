/** Reading ahead. @module */

/**
 * Has one item under way while the one before is worked on: the wait for it is shared, and where both ask the same store,
 * so is the request.
 *
 * @param stream - what is read; nothing else should read it
 * @returns the same items; the first is asked for at once
 */
export function ahead<T>(stream: AsyncIterable<T>): AsyncGenerator<T, void> {
  const items = stream[Symbol.asyncIterator]()
  const ask = (): Promise<IteratorResult<T>> => {
    const item = items.next()
    // What goes wrong is told when the item is asked for, if it ever is.
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
