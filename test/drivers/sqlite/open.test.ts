/** Opening: races, and files that are not what they should be. */
import { execFileSync } from 'node:child_process'
import { chmodSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { Driver } from '../../../src/core/driver.ts'
import { sqlite } from '../../../src/drivers/sqlite/better-sqlite3.ts'
import { type SqliteOptions, sqliteDriver } from '../../../src/drivers/sqlite/driver.ts'
import { SCHEMA_VERSION } from '../../../src/drivers/sqlite/migrations.ts'
import { nodeSqlite } from '../../../src/drivers/sqlite/node-sqlite.ts'
import { hasNodeSqlite, part } from '../../support/parts.ts'
import {
  type FileOptions,
  append,
  child,
  codeOf,
  contentOf,
  database,
  directory,
  engine,
  engines,
  entriesOf,
  file,
  opened,
  put,
  request,
  tmpfs,
  unprivileged,
} from './support.ts'

test('ten processes open one new file at once and append to one log', async () => {
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

test('a foreign table under the name of ours is refused, and nothing is created', async () => {
  const db = database()
  db.exec('CREATE TABLE holdfast_entries (mine)')
  expect(await codeOf(sqlite({ db }).open())).toBe('SCHEMA')
  expect(db.prepare('SELECT name FROM sqlite_schema').pluck().all()).toEqual(['holdfast_entries'])
})

test.each(engines.filter((it) => it.isByPath))('$name: a path without a directory is unavailable', async ({ make }) => {
  const home = directory()
  const driver = await make(join(home, 'none', 'test.db'))
  await expect(driver.open()).rejects.toMatchObject({ code: 'UNAVAILABLE', retryable: true })
  expect(contentOf(home)).toEqual({})
})

describe.each(engines)('$name', ({ make }) => {
  /** A database with one entry, closed. */
  async function written(options: SqliteOptions = {}): Promise<string> {
    const path = file()
    const driver = await make(path, options)
    await driver.open()
    await driver.commit(request([put('a')]))
    await driver.close()
    return path
  }

  /** Requires a file to be refused, and left as it is. */
  async function refuses(path: string, options?: FileOptions): Promise<unknown> {
    const before = contentOf(dirname(path))
    const driver = await make(path, options)
    const error: unknown = await driver.open().catch((cause: unknown) => cause)
    await driver.close()
    expect(contentOf(dirname(path))).toEqual(before)
    return error
  }

  const keysIn = async (path: string): Promise<string[]> =>
    (await entriesOf(await opened(await make(path)))).map((entry) => entry.key)

  test('a file that is no database is refused, and left as it is', async () => {
    const path = file()
    for (const content of ['no database '.repeat(1000), 'short', `SQLite format 3\0${'x'.repeat(1000)}`]) {
      writeFileSync(path, content)
      expect(await refuses(path)).toMatchObject({ code: 'SCHEMA', retryable: false })
    }
  })

  test.each([true, false])('a file of a newer format is refused, and left as it is (WAL: %s)', async (wal) => {
    const path = await written({ wal })
    const db = database(path)
    db.exec('UPDATE holdfast_schema SET version = 1000')
    db.close()
    expect(await refuses(path)).toMatchObject({
      code: 'SCHEMA',
      retryable: false,
      details: { found: 1000, known: SCHEMA_VERSION },
    })
    database(path).exec(`UPDATE holdfast_schema SET version = ${SCHEMA_VERSION}`)
    expect(await keysIn(path)).toEqual(['a'])
  })

  describe('a file that cannot be written', () => {
    test('is refused when the schema is missing', async () => {
      const path = file()
      const db = database(path)
      db.exec('CREATE TABLE mine (id); INSERT INTO mine VALUES (1)')
      db.close()
      expect(await refuses(path, { readOnly: true })).toMatchObject({ code: 'READ_ONLY', retryable: false })
      expect(database(path).prepare('SELECT id FROM mine').pluck().all()).toEqual([1])
    })

    test.each([true, false])('can be read, and refuses to be changed (WAL: %s)', async (wal) => {
      const path = await written({ wal })
      const before = readFileSync(path)
      const reader = await opened(await make(path, { readOnly: true, wal }))
      expect(await entriesOf(reader)).toHaveLength(1)
      await expect(reader.commit(request([put('b')]))).rejects.toMatchObject({
        code: 'READ_ONLY',
        retryable: false,
        ambiguous: false,
      })
      expect(await entriesOf(reader)).toHaveLength(1)
      await reader.close()
      expect(readFileSync(path)).toEqual(before)
      expect(await keysIn(path)).toEqual(['a'])
    })
  })

  test('a file locked by another process is unavailable after the busy timeout, while opening and later', async () => {
    const path = file()
    const mine = database(path)
    mine.pragma('journal_mode = WAL')
    mine.exec('CREATE TABLE mine (id); INSERT INTO mine VALUES (1)')
    const locked = { code: 'UNAVAILABLE', retryable: true, ambiguous: false }
    const tables = () => mine.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").pluck().all()

    const holder = await child('lock', path)
    const driver = await make(path, { busyTimeout: 50 })
    await expect(driver.open()).rejects.toMatchObject(locked)
    expect(tables()).toEqual(['mine'])
    holder.go()
    await holder.done
    await opened(driver)
    await driver.commit(request([append('one')]))

    const second = await child('lock', path)
    const start = performance.now()
    await expect(driver.commit(request([append('two')]))).rejects.toMatchObject(locked)
    expect(performance.now() - start).toBeGreaterThan(40)
    // Readers do not wait for a writer.
    expect(await entriesOf(driver)).toMatchObject([{ value: 'one' }])
    second.go()
    await second.done
    expect(await entriesOf(driver)).toMatchObject([{ value: 'one' }])
    await driver.commit(request([append('two')]))
    expect(await entriesOf(driver)).toHaveLength(2)
    expect(mine.prepare('SELECT id FROM mine').pluck().all()).toEqual([1])
  })

  describe('a directory that cannot be written', () => {
    /** One file in WAL mode and one not, each with an entry, closed: without side files. */
    async function fill(home: string): Promise<Record<string, string>> {
      for (const wal of [true, false]) {
        const writer = await make(join(home, wal ? 'wal.db' : 'plain.db'), { wal })
        await writer.open()
        await writer.commit(request([put('a')]))
        await writer.close()
      }
      return contentOf(home)
    }

    async function canOnlyBeRead(driver: Driver): Promise<void> {
      await driver.open()
      expect(await entriesOf(driver)).toHaveLength(1)
      expect(await codeOf(driver.commit(request([put('b')])))).toBe('READ_ONLY')
      expect(await entriesOf(driver)).toHaveLength(1)
      await driver.close()
    }

    test('takes WAL from a file that nobody has open', async () => {
      const home = directory()
      const before = await fill(home)
      chmodSync(home, 0o555)
      for (const name of ['wal.db', 'plain.db']) chmodSync(join(home, name), 0o444)
      try {
        await unprivileged(async () => {
          for (const readOnly of [true, false]) {
            const driver = await make(join(home, 'wal.db'), { readOnly })
            expect(await codeOf(driver.open())).toBe('READ_ONLY')
            await driver.close()
            await canOnlyBeRead(await make(join(home, 'plain.db'), { readOnly }))
          }
        })
      } finally {
        chmodSync(home, 0o755)
      }
      expect(contentOf(home)).toEqual(before)
      expect(await keysIn(join(home, 'wal.db'))).toEqual(['a'])
    })

    test('leaves a file to be read that another has open', async () => {
      const home = directory()
      await fill(home)
      const other = await opened(await make(join(home, 'wal.db')))
      await other.commit(request([put('a', 'again')]))
      chmodSync(home, 0o555)
      for (const name of readdirSync(home)) chmodSync(join(home, name), 0o444)
      try {
        await unprivileged(async () => canOnlyBeRead(await make(join(home, 'wal.db'))))
      } finally {
        chmodSync(home, 0o755)
      }
      expect(await entriesOf(other)).toMatchObject([{ value: 'again' }])
    })

    test.skipIf(!part('tmpfs'))('is told apart where the whole file system is read-only', async () => {
      const mount = tmpfs('1m')
      const before = await fill(mount)
      execFileSync('mount', ['-o', 'remount,ro', mount])
      for (const readOnly of [true, false]) {
        const driver = await make(join(mount, 'wal.db'), { readOnly })
        expect(await codeOf(driver.open())).toBe('UNAVAILABLE')
        await driver.close()
        await canOnlyBeRead(await make(join(mount, 'plain.db'), { readOnly }))
      }
      expect(contentOf(mount)).toEqual(before)
    })
  })
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
