/** Serialization failures and deadlocks: the server really raises them in the middle of a request, and no caller notices. */
import { drizzle } from 'drizzle-orm/node-postgres'
import pg from 'pg'
import postgresJs from 'postgres'
import { describe, expect, onTestFinished, test } from 'vitest'
import { postgres } from '../../../src/drivers/postgres/driver.ts'
import { createHoldfast } from '../../../src/holdfast.ts'
import { type Connection, type Database, bin, overServer } from './support.ts'

/** Sequences are not rolled back: one counts what was written, the other what was raised. */
const contended = (state: string): string => `
  CREATE SEQUENCE writes;
  CREATE SEQUENCE raised;
  CREATE FUNCTION raise_once() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF nextval('writes') = 2 THEN
      PERFORM nextval('raised');
      RAISE EXCEPTION 'contended' USING ERRCODE = '${state}';
    END IF;
    RETURN NULL;
  END $$;
  CREATE TRIGGER contended AFTER INSERT ON holdfast_entries FOR EACH STATEMENT EXECUTE FUNCTION raise_once()`

const NO_LONGER = 'DROP FUNCTION raise_once CASCADE; DROP SEQUENCE writes, raised'

describe.skipIf(!bin)('on a real server', () => {
  const real = overServer()

  const handles: readonly [string, (database: Database) => Connection][] = [
    [
      'pg',
      ({ url }) => {
        const db = new pg.Pool({ connectionString: url, max: 2 })
        return { db, end: () => db.end() }
      },
    ],
    [
      'drizzle',
      ({ url }) => {
        const client = new pg.Pool({ connectionString: url, max: 2 })
        return { db: drizzle(client), end: () => client.end() }
      },
    ],
    [
      'postgres.js',
      ({ url }) => {
        const db = postgresJs(url, { max: 2 })
        return { db, end: () => db.end() }
      },
    ],
    ['SQL over HTTP', ({ url }) => ({ db: real.neon.open(url.split('/').at(-1)!), end: async () => {} })],
  ]

  describe.each(handles)('over %s', (_, open) => {
    test.each([
      ['a serialization failure', '40001'],
      ['a deadlock', '40P01'],
    ])('%s is tried again: the effect is there once', async (_what, state) => {
      const database = await real.pool.take()
      const { db, end } = open(database)
      onTestFinished(async () => {
        await end()
        await database.pool.query(NO_LONGER)
        await real.pool.giveBack(database)
      })
      const { state: values, persistence } = createHoldfast({ driver: postgres({ db }) })
      const event = { runId: 'r1', workflow: 'w', kind: 'paid' }
      await persistence.append({ ...event, runId: 'before' })
      await database.pool.query(contended(state))

      // They leave in one request, whose first change is undone with the second.
      const [count, first, second] = await Promise.all([
        values.increment('count'),
        persistence.append(event),
        persistence.append(event),
      ])
      expect([count, first.seq, second.seq]).toEqual([1, 1, 2])
      expect((await database.pool.query('SELECT last_value::int AS raised, is_called FROM raised')).rows).toEqual([
        { raised: 1, is_called: true },
      ])
      expect(Number(await values.get('count'))).toBe(1)
      expect((await persistence.load('r1'))?.events.map(({ seq }) => seq)).toEqual([1, 2])
    })
  })
})
