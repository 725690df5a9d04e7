/** What the raw subjects use of IndexedDB: the types of browsers are not those of the rest of the benchmarks. */

export interface Request {
  readonly result: unknown
  readonly error: unknown
  addEventListener(type: 'success' | 'error' | 'upgradeneeded', listener: () => void): void
}

export interface Store {
  put(value: unknown, key?: string): Request
  get(key: string): Request
  getAll(query?: unknown, count?: number): Request
  getAllKeys(): Request
  getAllRecords(): Request
}

export interface Transaction {
  readonly error: unknown
  objectStore(name: string): Store
  commit(): void
  addEventListener(type: 'complete' | 'abort', listener: () => void): void
}

export interface Connection {
  createObjectStore(name: string, options?: { keyPath: string }): unknown
  transaction(store: string, mode: 'readonly' | 'readwrite', options?: { durability: string }): Transaction
  close(): void
}

interface Scope {
  readonly indexedDB: { open(name: string, version: number): Request }
  readonly IDBKeyRange: { lowerBound(lower: string, isOpen: boolean): unknown }
}

const scope = globalThis as unknown as Scope

/** Waits for the answer to a request. */
export const asked = <T>(request: Request): Promise<T> =>
  new Promise((resolve, reject) => {
    request.addEventListener('success', () => resolve(request.result as T))
    request.addEventListener('error', () => reject(request.error))
  })

/** Waits for the end of a transaction. */
export const ended = (tx: Transaction): Promise<void> =>
  new Promise((resolve, reject) => {
    tx.addEventListener('complete', resolve)
    tx.addEventListener('abort', () => reject(tx.error))
  })

/** Everything above this key. */
export const above = (key: string): unknown => scope.IDBKeyRange.lowerBound(key, true)

/** Makes a database with these stores; `true` for one whose rows hold their key, as `id`. */
export async function connect(name: string, stores: Readonly<Record<string, boolean>>): Promise<Connection> {
  const request = scope.indexedDB.open(name, 1)
  request.addEventListener('upgradeneeded', () => {
    const db = request.result as Connection
    for (const [store, isInLine] of Object.entries(stores))
      db.createObjectStore(store, isInLine ? { keyPath: 'id' } : undefined)
  })
  return asked(request)
}
