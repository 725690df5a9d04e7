/** The listeners of a driver's announcements. @module */

/** Listeners, and a way to announce changes to them. */
export interface Announcer {
  /** As `Driver.watch` in the contract. */
  watch(listener: (parts: readonly string[]) => void): () => void
  /**
   * Calls the listeners in a later microtask, so that none can disturb the commit. `changed` is called only if there
   * are listeners.
   */
  announce(changed: () => readonly string[]): void
}

/**
 * Makes the listeners of one driver.
 *
 * @param onWanted - called with `true` when the first listener is added, with `false` when the last is removed
 */
export function announcer(onWanted: (isWanted: boolean) => void = () => {}): Announcer {
  const listeners = new Set<{ readonly tell: (parts: readonly string[]) => void }>()
  return {
    watch(tell) {
      // A separate object, because the same function may be passed twice.
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
