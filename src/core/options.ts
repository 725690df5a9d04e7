/** Options that all stores share. @module */

/** Options of a store. */
export interface StoreOptions {
  /** Whose data the store handles, 1 to 256 UTF-8 bytes; no call reaches another tenant's. `default` by default. */
  readonly tenant?: string
}
