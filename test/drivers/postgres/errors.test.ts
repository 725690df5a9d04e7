/** What goes wrong has a code and a message that helps, and neither shows a secret or a value. */
import { inspect } from 'node:util'
import { neon } from '@neondatabase/serverless'
import { drizzle } from 'drizzle-orm/neon-http'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { NETWORK_LIMITS } from '../../../src/core/limits.ts'
import type { CommitRequest, Op } from '../../../src/core/driver.ts'
import { createDatabase } from '../../../src/core/database.ts'
import { lateAt } from '../../../src/core/request-records.ts'
import { startNeon, withPassword } from '../../../src/dev/neon.ts'
import type { PostgresServer } from '../../../src/dev/postgres-server.ts'
import { type PostgresHandle, postgres } from '../../../src/drivers/postgres/driver.ts'
import { failureOf } from '../../support/failure.ts'
import { bin, neonOver, start } from './support.ts'

const request = (id: string, ...ops: Op[]): CommitRequest => ({
  id,
  commits: [{ id, checks: [], ops, durability: 'relaxed' }],
})
const put = (key: string, value: string): Op => ({ put: { part: 'p', key }, value })

describe.skipIf(!bin)('on a real server', () => {
  let server: PostgresServer
  let admin: pg.Pool
  let web: Awaited<ReturnType<typeof neonOver>>
  const pools: pg.Pool[] = []

  const connect = (database: string, user = 'postgres'): pg.Pool => {
    const pool = new pg.Pool({ connectionString: `postgres://${user}:s3cret@127.0.0.1:${server.port}/${database}` })
    pools.push(pool)
    return pool
  }
  const fresh = async (name: string, how = ''): Promise<string> => {
    await admin.query(`CREATE DATABASE ${name} ${how}`)
    return name
  }
  const openError = (db: PostgresHandle) => failureOf(postgres({ db }).open())
  /** Gives up soon; the schema is there, so that it has nothing to do before. */
  const impatient = async (db: PostgresHandle, timeout = 2000) => {
    const driver = postgres({ db, timeout })
    await driver.open({ ahead: true })
    return driver
  }

  beforeAll(async () => {
    server = await start()
    admin = connect('postgres')
    web = await neonOver(server)
    await postgres({ db: admin }).open()
  })
  afterAll(async () => {
    await web.end()
    await Promise.all(pools.map((pool) => pool.end()))
    await server.stop()
  })

  test('a wrong user, over TCP and over HTTP', async () => {
    const http = `postgres://nobody:s3cret@db.localtest:${web.http.port}/postgres`
    for (const db of [connect('postgres', 'nobody'), neon(http)]) {
      const error = await openError(db)
      expect([error.code, error.message]).toEqual(['UNAUTHORIZED', expect.stringContaining('the user or the password')])
      expect(inspect(error)).not.toContain('s3cret')
    }
  })

  test('a wrong password', async () => {
    const guarded = await startNeon(withPassword('right', async () => Promise.reject(new Error('let in'))))
    onTestFinished(() => guarded.close())
    const error = await openError(neon(`postgres://postgres:wr0ng-s3cret@db.localtest:${guarded.port}/postgres`))
    expect([error.code, error.message]).toEqual([
      'UNAUTHORIZED',
      expect.stringContaining('check the connection string'),
    ])
    expect(inspect(error)).not.toContain('s3cret')
  })

  test('a wrong database, over TCP and over HTTP', async () => {
    for (const db of [connect('nowhere'), web.open('nowhere')]) {
      const error = await openError(db)
      expect([error.code, error.message]).toEqual(['INVALID_ARGUMENT', expect.stringContaining('does not exist')])
    }
  })

  test('who may not create tables is told what to run, and then it works', async () => {
    const name = await fresh('rights')
    await admin.query('CREATE ROLE poor LOGIN')
    const error = await openError(connect(name, 'poor'))
    expect([error.code, error.message]).toEqual(['READ_ONLY', expect.stringContaining('run the SQL in details.sql')])
    const owner = connect(name)
    await owner.query(error.details!['sql'] as string)
    await owner.query('GRANT SELECT ON ALL TABLES IN SCHEMA public TO poor')
    const driver = postgres({ db: connect(name, 'poor') })
    await driver.open()
    const refused = await failureOf(driver.commit(request('no', put('k', 'v'))))
    expect([refused.code, refused.message, refused.ambiguous]).toEqual([
      'READ_ONLY',
      expect.stringContaining('check the rights'),
      false,
    ])
    await owner.query('GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO poor')
    expect((await driver.commit(request('yes', put('k', 'v')))).outcomes).toEqual([{ ok: true, seqs: [] }])
  })

  test('a server that is too old', async () => {
    const pool = connect(await fresh('old'))
    // It is as new as ever, and told to say that it is PostgreSQL 12.
    const db: PostgresHandle = async (text, params) =>
      (await pool.query(text.replace("current_setting('server_version_num')", "'120022'"), params)).rows
    const error = await openError(db)
    expect([error.code, error.message]).toEqual(['UNSUPPORTED', expect.stringContaining('PostgreSQL 13 or newer')])
  })

  test('a database that is not in UTF-8', async () => {
    const error = await openError(connect(await fresh('ascii', "ENCODING 'SQL_ASCII' TEMPLATE template0")))
    expect([error.code, error.message]).toEqual(['UNSUPPORTED', expect.stringContaining('a UTF8 database')])
  })

  test('an isolation level that would hide what others have committed', async () => {
    const name = await fresh('isolation')
    await admin.query(`ALTER DATABASE ${name} SET default_transaction_isolation = 'repeatable read'`)
    const error = await openError(connect(name))
    expect([error.code, error.message]).toEqual([
      'UNSUPPORTED',
      expect.stringContaining('isolation level read committed'),
    ])
  })

  test('a client that was closed', async () => {
    const db = new pg.Pool({ connectionString: server.url })
    await db.end()
    const error = await openError(db)
    expect([error.code, error.message]).toEqual(['CLOSED', expect.stringContaining('pass an open one')])
  })

  test('what is too large is refused before it is sent', async () => {
    const driver = postgres({ db: web.open(await fresh('large')) })
    await driver.open()
    web.http.resetTraffic()
    const key = '\\'.repeat(600_000)
    const ops = Array.from({ length: 9 }, (_, i) => put(`${key}${i}`, 'v'))
    const request1 = await failureOf(driver.commit(request('large', ...ops)))
    expect([request1.code, request1.message]).toEqual(['PAYLOAD_TOO_LARGE', expect.stringMatching(/at most \d+ bytes/)])
    const db = createDatabase({ driver })
    const value = 's3cret'.repeat(NETWORK_LIMITS.valueBytes / 6 + 1)
    const error = await failureOf(db.commit({ ops: [put('k', value)] }))
    expect([error.code, error.ambiguous, error.message.includes('s3cret')]).toEqual(['PAYLOAD_TOO_LARGE', false, false])
    expect(web.http.traffic().requests).toBe(0)
  })

  test('a service that wants no more requests is asked again', async () => {
    const driver = await impatient(web.open('postgres'), 60_000)
    let asked = 0
    web.http.setFaults(() =>
      asked++ < 3 ? { status: 429, headers: { 'retry-after': '1' }, body: { message: 'slow down' } } : undefined,
    )
    const { outcomes } = await driver.commit(request('busy', put('k', 'v')))
    web.http.setFaults(undefined)
    expect(outcomes).toEqual([{ ok: true, seqs: [] }])
    expect(asked).toBeGreaterThan(3)
  })

  test('no error shows a value or a password, whatever the service says', async () => {
    const handle = web.open('postgres')
    const failing = { status: 400, body: { message: 'something', code: 'XX000' } }
    const told: [PostgresHandle, Parameters<typeof web.http.setFaults>[0]][] = [
      [handle, () => failing],
      [handle, () => ({ status: 500, body: { message: 'Internal error' } })],
      [drizzle({ client: handle }), () => failing],
      [drizzle({ client: handle }), () => ({ cut: 'answer' })],
    ]
    for (const [db, fault] of told) {
      const driver = await impatient(db)
      web.http.setFaults(fault)
      const error = await failureOf(driver.commit(request('shown', put('k', 'my-s3cret-value'))))
      web.http.setFaults(undefined)
      expect(inspect(error, { depth: 9, showHidden: true })).not.toMatch(/s3cret|holdfast_commit/)
    }
  })
})

