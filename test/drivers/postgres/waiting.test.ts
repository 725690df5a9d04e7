/**
 * Who waits for whom, counted and not timed: a request is held open in a transaction of its own, and others get done or
 * are seen waiting.
 */
import pg from 'pg'
import postgresJs from 'postgres'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import type { Check, Commit, CommitRequest, Driver, Op } from '../../../src/core/driver.ts'
import { createHoldfast } from '../../../src/holdfast.ts'
import { postgres } from '../../../src/drivers/postgres/driver.ts'
import { failureOf } from '../../support/failure.ts'
import { type Database, bin, overServer } from './support.ts'

const put = (part: string, key: string): Op => ({ put: { part, key }, value: 'v' })
const absent = (part: string, key: string): Check => ({ at: { part, key }, version: null })
let requests = 0
const request = (...commits: Partial<Commit>[]): CommitRequest => {
  const id = `r${++requests}`
  return {
    id,
    commits: commits.map((commit, i) => ({ id: `${id}-${i}`, checks: [], ops: [], durability: 'strict', ...commit })),
  }
}
const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i)

/** What waits for a lock, and how many locks the server's table holds. */
const WAITING = `SELECT count(*)::int AS waiting FROM pg_stat_activity
  WHERE datname = current_database() AND wait_event_type = 'Lock'`
const LOCKS = `SELECT count(*)::int AS locks FROM pg_locks WHERE NOT fastpath`

