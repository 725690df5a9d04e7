/** Keeps the page up to date without polling. @module */
import type { Database } from 'holdfast'

/** Calls back after changes by any tab, and when this tab becomes visible again. */
export function onChange(db: Database, listener: () => void): void {
  db.watch(() => true, listener)
  // A frozen tab misses announcements.
  document.addEventListener('visibilitychange', listener)
}

/** Returns a function that does the work soon: once for many calls, and never twice at the same time. */
export function coalesced(work: () => Promise<unknown>): () => void {
  let isWanted = false
  let isBusy = false
  return async () => {
    isWanted = true
    if (isBusy) return
    isBusy = true
    try {
      while (isWanted) {
        isWanted = false
        await work()
      }
    } finally {
      isBusy = false
    }
  }
}
