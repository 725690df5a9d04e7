/** The parts used of IndexedDB and of the storage manager. The sources are compiled without browser types. @module */
import { HoldfastError } from '../../core/errors.ts'

/** An interval of keys. */
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

/** A request to open a connection. */
export interface OpenRequest extends IdbRequest {
  readonly result: IdbConnection
  readonly error: unknown
  /** Set while an upgrade is under way. */
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

/** A transaction. It ends when it completes or aborts, whatever the results of its requests. */
export interface IdbTransaction {
  readonly error: unknown
  objectStore(name: string): IdbStore
  abort(): void
  commit(): void
  addEventListener(type: 'complete' | 'abort', listener: () => void): void
  /** Listens for failed requests. */
  addEventListener(type: 'error', listener: (event: { readonly target: unknown }) => void): void
}

/** An object store. */
export interface IdbStore {
  put(row: object): IdbRequest
  add(row: object): IdbRequest
  delete(query: string | KeyRange): IdbRequest
}

/** A position in a list of keys. With `idb`, moves return a promise. */
export interface KeyCursor {
  readonly key: unknown
  advance(count: number): Promise<KeyCursor | null>
  continue(key: string): Promise<KeyCursor | null>
}

/** An object store wrapped by `idb`: requests are promises. */
export interface PromisedStore<Row> {
  get(id: string): Promise<Row | undefined>
  getAll(query: KeyRange, count: number): Promise<Row[]>
  /** Only in browsers that also have `getAllRecords`. */
  getAll(options: { query: KeyRange; count: number; direction: 'prev' }): Promise<Row[]>
  getAllKeys(query: KeyRange, count: number): Promise<string[]>
  openKeyCursor(query: KeyRange | null, direction: 'next' | 'prev'): Promise<KeyCursor | null>
  index(name: string): { getAllKeys(query: KeyRange, count: number): Promise<string[]> }
}

/** Opens databases: `globalThis.indexedDB`, or the one of a storage bucket. */
export interface IdbFactory {
  /** Requests a connection. Typed loosely, to accept the browser's own types and those of fakes. */
  open(name: string, version: number): object
}

/** Describes the storage of an origin. */
interface StorageManager {
  persisted?(): Promise<boolean>
  estimate?(): Promise<{ usage?: number; quota?: number }>
}

/**
 * A BroadcastChannel: reaches the same name in other tabs and workers of the origin, and other channels in this one.
 */
export interface Broadcast {
  postMessage(message: unknown): void
  addEventListener(type: 'message', listener: (event: { readonly data: unknown }) => void): void
  close(): void
  /** Only in Node and Deno. */
  unref?(): unknown
}

interface Globals {
  readonly BroadcastChannel?: new (name: string) => Broadcast
  readonly indexedDB?: IdbFactory
  readonly IDBKeyRange?: KeyRanges
  readonly navigator?: { readonly storage?: StorageManager }
}

// Read on each call: nothing may be touched while a module is loaded.
const globals = (): Globals => globalThis as unknown as Globals

/**
 * The IndexedDB of this page or worker.
 *
 * @throws `UNSUPPORTED` if there is none, or its use is blocked
 */
export function defaultFactory(): IdbFactory {
  let cause: unknown
  try {
    const { indexedDB } = globals()
    if (indexedDB) return indexedDB
  } catch (error) {
    // If site data is blocked, even reading the property throws.
    cause = error
  }
  throw new HoldfastError('UNSUPPORTED', 'IndexedDB is missing or blocked here; use memory() to run without it', {
    cause,
  })
}

/** Opens a channel; `undefined` if the browser has none. */
export function broadcast(name: string): Broadcast | undefined {
  const { BroadcastChannel } = globals()
  return BroadcastChannel && new BroadcastChannel(name)
}

/** The keys with `start <= key < end`. */
export const between = (start: string, end: string): KeyRange => globals().IDBKeyRange!.bound(start, end, false, true)

/** The numbers up to and including this one. */
export const upTo = (most: number): KeyRange => globals().IDBKeyRange!.upperBound(most)

/** The numbers below this one. */
export const below = (limit: number): KeyRange => globals().IDBKeyRange!.upperBound(limit, true)

/** All numbers from 0. */
export const numbers = (): KeyRange => globals().IDBKeyRange!.bound(0, Number.MAX_SAFE_INTEGER, false, false)

/** The storage manager; without members if the browser has none. */
export const storageManager = (): StorageManager => globals().navigator?.storage ?? {}
