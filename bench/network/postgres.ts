/** Who takes part on PostgreSQL. */
import { DBOS } from '@dbos-inc/dbos-sdk'
import { PostgresSaver } from '@langchain/langgraph-checkpoint-postgres'
import { uuid6 } from '@langchain/langgraph-checkpoint'
import { neon, neonConfig } from '@neondatabase/serverless'
import { createHoldfast } from 'holdfast'
import { overPools, startNeon, startPostgres } from 'holdfast/dev'
import { postgres } from 'holdfast/postgres'
import pg from 'pg'
import { part } from '../../scripts/parts.ts'
import { RUN, documentOf, eventOf, nameOf } from '../data.ts'
import { checkpoint, metadata, thread } from '../subjects/langgraph.ts'
import type { Subject } from '../subjects/subject.ts'
import { type Proxy, proxyTo } from './proxy.ts'
import { type NetworkOpened, SURVIVES, ours } from './subject.ts'

/** Connections of each client: what hosted databases give. */
const CONNECTIONS = 10

const HOLDFAST = 'holdfast over pg'
const RAW = 'raw pg'
/** An append, as ours does one, in a statement instead of a function. */
export const CTE = 'one CTE'
const APPEND = `WITH locked AS MATERIALIZED (SELECT pg_advisory_xact_lock(hashtextextended($1, 0)) IS NULL AS is_had),
  last AS (SELECT coalesce(max(right(e.key, 16)::bigint), 0) AS seq FROM locked LEFT JOIN LATERAL (
    SELECT key FROM entry WHERE part = $1 ORDER BY part DESC, key DESC LIMIT 1) AS e ON true),
  kept AS (INSERT INTO request VALUES ($2, now()) ON CONFLICT DO NOTHING RETURNING id)
  INSERT INTO entry SELECT $1, lpad((seq + 1)::text, 16, '0'), kept.id, $3 FROM last, kept RETURNING key`

/** A server with subjects, each on a database of its own. */
export interface Field {
  readonly proxies: readonly Proxy[]
  readonly subjects: readonly Subject[]
  /** Makes an empty database of this name; answers its URL without the proxy. */
  create(name: string): Promise<string>
  end(): Promise<void>
}

