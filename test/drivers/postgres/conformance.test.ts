/** The conformance suite over the handles that users have: all of it where that is quick, the driver's part elsewhere. */
import { drizzle as drizzleNodePostgres } from 'drizzle-orm/node-postgres'
import pg from 'pg'
import postgresJs from 'postgres'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { postgres } from '../../../src/drivers/postgres/driver.ts'
import { type Case, type Harness, cases } from '../../../src/testing/index.ts'
import { register } from '../../../src/testing/suite.ts'
import { costly, driverSlice, slice, thinSlice } from '../../support/slice.ts'
import { bin, type Connection, type Database, databases, embedded, overServer, suiteOver } from './support.ts'

describe.skipIf(!bin)('over a real server', () => {
  const real = overServer()

  const suite = (name: string, which: readonly Case[], open: (database: Database) => Connection): void =>
    suiteOver(() => real.pool, { name, which, open })

  suite('drizzle and a pool of pg', costly, ({ url }) => {
    const client = new pg.Pool({ connectionString: url, max: 4 })
    return { db: drizzleNodePostgres(client), end: () => client.end() }
  })

  suite('SQL over HTTP by @neondatabase/serverless', slice, ({ url }) => ({
    db: real.neon.open(url.split('/').at(-1)!),
    end: async () => {},
  }))

  suite('postgres.js', driverSlice, ({ url }) => {
    const db = postgresJs(url, { max: 4 })
    return { db, end: () => db.end() }
  })

  suite('a function', driverSlice, ({ pool }) => ({
    db: async (text, params) => (await pool.query(text, params)).rows,
    end: async () => {},
  }))

  describe('whose clock can be moved', () => {
    let pool: ReturnType<typeof databases>
    beforeAll(() => {
      pool = databases(real.server, 'moved')
    })
    afterAll(() => pool.end())
    suiteOver(() => pool, {
      name: 'pg, as time goes by',
      which: cases.filter(({ id }) => id.startsWith('DR-8')),
      hasClock: true,
      open({ url }) {
        const db = new pg.Pool({ connectionString: url, max: 4 })
        return { db, end: () => db.end() }
      },
    })
  })

  describe('in partitions', () => {
    let pool: ReturnType<typeof databases>
    beforeAll(() => {
      pool = databases(real.server, 'partitioned')
    })
    afterAll(() => pool.end())
    suiteOver(() => pool, {
      name: 'pg, in four partitions',
      which: thinSlice,
      options: { partitions: 4 },
      open({ url }) {
        const db = new pg.Pool({ connectionString: url, max: 4 })
        return { db, end: () => db.end() }
      },
    })
    it('has spread the entries over them', async () => {
      const database = await pool.take()
      const { rows } = await database.pool.query(`SELECT count(*)::int AS partitions FROM pg_inherits
        WHERE inhparent = 'holdfast_entries'::regclass`)
      await pool.giveBack(database)
      expect(rows).toEqual([{ partitions: 4 }])
    })
  })
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
  register(driverSlice, { harness, describe, it })
})
