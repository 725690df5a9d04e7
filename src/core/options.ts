/** Options that calls of several stores share, and their names: see `requireOptions`. @module */
import type { Known } from './arguments.ts'
import type { CallOptions, Durability } from './driver.ts'
import type { Lease } from './fence.ts'

/** Options of a store. */
export interface StoreOptions {
  /**
   * The tenant whose data the store handles, 1 to 256 UTF-8 bytes; `default` by default. No call reaches another
   * tenant's data.
   */
  readonly tenant?: string
}

/** Options of every call that writes. */
export interface WriteOptions extends CallOptions {
  /** The durability of the write; the database's level by default. */
  readonly durability?: Durability | undefined
  /** Writes only while this claim is held; otherwise the call throws `CLAIM_LOST`, and nothing has changed. */
  readonly claim?: Lease | undefined
}

/** The names of {@link StoreOptions}. */
export const STORE: Known<StoreOptions> = { tenant: true }
/** The names of the options of calls that read. */
export const CALL: Known<CallOptions> = { signal: true }
/** The names of {@link WriteOptions}. */
export const WRITE: Known<WriteOptions> = { signal: true, durability: true, claim: true }
