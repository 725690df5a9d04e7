/** Faults in the middle: nothing changes, and the connection goes on. */
import { execFileSync } from 'node:child_process'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { sqlite } from '../../../src/drivers/sqlite/better-sqlite3.ts'
import { sqliteDriver } from '../../../src/drivers/sqlite/driver.ts'
import { part } from '../../support/parts.ts'
import { PART, append, codeOf, database, engine, engines, entriesOf, opened, put, request, tmpfs } from './support.ts'

const fault = (fields: object): Error => Object.assign(new Error('injected'), fields)

describe('a statement that throws', () => {
  test.each(['BEGIN IMMEDIATE', 'SELECT', 'INSERT', 'COMMIT'])('%s changes nothing', async (name) => {
    const db = database()
    let failing = false
    const driver = await opened(
      sqliteDriver(
        engine(db, (sql) => {
          if (failing && sql.startsWith(name)) throw fault({ code: 'SQLITE_IOERR_WRITE' })
        }),
      ),
    )
    failing = true
    await expect(driver.commit(request([append('one'), append('two')]))).rejects.toMatchObject({
      code: 'BACKEND',
      ambiguous: name === 'COMMIT',
    })
    failing = false
    expect(db.inTransaction).toBe(false)
    expect(await entriesOf(driver)).toEqual([])
    await driver.commit(request([append('three')]))
    expect(await entriesOf(driver)).toMatchObject([{ value: 'three' }])
  })

  test('the later commits of a request take the earlier ones with them', async () => {
    const db = database()
    let left = Number.POSITIVE_INFINITY
    const driver = await opened(
      sqliteDriver(
        engine(db, (sql) => {
          if (sql.startsWith('INSERT') && left-- === 0) throw fault({ errcode: 13 })
        }),
      ),
    )
    left = 2
    const commits = [0, 1, 2].map((i) => request([append(`${i}`)]).commits[0]!)
    expect(await codeOf(driver.commit({ id: 'r', commits }))).toBe('QUOTA_EXCEEDED')
    expect(await entriesOf(driver)).toEqual([])
  })

  test('in a read leaves no transaction open', async () => {
    const db = database()
    let failing = false
    const driver = await opened(
      sqliteDriver(
        engine(db, (sql) => {
          if (failing && sql.startsWith('SELECT')) throw fault({ code: 'SQLITE_CORRUPT_INDEX' })
        }),
      ),
    )
    failing = true
    const get = { get: { part: PART, key: 'a' } }
    expect(await codeOf(driver.read([get, get]))).toBe('SCHEMA')
    expect(db.inTransaction).toBe(false)
  })
})

test.each([
  [{ code: 'SQLITE_BUSY' }, 'UNAVAILABLE', true],
  [{ code: 'SQLITE_BUSY_SNAPSHOT' }, 'UNAVAILABLE', true],
  [{ errcode: 261 }, 'UNAVAILABLE', true],
  [{ errcode: 6 }, 'UNAVAILABLE', true],
  [{ code: 'SQLITE_FULL' }, 'QUOTA_EXCEEDED', false],
  [{ errcode: 4874 }, 'QUOTA_EXCEEDED', false],
  [{ code: 'SQLITE_READONLY_DBMOVED' }, 'READ_ONLY', false],
  [{ errcode: 3 }, 'READ_ONLY', false],
  [{ code: 'SQLITE_CANTOPEN' }, 'UNAVAILABLE', true],
  [{ errcode: 26 }, 'SCHEMA', false],
  [{ code: 'SQLITE_CORRUPT' }, 'SCHEMA', false],
  [{ errcode: 18 }, 'PAYLOAD_TOO_LARGE', false],
  [{ code: 'SQLITE_IOERR_FSYNC' }, 'BACKEND', false],
  [{ errcode: 1 }, 'BACKEND', false],
  [{}, 'BACKEND', false],
])('%j is told as %s', async (fields, code, retryable) => {
  const db = database()
  let failing = false
  const driver = await opened(
    sqliteDriver(
      engine(db, (sql) => {
        if (failing && sql.startsWith('BEGIN')) throw fault(fields)
      }),
    ),
  )
  failing = true
  const error = await driver.commit(request([append('one')])).catch((cause: unknown) => cause)
  expect(error).toMatchObject({ code, retryable, ambiguous: false, cause: fields })
  expect((error as Error).message).toMatch(/^[A-Z].*[^.]$/)
  failing = false
  expect(await entriesOf(driver)).toEqual([])
})

