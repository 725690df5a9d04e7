/** The storage that items are kept in. @module */

/** What is used of a `Storage` of unstorage. */
export interface UnstorageStorage {
  /** Reads an item; `null` where there is none. */
  getItem(key: string): Promise<unknown>
  /** Writes an item. */
  setItem(key: string, value: string): Promise<void>
  /** Takes an item away. */
  removeItem(key: string): Promise<void>
  /** The names of all items under a prefix. */
  getKeys(base: string): Promise<string[]>
}
