/** The interface to a storage. @module */

/** The parts used of a `Storage` of unstorage. */
export interface UnstorageStorage {
  /** Reads an item; `null` if there is none. */
  getItem(key: string): Promise<unknown>
  /** Writes an item. */
  setItem(key: string, value: string): Promise<void>
  /** Removes an item. */
  removeItem(key: string): Promise<void>
  /** Lists the names of all items under a prefix. */
  getKeys(base: string): Promise<string[]>
}
