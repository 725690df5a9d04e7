/** Tells all tabs of each change, so that none has to ask again and again. @module */
import type { Driver } from 'holdfast'

/** A driver whose commits are heard of. */
export interface Live {
  readonly driver: Driver
  /** Calls back after commits of this tab and of others, and when the tab is looked at again. */
  onChange(listener: () => void): void
}

/**
 * Wraps a driver: what it commits is announced to all tabs.
 *
 * @param driver - the one to wrap
 * @param name - of the channel between the tabs
 */
export function live(driver: Driver, name: string): Live {
  const channel = new BroadcastChannel(name)
  const listeners = new Set<() => void>()
  const notify = (): void => listeners.forEach((listener) => listener())
  channel.addEventListener('message', notify)
  // A tab that was frozen has heard nothing meanwhile.
  document.addEventListener('visibilitychange', notify)
  return {
    driver: {
      ...driver,
      async commit(request, options) {
        const answer = await driver.commit(request, options)
        if (answer.outcomes.some((outcome) => outcome.ok)) {
          // oxlint-disable-next-line unicorn/require-post-message-target-origin -- that is for windows
          channel.postMessage(null)
          notify()
        }
        return answer
      },
    },
    onChange: (listener) => void listeners.add(listener),
  }
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
