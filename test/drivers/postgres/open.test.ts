/** The first call: races, versions, and what a schema without its locks would do. */
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { PostgresServer } from '../../../src/dev/postgres-server.ts'
import { type PostgresOptions, postgres } from '../../../src/drivers/postgres/driver.ts'
import { cases, runCase } from '../../../src/testing/index.ts'
import { failureOf } from '../../support/failure.ts'
import { EMPTY } from './empty.ts'
import { bin, start } from './support.ts'

test.each<[string, Partial<PostgresOptions>]>([
  ['db', { db: {} as never }],
  ['partitions', { partitions: -1 }],
  ['timeout', { timeout: 10 }],
  ['replayWindow', { replayWindow: 15_000 }],
])('%s is checked before any I/O', (_, options) => {
  expect(() => postgres({ db: async () => [], ...options })).toThrow(
    expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
  )
})

describe.skipIf(!bin)('on a real server', () => {
  let server: PostgresServer
  let admin: pg.Pool
  const pools: pg.Pool[] = []

  const connect = (database: string, user = 'postgres'): pg.Pool => {
    const pool = new pg.Pool({ connectionString: `postgres://${user}:secret@127.0.0.1:${server.port}/${database}` })
    pools.push(pool)
    return pool
  }
  const fresh = async (name: string): Promise<string> => {
    await admin.query(`CREATE DATABASE ${name}`)
    return name
  }

  beforeAll(async () => {
    server = await start()
    admin = connect('postgres')
  })
  afterAll(async () => {
    await Promise.all(pools.map((pool) => pool.end()))
    await server.stop()
  })

  test('ten clients race on a database without a schema', async () => {
    const name = await fresh('race')
    await Promise.all(Array.from({ length: 10 }, () => postgres({ db: connect(name), partitions: 16 }).open()))
    const { rows } = await connect(name).query(`SELECT (SELECT count(*)::int FROM holdfast_schema) AS versions,
      (SELECT count(*)::int FROM pg_inherits WHERE inhparent = 'holdfast_entries'::regclass) AS partitions`)
    expect(rows).toEqual([{ versions: 1, partitions: 16 }])
  })

  test('a schema of a newer release is refused', async () => {
    const name = await fresh('newer')
    const db = connect(name)
    await postgres({ db }).open()
    await db.query('UPDATE holdfast_schema SET version = 99')
    expect((await failureOf(postgres({ db }).open())).details).toEqual({ found: 99, known: 1 })
  })

  /** Cases over a function that was changed, each until it fails, or has not for so many rounds. */
  async function killed(mutate: (text: string) => string, ids: readonly string[], rounds: number): Promise<string[]> {
    const db = connect(await fresh(`mutant_${++mutants}`))
    await postgres({ db }).open()
    const { rows } = await db.query(`SELECT pg_get_functiondef('holdfast_commit(jsonb, int)'::regprocedure) AS text`)
    const { text } = rows[0] as { text: string }
    const mutant = mutate(text)
    expect(mutant).not.toBe(text)
    await db.query(mutant)
    const create = async () => {
      await db.query(EMPTY)
      return { driver: postgres({ db, timeout: 3000 }) }
    }
    const failed = new Set<string>()
    for (const it of cases.filter(({ id }) => ids.includes(id))) {
      for (let round = 0; round < rounds && !failed.has(it.id); round++) {
        await runCase(it, { name: 'mutant', create }).catch(() => failed.add(it.id))
      }
    }
    return [...failed]
  }
  let mutants = 0

  test('without its locks the concurrent cases fail', async () => {
    const without = (text: string): string =>
      text.replace("jsonb_array_elements(request->'locks')", "jsonb_array_elements('[]')")
    // Calls that should collide may just miss each other.
    expect(await killed(without, ['DR-1201', 'DR-1203', 'DR-1204'], 7)).not.toEqual([])
  })

  test.each<[string, [string, string], string[]]>([
    [
      'refusals are forgotten',
      ['IF kept IS NULL THEN', `IF kept IS NULL AND verdicts::text !~ 'failed' THEN`],
      ['DR-808'],
    ],
    [
      'deadlines are ignored',
      [`ELSIF NOT (request->>'deadline')`, `ELSIF false AND NOT (request->>'deadline')`],
      ['DR-809', 'DR-810'],
    ],
    ['the content is not compared', [`earlier.digest <> request->>'digest'`, 'false'], ['DR-812']],
    ['a key in a log counts as its end', ['IF seq IS NULL THEN RAISE', 'IF false THEN RAISE'], ['DR-1408']],
    ['the answer has no bound', [`(request->>'room')::bigint`, '1000000000'], ['DR-1501', 'DR-1502']],
  ])('where %s, cases fail', async (_, [from, to], ids) => {
    expect(await killed((text) => text.replaceAll(from, to), ids, 1)).toEqual(ids)
  })
})
