/** Files of earlier schema versions: nothing of them is lost, whenever the upgrade is cut off. */
import { copyFileSync, existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createClient } from '@libsql/client'
import { describe, expect, test } from 'vitest'
import type { Driver } from '../../../src/core/driver.ts'
import { encodeId } from '../../../src/core/keys.ts'
import { sqlite } from '../../../src/drivers/sqlite/better-sqlite3.ts'
import { sqliteDriver } from '../../../src/drivers/sqlite/driver.ts'
import { libsql } from '../../../src/drivers/sqlite/libsql.ts'
import { SHORT_BYTES } from '../../../src/drivers/sqlite/long-values.ts'
import { SCHEMA_VERSION } from '../../../src/drivers/sqlite/migrations.ts'
import { createHoldfast } from '../../../src/holdfast.ts'
import { copy, verify } from '../../../src/ops/index.ts'
import { type Database, codeOf, database, directory, engine, engines, file, opened, put, request } from './support.ts'

const FIXTURE = readFileSync(join(import.meta.dirname, 'fixtures/schema-v1.sql'), 'utf8')

/** A file of version 1, and what it holds. */
function old(): { path: string; entries: unknown[] } {
  const path = file()
  const db = database(path)
  db.pragma('journal_mode = WAL')
  db.exec(FIXTURE)
  const entries = contentIn(db)
  db.close()
  return { path, entries }
}

const contentIn = (db: Database): unknown[] =>
  db.prepare('SELECT part, key, version, expires_at, value FROM holdfast_entries ORDER BY part, key').all()

const versionIn = (db: Database): unknown => db.prepare('SELECT version FROM holdfast_schema').pluck().get()

/** Every object of the schema, by its text. */
const schemaIn = (db: Database): unknown[] =>
  db.prepare('SELECT type, name, sql FROM sqlite_schema WHERE sql NOT NULL ORDER BY type, name').all()

/** Requires a file to be of this version, with all that it held, and in good order. */
function expectWhole(db: Database, entries: unknown[]): void {
  expect(versionIn(db)).toBe(SCHEMA_VERSION)
  expect(contentIn(db)).toEqual(entries)
  const count = (sql: string): unknown => db.prepare(sql).pluck().get()
  const long = `length(part) + length(key) + octet_length(value) > ${SHORT_BYTES}`
  expect(count(`SELECT count(*) FROM holdfast_keys WHERE ${long}`)).toBe(0)
  const moved = count('SELECT count(*) FROM holdfast_long_values')
  expect(moved).toBeGreaterThan(5)
  expect(count('SELECT count(*) FROM holdfast_keys WHERE long_id IS NOT NULL')).toBe(moved)
  expect(count(`SELECT count(*) FROM holdfast_entries WHERE ${long}`)).toBe(moved)
  expect(count('PRAGMA integrity_check')).toBe('ok')
}

/** Requires the stores to find what was written by version 1. */
async function expectReadable(driver: Driver): Promise<void> {
  const holdfast = createHoldfast({ driver })
  const { events } = (await holdfast.persistence.load('order 17'))!
  expect(events.map(({ kind }) => kind)).toEqual(['started', 'charged', 'shipped'])
  expect(events[1]!.payload).toEqual({ note: 'long '.repeat(500) })
  expect(await holdfast.state.getJson('document')).toEqual({ text: 'é'.repeat(1500) })
  expect(await holdfast.state.get('bytes')).toEqual(Uint8Array.from({ length: 2000 }, (_, i) => i))
  for (const n of [0, 1, 850, 900, 950, 1000, 1980, 2100]) {
    expect(await holdfast.state.get(`long ${n}`)).toBe('v'.repeat(n))
  }
  expect(await holdfast.state.get('gone')).toBeUndefined()
  await holdfast.persistence.append({ runId: 'order 17', workflow: 'order', kind: 'paid', payload: 'p'.repeat(3000) })
  await holdfast.state.set('long 1', 'w'.repeat(4000))
  await holdfast.state.set('long 2100', 'w')
  expect(await holdfast.state.get('long 1')).toBe('w'.repeat(4000))
  expect(await holdfast.state.get('long 2100')).toBe('w')
  expect(await verify(holdfast.db)).toMatchObject({ problems: 0, runs: 1 })
}

describe.each(engines)('a file of version 1 through $name', ({ make }) => {
  test('holds what it held, and goes on', async () => {
    const { path, entries } = old()
    const driver = await opened(await make(path))
    expectWhole(database(path), entries)
    await expectReadable(driver)
  })

  test('is refused by a connection that cannot write, and stays as it is', async () => {
    const { path, entries } = old()
    const driver = await make(path, { readOnly: true })
    expect(await codeOf(driver.open())).toBe('READ_ONLY')
    await driver.close()
    const db = database(path)
    expect(versionIn(db)).toBe(1)
    expect(contentIn(db)).toEqual(entries)
  })
})

