/** What is used of IndexedDB and of the storage manager: the sources are compiled without a browser's types. @module */
import { HoldfastError } from '../../core/errors.ts'

/** An interval of keys, made by the browser. */
export interface KeyRange {
  readonly lower: unknown
}

/** Makes intervals of keys. */
interface KeyRanges {
  bound<T extends string | number>(lower: T, upper: T, lowerOpen: boolean, upperOpen: boolean): KeyRange
  upperBound(upper: number, isOpen?: boolean): KeyRange
}

/** A request inside a transaction. */
export interface IdbRequest {
  readonly result: unknown
}

/** The request for a connection. */
export interface OpenRequest extends IdbRequest {
  readonly result: IdbConnection
  readonly error: unknown
  /** While an upgrade is under way. */
  readonly transaction: IdbTransaction
  addEventListener(type: 'blocked' | 'success' | 'error', listener: () => void): void
  addEventListener(type: 'upgradeneeded', listener: (event: { readonly oldVersion: number }) => void): void
}

/** A connection to a database. */
export interface IdbConnection {
  readonly objectStoreNames: { contains(name: string): boolean }
  createObjectStore(
    name: string,
    options: { keyPath: string; autoIncrement?: boolean },
  ): IdbStore & { createIndex(name: string, path: string): unknown }
  transaction(
    stores: readonly string[],
    mode: 'readonly' | 'readwrite',
    options?: { durability: 'strict' | 'relaxed' | 'default' },
  ): IdbTransaction
  close(): void
  addEventListener(type: 'versionchange' | 'close', listener: () => void): void
}

/** A transaction: it is over when it completes or aborts, whatever its requests have said. */
export interface IdbTransaction {
  readonly error: unknown
  objectStore(name: string): IdbStore
  abort(): void
  commit(): void
  addEventListener(type: 'complete' | 'abort', listener: () => void): void
  /** Hears of the requests that fail. */
  addEventListener(type: 'error', listener: (event: { readonly target: unknown }) => void): void
}

/** An object store. */
export interface IdbStore {
  put(row: object): IdbRequest
  add(row: object): IdbRequest
  delete(query: string | KeyRange): IdbRequest
}

/** A place in a list of keys; `idb` answers the moves with a promise. */
export interface KeyCursor {
  readonly key: unknown
  advance(count: number): Promise<KeyCursor | null>
  continue(key: string): Promise<KeyCursor | null>
}

/** An object store as `idb` wraps it: requests are promises. */
export interface PromisedStore<Row> {
  get(id: string): Promise<Row | undefined>
  getAll(query: KeyRange, count: number): Promise<Row[]>
  /** Only of browsers that have `getAllRecords`, too. */
  getAll(options: { query: KeyRange; count: number; direction: 'prev' }): Promise<Row[]>
  getAllKeys(query: KeyRange, count: number): Promise<string[]>
  openKeyCursor(query: KeyRange | null, direction: 'next' | 'prev'): Promise<KeyCursor | null>
  index(name: string): { getAllKeys(query: KeyRange, count: number): Promise<string[]> }
}

/** Where databases are opened: `globalThis.indexedDB`, or the one of a storage bucket. */
export interface IdbFactory {
  /** Requests a connection; typed loosely, so that the browser's own types and those of fakes fit. */
  open(name: string, version: number): object
}

/** What a browser tells of the storage of an origin. */
interface StorageManager {
  persisted?(): Promise<boolean>
  estimate?(): Promise<{ usage?: number; quota?: number }>
}

/** Speaks to all of the same name in the other tabs and workers of the origin, and in this one, but not to itself. */
export interface Broadcast {
  postMessage(message: unknown): void
  addEventListener(type: 'message', listener: (event: { readonly data: unknown }) => void): void
  close(): void
  /** There in Node and Deno. */
  unref?(): unknown
}

interface Globals {
  readonly BroadcastChannel?: new (name: string) => Broadcast
  readonly indexedDB?: IdbFactory
  readonly IDBKeyRange?: KeyRanges
  readonly navigator?: { readonly storage?: StorageManager }
}

// Looked up anew each time: nothing may be touched while a module is loaded.
const globals = (): Globals => globalThis as unknown as Globals

/**
 * The IndexedDB of this page or worker.
 *
 * @throws `UNSUPPORTED` where there is none, or its use is forbidden
 */
export function defaultFactory(): IdbFactory {
  let cause: unknown
  try {
    const { indexedDB } = globals()
    if (indexedDB) return indexedDB
  } catch (error) {
    // Where site data is blocked, already the look at it throws.
    cause = error
  }
  throw new HoldfastError('UNSUPPORTED', 'IndexedDB is missing or blocked here; use memory() to go without', { cause })
}

/** A channel of this name; `undefined` where the browser has none. */
export function broadcast(name: string): Broadcast | undefined {
  const { BroadcastChannel } = globals()
  return BroadcastChannel && new BroadcastChannel(name)
}

/** The keys with `start <= key < end`. */
export const between = (start: string, end: string): KeyRange => globals().IDBKeyRange!.bound(start, end, false, true)

/** The numbers up to this one. */
export const upTo = (most: number): KeyRange => globals().IDBKeyRange!.upperBound(most)

/** The numbers below this one. */
export const below = (limit: number): KeyRange => globals().IDBKeyRange!.upperBound(limit, true)

/** All numbers from 0. */
export const numbers = (): KeyRange => globals().IDBKeyRange!.bound(0, Number.MAX_SAFE_INTEGER, false, false)

/** What the browser says of the storage; all is unknown where it says nothing. */
export const storageManager = (): StorageManager => globals().navigator?.storage ?? {}
