/** Stores that outlive the processes that use them. What one kind needs is loaded when it is opened. */
import type { Driver } from '../../src/core/driver.ts'

/** Where a store is that outlives the processes that use it; it survives being put into JSON. */
export type Address =
  | { readonly kind: 'sqlite'; readonly path: string }
  | { readonly kind: 'postgres'; readonly url: string }
  | { readonly kind: 'upstash'; readonly url: string; readonly token: string; readonly namespace: string }
  | { readonly kind: 'unstorage'; readonly directory: string }
  | { readonly kind: 'remote'; readonly url: string }

type Openers = { readonly [K in Address['kind']]: (address: Extract<Address, { readonly kind: K }>) => Promise<Driver> }

const OPENERS: Openers = {
  async sqlite({ path }) {
    const { betterSqlite3Engine } = await import('../support/engines.ts')
    return betterSqlite3Engine.make(path)
  },
  async postgres({ url }) {
    const { default: pg } = await import('pg')
    const { postgres } = await import('../../src/drivers/postgres/driver.ts')
    const { quiet } = await import('../support/quiet.ts')
    const pool = quiet(new pg.Pool({ connectionString: url, max: 4 }))
    const driver = postgres({ db: pool })
    return { ...driver, close: async () => (await driver.close(), pool.end()) }
  },
  async upstash({ url, token, namespace }) {
    const { Redis } = await import('@upstash/redis')
    const { upstash } = await import('../../src/drivers/upstash/driver.ts')
    return upstash({ redis: new Redis({ url, token, enableTelemetry: false }), namespace })
  },
  async unstorage({ directory }) {
    const { createStorage } = await import('unstorage')
    const { default: fsLite } = await import('unstorage/drivers/fs-lite')
    const { unstorage } = await import('../../src/drivers/unstorage/driver.ts')
    return unstorage({ storage: createStorage({ driver: fsLite({ base: directory }) }), singleWriter: true })
  },
  async remote({ url }) {
    const { remote } = await import('../../src/served/http/index.ts')
    return remote({ url, capabilities: { durability: 'none' } })
  },
}

/** Opens a store from any process. */
export const openAt = (address: Address): Promise<Driver> =>
  (OPENERS[address.kind] as (address: Address) => Promise<Driver>)(address)
