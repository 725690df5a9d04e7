/** Who listens to a driver's announcements. @module */

/** Listeners, and the way to tell them. */
export interface Announcer {
  /** As of the contract. */
  watch(listener: (parts: readonly string[]) => void): () => void
  /** Tells all who listen, soon: none of them can get in the way of the commit. Where nobody listens, nothing is asked. */
  announce(changed: () => readonly string[]): void
}

/**
 * Makes the listeners of one driver.
 *
 * @param onWanted - told when the first listener comes, and when the last has gone
 */
export function announcer(onWanted: (isWanted: boolean) => void = () => {}): Announcer {
  const listeners = new Set<{ readonly tell: (parts: readonly string[]) => void }>()
  return {
    watch(tell) {
      // An object of its own, for a function may be given twice.
      const listener = { tell }
      listeners.add(listener)
      if (listeners.size === 1) onWanted(true)
      return () => {
        if (listeners.delete(listener) && listeners.size === 0) onWanted(false)
      }
    },
    announce(changed) {
      if (listeners.size === 0) return
      const parts = changed()
      if (parts.length === 0) return
      for (const listener of listeners) {
        queueMicrotask(() => {
          if (listeners.has(listener)) listener.tell(parts)
        })
      }
    },
  }
}
