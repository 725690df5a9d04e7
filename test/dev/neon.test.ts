/** Neon's SQL over HTTP as the local server speaks it, by plain requests: what is asked, and what comes back for it. */
import { PGlite } from '@electric-sql/pglite'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { overEmbedded, overPools, startNeon, withPassword } from '../../src/dev/neon.ts'
import { type PostgresServer, startPostgres } from '../../src/dev/postgres-server.ts'
import type { LocalServer } from '../../src/dev/server.ts'
import { bin } from '../drivers/postgres/support.ts'

const URL_HEADER = 'Neon-Connection-String'
const CONNECTION = 'postgresql://postgres:right@db.localtest/postgres?application_name=test'
const RAW = { 'Neon-Raw-Text-Output': 'true', 'Neon-Array-Mode': 'true' }

interface Sent {
  readonly method?: string
  readonly path?: string
  readonly headers?: Record<string, string>
  readonly connection?: string | null
  /** Text is sent as it is, all else as JSON. */
  readonly body?: unknown
}

const askOf =
  (server: () => LocalServer) =>
  async ({ method = 'POST', path = '/sql', headers = {}, connection = CONNECTION, body }: Sent) => {
    const response = await fetch(server().url + path, {
      method,
      headers: { ...headers, ...(connection !== null && { [URL_HEADER]: connection }) },
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    })
    const text = await response.text()
    return { status: response.status, headers: response.headers, json: (text ? JSON.parse(text) : null) as never }
  }

