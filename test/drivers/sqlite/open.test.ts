/** Opening: races, and files that are not what they should be. */
import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { sqlite } from '../../../src/drivers/sqlite/better-sqlite3.ts'
import { sqliteDriver } from '../../../src/drivers/sqlite/driver.ts'
import { SCHEMA_VERSION } from '../../../src/drivers/sqlite/migrations.ts'
import { nodeSqlite } from '../../../src/drivers/sqlite/node-sqlite.ts'
import { hasNodeSqlite } from '../../support/parts.ts'
import { append, child, codeOf, database, directory, engine, entriesOf, file, opened, put, request } from './support.ts'

test('ten processes open one new file at once and append to one log', { timeout: 60_000 }, async () => {
  const path = file()
  const children = await Promise.all(Array.from({ length: 10 }, () => child('append', path, '20')))
  for (const one of children) one.go()
  expect(await Promise.all(children.map((one) => one.done))).toEqual(Array(10).fill(0))
  const driver = await opened(sqlite({ db: database(path) }))
  const entries = await entriesOf(driver)
  expect(entries.map((entry) => Number(entry.key.slice(-16)))).toEqual(Array.from({ length: 200 }, (_, i) => i + 1))
  expect(new Set(entries.map((entry) => entry.value)).size).toBe(200)
})

test('open is idempotent, and works again after close', async () => {
  const db = database()
  const driver = sqlite({ db })
  await Promise.all(Array.from({ length: 10 }, () => driver.open()))
  await driver.commit(request([append('one')]))
  await driver.close()
  await driver.close()
  expect(await codeOf(driver.read([]))).toBe('CLOSED')
  expect(db.open).toBe(true)
  await driver.open()
  expect(await entriesOf(driver)).toHaveLength(1)
})

test('a schema of a newer release is refused, and left as it is', async () => {
  const db = database()
  await opened(sqlite({ db }))
  db.exec('UPDATE holdfast_schema SET version = 1000')
  await expect(sqlite({ db }).open()).rejects.toMatchObject({
    code: 'SCHEMA',
    details: { found: 1000, known: SCHEMA_VERSION },
  })
  expect(db.prepare('SELECT version FROM holdfast_schema').pluck().all()).toEqual([1000])
})

test('a foreign table under the name of ours is refused, and nothing is created', async () => {
  const db = database()
  db.exec('CREATE TABLE holdfast_entries (mine)')
  expect(await codeOf(sqlite({ db }).open())).toBe('SCHEMA')
  expect(db.prepare('SELECT name FROM sqlite_schema').pluck().all()).toEqual(['holdfast_entries'])
})

test('a file that is no database is refused, and left as it is', async () => {
  const path = file()
  writeFileSync(path, 'no database '.repeat(1000))
  expect(await codeOf(sqlite({ db: database(path) }).open())).toBe('SCHEMA')
  expect(readFileSync(path, 'utf8')).toBe('no database '.repeat(1000))
})

describe('a file that cannot be written', () => {
  test('is refused when the schema is missing', async () => {
    const path = file()
    database(path).exec('CREATE TABLE mine (id)')
    const db = database(path, { readonly: true })
    expect(await codeOf(sqlite({ db }).open())).toBe('READ_ONLY')
    expect(db.prepare('SELECT name FROM sqlite_schema').pluck().all()).toEqual(['mine'])
  })

  test('can be read, and refuses to be changed', async () => {
    const path = file()
    const writer = await opened(sqlite({ db: database(path) }))
    await writer.commit(request([put('a')]))
    const reader = await opened(sqlite({ db: database(path, { readonly: true }) }))
    expect(await entriesOf(reader)).toHaveLength(1)
    expect(await codeOf(reader.commit(request([put('b')])))).toBe('READ_ONLY')
    expect(await entriesOf(writer)).toHaveLength(1)
  })

  test('also outside of WAL mode', async () => {
    const path = file()
    const writer = sqlite({ db: database(path), wal: false })
    await writer.open()
    chmodSync(path, 0o444)
    const reader = await opened(sqlite({ db: database(path, { readonly: true }) }))
    expect(await entriesOf(reader)).toEqual([])
    expect(await codeOf(reader.commit(request([put('b')])))).toBe('READ_ONLY')
    expect(await entriesOf(writer)).toEqual([])
  })
})

test('a path without a directory is unavailable', async () => {
  const path = join(directory(), 'none', 'test.db')
  // The installed better-sqlite3 is made for one version of Node.
  const driver = hasNodeSqlite ? nodeSqlite({ path }) : sqlite({ path })
  expect(await codeOf(driver.open())).toBe('UNAVAILABLE')
})

test('a file locked by another process is unavailable after the busy timeout, while opening and later', async () => {
  const path = file()
  const mine = database(path, { timeout: 50 })
  mine.pragma('journal_mode = WAL')
  const holder = await child('lock', path)
  const driver = sqlite({ db: mine, busyTimeout: 50 })
  await expect(driver.open()).rejects.toMatchObject({ code: 'UNAVAILABLE', retryable: true, ambiguous: false })
  holder.go()
  await holder.done
  await opened(driver)

  const second = await child('lock', path)
  await expect(driver.commit(request([append('one')]))).rejects.toMatchObject({
    code: 'UNAVAILABLE',
    retryable: true,
    ambiguous: false,
  })
  // Readers do not wait for a writer.
  expect(await entriesOf(driver)).toEqual([])
  second.go()
  await second.done
  await driver.commit(request([append('one')]))
  expect(await entriesOf(driver)).toHaveLength(1)
})

test('the switch to WAL is tried again while the file is locked', async () => {
  const db = database()
  let refused = 3
  const driver = sqliteDriver(
    engine(db, (sql) => {
      if (sql === 'PRAGMA journal_mode = WAL' && refused-- > 0)
        throw Object.assign(new Error(), { code: 'SQLITE_BUSY' })
    }),
  )
  await opened(driver)
  expect(db.pragma('journal_mode', { simple: true })).toBe('wal')
})

test('a journal mode in which commits can be torn is refused', async () => {
  const db = database()
  db.pragma('journal_mode = MEMORY')
  expect(await codeOf(sqlite({ db, wal: false }).open())).toBe('UNSUPPORTED')
  expect(db.prepare('SELECT name FROM sqlite_schema').all()).toEqual([])
})

test('a database in memory promises no durability', async () => {
  const driver = await opened(sqlite({ db: database(':memory:') }))
  expect(driver.capabilities).toMatchObject({ durability: 'none', writers: 'one' })
  await driver.commit(request([append('one')]))
  expect(await entriesOf(driver)).toHaveLength(1)
})

test('malformed options are refused', () => {
  expect(() => sqlite({})).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
  expect(() => sqlite({ path: 'x', busyTimeout: -1 })).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
  expect(() => sqlite({ path: 'x', replayWindow: 0.5 })).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
  expect(() => nodeSqlite({})).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
})

test.skipIf(hasNodeSqlite)('a runtime without node:sqlite is told what to use', async () => {
  expect(await codeOf(nodeSqlite({ path: file() }).open())).toBe('UNSUPPORTED')
})
