/** Long values, which lie in a table of their own: they go with their keys, and nobody reads them in passing. */
import { describe, expect, test } from 'vitest'
import type { Commit, Driver, Value } from '../../../src/core/driver.ts'
import { sqlite } from '../../../src/drivers/sqlite/better-sqlite3.ts'
import { shortBytes } from '../../../src/drivers/sqlite/long-values.ts'
import { type Database, PART, append, database, engines, entriesOf, file, opened, put, request } from './support.ts'

const LONG = 'x'.repeat(5000)

/** How many long values there are, and how many of them belong to a key. */
function countIn(db: Database): { values: number; rows: number; kept: number } {
  const count = (sql: string): number => db.prepare(sql).pluck().get() as number
  return {
    values: count('SELECT count(*) FROM holdfast_long_values'),
    rows: count('SELECT count(*) FROM holdfast_keys WHERE long_id IS NOT NULL'),
    kept: count('SELECT count(*) FROM holdfast_keys JOIN holdfast_long_values ON id = long_id'),
  }
}

describe.each(engines)('$name', ({ make }) => {
  test('a value is long or short by what fits into a page, whatever was there before', async () => {
    const path = file()
    const driver = await opened(await make(path))
    const db = database(path)
    // A client that is handed over keeps its own page size.
    const most = shortBytes(db.pragma('page_size', { simple: true }) as number) - PART.length - 'k'.length
    const values: [Value, isLong: boolean][] = [
      ['x'.repeat(most), false],
      ['x'.repeat(most + 1), true],
      ['é'.repeat(most / 2), false],
      ['é'.repeat(most / 2 + 1), true],
      ['\u20ac'.repeat(most / 3), false],
      ['\u20ac'.repeat(most / 2), true],
      [new Uint8Array(most), false],
      [new Uint8Array(most + 1), true],
      ['', false],
    ]
    for (const [first] of values) {
      for (const [value, isLong] of values) {
        await driver.commit(request([put('k', first)], { durability: 'relaxed' }))
        await driver.commit(request([put('k', value)], { durability: 'relaxed' }))
        expect(await entriesOf(driver)).toMatchObject([{ value }])
        expect(countIn(db)).toEqual({ values: +isLong, rows: +isLong, kept: +isLong })
      }
    }
    await driver.commit(request(values.map(([value], i) => put(`k${i}`, value))))
    // A row that stays in its page makes no page of its own.
    const spilt = db.prepare("SELECT count(*) FROM dbstat WHERE name = 'holdfast_keys' AND pagetype = 'overflow'")
    expect(spilt.pluck().get()).toBe(0)
    const lengths = db.prepare(
      'SELECT long_bytes AS told, octet_length(long.value) AS real FROM holdfast_keys JOIN holdfast_long_values AS long ON id = long_id',
    )
    for (const { told, real } of lengths.all() as { told: number; real: number }[]) expect(told).toBe(real)
  })

  test('goes with its key, however that goes', async () => {
    const path = file()
    let now = 1000
    const driver = await opened(await make(path, { clock: () => now }))
    const db = database(path)
    const fill = [put('a', LONG), put('b', LONG), put('c', LONG), put('d'), append(LONG), append(LONG), append(LONG)]
    await driver.commit(request(fill))
    await driver.commit(request([{ put: { part: 'gone', key: 'k' }, value: LONG, expires: { in: 10 } }]))
    expect(countIn(db)).toEqual({ values: 7, rows: 7, kept: 7 })
    for (const [op, left] of [
      [{ delete: { part: PART, key: 'a' } }, 6],
      [{ deleteRange: { part: PART, start: 'b', end: 'c' } }, 5],
      [{ trim: { part: PART, key: 'event!' }, through: 2 }, 3],
      [put('c', 'short'), 2],
      [{ deletePart: PART }, 1],
    ] as const) {
      await driver.commit(request([op]))
      expect(countIn(db)).toEqual({ values: left, rows: left, kept: left })
    }
    now += 2000
    await driver.commit(request([put('a')]))
    expect(countIn(db)).toEqual({ values: 0, rows: 0, kept: 0 })
  })

  test('nothing of it is left by a request that fails', async () => {
    const path = file()
    const driver = await opened(await make(path))
    const db = database(path)
    await driver.commit(request([put('k', LONG)]))
    const bad = request([put('k', `${LONG}!`), put('l', LONG), put('m', null as unknown as string)])
    await expect(driver.commit(bad)).rejects.toThrow()
    expect(countIn(db)).toEqual({ values: 1, rows: 1, kept: 1 })
    expect(await entriesOf(driver)).toMatchObject([{ key: 'k', value: LONG }])
  })
})

