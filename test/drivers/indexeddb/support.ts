/** What the IndexedDB suites share: an IndexedDB in memory, and ways into it past the driver. */
import * as fake from 'fake-indexeddb'
import { idSource } from '../../../src/core/clock.ts'
import type { Check, Driver, Entry, Expiry, Value } from '../../../src/core/driver.ts'

export type Factory = InstanceType<typeof fake.IDBFactory>
export type Connection = InstanceType<typeof fake.IDBDatabase>

/** Puts its classes where a browser has them. */
export function installFake(): void {
  const { default: indexedDB, ...classes } = fake
  Object.assign(globalThis, classes, { indexedDB })
}

/** An IndexedDB of its own. */
export const newFactory = (): Factory => new fake.IDBFactory()

/** An IndexedDB of its own that shows what is asked of it. */
export function spiedFactory() {
  const factory = newFactory()
  const connections: Connection[] = []
  let atConnection: (db: Connection) => void = () => {}
  const spied = {
    open(name: string, version: number) {
      const request = factory.open(name, version)
      request.addEventListener('success', () => {
        connections.push(request.result)
        atConnection(request.result)
      })
      return request
    },
    deleteDatabase: (name: string) => factory.deleteDatabase(name),
  } as Factory
  return {
    factory: spied,
    /** Those that were made, in order. */
    connections,
    onConnection: (listener: typeof atConnection) => void (atConnection = listener),
  }
}

type Request<T> = Pick<InstanceType<typeof fake.IDBRequest<T>>, 'result' | 'error' | 'addEventListener'>

const settled = <T>(request: Request<T>): Promise<T> =>
  new Promise((resolve, reject) => {
    request.addEventListener('success', () => resolve(request.result))
    request.addEventListener('error', () => reject(request.error))
  })

/** A connection past the driver. */
export const openRaw = (factory: Factory, name: string, version?: number): Promise<Connection> =>
  settled(factory.open(name, version))

/** Waits until nobody uses it any more. */
export const deleteDatabase = async (factory: Factory, name: string): Promise<void> =>
  void (await settled(factory.deleteDatabase(name)))

/** All rows of a store. */
export async function rowsOf(factory: Factory, name: string, store: string): Promise<unknown[]> {
  const db = await openRaw(factory, name)
  const rows = await settled(db.transaction(store).objectStore(store).getAll())
  db.close()
  return rows as unknown[]
}

/** All entries that a database holds, and the values of those that are stored apart; the first row is the name of the database itself. */
export const dump = async (factory: Factory, name: string): Promise<unknown[]> => [
  ...(await rowsOf(factory, name, 'entries')).slice(1),
  ...(await rowsOf(factory, name, 'values')),
]

/** Puts one entry into the part `p`. */
export async function put(
  driver: Driver,
  key: string,
  value: Value,
  checks: readonly Check[] = [],
  expires?: Expiry,
): Promise<void> {
  const ops = [{ put: { part: 'p', key }, value, expires }]
  const id = idSource()
  await driver.commit({ id: id(), commits: [{ id: id(), checks, ops, durability: 'strict' }] })
}

/** The value at a key of the part `p`. */
export async function get(driver: Driver, key: string): Promise<Value | undefined> {
  const { answers } = await driver.read([{ get: { part: 'p', key } }])
  return (answers[0] as Entry | null)?.value
}