describe('answers that cannot be right', () => {
  const at = [null, null, null, '1000', null, '[[]]']
  const answering = (rows: unknown) =>
    postgres({ db: async (text) => (text.includes('holdfast_schema') ? [[1]] : (rows as unknown[])) })

  test.each<[string, unknown]>([
    ['no rows', []],
    ['an empty row', [[]]],
    ['a row that is none', [7]],
    ['a time that is none', [['0', null, null, 'soon', null, '[[]]']]],
    ['verdicts that are none', [['0', null, null, '1000', null, '?']]],
    ['too few verdicts', [['0', null, null, '1000', null, '[]']]],
    ['a check that is none', [['0', null, null, '1000', null, '[{"failed":[7]}]']]],
    ['no count of what was swept', [at]],
  ])('to a commit: %s', async (_, rows) => {
    const driver = answering(rows)
    await driver.open()
    const error = await failureOf(driver.commit(request('id', put('k', 'v'))))
    expect([error.code, error.message, error.ambiguous]).toEqual([
      'BACKEND',
      expect.stringContaining('cannot have made'),
      true,
    ])
  })

  test.each<[string, unknown]>([
    ['no rows', []],
    [
      'a row of another question',
      [
        ['5', 'k', 'v', null, 't', 'x'],
        ['1', null, null, '1000', null, null],
      ],
    ],
    [
      'a value of no kind',
      [
        ['0', 'k', 'v', null, '?', 'x'],
        ['1', null, null, '1000', null, null],
      ],
    ],
    [
      'an entry without a version',
      [
        ['0', 'k', null, null, 't', 'x'],
        ['1', null, null, '1000', null, null],
      ],
    ],
  ])('to a question: %s', async (_, rows) => {
    const driver = answering(rows)
    await driver.open()
    const error = await failureOf(driver.read([{ get: { part: 'p', key: 'k' } }]))
    expect([error.code, error.ambiguous]).toEqual(['BACKEND', false])
  })

  test('to the first question', async () => {
    expect((await failureOf(postgres({ db: async () => [['soon']] }).open())).code).toBe('BACKEND')
  })

  test('a handle that answers with no rows at all', async () => {
    const error = await failureOf(postgres({ db: async () => 'rows' as never }).open())
    expect([error.code, error.message]).toEqual([
      'INVALID_ARGUMENT',
      expect.stringContaining('return an array of rows'),
    ])
  })
})