describe.skipIf(!bin)("Neon's SQL over HTTP", () => {
  let server: PostgresServer
  let pool: pg.Pool
  let http: LocalServer
  const ask = askOf(() => http)

  beforeAll(async () => {
    server = await startPostgres({ bin: bin!, fsync: false })
    pool = new pg.Pool({ connectionString: server.url, max: 2 })
    await pool.query('CREATE TABLE things (id int PRIMARY KEY, name text)')
    http = await startNeon(
      withPassword(
        'right',
        overPools(() => pool),
      ),
    )
  })
  afterAll(async () => {
    await http.close()
    await pool.end()
    await server.stop()
  })

  /** The first value of the first row, as text. */
  const valueOf = async (query: string, params?: unknown[]): Promise<unknown> => {
    const { json } = await ask({ headers: RAW, body: { query, params } })
    return (json as { rows: unknown[][] }).rows[0]![0]
  }

  it('answers a statement with fields, rows, command and count', async () => {
    const { status, headers, json } = await ask({ body: { query: 'SELECT 1 AS one, $1::text AS two', params: ['x'] } })
    const field = { tableID: 0, columnID: 0, dataTypeModifier: -1, format: 'text' }
    expect([status, json]).toEqual([
      200,
      {
        fields: [
          { ...field, name: 'one', dataTypeID: 23, dataTypeSize: 4 },
          { ...field, name: 'two', dataTypeID: 25, dataTypeSize: -1 },
        ],
        rows: [{ one: 1, two: 'x' }],
        command: 'SELECT',
        rowCount: 1,
        rowAsArray: false,
      },
    ])
    expect(headers.get('access-control-allow-origin')).toBe('*')
    expect(headers.get('neon-request-id')).toMatch(/./)
    expect(headers.get('content-type')).toContain('application/json')
  })

  it.each<[string, string, number | null]>([
    ['INSERT INTO things VALUES (1), (2)', 'INSERT', 2],
    ["UPDATE things SET name = 'x'", 'UPDATE', 2],
    ['DELETE FROM things WHERE id = 1', 'DELETE', 1],
    ['CREATE TABLE others (id int)', 'CREATE', null],
  ])('tells what %s came to', async (query, command, rowCount) => {
    expect((await ask({ body: { query } })).json).toMatchObject({ command, rowCount, rows: [] })
  })

  it('knows the table and the column of a field', async () => {
    const { json } = await ask({ body: { query: 'SELECT name FROM things' } })
    const [{ tableID, columnID }] = (json as { fields: { tableID: number; columnID: number }[] }).fields as [never]
    expect([tableID > 0, columnID]).toEqual([true, 2])
  })

  it('answers numbers, truth and documents as such, and all as text under the header', async () => {
    const query = `SELECT true, 7::int2, 7::int4, 7::int8, 7.5::float8, 'NaN'::float8, 7.5::numeric, '{"a":[1]}'::json,
      '{"a":1}'::jsonb, '\\xff'::bytea, null`
    const decoded = await ask({ headers: { 'Neon-Array-Mode': 'true' }, body: { query } })
    expect((decoded.json as { rows: unknown[] }).rows).toEqual([
      [true, 7, 7, '7', 7.5, 'NaN', '7.5', { a: [1] }, { a: 1 }, '\\xff', null],
    ])
    const raw = await ask({ headers: RAW, body: { query } })
    expect((raw.json as { rows: unknown[] }).rows).toEqual([
      ['t', '7', '7', '7', '7.5', 'NaN', '7.5', '{"a":[1]}', '{"a": 1}', '\\xff', null],
    ])
  })

  it.each<[string, unknown, string | null]>([
    ['null', null, null],
    ['text', 'a"b', 'a"b'],
    ['a number', 1.5, '1.5'],
    ['a truth value', true, 'true'],
    ['an object', { a: 'b' }, '{"a":"b"}'],
    ['an empty list', [], '{}'],
    ['a list', ['a', 'b"c', 1, null], '{"a","b\\"c",1,NULL}'],
    ['a nested list', [[1], [2]], '{{1},{2}}'],
    ['a list of objects', [{ a: 1 }], '{"{\\"a\\":1}"}'],
  ])('takes %s as a parameter', async (_, param, text) => {
    expect(await valueOf('SELECT $1::text', [param])).toBe(text)
  })

  it('lets a statement choose how its rows come', async () => {
    const body = { query: 'SELECT 1 AS one', arrayMode: true }
    expect((await ask({ body })).json).toMatchObject({ rowAsArray: true, rows: [[1]] })
    const off = { ...body, arrayMode: false }
    expect((await ask({ headers: RAW, body: off })).json).toMatchObject({ rowAsArray: false, rows: [{ one: '1' }] })
  })

  it('runs a batch as one transaction', async () => {
    const queries = [
      { query: 'SELECT txid_current()::text AS id' },
      { query: 'SELECT txid_current()::text AS id', arrayMode: true },
    ]
    const { status, json } = await ask({ body: { queries } })
    const [first, second] = (json as { results: { rows: unknown[][] }[] }).results
    expect(status).toBe(200)
    expect(second!.rows[0]![0]).toBe((first!.rows[0] as unknown as { id: string }).id)
    expect((await ask({ body: { queries: [] } })).json).toEqual({ results: [] })
  })

  it('undoes a batch at its first error, and tells that one', async () => {
    const queries = [{ query: 'INSERT INTO things VALUES (77)' }, { query: 'SELECT 1/0' }, { query: 'SELECT no' }]
    const { status, json } = await ask({ body: { queries } })
    expect([status, json]).toEqual([400, expect.objectContaining({ code: '22012', message: 'division by zero' })])
    expect(await valueOf('SELECT count(*) FROM things WHERE id = 77')).toBe('0')
  })

  it('tells that a batch failed where it was to be committed', async () => {
    await ask({ body: { query: 'CREATE TABLE late (id int UNIQUE DEFERRABLE INITIALLY DEFERRED)' } })
    const insert = { query: 'INSERT INTO late VALUES (1)' }
    const { status, json } = await ask({ body: { queries: [insert, insert] } })
    expect([status, json]).toEqual([400, expect.objectContaining({ code: '23505', constraint: 'late_id_key' })])
  })

  it.each([
    ['ReadUncommitted', 'read uncommitted'],
    ['ReadCommitted', 'read committed'],
    ['RepeatableRead', 'repeatable read'],
    ['Serializable', 'serializable'],
  ])('runs a batch at the isolation level %s', async (level, name) => {
    const queries = [{ query: "SELECT current_setting('transaction_isolation') AS level" }]
    const { headers, json } = await ask({ headers: { 'Neon-Batch-Isolation-Level': level }, body: { queries } })
    expect((json as { results: { rows: unknown[] }[] }).results[0]!.rows).toEqual([{ level: name }])
    expect(headers.get('neon-batch-isolation-level')).toBe(level)
  })

  it('runs a batch that only reads, and may wait for a quiet moment', async () => {
    const queries = ['read_only', 'deferrable'].map((name) => ({ query: `SHOW transaction_${name}` }))
    const headers = { ...RAW, 'Neon-Batch-Read-Only': 'true', 'Neon-Batch-Deferrable': 'true' }
    const answer = await ask({ headers, body: { queries } })
    expect((answer.json as { results: { rows: unknown[] }[] }).results.map(({ rows }) => rows)).toEqual([
      [['on']],
      [['on']],
    ])
    expect(answer.headers.get('neon-batch-read-only')).toBe('true')
    expect(answer.headers.get('neon-batch-deferrable')).toBe('true')
    const other = await ask({ headers: { ...RAW, 'Neon-Batch-Read-Only': '1' }, body: { queries } })
    expect((other.json as { results: { rows: unknown[] }[] }).results[0]!.rows).toEqual([['off']])
    expect(other.headers.get('neon-batch-read-only')).toBe(null)
  })

  it.each([
    ['a setting', 'SET statement_timeout = 1234', 'SHOW statement_timeout', '0'],
    ['a lock', 'SELECT pg_advisory_lock(5)', "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'", '0'],
    ['a temporary table', 'CREATE TEMP TABLE t1 (id int)', "SELECT to_regclass('t1') IS NULL", 't'],
    ['a lone BEGIN', 'BEGIN', 'SELECT pg_current_xact_id_if_assigned() IS NULL', 't'],
    ['LISTEN', 'LISTEN channel', 'SELECT count(*) FROM pg_listening_channels()', '0'],
    ['a prepared statement', 'PREPARE p1 AS SELECT 1', 'SELECT count(*) FROM pg_prepared_statements', '0'],
  ])('forgets %s with the request', async (_, query, question, answer) => {
    expect((await ask({ body: { query } })).status).toBe(200)
    // As many as there are connections, so that it was asked of the same one.
    for (let i = 0; i < 4; i++) expect(await valueOf(question)).toBe(answer)
  })

  it('keeps SET LOCAL for the length of a batch', async () => {
    const queries = [{ query: 'SET LOCAL statement_timeout = 1234' }, { query: 'SHOW statement_timeout' }]
    const { json } = await ask({ headers: RAW, body: { queries } })
    expect((json as { results: { rows: unknown[] }[] }).results[1]!.rows).toEqual([['1234ms']])
  })

  it('answers errors of PostgreSQL with all they say, as text or null', async () => {
    const { status, json } = await ask({ body: { query: 'SELECT nothing' } })
    expect([status, json]).toEqual([
      400,
      {
        message: 'column "nothing" does not exist',
        code: '42703',
        severity: 'ERROR',
        detail: null,
        hint: null,
        position: '8',
        internalPosition: null,
        internalQuery: null,
        where: null,
        table: null,
        column: null,
        schema: null,
        dataType: null,
        constraint: null,
        file: expect.any(String) as string,
        line: expect.stringMatching(/^\d+$/) as string,
        routine: 'errorMissingColumn',
      },
    ])
  })

  it('refuses several statements in one, and the wrong number of parameters', async () => {
    const several = await ask({ body: { query: 'SELECT 1; SELECT 2' } })
    expect([several.status, several.json]).toEqual([400, expect.objectContaining({ code: '42601' })])
    for (const params of [[], [1, 2]]) {
      const { json } = await ask({ body: { query: 'SELECT $1', params } })
      expect(json).toMatchObject({
        message: expect.stringContaining(`bind message supplies ${params.length}`) as string,
      })
    }
  })

  it.each<[string, Sent]>([
    ['no connection string', { connection: null }],
    ['one that is none', { connection: 'nonsense' }],
    ['another scheme', { connection: 'mysql://postgres:right@db.localtest/postgres' }],
    ['one without a user', { connection: 'postgres://db.localtest/postgres' }],
    ['one without a database', { connection: 'postgres://postgres:right@db.localtest' }],
    ['one of an address', { connection: 'postgres://postgres:right@127.0.0.1/postgres' }],
    ['a wrong password', { connection: CONNECTION.replace('right', 'wrong') }],
    ['no JSON', { body: '{' }],
    ['JSON that is no query', { body: { text: 'SELECT 1' } }],
    ['an isolation level that is none', { headers: { 'Neon-Batch-Isolation-Level': 'Strict' }, body: { queries: [] } }],
  ])('refuses %s with 400', async (_, sent) => {
    const { status, json } = await ask({ body: { query: 'SELECT 1' }, ...sent })
    expect([status, json]).toEqual([400, expect.objectContaining({ message: expect.stringMatching(/./) as string })])
  })

  it('decodes what the connection string holds', async () => {
    const { status } = await ask({ connection: CONNECTION.replace('right', '%72ight'), body: { query: 'SELECT 1' } })
    expect(status).toBe(200)
  })

  it('outlives a session that ends in the middle of a request', async () => {
    const { status, json } = await ask({ body: { query: 'SELECT pg_terminate_backend(pg_backend_pid())' } })
    expect([status, json]).toEqual([400, expect.objectContaining({ code: '57P01', severity: 'FATAL' })])
    await expect.poll(() => pool.totalCount - pool.idleCount, { timeout: 30_000 }).toBe(0)
    expect(await valueOf('SELECT 1')).toBe('1')
  })

  it('refuses requests over 10 MiB with 413, and answers over 10 MiB with 507', async () => {
    const body = { query: 'SELECT length($1)', params: ['x'.repeat(10 * 2 ** 20)] }
    const request = await ask({ body })
    expect([request.status, request.json]).toEqual([
      413,
      expect.objectContaining({ message: 'request is too large (max is 10485760 bytes)' }),
    ])
    const answer = await ask({ body: { query: `SELECT repeat('x', ${10 * 2 ** 20})` } })
    expect([answer.status, answer.json]).toEqual([
      507,
      expect.objectContaining({ message: 'response is too large (max is 10485760 bytes)' }),
    ])
  })

  it('knows one path, and tells browsers what they may send there', async () => {
    for (const sent of [{ path: '/other' }, { method: 'PUT' }]) {
      const { status, json } = await ask({ body: { query: 'SELECT 1' }, ...sent })
      expect([status, json]).toEqual([400, 'query is not supported'])
    }
    const { status, headers } = await ask({ method: 'OPTIONS' })
    expect([status, headers.get('access-control-allow-methods')]).toEqual([200, 'POST'])
    const allowed = headers.get('access-control-allow-headers')!
    expect(allowed).toContain('Neon-Batch-Isolation-Level')
    expect(allowed).not.toContain('Neon-Batch-Deferrable')
  })
})

