/** Several databases over one driver: the last one to close closes the driver. @module */
import type { Driver, OpenOptions } from './driver.ts'

/** The number of databases that use a driver, and the driver's close while that is under way. */
interface Use {
  users: number
  closing: Promise<void> | undefined
}

const uses = new WeakMap<object, Use>()

/** One database's share in its driver. */
export interface Share {
  /** Opens the driver. If that fails, the share is returned. */
  open(options: OpenOptions): Promise<void>
  /** Returns the share, and closes the driver if no other database has one. */
  close(): Promise<void>
}

/** Makes a database's share in a driver. It counts from its first `open`. */
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
        // A driver can be opened again after its close, not during it.
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
