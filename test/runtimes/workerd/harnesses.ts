/** What the suite goes over inside of workerd, each made for one case. */
import { createStorage } from 'unstorage'
import cloudflareKV from 'unstorage/drivers/cloudflare-kv-binding'
import type { Driver } from '../../../src/core/driver.ts'
import { type D1Database, d1 } from '../../../src/drivers/sqlite/d1.ts'
import { type DurableObjectStorage, durableObject } from '../../../src/drivers/sqlite/durable-object.ts'
import { unstorage } from '../../../src/drivers/unstorage/driver.ts'
import { remote } from '../../../src/served/http/index.ts'
import { type Backend, type Harness, cases, runCase } from '../../../src/testing/index.ts'
import { prefix } from '../../../src/wrappers/prefix.ts'
import { type Servers, networkHarnesses } from '../network.ts'

interface Stored {
  results: { type: string; name: string }[]
}
type Binding = Pick<D1Database, 'batch'> & {
  prepare(query: string): ReturnType<D1Database['prepare']> & { all(): Promise<Stored> }
}
interface Fetcher {
  fetch(url: string | Request, init?: RequestInit): Promise<Response>
}
export interface Env {
  readonly OBJECT: { idFromName(name: string): unknown; get(id: unknown): Fetcher }
  readonly KV: Parameters<typeof cloudflareKV>[0]['binding']
  readonly OTHER: Fetcher
  readonly SERVERS?: Servers
  readonly [database: `DB${number}`]: Binding
}

const ENTRIES = 'SELECT * FROM holdfast_entries ORDER BY part, key'
/** A case needs one database, and at times a second and a third. */
export const DATABASES_PER_LANE = 3

const START = Date.UTC(2026, 0, 1)

/** What a case came to, as an answer. */
export async function outcomeOf(id: string, harness: Harness): Promise<Response> {
  try {
    await runCase(
      cases.find((it) => it.id === id)!,
      harness,
    )
    return Response.json({})
  } catch (error) {
    return Response.json({ error: (error as Error).stack ?? String(error) })
  }
}

/** Takes away everything that an earlier case has left. */
async function clear(db: Binding): Promise<void> {
  const find = `SELECT type, name FROM sqlite_schema WHERE name LIKE 'holdfast_%' AND type IN ('table', 'view')
    ORDER BY type = 'table'`
  const { results } = await db.prepare(find).all()
  if (results.length > 0) await db.batch(results.map(({ type, name }) => db.prepare(`DROP ${type} ${name}`)))
}

function overD1(env: Env): Harness {
  let made = 0
  return {
    name: 'd1',
    async create() {
      const db = env[`DB${made++ % DATABASES_PER_LANE}`]!
      await clear(db)
      return {
        driver: d1({ db }),
        reopen: async () => d1({ db }),
        dump: async () => (await db.prepare(ENTRIES).all()).results,
      }
    },
  }
}

const overKv = ({ KV: binding }: Env): Harness => ({
  name: 'unstorage',
  async create() {
    let time = START
    const base = crypto.randomUUID().replaceAll('-', '')
    const storage = createStorage({ driver: cloudflareKV({ binding }) })
    const open = (): Driver => unstorage({ storage, base, singleWriter: true, clock: () => time })
    return { driver: open(), reopen: async () => open(), advance: (ms) => void (time += ms) }
  },
})

/** The other Worker keeps each database in an object of its own, and takes the time from the request. */
const overBinding = ({ OTHER }: Env): Harness => ({
  name: 'http',
  async create() {
    let time = START
    const url = `http://other/${crypto.randomUUID()}`
    const fetch = (to: string, init: RequestInit = {}): Promise<Response> =>
      OTHER.fetch(to, { ...init, headers: { ...(init.headers as Record<string, string>), time: String(time) } })
    const open = (): Driver => remote({ url, fetch })
    return { driver: open(), reopen: async () => open(), advance: (ms) => void (time += ms) }
  },
})

function overServers({ SERVERS: servers }: Env, lane: number, which: number): Harness {
  if (!servers) throw new Error('There are no servers')
  const { databases } = servers.neon
  const own = databases.slice(lane * DATABASES_PER_LANE, (lane + 1) * DATABASES_PER_LANE)
  return networkHarnesses({ ...servers, neon: { ...servers.neon, databases: own } })[which]!
}

/** By the path of the request; those of a Durable Object are made inside of it. */
export const HARNESSES: Readonly<Record<string, (env: Env, lane: number) => Harness>> = {
  '/d1': overD1,
  '/kv': overKv,
  '/binding': overBinding,
  '/upstash': (env, lane) => overServers(env, lane, 0),
  '/postgres': (env, lane) => overServers(env, lane, 1),
}

export function overObject(storage: DurableObjectStorage, replayWindow: number): Harness {
  let made = 0
  return {
    name: 'durable-object',
    async create(): Promise<Backend> {
      let time = START
      const open = (): Driver => durableObject({ storage, clock: () => time, replayWindow })
      const advance = (ms: number): void => void (time += ms)
      // An object has one database; a case that wants another one gets a corner of it.
      if (made++ > 0) {
        const { capabilities } = open()
        // Capabilities are constants, and what the corner adds to keys is not the driver's.
        return { driver: { ...prefix(open(), `another ${made}`), capabilities }, advance }
      }
      return {
        driver: open(),
        reopen: async () => open(),
        advance,
        dump: async () => [...storage.sql.exec(ENTRIES).raw()],
      }
    },
  }
}