it('tells nobody whether it was the name or the password', async () => {
  const unknown = Object.assign(new Error('role "nobody" does not exist'), { code: '28000' })
  const http = await startNeon(withPassword('right', () => Promise.reject(unknown)))
  const { status, json } = await askOf(() => http)({
    connection: 'postgres://nobody:right@db.localtest/postgres',
    body: { query: 'SELECT 1' },
  })
  await http.close()
  const message = 'password authentication failed for user "nobody"'
  expect([status, json]).toEqual([400, expect.objectContaining({ message, code: '28P01', severity: 'FATAL' })])
})

describe('over an embedded database', () => {
  it('answers statements and batches, one request after the other', async () => {
    const db = new PGlite()
    const http = await startNeon(overEmbedded(db))
    const ask = askOf(() => http)
    try {
      const one = { query: 'SELECT $1::int AS one', params: [1] }
      const answers = await Promise.all([
        ask({ body: one }),
        ask({ body: { queries: [one, one] } }),
        ask({ body: { queries: [{ query: 'CREATE TABLE t (id int)' }, { query: 'SELECT 1/0' }] } }),
        ask({ body: { query: "SELECT to_regclass('t') IS NULL AS is_gone" } }),
      ])
      expect(answers.map(({ status }) => status)).toEqual([200, 200, 400, 200])
      expect(answers[0]?.json).toMatchObject({ command: 'SELECT', rowCount: 1, rows: [{ one: 1 }] })
      expect(answers[3]?.json).toMatchObject({ rows: [{ is_gone: true }] })
      const query = "SELECT $1::bool, '\\xff'::bytea, 'NaN'::float8, ARRAY[1,2], $2::jsonb"
      const raw = await ask({ headers: RAW, body: { query, params: [true, { a: 1 }] } })
      expect(raw.json).toMatchObject({ rows: [['t', '\\xff', 'NaN', '{1,2}', '{"a": 1}']] })
    } finally {
      await http.close()
      await db.close()
    }
  })
})
