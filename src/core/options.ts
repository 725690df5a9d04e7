/** Options that calls of several stores share, and their names: see `requireOptions`. @module */
import type { Known } from './arguments.ts'
import type { WriteOptions } from './database.ts'
import type { CallOptions } from './driver.ts'
import type { PageOptions } from './pages.ts'
import type { WatchOptions } from './watch.ts'

/** Options of a store. */
export interface StoreOptions {
  /** Whose data the store handles, 1 to 256 UTF-8 bytes; no call reaches another tenant's. `default` by default. */
  readonly tenant?: string
}

/** Of stores. */
export const STORE: Known<StoreOptions> = { tenant: true }
/** Of calls that read. */
export const CALL: Known<CallOptions> = { signal: true }
/** Of calls that write. */
export const WRITE: Known<WriteOptions> = { signal: true, durability: true, claim: true }
/** Of lists. */
export const PAGE: Known<PageOptions> = { signal: true, limit: true, cursor: true }
/** Of calls that watch. */
export const WATCH: Known<WatchOptions> = { signal: true, pollInterval: true }
