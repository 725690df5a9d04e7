/** Options that all stores share. @module */

/** Options of a store. */
export interface StoreOptions {
  /**
   * The tenant whose data the store handles, 1 to 256 UTF-8 bytes; `default` by default. No call reaches another
   * tenant's data.
   */
  readonly tenant?: string
}
