/** What the SQLite suites share: files, requests, and handles that count or fail. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type BetterSqlite3 from 'better-sqlite3'
import { onTestFinished } from 'vitest'
import type { Commit, CommitRequest, Driver, EntryPage, Op, Range } from '../../../src/core/driver.ts'
import { isHoldfastError } from '../../../src/core/errors.ts'
import type { SqliteEngine } from '../../../src/drivers/sqlite/driver.ts'
import type { SqliteHandle, SqliteRow } from '../../../src/drivers/sqlite/handle.ts'
import { betterSqlite3 } from '../../support/parts.ts'

/** better-sqlite3 of the version under test. */
export const { default: Sqlite } = (await import(betterSqlite3)) as { default: typeof BetterSqlite3 }
export type Database = InstanceType<typeof Sqlite>

export const PART = 'default!run!r1'

export function directory(): string {
  const path = mkdtempSync(join(tmpdir(), 'holdfast-sqlite-'))
  onTestFinished(() => rmSync(path, { recursive: true, force: true }))
  return path
}

export const file = (): string => join(directory(), 'test.db')

/** A database in WAL mode, closed when the test ends. */
export function database(path = file(), options: ConstructorParameters<typeof Sqlite>[1] = {}): Database {
  const db = new Sqlite(path, options)
  onTestFinished(() => void db.close())
  return db
}

/** Opened, and closed when the test ends. */
export async function opened(driver: Driver): Promise<Driver> {
  await driver.open()
  onTestFinished(() => driver.close())
  return driver
}

let ids = 0
export function request(ops: readonly Op[], more: Partial<Commit> = {}): CommitRequest {
  const id = `id${++ids}`
  return { id, commits: [{ id, checks: [], ops, durability: 'strict', ...more }] }
}

export const put = (key: string, value: string | Uint8Array = key, part = PART): Op => ({ put: { part, key }, value })
export const append = (value: string): Op => ({ append: { part: PART, key: 'event!' }, value })

export async function entriesOf(driver: Driver, part = PART, range: Partial<Range> = {}) {
  const { answers } = await driver.read([{ range: { part, start: ' ', end: '~~', limit: 1000, ...range } }])
  return (answers[0] as EntryPage).entries
}

/** The code that a call fails with. */
export async function codeOf(call: Promise<unknown>): Promise<string> {
  try {
    await call
  } catch (error) {
    if (isHoldfastError(error)) return error.code
    throw error
  }
  return 'none'
}

/** A better-sqlite3 behind the driver's handle, which tells every statement that is run before it is run. */
export function engine(db: Database, onRun: (sql: string) => void, isShared = false): SqliteEngine {
  const handle: SqliteHandle = {
    prepare(sql) {
      const statement = db.prepare(sql)
      if (statement.reader) statement.raw()
      const name = sql.trim().replaceAll(/\s+/g, ' ')
      return {
        get: (...values) => (onRun(name), statement.get(...values) as SqliteRow | undefined),
        all: (...values) => (onRun(name), statement.all(...values) as SqliteRow[]),
        run: (...values) => (onRun(name), statement.run(...values)),
      }
    },
    exec: (sql) => (onRun(sql), db.exec(sql)),
    close: () => db.close(),
  }
  return { name: 'test', isShared, isMemory: false, open: () => handle }
}

/** Another process; resolves when it has said that it is ready. `go` lets it go on, `done` is its exit code. */
export async function child(...args: string[]) {
  const program = join(import.meta.dirname, 'child.ts')
  const other: ChildProcess = spawn(process.execPath, ['--import', 'tsx', program, ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  onTestFinished(() => void other.kill('SIGKILL'))
  const done = new Promise<number | null>((resolve) => other.once('exit', resolve))
  await new Promise<unknown>((resolve) => {
    other.stdout!.once('data', resolve)
    void done.then(resolve)
  })
  return { done, go: () => other.stdin!.end() }
}