/** Starts PostgreSQL and what speaks Neon's protocol in front of it. */
export async function startField(): Promise<Field> {
  const server = await startPostgres({ bin: part('postgres')!, settings: { max_connections: 300 } })
  const admin = new pg.Pool({ connectionString: server.url, max: 1 })
  const pools = new Map<string, pg.Pool>()
  const http = await startNeon(
    overPools(({ pathname }) => {
      const connectionString = `postgres://postgres@127.0.0.1:${server.port}${pathname}`
      const pool = pools.get(pathname) ?? new pg.Pool({ connectionString, max: CONNECTIONS })
      pools.set(pathname, pool)
      return pool
    }),
  )
  const tcp = await proxyTo(server.port)
  const web = await proxyTo(http.port)
  neonConfig.fetchEndpoint = (_, port) => `http://127.0.0.1:${port}/sql`

  const nameOfPlace = (place: string): string => place.split('/').at(-1)!.replaceAll(/\W/g, '_')
  async function create(place: string): Promise<string> {
    const name = nameOfPlace(place)
    await admin.query(`CREATE DATABASE "${name}"`)
    return `postgres://postgres@127.0.0.1:${tcp.port}/${name}`
  }
  const poolOf = async (place: string): Promise<pg.Pool> =>
    new pg.Pool({ connectionString: await create(place), max: CONNECTIONS })

  const raw: Subject = {
    name: RAW,
    survives: SURVIVES,
    async open(place): Promise<NetworkOpened> {
      const pool = await poolOf(place)
      await pool.query('CREATE TABLE log (seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, event jsonb NOT NULL)')
      await pool.query('CREATE TABLE item (name text PRIMARY KEY, value jsonb NOT NULL)')
      await pool.query('CREATE TABLE claim (task text PRIMARY KEY, worker text NOT NULL, until timestamptz NOT NULL)')
      const set = `INSERT INTO item VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value`
      const claim = `INSERT INTO claim VALUES ($1, 'w', clock_timestamp() + interval '1 minute') ON CONFLICT DO NOTHING`
      return {
        append: (n) => pool.query('INSERT INTO log (event) VALUES ($1) RETURNING seq', [eventOf(n)]),
        set: (n) => pool.query(set, [nameOf(n), documentOf(n)]),
        get: async (n) =>
          (await pool.query<{ value: unknown }>('SELECT value FROM item WHERE name = $1', [nameOf(n)])).rows[0]!.value,
        load: async () => (await pool.query('SELECT event FROM log ORDER BY seq')).rows.length,
        claim: (n) => pool.query(claim, [String(n)]),
        save: (n) => pool.query(set, [RUN, documentOf(n)]),
        ping: () => pool.query('SELECT 1'),
        close: () => pool.end(),
      }
    },
  }

  const cte: Subject = {
    name: CTE,
    survives: SURVIVES,
    async open(place): Promise<NetworkOpened> {
      const pool = await poolOf(place)
      const name = 'text COLLATE "C" NOT NULL'
      await pool.query(
        `CREATE TABLE entry (part ${name}, key ${name}, version ${name}, text text, PRIMARY KEY (part, key))`,
      )
      await pool.query(`CREATE TABLE request (id ${name} PRIMARY KEY, at timestamptz NOT NULL)`)
      return {
        append: (n) => pool.query(APPEND, [RUN, `${n}`, JSON.stringify(eventOf(n))]),
        ...missing(CTE),
        close: () => pool.end(),
      }
    },
  }

  const langgraph: Subject = {
    name: 'LangGraph PostgresSaver',
    survives: SURVIVES,
    async open(place): Promise<NetworkOpened> {
      const pool = await poolOf(place)
      const saver = new PostgresSaver(pool)
      await saver.setup()
      const only = uuid6(0)
      const put = (id: string, name: string, value: unknown) =>
        saver.put(thread(name), checkpoint(id, value), metadata(0), { value: 1 })
      const append = async (n: number): Promise<void> => {
        const last = await put(uuid6(n), RUN, eventOf(n))
        await saver.putWrites(last, [['value', eventOf(n)]], 'task')
      }
      return {
        append,
        set: (n) => put(only, nameOf(n), documentOf(n)),
        get: async (n) => (await saver.getTuple(thread(nameOf(n))))!.checkpoint.channel_values['value'],
        save: (n) => put(uuid6(n), RUN, documentOf(n)),
        async load() {
          let count = 0
          for await (const _ of saver.list(thread(RUN))) count++
          return count
        },
        close: () => pool.end(),
      }
    },
  }

  const dbos: Subject = {
    name: 'DBOS steps',
    survives: SURVIVES,
    open: async (place): Promise<NetworkOpened> => openDbos(await create(place)),
  }

  const subjects: Subject[] = [
    raw,
    ours(HOLDFAST, async (place) => {
      const pool = await poolOf(place)
      const stores = createHoldfast({ driver: postgres({ db: pool, timeout: 60_000 }) })
      const close = async () => (await stores.close(), await pool.end())
      return { ...stores, ping: () => pool.query('SELECT 1'), close }
    }),
    ours('holdfast over HTTP', async (place) => {
      await create(place)
      const db = neon(`postgres://postgres:x@db.localtest:${web.port}/${nameOfPlace(place)}`)
      const stores = createHoldfast({ driver: postgres({ db, timeout: 60_000 }) })
      return { ...stores, ping: () => db.query('SELECT 1') }
    }),
    langgraph,
    dbos,
    cte,
  ]
  return {
    proxies: [tcp, web],
    subjects,
    create,
    async end() {
      for (const it of [tcp, web]) it.close()
      await http.close()
      await Promise.all([admin.end(), ...[...pools.values()].map((pool) => pool.end())])
      await server.stop()
    },
  }
}

/** The calls that a row has no use for. */
function missing(name: string): Pick<NetworkOpened, 'set' | 'get' | 'load'> {
  const none = (): never => {
    throw new Error(`${name} has no such call`)
  }
  return { set: none, get: none, load: none }
}

interface Job {
  readonly n: number
  done(): void
}

let jobs: { take(): Promise<Job | undefined>; put(job: Job | undefined): void }

function queue(): typeof jobs {
  const waiting: (Job | undefined)[] = []
  let wake: (() => void) | undefined
  return {
    async take() {
      while (waiting.length === 0) await new Promise<void>((resolve) => (wake = resolve))
      return waiting.shift()
    },
    put(job) {
      waiting.push(job)
      wake?.()
    },
  }
}

async function step({ n, done }: Job): Promise<void> {
  await DBOS.runStep(async () => eventOf(n), { name: 'append' })
  done()
}

/** One workflow that makes a step of each event it is given, side by side where they come so. */
const workflow = DBOS.registerWorkflow(
  async () => {
    for (let job = await jobs.take(); job; job = await jobs.take()) {
      void step(job)
    }
  },
  { name: 'bench' },
)

async function openDbos(systemDatabaseUrl: string): Promise<NetworkOpened> {
  const quiet = (): void => {}
  const logger = { info: quiet, debug: quiet, warn: quiet, error: quiet }
  DBOS.setConfig({ name: 'bench', systemDatabaseUrl, systemDatabasePoolSize: CONNECTIONS, logger })
  await DBOS.launch()
  jobs = queue()
  const running = await DBOS.startWorkflow(workflow)()
  const append = (n: number): Promise<void> => new Promise((done) => jobs.put({ n, done }))
  return {
    append,
    ...missing('DBOS'),
    async close() {
      jobs.put(undefined)
      await running.getResult()
      await DBOS.shutdown()
    },
  }
}