describe('whether a commit is in doubt', () => {
  const DONE = [['0', null, null, '1000', null, '[[]]']]
  /** A driver whose handle fails like this, one time after the other, and then answers. */
  async function failing(faults: readonly object[], answer: unknown[] = DONE) {
    const left = [...faults]
    let sent = 0
    const driver = postgres({
      async db(text) {
        if (text.includes('holdfast_schema')) return [[1]]
        sent++
        const fault = left.shift()
        if (fault) throw Object.assign(new Error('Something'), fault)
        return answer
      },
      timeout: 1000,
    })
    await driver.open()
    return { driver, sent: () => sent }
  }

  test('it is not where the signal was aborted before', async () => {
    const { driver, sent } = await failing([])
    const error = await failureOf(driver.commit(request('id', put('k', 'v')), { signal: AbortSignal.abort() }))
    expect([error.code, error.ambiguous, sent()]).toEqual(['ABORTED', false, 0])
  })

  test('it is where an answer was lost before the signal was aborted', async () => {
    const controller = new AbortController()
    const { driver } = await failing([
      { code: 'ECONNRESET' },
      {
        get code() {
          setImmediate(() => controller.abort())
          return '40001'
        },
      },
    ])
    const error = await failureOf(driver.commit(request('id', put('k', 'v')), { signal: controller.signal }))
    expect([error.code, error.ambiguous]).toEqual(['ABORTED', true])
  })

  test.each([
    ['conflicts', { code: '40001' }],
    ['requests too many', { message: 'Server error (HTTP status 429): slow down' }],
  ])('it is not where only %s came before the signal was aborted', async (_, fault) => {
    const controller = new AbortController()
    const { driver, sent } = await failing([
      {
        ...fault,
        get cause() {
          setImmediate(() => controller.abort())
          return undefined
        },
      },
    ])
    const error = await failureOf(driver.commit(request('id', put('k', 'v')), { signal: controller.signal }))
    expect([error.code, error.ambiguous, sent()]).toEqual(['ABORTED', false, 1])
  })

  test('an internal error may be one of a pooler that lost the server: the request finds out', async () => {
    const { driver, sent } = await failing([{ code: 'XX000' }, { code: '57P05' }])
    expect((await driver.commit(request('id', put('k', 'v')))).outcomes).toEqual([{ ok: true, seqs: [] }])
    expect(sent()).toBe(3)
  })

  test('an answer that did not get through leaves it in doubt, and a request that did not get through does not', async () => {
    for (const [message, ambiguous] of [
      ['Server error (HTTP status 507): response is too large', true],
      ['Server error (HTTP status 413): request is too large', false],
    ] as const) {
      const { driver, sent } = await failing([{ message }])
      const error = await failureOf(driver.commit(request('id', put('k', 'v'))))
      expect([error.code, error.ambiguous, error.retryable, sent()]).toEqual(['PAYLOAD_TOO_LARGE', ambiguous, false, 1])
    }
  })

  test.each<[string, object[], boolean]>([
    ['it is not where the first attempt came too late', [], false],
    ['it is not where only conflicts came before', [{ code: '40001' }], false],
    ['it is where an answer was lost before', [{ code: 'ECONNRESET' }], true],
  ])('%s', async (_, faults, ambiguous) => {
    const { driver } = await failing(faults, [['0', null, null, '5000', 'late', null]])
    const error = await failureOf(driver.commit(request('id', put('k', 'v'))))
    expect([error.code, error.retryable, error.ambiguous]).toEqual(['UNAVAILABLE', true, ambiguous])
    expect(lateAt(error)).toBe(5000)
  })

  test('waiting too long for others is tried again, and is not in doubt', async () => {
    const { driver, sent } = await failing([{ code: '55P03' }, { code: '55P03' }])
    expect((await driver.commit(request('id', put('k', 'v')))).outcomes).toEqual([{ ok: true, seqs: [] }])
    expect(sent()).toBe(3)
  })

  test('a process that was halted does not try again when its time is up', async () => {
    const { driver, sent } = await failing([
      {
        get code() {
          // It is halted in the pause that follows.
          setImmediate(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1100))
          return 'ECONNRESET'
        },
      },
    ])
    const error = await failureOf(driver.commit(request('id', put('k', 'v'))))
    expect([error.code, error.ambiguous, sent()]).toEqual(['UNAVAILABLE', true, 1])
  })

  test('what a client keeps of the parameters is left behind', async () => {
    const { driver } = await failing([{ code: '23514', query: 'SELECT 1', parameters: ['my-s3cret-value'] }])
    const error = await failureOf(driver.commit(request('id', put('k', 'v'))))
    expect([error.code, error.details]).toEqual(['BACKEND', { state: '23514' }])
    expect(error.cause).toMatchObject({ message: 'Something', code: '23514' })
    expect(inspect(error, { depth: 9, showHidden: true })).not.toMatch(/s3cret|SELECT/)
  })
})
