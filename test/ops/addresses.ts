/** Stores that outlive the processes that use them. What one kind needs is loaded when it is opened. */
import type { Driver } from '../../src/core/driver.ts'

/** Where a store is that outlives the processes that use it; it survives being put into JSON. */
export type Address =
  | { readonly kind: 'sqlite'; readonly path: string }
  | { readonly kind: 'postgres'; readonly url: string }
  | { readonly kind: 'upstash'; readonly url: string; readonly token: string; readonly namespace: string }
  | { readonly kind: 'unstorage'; readonly directory: string }
  | { readonly kind: 'remote'; readonly url: string }

/** Opens a store from any process. */
export async function openAt(address: Address): Promise<Driver> {
  if (address.kind === 'remote') {
    const { remote } = await import('../../src/http/index.ts')
    return remote({ url: address.url, capabilities: { durability: 'none' } })
  }
  switch (address.kind) {
    case 'sqlite': {
      const { sqlite } = await import('../../src/drivers/sqlite/better-sqlite3.ts')
      return sqlite({ path: address.path })
    }
    case 'postgres': {
      const { default: pg } = await import('pg')
      const { postgres } = await import('../../src/drivers/postgres/driver.ts')
      const pool = new pg.Pool({ connectionString: address.url, max: 4 })
      const driver = postgres({ db: pool })
      return { ...driver, close: async () => (await driver.close(), pool.end()) }
    }
    case 'upstash': {
      const { Redis } = await import('@upstash/redis')
      const { upstash } = await import('../../src/drivers/upstash/driver.ts')
      const { url, token, namespace } = address
      return upstash({ redis: new Redis({ url, token, enableTelemetry: false }), namespace })
    }
    case 'unstorage': {
      const { createStorage } = await import('unstorage')
      const { default: fsLite } = await import('unstorage/drivers/fs-lite')
      const { unstorage } = await import('../../src/drivers/unstorage/driver.ts')
      return unstorage({ storage: createStorage({ driver: fsLite({ base: address.directory }) }), singleWriter: true })
    }
  }
}