/** A driver whose every look at a long value is counted, from now on. */
async function watched(fill: (driver: Driver) => Promise<unknown>): Promise<{ driver: Driver; reads: () => number }> {
  const db: Database = database()
  const driver = await opened(sqlite({ db }))
  await fill(driver)
  let reads = 0
  db.function('counted', (value: unknown) => (reads++, value))
  db.exec(`DROP TRIGGER holdfast_forget; ALTER TABLE holdfast_long_values RENAME TO held;
    CREATE VIEW holdfast_long_values AS SELECT id, counted(value) AS value FROM held`)
  return { driver, reads: () => reads }
}

describe('long values are not read', () => {
  const written = request([put('a', LONG), put('b', LONG), put('c', 'short'), append(LONG)])
  const [{ id: version }] = written.commits as [Commit]
  const fill = (driver: Driver) => driver.commit(written)

  test('by pages of keys, names of parts and short values', async () => {
    const { driver, reads } = await watched(fill)
    expect(await entriesOf(driver, PART, { keysOnly: true })).toHaveLength(4)
    expect(await entriesOf(driver, PART, { keysOnly: true, reverse: true })).toHaveLength(4)
    await driver.read([{ parts: { start: ' ', end: '~~', limit: 10 } }, { get: { part: PART, key: 'c' } }])
    expect(await entriesOf(driver, PART, { start: 'c', end: 'd' })).toMatchObject([{ value: 'short' }])
    expect(reads()).toBe(0)
    expect(await entriesOf(driver)).toMatchObject([{ value: LONG }, { value: LONG }, {}, { value: LONG }])
    expect(reads()).toBe(3)
  })

  test('by checks that hold, ends of logs and deletes', async () => {
    const { driver, reads } = await watched(fill)
    const checks = ['a', 'b', 'c'].map((key) => ({ at: { part: PART, key }, version }))
    const log = { log: { part: PART, key: 'event!' }, last: 1 }
    expect((await driver.commit(request([append('e')], { checks: [...checks, log] }))).outcomes).toEqual([
      { ok: true, seqs: [2] },
    ])
    await driver.commit(request([{ delete: { part: PART, key: 'a' } }, { trim: log.log, through: 2 }]))
    expect(reads()).toBe(0)
  })

  test('by failed checks whose values have no room', async () => {
    const large = 'y'.repeat(3 * 2 ** 20)
    const { driver, reads } = await watched((it) =>
      it.commit(request(['a', 'b', 'c', 'd'].map((key) => put(key, large)))),
    )
    const checks = ['a', 'b', 'c', 'd'].map((key) => ({ at: { part: PART, key }, version: null }))
    const { outcomes } = await driver.commit(request([], { checks }))
    // 8 MiB hold two of them.
    expect(outcomes).toMatchObject([{ failed: [{}, {}, {}, {}] }])
    const failed = outcomes.flatMap((outcome) => (outcome.ok ? [] : outcome.failed))
    expect(failed.map(({ current }) => (current as { value?: string }).value?.length)).toEqual([
      large.length,
      large.length,
      undefined,
      undefined,
    ])
    expect(reads()).toBe(2)
  })

  test('by pages that they do not fit into, but for the one that shows it', async () => {
    const large = 'y'.repeat(3 * 2 ** 20)
    const { driver, reads } = await watched((it) =>
      it.commit(request(['a', 'b', 'c', 'd', 'e', 'f'].map((key) => put(key, large)))),
    )
    expect(await entriesOf(driver)).toHaveLength(2)
    expect(reads()).toBe(2)
  })
})