test('a file of version 1 through libSQL, which has brought what is its own', async () => {
  const { path, entries } = old()
  const client = createClient({ url: `file:${path}`, timeout: 5000 })
  await opened(libsql({ db: client }))
  expectWhole(database(path), entries)
  await expectReadable(libsql({ db: client }))
})

test('a file that SQLite has upgraded is completed by libSQL, to what libSQL makes by itself', async () => {
  const paths = [old().path, old().path, file()]
  await (await opened(sqlite({ db: database(paths[0]) }))).close()
  for (const path of paths) await opened(libsql({ db: createClient({ url: `file:${path}`, timeout: 5000 }) }))
  const [first, ...others] = paths.map((path) => schemaIn(database(path)))
  expect(first!.length).toBeGreaterThan(20)
  for (const other of others) expect(other).toEqual(first)
})

test('an upgraded file has the schema of a new one', async () => {
  const { path } = old()
  await opened(sqlite({ db: database(path) }))
  const fresh = database()
  await opened(sqlite({ db: fresh }))
  expect(schemaIn(database(path))).toEqual(schemaIn(fresh))
})

test('an upgraded file is copied whole', async () => {
  const { path } = old()
  const holdfast = createHoldfast({ driver: await opened(sqlite({ db: database(path) })) })
  const to = database()
  const target = createHoldfast({ driver: await opened(sqlite({ db: to })) })
  await copy(holdfast.db, target.db)
  // What has expired is not carried over.
  const live = (db: Database): unknown[] =>
    db
      .prepare(`SELECT part, key, version, expires_at, value FROM holdfast_entries
        WHERE expires_at IS NULL OR expires_at > unixepoch('subsec') * 1000 ORDER BY part, key`)
      .all()
  expect(live(to)).toEqual(live(database(path)))
})

/** Opens a file of version 1 with a look at each statement of the upgrade, before it runs. */
async function upgrading(path: string, onRun: (n: number, db: Database) => void): Promise<Driver> {
  const db = database(path)
  let n = 0
  let isUpgrading = false
  return sqliteDriver(
    engine(db, (sql) => {
      if (sql === 'BEGIN IMMEDIATE') isUpgrading = true
      if (isUpgrading) onRun(n++, db)
      if (sql === 'COMMIT') isUpgrading = false
    }),
  )
}

test('an upgrade that is killed at any statement has changed nothing, and is done by the next one', async () => {
  const { path, entries } = old()
  const copies: string[] = []
  const driver = await upgrading(path, () => {
    // What a process that is killed here leaves behind: nobody has closed anything.
    const at = join(directory(), 'killed.db')
    for (const suffix of ['', '-wal']) {
      if (existsSync(path + suffix)) copyFileSync(path + suffix, at + suffix)
    }
    copies.push(at)
  })
  await opened(driver)
  expect(copies.length).toBeGreaterThan(20)
  for (const at of copies) {
    const db = database(at)
    expect(versionIn(db)).toBe(1)
    expect(contentIn(db)).toEqual(entries)
    const next = sqlite({ db })
    await next.open()
    expectWhole(db, entries)
  }
})

test('an upgrade whose statement fails is undone, and is done by the next one', async () => {
  const { path, entries } = old()
  let statements = 0
  await opened(await upgrading(old().path, (n) => void (statements = n)))
  for (let failing = 1; failing <= statements; failing += 3) {
    const driver = await upgrading(path, (n) => {
      if (n === failing) throw Object.assign(new Error('injected'), { code: 'SQLITE_FULL' })
    })
    expect(await codeOf(driver.open())).toBe('QUOTA_EXCEEDED')
    const db = database(path)
    expect(versionIn(db)).toBe(1)
    expect(contentIn(db)).toEqual(entries)
  }
  await opened(sqlite({ db: database(path) }))
  expectWhole(database(path), entries)
})

test('a process of version 1 that has the file open reads on, and writes no more', async () => {
  const { path } = old()
  const before = database(path)
  const get = before.prepare('SELECT value FROM holdfast_entries WHERE part = ? AND key = ?').pluck()
  const set =
    before.prepare(`INSERT INTO holdfast_entries (part, key, version, expires_at, value) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (part, key) DO UPDATE SET value = excluded.value`)
  const remove = before.prepare('DELETE FROM holdfast_entries WHERE part = ? AND key = ?')
  const at = ['default!values', encodeId('long 2100', 'key')] as const
  expect(get.get(...at)).toBe('v'.repeat(2100))
  const driver = await opened(sqlite({ db: database(path) }))
  expect(get.get(...at)).toBe('v'.repeat(2100))
  expect(() => set.run(...at, 'v', null, 'stale')).toThrow()
  expect(() => remove.run(...at)).toThrow()
  await driver.commit(request([put(at[1], 'new', at[0])]))
  expect(get.get(...at)).toBe('new')
})
