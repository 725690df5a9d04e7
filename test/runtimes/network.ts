/**
 * Drivers that reach their servers by `fetch` alone, for the suite in any runtime. Time is the servers', so cases really
 * sleep.
 */
import { neon, neonConfig } from '@neondatabase/serverless'
import { Redis } from '@upstash/redis'
import { postgres } from '../../src/drivers/postgres/driver.ts'
import { upstash } from '../../src/drivers/upstash/driver.ts'
import { remote } from '../../src/served/http/index.ts'
import type { Harness } from '../../src/testing/index.ts'
import { EMPTY } from '../drivers/postgres/empty.ts'

/** Where they are: see servers.ts. */
export interface Servers {
  readonly upstash: { readonly url: string; readonly token: string }
  /** Neon's protocol in front of Postgres, and databases that nobody else uses, three for each case at once. */
  readonly neon: { readonly port: number; readonly databases: readonly string[] }
  /** A handler that takes for a tenant whatever the header says. */
  readonly remote: string
}

const name = (): string => crypto.randomUUID()

const overUpstash = ({ url, token }: Servers['upstash']): Harness => ({
  name: 'upstash over fetch',
  async create() {
    const namespace = name()
    const open = () => upstash({ redis: new Redis({ url, token, enableTelemetry: false }), namespace })
    return { driver: open(), reopen: async () => open() }
  },
})

function overNeon({ port, databases }: Servers['neon']): Harness {
  const free = [...databases]
  neonConfig.fetchEndpoint = (_, at) => `http://127.0.0.1:${at}/sql`
  return {
    name: 'postgres over fetch',
    async create() {
      const database = free.pop()
      if (database === undefined) throw new Error('There are not enough databases')
      const db = neon(`postgres://postgres:secret@db.localtest:${port}/${database}`)
      return {
        driver: postgres({ db }),
        reopen: async () => postgres({ db }),
        async dispose() {
          await db.query(EMPTY)
          free.push(database)
        },
      }
    },
  }
}

const overHttp = (url: string): Harness => ({
  name: 'http to another process',
  async create() {
    const headers = { authorization: name() }
    const open = () => remote({ url, headers, capabilities: { durability: 'none' } })
    return { driver: open(), reopen: async () => open() }
  },
})

/** All of them. */
export const networkHarnesses = (servers: Servers): readonly Harness[] => [
  overUpstash(servers.upstash),
  overNeon(servers.neon),
  overHttp(servers.remote),
]

/** Their names, for titles. */
export const NETWORK: readonly string[] = ['upstash over fetch', 'postgres over fetch', 'http to another process']
