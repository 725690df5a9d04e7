/** What the IndexedDB suites share: an IndexedDB in memory, and ways into it past the driver. */
import * as fake from 'fake-indexeddb'

export type Factory = InstanceType<typeof fake.IDBFactory>

/** Puts its classes where a browser has them. */
export function installFake(): void {
  const { default: indexedDB, ...classes } = fake
  Object.assign(globalThis, classes, { indexedDB })
}

/** An IndexedDB of its own. */
export const newFactory = (): Factory => new fake.IDBFactory()

/** A connection past the driver. */
export function openRaw(
  factory: Factory,
  name: string,
  version?: number,
): Promise<InstanceType<typeof fake.IDBDatabase>> {
  const request = factory.open(name, version)
  return new Promise((resolve, reject) => {
    request.addEventListener('success', () => resolve(request.result))
    request.addEventListener('error', () => reject(request.error))
  })
}

/** All entries that a database holds: the first row is the name of the database itself. */
export async function dump(factory: Factory, name: string): Promise<unknown[]> {
  const db = await openRaw(factory, name)
  const request = db.transaction('entries').objectStore('entries').getAll(fake.IDBKeyRange.lowerBound(' '))
  const rows = await new Promise<unknown[]>((resolve) =>
    request.addEventListener('success', () => resolve(request.result)),
  )
  db.close()
  return rows
}
