/** What a call costs: statements counted, plans looked at. */
import { describe, expect, onTestFinished, test } from 'vitest'
import type { CommitRequest, Driver, EntryPage, Read } from '../../../src/core/driver.ts'
import { sqlite } from '../../../src/drivers/sqlite/better-sqlite3.ts'
import { type SqliteOptions, sqliteDriver } from '../../../src/drivers/sqlite/driver.ts'
import { PART, append, database, engine, entriesOf, opened, put, request } from './support.ts'

/** A driver whose clock stands still, and what it runs. */
async function counting(options: SqliteOptions = {}, isShared = false) {
  const ran: string[] = []
  const db = database()
  const time = { now: 1_000_000 }
  const on = engine(db, (sql) => void ran.push(sql), isShared)
  const driver = await opened(sqliteDriver(on, { clock: () => time.now, ...options }))
  await driver.commit(request([put('first')]))
  const during = async (call: () => Promise<unknown>): Promise<string[]> => {
    ran.length = 0
    await call()
    return ran.map((sql) => /^(BEGIN|COMMIT|SELECT|INSERT|DELETE|WITH|PRAGMA)/.exec(sql)?.[0] ?? sql)
  }
  return { db, driver, time, ran, during }
}

const FIRST = ['BEGIN', 'PRAGMA', 'SELECT', 'SELECT', 'INSERT', 'COMMIT']
/** Of a run and a log that are remembered. */
const APPEND = ['BEGIN', 'PRAGMA', 'INSERT', 'COMMIT']
const checked = (durability: 'strict' | 'relaxed' = 'strict'): CommitRequest =>
  request([append('x')], { checks: [{ at: { part: PART, key: 'absent' }, version: null }], durability })

