/** IndexedDB past the driver. */

interface Request {
  readonly result: unknown
  readonly error: unknown
  addEventListener(type: 'success' | 'error', listener: () => void): void
}

interface Connection {
  transaction(store: string): { objectStore(name: string): { getAll(range: unknown): Request } }
  close(): void
}

interface Scope {
  readonly indexedDB: { open(name: string, version?: number): Request; deleteDatabase(name: string): Request }
  readonly IDBKeyRange: { lowerBound(lower: string): unknown }
}

const scope = globalThis as unknown as Scope

const settled = (request: Request): Promise<unknown> =>
  new Promise((resolve, reject) => {
    request.addEventListener('success', () => resolve(request.result))
    request.addEventListener('error', () => reject(request.error))
  })

/** A connection past the driver; a newer version asks all others to close. */
export const openRaw = async (name: string, version?: number): Promise<Connection> =>
  (await settled(scope.indexedDB.open(name, version))) as Connection

/** Waits until nobody uses it any more. */
export const deleteDatabase = async (name: string): Promise<void> =>
  void (await settled(scope.indexedDB.deleteDatabase(name)))

/** All entries: the first row is the name of the database itself. */
export async function dump(name: string): Promise<unknown[]> {
  const db = await openRaw(name)
  const store = db.transaction('entries').objectStore('entries')
  const rows = await settled(store.getAll(scope.IDBKeyRange.lowerBound(' ')))
  db.close()
  return rows as unknown[]
}
