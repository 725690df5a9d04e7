/** The conformance suite over the handles that users have: all of it where that is quick, the driver's part elsewhere. */
import { drizzle as drizzleNodePostgres } from 'drizzle-orm/node-postgres'
import pg from 'pg'
import postgresJs from 'postgres'
import { afterAll, beforeAll, describe, it } from 'vitest'
import type { Driver } from '../../../src/core/driver.ts'
import { type PostgresHandle, postgres } from '../../../src/drivers/postgres/driver.ts'
import type { PostgresServer } from '../../../src/dev/postgres-server.ts'
import { type Case, type Harness, cases } from '../../../src/testing/index.ts'
import { register } from '../../../src/testing/suite.ts'
import { type Database, bin, databases, embedded, neonOver, start } from './support.ts'

/** Time is the server's and cases really sleep, so they sleep at the same time. */
const runner = { describe, it: it.concurrent }

/** What has expired is absent, whether it was swept yet or not. */
const DUMP = `SELECT part, key, version, text FROM holdfast_entries
  WHERE expires_at IS NULL OR expires_at > extract(epoch FROM clock_timestamp()) * 1000 ORDER BY part, key`

const ofTheDriver = cases.filter((c) => c.group === 'driver')

/** A handle on a database, and its end. */
interface Connection {
  readonly db: PostgresHandle
  end(): Promise<unknown>
}

describe.skipIf(!bin)('over a real server', () => {
  let server: PostgresServer
  let pool: ReturnType<typeof databases>
  let neon: Awaited<ReturnType<typeof neonOver>>

  beforeAll(async () => {
    server = await start()
    pool = databases(server)
    neon = await neonOver(server)
  })
  afterAll(async () => {
    await neon.end()
    await pool.end()
    await server.stop()
  })

  function suite(name: string, which: readonly Case[], open: (database: Database) => Connection): void {
    /** Connections are kept with their database: making one takes longer than most cases. */
    const kept = new Map<Database, Connection[]>()
    afterAll(() => Promise.all([...kept.values()].flat().map((connection) => connection.end())))
    const harness: Harness = {
      name: `postgres over ${name}`,
      async create() {
        const database = await pool.take()
        const connections = kept.get(database) ?? []
        kept.set(database, connections)
        let used = 0
        const next = (): Driver => {
          if (used === connections.length) connections.push(open(database))
          return postgres({ db: connections[used++]!.db })
        }
        return {
          driver: next(),
          reopen: async () => next(),
          dump: async () => (await database.pool.query(DUMP)).rows,
          dispose: () => pool.giveBack(database),
        }
      },
    }
    register(which, { harness, ...runner })
  }

  suite('drizzle and a pool of pg', cases, ({ url }) => {
    const client = new pg.Pool({ connectionString: url, max: 4 })
    return { db: drizzleNodePostgres(client), end: () => client.end() }
  })

  suite('SQL over HTTP by @neondatabase/serverless', cases, ({ url }) => ({
    db: neon.open(url.split('/').at(-1)!),
    end: async () => {},
  }))

  suite('postgres.js', ofTheDriver, ({ url }) => {
    const db = postgresJs(url, { max: 4 })
    return { db, end: () => db.end() }
  })

  suite('a function', ofTheDriver, ({ pool }) => ({
    db: async (text, params) => (await pool.query(text, params)).rows,
    end: async () => {},
  }))
})

describe('embedded', () => {
  const pool = embedded()
  // Starting one takes seconds, and many where the machine is busy.
  beforeAll(async () => pool.giveBack(await pool.take()), 120_000)
  afterAll(() => pool.end())
  const harness: Harness = {
    name: 'postgres over PGlite',
    async create() {
      const db = await pool.take()
      return {
        driver: postgres({ db }),
        reopen: async () => postgres({ db }),
        dispose: () => pool.giveBack(db),
      }
    },
  }
  // Its one connection makes nothing concurrent, and another database takes a second to start.
  register(ofTheDriver, { harness, describe, it })
})