describe('statements', () => {
  test('an append is begin, check, last, insert, commit; the next ones look nothing up', async () => {
    const { driver, during } = await counting()
    expect(await during(() => driver.commit(checked()))).toEqual(FIRST)
    for (let i = 0; i < 3; i++) expect(await during(() => driver.commit(checked()))).toEqual(APPEND)
  })

  test('ten appends in one request begin, look up and commit once', async () => {
    const { driver, during } = await counting()
    const commits = Array.from({ length: 10 }, () => checked().commits[0]!)
    const ran = await during(() => driver.commit({ id: 'r', commits }))
    expect(ran).toEqual([...FIRST.slice(0, 4), ...commits.map(() => 'INSERT'), 'COMMIT'])
  })

  test('what was looked up is forgotten when another connection writes, or a request fails', async () => {
    const { db, driver, during } = await counting()
    const other = await opened(sqlite({ db: database(db.name) }))
    await driver.commit(checked())
    expect((await other.commit(checked())).outcomes).toEqual([{ ok: true, seqs: [2] }])
    expect(await during(() => driver.commit(checked()))).toEqual(FIRST)
    expect(await during(() => driver.commit(checked()))).toEqual(APPEND)

    const failing = request([append('x'), { put: { part: PART, key: 'k' }, value: null as unknown as string }])
    await expect(driver.commit(failing)).rejects.toThrow()
    expect((await driver.commit(checked())).outcomes).toEqual([{ ok: true, seqs: [5] }])
    await other.close()
  })

  test.each(['x'.repeat(2000), new Uint8Array([1, 2])])(
    'what a check compares is remembered, also of values that are not: %#',
    async (value) => {
      const { driver, during } = await counting()
      const { commits } = request([put('k', value)])
      await driver.commit({ id: 'r', commits })
      const check = { at: { part: PART, key: 'k' }, version: commits[0]!.id }
      const again = () => driver.commit(request([append('x')], { checks: [check] }))
      expect(await during(again)).toEqual(FIRST)
      expect(await during(again)).toEqual(APPEND)
      const stale = request([], { checks: [{ ...check, version: 'stale' }] })
      expect((await driver.commit(stale)).outcomes).toMatchObject([{ failed: [{ current: { value } }] }])
    },
  )

  test('pages that do not fit any more read one entry', async () => {
    const { db, driver } = await counting()
    const ops = Array.from({ length: 100 }, (_, i) => put(`k${i + 100}`, 'x'.repeat(i ? 10 : 9_000_000)))
    await driver.commit(request(ops))
    const page: Read = { range: { part: PART, start: 'k', end: 'l', limit: 1000 } }
    let rows = 0
    const statement = Object.getPrototypeOf(db.prepare('SELECT 1')) as { all: (...values: unknown[]) => unknown[] }
    const { all } = statement
    statement.all = function (...values) {
      const found = all.apply(this, values)
      rows += found.length
      return found
    }
    onTestFinished(() => void (statement.all = all))
    const { answers } = await driver.read([page, page, page])
    expect(answers.map((answer) => (answer as EntryPage).entries.length)).toEqual([1, 1, 1])
    expect(answers.every((answer) => (answer as EntryPage).more)).toBe(true)
    expect(rows).toBe(100 + 2 + 2)
  })

  test('on the connection of somebody else, it is remembered for one request', async () => {
    const { db, driver, during } = await counting({}, true)
    const withoutPragmas = async () =>
      (await during(() => driver.commit(checked()))).filter((statement) => statement !== 'PRAGMA')
    const looking = FIRST.filter((statement) => statement !== 'PRAGMA')
    for (let i = 0; i < 3; i++) expect(await withoutPragmas()).toEqual(looking)
    db.exec('DELETE FROM holdfast_keys')
    expect((await driver.commit(checked())).outcomes).toEqual([{ ok: true, seqs: [1] }])
  })

  test('the level is set when it changes, outside of the transaction', async () => {
    const { db, driver, during } = await counting()
    const level = () => db.pragma('synchronous', { simple: true })
    expect(level()).toBe(2)
    expect(await during(() => driver.commit(checked('relaxed')))).toEqual(['PRAGMA', ...FIRST])
    expect(level()).toBe(1)
    expect(await during(() => driver.commit(checked('relaxed')))).toEqual(APPEND)
    expect(await during(() => driver.commit(checked()))).toEqual(['PRAGMA', ...APPEND])
    expect(level()).toBe(2)
    const commits = [checked('relaxed').commits[0]!, checked().commits[0]!]
    await driver.commit(checked('relaxed'))
    await driver.commit({ id: 'mixed', commits })
    expect(level()).toBe(2)
  })

  test('the owner of a connection finds the level as it was, and cannot weaken a strict commit', async () => {
    const { db, driver, ran } = await counting({}, true)
    const level = () => db.pragma('synchronous', { simple: true })
    const before = level()
    for (const durability of ['strict', 'relaxed'] as const) {
      await driver.commit(checked(durability))
      expect(level()).toBe(before)
    }
    db.pragma('synchronous = OFF')
    ran.length = 0
    await driver.commit(checked())
    expect(ran.slice(0, 2)).toEqual(['PRAGMA synchronous = 2', 'BEGIN IMMEDIATE'])
  })

  test('outside of WAL mode each level is one higher', async () => {
    const { db, driver } = await counting({ wal: false })
    expect(db.pragma('journal_mode', { simple: true })).toBe('delete')
    await driver.commit(checked('relaxed'))
    expect(db.pragma('synchronous', { simple: true })).toBe(2)
    await driver.commit(checked())
    expect(db.pragma('synchronous', { simple: true })).toBe(3)
  })

  test('one question is one statement, several are one transaction', async () => {
    const { driver, during } = await counting()
    const get: Read = { get: { part: PART, key: 'first' } }
    const range: Read = { range: { part: PART, start: ' ', end: '~~', limit: 10 } }
    const parts: Read = { parts: { start: ' ', end: '~~', limit: 10 } }
    expect(await during(() => driver.read([get]))).toEqual(['SELECT'])
    expect(await during(() => driver.read([range]))).toEqual(['SELECT'])
    expect(await during(() => driver.read([parts]))).toEqual(['WITH'])
    expect(await during(() => driver.read([get, range, parts]))).toEqual([
      'BEGIN',
      'SELECT',
      'SELECT',
      'WITH',
      'COMMIT',
    ])
    expect(await during(() => driver.read([]))).toEqual(['SELECT'])
  })

  test('keys without values do not ask for the values', async () => {
    const { driver, ran } = await counting()
    ran.length = 0
    const entries = await entriesOf(driver, PART, { keysOnly: true })
    expect(entries).toMatchObject([{ key: 'first', value: '' }])
    expect(ran).toHaveLength(1)
    expect(ran[0]).not.toContain('"value"')
  })

  test('a recognised repetition is one look', async () => {
    const { driver, during } = await counting({ replayWindow: 60_000 })
    const once = checked()
    const first = await driver.commit(once)
    expect(await during(async () => expect(await driver.commit(once)).toEqual(first))).toEqual([
      'BEGIN',
      'SELECT',
      'COMMIT',
    ])
  })
})

