/** SQLite files, through better-sqlite3, or through node:sqlite if that is not installed. @module */
import { existsSync, statSync } from 'node:fs'
import type { Driver } from '../core/driver.ts'
import { isHoldfastError } from '../core/errors.ts'
import { sqlite } from '../drivers/sqlite/better-sqlite3.ts'
import { toHoldfastError } from '../drivers/sqlite/errors.ts'
import { FIND_SCHEMA, FIND_VERSION, SCHEMA_VERSION } from '../drivers/sqlite/migrations.ts'
import { nodeSqlite } from '../drivers/sqlite/node-sqlite.ts'
import type { Finding } from '../ops/health.ts'
import { EXIT, Failure } from './failures.ts'
import { schemaFinding } from './findings.ts'

/** The methods that both engines have. */
interface OpenFile {
  prepare(sql: string): { get(): unknown }
  close(): unknown
}

type Row = Readonly<Record<string, unknown>> | undefined

const hasBetterSqlite3 = async (): Promise<boolean> => {
  try {
    const { default: Database } = await import('better-sqlite3')
    // The native part is loaded with the first database.
    new Database(':memory:').close()
    return true
  } catch {
    return false
  }
}

async function openToRead(path: string): Promise<OpenFile> {
  if (await hasBetterSqlite3()) {
    const { default: Database } = await import('better-sqlite3')
    return new Database(path, { readonly: true, fileMustExist: true })
  }
  const { DatabaseSync } = await import('node:sqlite')
  return new DatabaseSync(path, { readOnly: true })
}

/**
 * Runs a query on a file opened read-only.
 *
 * @throws `SCHEMA` if it is damaged or not a database; `UNAVAILABLE`, `BACKEND` if it cannot be opened or read
 */
async function ask(path: string, sql: string): Promise<Row> {
  let file: OpenFile | undefined
  try {
    file = await openToRead(path)
    return file.prepare(sql).get() as Row
  } catch (cause) {
    throw toHoldfastError(cause)
  } finally {
    file?.close()
  }
}

/** The schema version of a file; `undefined` if it has none. */
const schemaIn = async (path: string): Promise<number | undefined> =>
  (await ask(path, FIND_SCHEMA)) && Number((await ask(path, FIND_VERSION))?.['version'])

function requireFile(path: string): void {
  if (path === '') throw new Failure(EXIT.usage, 'The URL names no file', 'For example sqlite:./app.db')
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) {
    throw new Failure(EXIT.usage, `${path} is a directory`, 'Name a file')
  }
}

const missing = (path: string): Failure =>
  new Failure(EXIT.notFound, `The file ${path} does not exist`, 'Check --store and HOLDFAST_URL')

const foreign = (path: string): Failure =>
  new Failure(EXIT.damaged, `${path} is not a holdfast store`, 'Check that this is the right file')

/**
 * Opens a file. A file of another program is refused unchanged.
 *
 * @param path - the file
 * @param create - whether a missing or empty file may be made into a store
 */
export async function openSqlite(path: string, create: boolean): Promise<Driver> {
  requireFile(path)
  const isThere = existsSync(path)
  if (!isThere && !create) throw missing(path)
  if (isThere && !(create && statSync(path).size === 0) && (await schemaIn(path)) === undefined) {
    throw foreign(path)
  }
  return (await hasBetterSqlite3()) ? sqlite({ path }) : nodeSqlite({ path })
}

/** Findings of `doctor` about a SQLite file, besides those about every store. */
export async function inspectSqlite(path: string): Promise<readonly Finding[]> {
  requireFile(path)
  if (!existsSync(path)) throw missing(path)
  try {
    return await findingsIn(path)
  } catch (error) {
    if (!isHoldfastError(error) || error.details?.['result'] !== 'CORRUPT') throw error
    return [damagedFinding('damaged')]
  }
}

const damagedFinding = (found: string): Finding => ({
  what: 'file',
  level: 'failure',
  found,
  advice: 'Restore it from a backup',
})

async function findingsIn(path: string): Promise<readonly Finding[]> {
  const version = await schemaIn(path)
  if (version === undefined) throw foreign(path)
  const journal = String((await ask(path, 'PRAGMA journal_mode'))?.['journal_mode'])
  const check = String((await ask(path, 'PRAGMA quick_check(1)'))?.['quick_check'])
  const isWal = journal === 'wal'
  return [
    schemaFinding(version, SCHEMA_VERSION),
    {
      what: 'journal',
      level: isWal ? 'ok' : 'warning',
      found: journal,
      ...(!isWal && { advice: 'Let the driver switch to WAL (option wal): commits are then faster' }),
    },
    check === 'ok' ? { what: 'file', level: 'ok', found: 'sound' } : damagedFinding(check),
  ]
}
