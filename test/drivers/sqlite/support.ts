/** What the SQLite suites share: files, requests, and handles that count or fail. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type BetterSqlite3 from 'better-sqlite3'
import { onTestFinished } from 'vitest'
import type { Commit, CommitRequest, Driver, EntryPage, Op, EntryRange } from '../../../src/core/driver.ts'
import { isHoldfastError } from '../../../src/core/errors.ts'
import { sqlite } from '../../../src/drivers/sqlite/better-sqlite3.ts'
import type { SqliteEngine, SqliteOptions } from '../../../src/drivers/sqlite/driver.ts'
import type { SqliteHandle, SqliteRow } from '../../../src/drivers/sqlite/handle.ts'
import { nodeSqlite } from '../../../src/drivers/sqlite/node-sqlite.ts'
import { betterSqlite3, hasNodeSqlite } from '../../support/parts.ts'

/** better-sqlite3 of the version under test. */
export const { default: Sqlite } = (await import(betterSqlite3)) as { default: typeof BetterSqlite3 }
export type Database = InstanceType<typeof Sqlite>

export const PART = 'default!run!r1'

export function directory(): string {
  const path = mkdtempSync(join(tmpdir(), 'holdfast-sqlite-'))
  onTestFinished(() => rmSync(path, { recursive: true, force: true }))
  return path
}

/** A small disk of one's own; needs the part of that name. */
export function tmpfs(size: string): string {
  const mount = directory()
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', mount])
  onTestFinished(() => void execFileSync('umount', [mount]))
  return mount
}

export const file = (): string => join(directory(), 'test.db')

/** A database in WAL mode, closed when the test ends. */
export function database(path = file(), options: ConstructorParameters<typeof Sqlite>[1] = {}): Database {
  const db = new Sqlite(path, options)
  onTestFinished(() => void db.close())
  return db
}

/** How a driver comes to a file. */
export interface FileOptions extends SqliteOptions {
  /** Through a connection that cannot write. */
  readonly readOnly?: boolean
}

/** A driver of one kind; closing it lets go of the file. */
export type MakeDriver = (path: string, options?: FileOptions) => Promise<Driver>

/** Under Node 24 it is version 13, which only its tests know where to find. */
const isInstalled = betterSqlite3 === 'better-sqlite3'

/** By path, as most users do; where that is not possible, on a handle. */
const overBetterSqlite3: MakeDriver = async (path, { readOnly = false, ...options } = {}) => {
  if (!readOnly && isInstalled) return sqlite({ path, ...options })
  const db = database(path, { readonly: readOnly })
  const driver = sqlite({ db, ...options })
  return { ...driver, close: async () => (await driver.close(), void db.close()) }
}

const overNodeSqlite: MakeDriver = async (path, { readOnly = false, ...options } = {}) => {
  if (!readOnly) return nodeSqlite({ path, ...options })
  const { DatabaseSync } = await import('node:sqlite')
  const db = new DatabaseSync(path, { readOnly })
  const driver = nodeSqlite({ db, ...options })
  return { ...driver, close: async () => (await driver.close(), db.isOpen ? db.close() : undefined) }
}

/** An engine that the Node at hand has. */
export interface FileEngine {
  readonly name: string
  readonly make: MakeDriver
  /** Whether it opens files by their path. */
  readonly isByPath: boolean
}

export const engines: readonly FileEngine[] = [
  { name: isInstalled ? 'better-sqlite3' : 'better-sqlite3 13', make: overBetterSqlite3, isByPath: isInstalled },
  ...(hasNodeSqlite ? [{ name: 'node:sqlite', make: overNodeSqlite, isByPath: true }] : []),
]

const hashOf = (path: string): string => createHash('sha256').update(readFileSync(path)).digest('hex')

/** The files of a directory, and a hash of each. */
export const contentOf = (path: string): Record<string, string> =>
  Object.fromEntries(readdirSync(path).map((name) => [name, hashOf(join(path, name))]))

/** Does something without the rights of root, whom no file mode stops. */
export async function unprivileged<T>(run: () => Promise<T>): Promise<T> {
  const isRoot = process.geteuid?.() === 0
  if (isRoot) process.seteuid!('nobody')
  try {
    return await run()
  } finally {
    if (isRoot) process.seteuid!(0)
  }
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

export async function entriesOf(driver: Driver, part = PART, range: Partial<EntryRange> = {}) {
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
