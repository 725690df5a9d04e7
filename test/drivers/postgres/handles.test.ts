/** Further handles, and a pooler in between: a slice of the driver's cases each, as what differs is the way there. */
import { drizzle as drizzleNeon } from 'drizzle-orm/neon-http'
import { drizzle as drizzlePostgresJs } from 'drizzle-orm/postgres-js'
import { drizzle as drizzleProxy } from 'drizzle-orm/pg-proxy'
import pg from 'pg'
import postgresJs from 'postgres'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { postgres } from '../../../src/drivers/postgres/driver.ts'
import { cases } from '../../../src/testing/index.ts'
import { part } from '../../support/parts.ts'
import { type Pooler, startPooler } from './pooler.ts'
import { bin, type Connection, type Database, overServer, suiteOver } from './support.ts'

/** One in so many. */
const CASES = 12
const which = cases.filter(({ group }) => group === 'driver').filter((_, i) => i % CASES === 0)

describe.skipIf(!bin)('over a real server', () => {
  const real = overServer()

  const over = (name: string, open: (database: Database) => Connection): void =>
    suiteOver(() => real.pool, { name, which, open })
  const nothing = async (): Promise<void> => {}

  over('drizzle and SQL over HTTP', ({ url }) => ({
    db: drizzleNeon({ client: real.neon.open(url.split('/').at(-1)!) }),
    end: nothing,
  }))

  over('drizzle and postgres.js', ({ url }) => {
    const client = postgresJs(url, { max: 4 })
    return { db: drizzlePostgresJs({ client }), end: () => client.end() }
  })

  over('drizzle and a proxy', (database) => ({
    db: drizzleProxy(async (text, values) => ({
      rows: (await database.pool.query<unknown[]>({ text, values, rowMode: 'array' })).rows,
    })),
    end: nothing,
  }))

  describe.skipIf(!part('pgbouncer'))('through a transaction pooler', () => {
    let pooler: Pooler
    beforeAll(async () => {
      pooler = await startPooler(part('pgbouncer')!, real.server)
    })
    afterAll(() => pooler.stop())

    over('pg and a transaction pooler', ({ url }) => {
      const db = new pg.Pool({ connectionString: pooler.through(url), max: 4 })
      return { db, end: () => db.end() }
    })

    over('postgres.js and a transaction pooler', ({ url }) => {
      // What it asks on its own behalf would be a prepared statement, which poolers of this kind do not know.
      const db = postgresJs(pooler.through(url), { max: 4, prepare: false })
      return { db, end: () => db.end() }
    })

    test('nothing is left in a connection that others go on with', async () => {
      const database = await real.pool.take()
      const db = new pg.Pool({ connectionString: pooler.through(database.url), max: 4 })
      onTestFinished(async () => {
        await db.end()
        await real.pool.giveBack(database)
      })
      const driver = postgres({ db })
      await driver.open()
      const commit = (id: string, durability: 'strict' | 'relaxed') => ({
        id,
        commits: [{ id, checks: [], ops: [{ put: { part: 'p', key: id }, value: 'v' }], durability }],
      })
      await Promise.all(
        Array.from({ length: 8 }, (_, i) => driver.commit(commit(`c${i}`, i % 2 ? 'strict' : 'relaxed'))),
      )
      const left = `SELECT (SELECT count(*)::int FROM pg_prepared_statements) AS statements,
        (SELECT count(*)::int FROM pg_locks WHERE locktype = 'advisory') AS locks,
        current_setting('synchronous_commit') AS durability`
      const found = await Promise.all(Array.from({ length: 8 }, async () => (await db.query(left)).rows[0] as unknown))
      for (const it of found) expect(it).toEqual({ statements: 0, locks: 0, durability: 'on' })
    })
  })
})
