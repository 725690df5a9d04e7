/** What the Postgres suites share: a server, databases that are used again, and handles of every kind. */
import { PGlite } from '@electric-sql/pglite'
import { neon, neonConfig } from '@neondatabase/serverless'
import pg from 'pg'
import { afterAll, beforeAll, describe, it } from 'vitest'
import type { Driver } from '../../../src/core/driver.ts'
import { overPools, startNeon } from '../../../src/dev/neon.ts'
import { type PostgresServer, startPostgres } from '../../../src/dev/postgres-server.ts'
import { type PostgresHandle, type PostgresOptions, postgres } from '../../../src/drivers/postgres/driver.ts'
import type { Case, Harness } from '../../../src/testing/index.ts'
import { register } from '../../../src/testing/suite.ts'
import { part } from '../../support/parts.ts'
import { quiet } from '../../support/quiet.ts'
import { EMPTY } from './empty.ts'

/** The directory of PostgreSQL's programs; `undefined` where the suites that need it are skipped. */
export const bin = part('postgres')

/** Starts the real thing; what is lost with the machine does not matter here. */
export const start = (settings: Record<string, string | number> = {}): Promise<PostgresServer> =>
  startPostgres({ bin: bin!, fsync: false, settings: { max_connections: 200, ...settings } })

/** A database of its own, for as long as nobody else has it. */
export interface Database {
  readonly url: string
  /** A connection past the driver. */
  readonly pool: pg.Pool
}

const NOW = 'floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint'
const FUNCTIONS = `SELECT pg_get_functiondef(p.oid) AS text FROM pg_proc AS p
  WHERE p.proname IN ('holdfast_read', 'holdfast_commit')`

/** Makes the functions of a database take the time from elsewhere: an expression, made of the one for the real time. */
export async function replaceClock(db: pg.Pool, clock: (real: string) => string): Promise<void> {
  const { rows } = await db.query<{ text: string }>(FUNCTIONS)
  for (const { text } of rows) {
    if (!text.includes(NOW)) throw new Error('The function no longer asks for the time')
    await db.query(text.replaceAll(NOW, clock(NOW)))
  }
}

/** Databases of one server, by what their names begin with. Making one takes long, so they are emptied and used again. */
export function databases(server: PostgresServer, prefix = 'test') {
  const free: Database[] = []
  const all: Database[] = []
  const admin = new pg.Pool({ connectionString: server.url, max: 1 })
  return {
    async take(): Promise<Database> {
      const ready = free.pop()
      if (ready) return ready
      const name = `${prefix}_${all.length}`
      const url = server.url.replace(/postgres$/, name)
      const database = { url, pool: new pg.Pool({ connectionString: url, max: 8 }) }
      all.push(database)
      await admin.query(`CREATE DATABASE ${name}`)
      return database
    },
    async giveBack(database: Database): Promise<void> {
      await database.pool.query(EMPTY)
      free.push(database)
    },
    async end(): Promise<void> {
      await Promise.all([admin.end(), ...all.map(({ pool }) => pool.end())])
    },
  }
}

/** A real server for a group of tests, its databases, and Neon's protocol in front of it: there once the group begins. */
export function overServer() {
  const real = {} as {
    server: PostgresServer
    pool: ReturnType<typeof databases>
    neon: Awaited<ReturnType<typeof neonOver>>
  }
  beforeAll(async () => {
    real.server = await start()
    real.pool = databases(real.server)
    real.neon = await neonOver(real.server)
  })
  afterAll(async () => {
    await real.neon.end()
    await real.pool.end()
    await real.server.stop()
  })
  return real
}

/** A handle on a database, and its end. */
export interface Connection {
  readonly db: PostgresHandle
  end(): Promise<unknown>
}

/** What has expired is absent, whether it was swept yet or not. */
const DUMP = `SELECT part, key, version, text FROM holdfast_entries
  WHERE expires_at IS NULL OR expires_at > extract(epoch FROM clock_timestamp()) * 1000 ORDER BY part, key`

/** Makes a clock in a database that can be moved. */
async function giveClock({ pool }: Database): Promise<void> {
  const { rowCount } = await pool.query(`SELECT FROM pg_class WHERE relname = 'test_clock'`)
  if (rowCount) return
  await postgres({ db: pool }).open()
  await pool.query('CREATE TABLE test_clock AS SELECT 0::bigint AS ahead')
  await replaceClock(pool, (real) => `(${real} + (SELECT ahead FROM test_clock))`)
}

/** A kind of handle, and what goes over it. */
interface SuiteOver {
  readonly name: string
  readonly which: readonly Case[]
  readonly open: (database: Database) => Connection
  /** Of the driver, besides the handle. */
  readonly options?: Omit<PostgresOptions, 'db'>
  /** Whether cases can move the clock. */
  readonly hasClock?: boolean
}

/** Registers cases over one kind of handle. */
export function suiteOver(
  pool: () => ReturnType<typeof databases>,
  { name, which, open, options, hasClock = false }: SuiteOver,
): void {
  /** Connections are kept with their database: making one takes longer than most cases. */
  const kept = new Map<Database, Connection[]>()
  afterAll(() => Promise.all([...kept.values()].flat().map((connection) => connection.end())))
  const harness: Harness = {
    name: `postgres over ${name}`,
    async create() {
      const database = await pool().take()
      if (hasClock) await giveClock(database)
      const connections = kept.get(database) ?? []
      kept.set(database, connections)
      let used = 0
      const next = (): Driver => {
        if (used === connections.length) connections.push(open(database))
        return postgres({ ...options, db: connections[used++]!.db })
      }
      return {
        driver: next(),
        reopen: async () => next(),
        dump: async () => (await database.pool.query(DUMP)).rows,
        dispose: () => pool().giveBack(database),
        ...(hasClock && {
          advance: async (ms) => void (await database.pool.query('UPDATE test_clock SET ahead = ahead + $1', [ms])),
        }),
      }
    },
  }
  // Time is the server's and cases really sleep, so they sleep at the same time.
  register(which, { harness, describe, it: it.concurrent })
}

/** Embedded databases, used again in the same way. */
export function embedded() {
  const free: PGlite[] = []
  return {
    // Its start may take longer than the driver waits for an answer.
    take: async () => free.pop() ?? PGlite.create(),
    async giveBack(db: PGlite): Promise<void> {
      await db.exec(EMPTY)
      free.push(db)
    },
    end: () => Promise.all(free.map((db) => db.close())),
  }
}

/** The server that speaks Neon's protocol, in front of a real one, and handles of Neon's own client on it. */
export async function neonOver(server: PostgresServer) {
  neonConfig.fetchEndpoint = (_, port) => `http://127.0.0.1:${port}/sql`
  const pools = new Map<string, pg.Pool>()
  const http = await startNeon(
    overPools(({ username, pathname }) => {
      const name = username + pathname
      const connectionString = `postgres://${username}@127.0.0.1:${server.port}${pathname}`
      const pool = pools.get(name) ?? new pg.Pool({ connectionString, max: 8 })
      if (!pools.has(name)) pools.set(name, quiet(pool))
      return pool
    }),
  )
  return {
    http,
    /** A handle on the database of this name. */
    open: (database: string) => neon(`postgres://postgres:secret@db.localtest:${http.port}/${database}`),
    async end(): Promise<void> {
      await http.close()
      await Promise.all([...pools.values()].map((pool) => pool.end()))
    },
  }
}