const expiring = (n: number) =>
  request(Array.from({ length: n }, (_, i) => ({ put: { part: 'p', key: `k${i}` }, value: '', expires: { in: 10 } })))
const rows = (driver: { db: ReturnType<typeof database> }) =>
  driver.db.prepare(`SELECT count(*) FROM holdfast_entries WHERE part = 'p'`).pluck().get()

describe('sweeping', () => {
  test('is done at most once a second, but goes on where more is due', async () => {
    const it = await counting()
    await it.driver.commit(expiring(150))
    it.time.now += 999
    expect(await it.during(() => it.driver.commit(checked()))).toEqual(FIRST)
    expect(await entriesOf(it.driver, 'p')).toEqual([])
    expect(rows(it)).toBe(150)
    it.time.now += 1
    for (const left of [86, 22, 0]) {
      expect(await it.during(() => it.driver.commit(checked()))).toEqual(['BEGIN', 'DELETE', ...APPEND.slice(1)])
      expect(rows(it)).toBe(left)
    }
    expect(await it.during(() => it.driver.commit(checked()))).toEqual(APPEND)
  })

  test('takes the records of requests too, when two windows are over', async () => {
    const { db, driver, time } = await counting({ replayWindow: 5000 })
    const count = () => db.prepare('SELECT count(*) FROM holdfast_requests').pluck().get()
    await driver.commit(checked())
    expect(count()).toBe(2)
    time.now += 9999
    await driver.commit(checked())
    expect(count()).toBe(3)
    time.now += 1000
    await driver.commit(checked())
    expect(count()).toBe(2)
  })
})

/** The plan of every statement that the driver prepared for entries and requests. */
async function plans(): Promise<[string, string][]> {
  const prepared: string[] = []
  const db = database()
  const on = engine(db, () => {})
  const handle = await on.open()
  const listening = { ...handle, prepare: (sql: string) => (prepared.push(sql), handle.prepare(sql)) }
  await opened(sqliteDriver({ ...on, open: () => listening }, { replayWindow: 1000 }))
  return prepared
    .filter((sql) => / holdfast_(keys|long_values|requests)\b/.test(sql))
    .map((sql) => {
      const values = Array.from({ length: sql.split('?').length - 1 }, () => null)
      const steps = db.prepare(`EXPLAIN QUERY PLAN ${sql}`).all(...values) as { detail: string }[]
      return [sql.trim().replaceAll(/\s+/g, ' '), steps.map((step) => step.detail).join('\n')]
    })
}

describe('plans', () => {
  test('every statement seeks, none scans a table or sorts', async () => {
    const all = await plans()
    expect(all.length).toBeGreaterThan(12)
    for (const [sql, plan] of all) {
      if (sql.startsWith('INSERT')) continue
      expect(plan, sql).toContain('SEARCH')
      expect(plan, sql).not.toMatch(/SCAN holdfast|TEMP B-TREE/)
    }
  })

  test('the names of parts cost a seek each, however many entries they hold', async () => {
    async function timeOf(entries: number): Promise<number> {
      const driver: Driver = await opened(sqlite({ db: database() }))
      for (const part of ['a', 'b', 'c']) {
        await driver.commit(request(Array.from({ length: entries }, (_, i) => put(`k${i}`, 'v', part))))
      }
      const ask = async () => (await driver.read([{ parts: { start: ' ', end: '~~', limit: 2 } }])).answers[0]
      let least = Number.POSITIVE_INFINITY
      for (let i = 0; i < 200; i++) {
        const start = performance.now()
        expect(await ask()).toEqual({ parts: ['a', 'b'], more: true })
        least = Math.min(least, performance.now() - start)
      }
      return least
    }
    // The shortest of many is the work alone. Scanning 15 000 entries takes dozens of times as long as two seeks.
    expect(await timeOf(5000)).toBeLessThan(10 * (await timeOf(5)))
  })
})
