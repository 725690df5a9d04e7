/** What is used of IndexedDB and of the storage manager: the sources are compiled without a browser's types. @module */
import { HoldfastError } from '../../core/errors.ts'

/** An interval of keys, made by the browser. */
export interface KeyRange {
  readonly lower: unknown
}

/** Makes intervals of keys. */
interface KeyRanges {
  bound(lower: string, upper: string, lowerOpen: boolean, upperOpen: boolean): KeyRange
  upperBound(upper: number): KeyRange
}

/** What comes to pass later; its error is told by the transaction, too. */
interface Request {
  readonly result: unknown
}

/** The request for a connection. */
export interface OpenRequest extends Request {
  readonly result: IdbConnection
  readonly error: unknown
  addEventListener(type: 'upgradeneeded' | 'blocked' | 'success' | 'error', listener: () => void): void
}

/** A connection to a database. */
export interface IdbConnection {
  createObjectStore(
    name: string,
    options: { keyPath: string },
  ): IdbStore & { createIndex(name: string, path: string): unknown }
  transaction(
    store: string,
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
}

/** An object store. */
export interface IdbStore {
  put(row: object): Request
  delete(query: string | KeyRange): Request
}

/** A place in a list of keys; `idb` answers the moves with a promise. */
export interface KeyCursor {
  readonly key: string
  advance(count: number): Promise<KeyCursor | null>
  continue(key: string): Promise<KeyCursor | null>
}

/** An object store as `idb` wraps it: requests are promises. */
export interface PromisedStore<Row> {
  get(id: string): Promise<Row | undefined>
  getAll(query: KeyRange, count: number): Promise<Row[]>
  openKeyCursor(query: KeyRange, direction: 'next' | 'prev'): Promise<KeyCursor | null>
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

/** What the browser says of the storage; all is unknown where it says nothing. */
export const storageManager = (): StorageManager => globals().navigator?.storage ?? {}