describe('a connection that its owner uses', () => {
  test('is waited for while in a transaction, which goes on untouched', async () => {
    const db = database()
    const driver = await opened(sqlite({ db }))
    db.exec('CREATE TABLE mine (id); BEGIN; INSERT INTO mine VALUES (1)')
    for (const durability of ['strict', 'relaxed'] as const) {
      await expect(driver.commit(request([append('one')], { durability }))).rejects.toMatchObject({
        code: 'UNAVAILABLE',
        retryable: true,
      })
    }
    expect(db.inTransaction).toBe(true)
    db.exec('COMMIT')
    expect(db.prepare('SELECT id FROM mine').pluck().all()).toEqual([1])
    expect(await entriesOf(driver)).toEqual([])
    await driver.commit(request([append('one')]))
    expect(await entriesOf(driver)).toHaveLength(1)
  })

  test('is waited for while it iterates', async () => {
    const db = database()
    const driver = await opened(sqlite({ db }))
    for (const _ of db.prepare('SELECT 1 UNION SELECT 2').iterate()) {
      expect(await codeOf(driver.commit(request([append('one')])))).toBe('UNAVAILABLE')
    }
    expect(await entriesOf(driver)).toEqual([])
  })

  test('is told when it was closed', async () => {
    const db = database()
    const driver = await opened(sqlite({ db }))
    db.close()
    expect(await codeOf(driver.commit(request([append('one')])))).toBe('CLOSED')
    expect(await codeOf(driver.read([]))).toBe('CLOSED')
  })

  test('is told when the tables are gone', async () => {
    const db = database()
    const driver = await opened(sqlite({ db }))
    db.exec('DROP VIEW holdfast_runs; DROP VIEW holdfast_entries; DROP TABLE holdfast_keys')
    expect(await codeOf(driver.commit(request([append('one')])))).toBe('SCHEMA')
  })
})

describe.each(engines)('a full disk through $name', ({ make }) => {
  test.skipIf(!part('tmpfs'))('is told, changes nothing, and is gone with more room', async () => {
    const mount = tmpfs('512k')
    const path = join(mount, 'test.db')
    const driver = await opened(await make(path))
    let stored = 0
    const fill = async (): Promise<string> => {
      for (; stored < 100; stored++) {
        const code = await codeOf(driver.commit(request([append('x'.repeat(10_000)), put(`k${stored}`)])))
        if (code !== 'none') return code
      }
      return 'none'
    }
    expect(await fill()).toBe('QUOTA_EXCEEDED')
    expect(stored).toBeGreaterThan(3)
    const before = await entriesOf(driver)
    expect(before).toHaveLength(2 * stored)
    await expect(driver.commit(request([put('big', 'x'.repeat(200_000))]))).rejects.toMatchObject({
      code: 'QUOTA_EXCEEDED',
      retryable: false,
      ambiguous: false,
    })
    expect(await entriesOf(driver)).toEqual(before)
    expect(await entriesOf(await opened(await make(path)))).toEqual(before)
    execFileSync('mount', ['-o', 'remount,size=8m', mount])
    expect(await fill()).toBe('none')
    expect(await entriesOf(driver)).toHaveLength(200)
    expect(database(path).pragma('integrity_check', { simple: true })).toBe('ok')
  })

  test.skipIf(!part('tmpfs'))('is told while opening a new file', async () => {
    const mount = tmpfs('256k')
    const ballast = join(mount, 'ballast')
    writeFileSync(ballast, new Uint8Array(256 * 1024))
    const driver = await make(join(mount, 'test.db'))
    expect(await codeOf(driver.open())).toBe('QUOTA_EXCEEDED')
    rmSync(ballast)
    expect(await entriesOf(await opened(driver))).toEqual([])
    await driver.commit(request([put('a')]))
  })
})