describe.skipIf(!bin)('on a real server', () => {
  const real = overServer()

  async function prepared(): Promise<Database & { driver: Driver }> {
    const database = await real.pool.take()
    const driver = postgres({ db: database.pool, timeout: 60_000 })
    await driver.open()
    onTestFinished(() => real.pool.giveBack(database))
    return { ...database, driver }
  }

  /** A client in the middle of a transaction, and a driver over it: whatever that does stays undecided until `end`. */
  async function held({ url }: Database) {
    const client = new pg.Client({ connectionString: url })
    await client.connect()
    await client.query('BEGIN')
    const driver = postgres({ db: client, timeout: 60_000 })
    await driver.open({ ahead: true })
    const end = () => client.query('COMMIT')
    onTestFinished(() => client.end())
    return { driver, end }
  }

  const waiting = async ({ pool }: Database): Promise<number> =>
    (await pool.query<{ waiting: number }>(WAITING)).rows[0]!.waiting

  /** Commits that wait for one under way, and get done once it is. */
  async function expectToWait(database: Database, driver: Driver, end: () => Promise<unknown>, those: CommitRequest[]) {
    let done = 0
    const all = those.map(async (it) => {
      const { outcomes } = await driver.commit(it)
      done++
      return outcomes
    })
    await vi.waitFor(async () => expect(await waiting(database)).toBe(those.length), 30_000)
    expect(done).toBe(0)
    await end()
    return Promise.all(all)
  }

  test('nobody waits for a large batch but those who share a key or a range with it', async () => {
    const database = await prepared()
    const { driver } = database
    await driver.commit(
      request({ ops: [put('t!other', 'there'), put('t!run!other', 'there'), put('t!run!10', 'there')] }),
    )
    // As 300 calls of one process do: each changes a run of its own, and an index that all share.
    const batch = request(
      ...upTo(300).map((n) => ({
        checks: [absent(`t!run!${n}`, 'run'), { log: { part: `t!run!${n}`, key: 'event!' }, last: 0 }],
        ops: [
          put(`t!run!${n}`, 'run'),
          put('t!runs', `run-${n}`),
          { append: { part: `t!run!${n}`, key: 'event!' }, value: 'v', ref: `idempotency!${n}` },
        ],
      })),
    )
    const large = await held(database)
    expect((await large.driver.commit(batch)).outcomes.every(({ ok }) => ok)).toBe(true)

    const apart = [
      { ops: [put('t!runs', 'another')] },
      { ops: [put('t!run!7', 'step!1')], checks: [absent('t!run!7', 'step!0')] },
      { ops: [{ append: { part: 't!run!7', key: 'message!' }, value: 'v' }] },
      { ops: [put('u!runs', 'run-1')] },
      { ops: [{ deletePart: 't!run!other' }] },
      { ops: [{ deleteRange: { part: 't!other', start: 'a', end: 'z' } }] },
    ]
    for (const commit of apart) {
      expect((await driver.commit(request(commit))).outcomes).toMatchObject([{ ok: true }])
    }
    // Nor does another large one, which shares all parts with it, and no key.
    const beside = request(
      ...upTo(300).map((n) => ({ ops: [put(`t!run!${n}`, 'beside'), put('t!runs', `beside-${n}`)] })),
    )
    expect((await driver.commit(beside)).outcomes.every(({ ok }) => ok)).toBe(true)

    const outcomes = await expectToWait(database, driver, large.end, [
      request({ ops: [{ append: { part: 't!run!7', key: 'event!' }, value: 'second' }] }),
      request({ ops: [put('t!run!299', 'run')], checks: [absent('t!run!299', 'run')] }),
      request({ ops: [{ deletePart: 't!run!10' }] }),
      request({ ops: [{ deleteRange: { part: 't!runs', start: 'a', end: 'b' } }] }),
      request({ checks: [absent('t!run!20', 'idempotency!20')] }),
    ])
    expect(outcomes.flat().map((outcome) => (outcome.ok ? outcome.seqs : 'no'))).toEqual([[2], 'no', [], [], 'no'])
    const { answers } = await driver.read([{ range: { part: 't!run!10', start: ' ', end: '~', limit: 10 } }])
    expect(answers).toMatchObject([{ entries: [] }])
  })

  test('commits that only check the same do not wait for each other', async () => {
    const database = await prepared()
    await database.driver.commit(request({ ops: [put('p', 'claim')] }))
    const checking = (key: string) => request({ checks: [absent('p', 'claim')], ops: [put('p', key)] })
    // Of a key that nobody has locked before, the first one makes the row.
    await database.driver.commit(checking('k0'))
    const first = await held(database)
    await first.driver.commit(checking('k1'))
    expect((await database.driver.commit(checking('k2'))).outcomes).toMatchObject([{ ok: false }])
    const [[outcome]] = (await expectToWait(database, database.driver, first.end, [
      request({ ops: [put('p', 'claim')] }),
    ])) as [[unknown]]
    expect(outcome).toMatchObject({ ok: true })
  })

  test("any number of callers fits into the server's table of locks", async () => {
    const database = await prepared()
    const { rows } = await database.pool.query<{ room: number }>(
      `SELECT current_setting('max_locks_per_transaction')::int AS room`,
    )
    const callers = 40
    const before = (await database.pool.query<{ locks: number }>(LOCKS)).rows[0]!.locks
    const all = await Promise.all(upTo(callers).map(() => held(database)))
    await Promise.all(
      all.map(({ driver }, n) =>
        // The largest commit there is, of as many parts as keys.
        driver.commit(request({ ops: upTo(1000).map((i) => put(`run!${n}-${i}`, 'k')) })),
      ),
    )
    const { locks } = (await database.pool.query<{ locks: number }>(LOCKS)).rows[0]!
    expect((locks - before) / callers).toBeLessThanOrEqual(rows[0]!.room)
    for (const { end } of all) await end()
    expect((await database.pool.query(`SELECT count(*)::int AS entries FROM holdfast_entries`)).rows).toEqual([
      { entries: callers * 1000 },
    ])
  })

  test('attempts that were given up hold no connection, and what they waited for can still be had', async () => {
    const database = await prepared()
    const holder = await held(database)
    await holder.driver.commit(request({ ops: [put('p', 'k')] }))
    const db = new pg.Pool({ connectionString: database.url, max: 3 })
    onTestFinished(() => db.end())
    const driver = postgres({ db, timeout: 4500 })
    await driver.open()
    const commits = [1, 2].map((n) => failureOf(driver.commit(request({ ops: [put('p', 'k'), put('p', `k${n}`)] }))))
    const progress = { isOver: false }
    const errors = Promise.all(commits).finally(() => (progress.isOver = true))
    let reads = 0
    let most = 0
    while (!progress.isOver) {
      // Two callers are at it, so a third connection is there for everybody else, at any time.
      await driver.read([{ get: { part: 'p', key: 'k' } }])
      reads++
      most = Math.max(most, await waiting(database))
    }
    expect(reads).toBeGreaterThan(0)
    expect(most).toBe(2)
    for (const error of await errors) {
      // Each attempt was ended by the server: nothing was executed, and that is known.
      expect([error.code, error.retryable, error.ambiguous]).toEqual(['UNAVAILABLE', true, false])
    }
    await vi.waitFor(async () => expect(await waiting(database)).toBe(0), 10_000)
    await holder.end()
    expect((await driver.commit(request({ ops: [put('p', 'k')] }))).outcomes).toEqual([{ ok: true, seqs: [] }])
    const { answers } = await driver.read([1, 2].map((n) => ({ get: { part: 'p', key: `k${n}` } })))
    expect(answers).toEqual([null, null])
  })

  test('who waits for less than the timeout gets done', async () => {
    const database = await prepared()
    const holder = await held(database)
    await holder.driver.commit(request({ ops: [put('p', 'k')] }))
    const driver = postgres({ db: database.pool, timeout: 6000 })
    await driver.open()
    const commit = driver.commit(request({ ops: [{ append: { part: 'p', key: 'log!' }, value: 'v' }, put('p', 'k')] }))
    // Longer than one attempt.
    await new Promise((resolve) => setTimeout(resolve, 2500))
    await holder.end()
    expect((await commit).outcomes).toEqual([{ ok: true, seqs: [1] }])
  })

  describe('a statement that takes too long is cancelled', () => {
    /** How many of the server's processes still read. */
    const READING = `SELECT count(*)::int AS reading FROM pg_stat_activity WHERE query LIKE '%holdfast_read%'
      AND datname = current_database() AND state = 'active' AND pid <> pg_backend_pid()`

    async function slow(): Promise<Database> {
      const database = await real.pool.take()
      await postgres({ db: database.pool }).open()
      await database.pool.query(`ALTER FUNCTION holdfast_read(jsonb) RENAME TO quick_read`)
      await database.pool.query(`CREATE FUNCTION holdfast_read(request jsonb) RETURNS int LANGUAGE sql
        AS 'SELECT 1 FROM pg_sleep(30)'`)
      onTestFinished(async () => {
        await database.pool.query('DROP FUNCTION holdfast_read(jsonb)')
        await database.pool.query('ALTER FUNCTION quick_read(jsonb) RENAME TO holdfast_read')
        await real.pool.giveBack(database)
      })
      return database
    }
    const get = [{ get: { part: 'p', key: 'k' } }]

    test('by postgres.js: the server stops it', async () => {
      const { url, pool } = await slow()
      const db = postgresJs(url, { max: 4 })
      onTestFinished(() => db.end({ timeout: 0 }))
      const driver = postgres({ db, timeout: 1000 })
      await driver.open({ ahead: true })
      expect((await failureOf(driver.read(get))).code).toBe('UNAVAILABLE')
      await vi.waitFor(async () => expect((await pool.query(READING)).rows).toEqual([{ reading: 0 }]), 10_000)
    })

    test('by a pool of pg: its connections are free again', async () => {
      const { url } = await slow()
      const db = new pg.Pool({ connectionString: url, max: 4 })
      onTestFinished(() => db.end())
      const driver = postgres({ db, timeout: 1000 })
      await driver.open({ ahead: true })
      const controller = new AbortController()
      const reads = [failureOf(driver.read(get)), failureOf(driver.read(get, { signal: controller.signal }))]
      await vi.waitFor(() => expect(db.totalCount).toBeGreaterThan(1), 10_000)
      controller.abort()
      expect((await Promise.all(reads)).map(({ code }) => code)).toEqual(['UNAVAILABLE', 'ABORTED'])
      await vi.waitFor(() => expect([db.totalCount - db.idleCount, db.waitingCount]).toEqual([0, 0]), 10_000)
    })
  })

  test('four busy callers of a hundred runs each and one beside them all get done', async () => {
    const database = await prepared()
    const open = (tenant: string) => {
      const pool = new pg.Pool({ connectionString: database.url, max: 4 })
      onTestFinished(() => pool.end())
      return createHoldfast({ driver: postgres({ db: pool }), tenant })
    }
    const event = (runId: string) => ({ runId, workflow: 'w', kind: 'k' })
    const callers = [open('a'), open('a'), open('b'), open('b')]
    const beside = open('c')
    const rounds = 3
    await Promise.all([
      ...callers.map(async ({ persistence }) => {
        // Every other one goes the other way round: an order of its own would end in a circle.
        for (let round = 0; round < rounds; round++) {
          const runs = round % 2 ? upTo(100) : upTo(100).toReversed()
          await Promise.all(runs.map((run) => persistence.append(event(`run-${run}`))))
        }
      }),
      ...upTo(50).map((n) => beside.state.set(`k${n}`, 'v')),
    ])
    for (const { persistence } of [callers[0]!, callers[2]!]) {
      const lengths = await Promise.all(upTo(100).map((run) => persistence.getLatestSeq(`run-${run}`)))
      expect(new Set(lengths)).toEqual(new Set([2 * rounds]))
    }
  })
})

