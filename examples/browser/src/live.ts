/** What keeps a page up to date, so that it never has to ask again and again. @module */
import type { Database } from 'holdfast'

/** Calls back after changes by this tab and by others, and when the tab is looked at again. */
export function onChange(db: Database, listener: () => void): void {
  db.watch(() => true, listener)
  // A tab that was frozen has heard nothing meanwhile.
  document.addEventListener('visibilitychange', listener)
}

/** Makes a call that does the work soon, once for many calls, and never twice at the same time. */
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
