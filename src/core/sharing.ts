/** Several databases over one driver: it is closed with the last of them. @module */
import type { Driver, OpenOptions } from './driver.ts'

/** How many databases use a driver, and its close while that is under way. */
interface Use {
  users: number
  closing: Promise<void> | undefined
}

const uses = new WeakMap<object, Use>()

/** The share of one database in its driver. */
export interface Share {
  /** Opens the driver. An open that fails gives the share back. */
  open(options: OpenOptions): Promise<void>
  /** Gives the share back, and closes the driver if no other database has one. */
  close(): Promise<void>
}

/** Makes the share of a database. It counts from its first open on. */
export function shareOf(driver: Driver): Share {
  const use = uses.get(driver) ?? { users: 0, closing: undefined }
  uses.set(driver, use)
  let isUser = false

  function leave(): void {
    if (isUser) use.users--
    isUser = false
  }

  return {
    async open(options) {
      if (!isUser) use.users++
      isUser = true
      try {
        // Drivers can be opened again after their close, not during it.
        if (use.closing) await use.closing.catch(() => {})
        await driver.open(options)
      } catch (error) {
        leave()
        throw error
      }
    },
    async close() {
      leave()
      if (use.users > 0) return
      use.closing ??= driver.close().finally(() => (use.closing = undefined))
      await use.closing
    },
  }
}