describe('what is left of a call is taken back', () => {
  /** A handle that is never answered, and the signals that it was given. */
  async function silent(handle: (signals: AbortSignal[]) => object) {
    const signals: AbortSignal[] = []
    const driver = postgres({ db: handle(signals) as never, timeout: 1000 })
    await driver.open({ ahead: true })
    return { driver, signals }
  }
  const never = new Promise<never>(() => {})
  const handles: readonly [string, (signals: AbortSignal[]) => object][] = [
    [
      'a function',
      (signals) =>
        (_: string, __: string[], { signal }: { signal: AbortSignal }) => {
          signals.push(signal)
          return never
        },
    ],
    [
      'a client that fetches',
      (signals) =>
        Object.assign(() => {}, {
          unsafe: () => {},
          query(_: string, __: string[], options: { fetchOptions: { signal: AbortSignal } }) {
            signals.push(options.fetchOptions.signal)
            return never
          },
        }),
    ],
  ]

  test.each(handles)('by %s: a read with each attempt', async (_, handle) => {
    const { driver, signals } = await silent(handle)
    const error = failureOf(driver.read([{ get: { part: 'p', key: 'k' } }]))
    await vi.waitFor(() => expect(signals).toHaveLength(2), 10_000)
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, false])
    expect((await error).code).toBe('UNAVAILABLE')
    expect(signals.every(({ aborted }) => aborted)).toBe(true)
  })

  test.each(handles)('by %s: a commit when it is over, because an attempt may still get done', async (_, handle) => {
    const { driver, signals } = await silent(handle)
    const error = failureOf(driver.commit(request({ ops: [put('p', 'k')] })))
    await vi.waitFor(() => expect(signals).toHaveLength(2), 10_000)
    expect(signals.map(({ aborted }) => aborted)).toEqual([false, false])
    expect([(await error).code, (await error).ambiguous]).toEqual(['UNAVAILABLE', true])
    expect(signals.every(({ aborted }) => aborted)).toBe(true)
  })
})
