/** A backend of every kind: what copies and backups go between. */
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { IDBFactory } from 'fake-indexeddb'
import pg from 'pg'
import type { Driver } from '../../src/core/driver.ts'
import { startPostgres } from '../../src/dev/postgres-server.ts'
import { startRedis } from '../../src/dev/redis-server.ts'
import { startUpstash } from '../../src/dev/upstash.ts'
import { indexedDb } from '../../src/drivers/indexeddb/driver.ts'
import { memory } from '../../src/drivers/memory.ts'
import { createHandler } from '../../src/served/http/index.ts'
import { replay } from '../../src/wrappers/replay.ts'
import { listen } from '../served/http/support.ts'
import { installFake } from '../drivers/indexeddb/support.ts'
import { part } from '../support/parts.ts'
import { quiet } from '../support/quiet.ts'
import { type Address, openAt } from './addresses.ts'

/** One store, which stays where it is when a driver of it is closed. */
export interface Store {
  /** A driver of its own, in this process. */
  open(): Promise<Driver>
  /** Where another process finds it; `undefined` where it ends with this one. */
  readonly address?: Address
  /** Removes it, where it would be in the way of others. */
  dispose(): Promise<void>
}

/** A kind of stores. */
export interface Kind {
  readonly name: string
  make(): Promise<Store>
}

/** A store at an address. */
const at = (address: Address, dispose: () => Promise<void> = async () => {}): Store => ({
  open: () => openAt(address),
  address,
  dispose,
})

/** A driver that is not closed when its user is done with it. */
const kept = (driver: Driver): Driver => ({ ...driver, close: async () => {} })

/**
 * Starts what the kinds need.
 *
 * @param directory - where files go; the caller removes it
 * @returns the kinds that this machine has the parts for, and what ends the servers
 */
export async function startBackends(
  directory: string,
): Promise<{ readonly kinds: readonly Kind[]; stop(): Promise<void> }> {
  installFake()
  const endings: (() => Promise<unknown>)[] = []
  let names = 0
  const path = (suffix: string): string => join(directory, `${++names}${suffix}`)

  const kinds: Kind[] = [
    {
      name: 'memory',
      async make() {
        const driver = memory()
        return { open: async () => kept(driver), dispose: async () => {} }
      },
    },
    { name: 'sqlite', make: async () => at({ kind: 'sqlite', path: path('.db') }) },
    {
      name: 'indexeddb',
      async make() {
        const factory = new IDBFactory()
        return { open: async () => indexedDb({ name: 'a', indexedDB: factory }), dispose: async () => {} }
      },
    },
    { name: 'unstorage', make: async () => at({ kind: 'unstorage', directory: path('') }) },
    {
      name: 'remote',
      async make() {
        const server = await listen(createHandler(replay(memory()), { authorize: () => 'acme' }))
        return at({ kind: 'remote', url: server.url }, server.close)
      },
    },
  ]

  const bin = part('postgres')
  if (bin) {
    const server = await startPostgres({ bin, fsync: false })
    const admin = quiet(new pg.Pool({ connectionString: server.url, max: 1 }))
    endings.push(async () => {
      await admin.end()
      await server.stop()
    })
    kinds.push({
      name: 'postgres',
      async make() {
        const name = `s${++names}`
        await admin.query(`CREATE DATABASE ${name}`)
        const dispose = async () => void (await admin.query(`DROP DATABASE ${name} WITH (FORCE)`))
        return at({ kind: 'postgres', url: server.url.replace(/postgres$/, name) }, dispose)
      },
    })
  }
  if (part('redis')) {
    const redis = await startRedis()
    const { url, token, close } = await startUpstash({ redis: redis.url })
    endings.push(async () => {
      await close()
      await redis.stop()
    })
    kinds.push({
      name: 'upstash',
      make: async () => at({ kind: 'upstash', url, token, namespace: `s${randomUUID()}` }),
    })
  }
  return { kinds, stop: async () => void (await Promise.all(endings.map((end) => end()))) }
}
