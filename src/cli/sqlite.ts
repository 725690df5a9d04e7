/** SQLite files at the command line: through better-sqlite3, or what this Node brings. @module */
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

/** What is used of an open file: both engines have it. */
interface OpenFile {
  prepare(sql: string): { get(): unknown }
  close(): unknown
}

type Row = Readonly<Record<string, unknown>> | undefined

const hasBetterSqlite3 = async (): Promise<boolean> => {
  try {
    const { default: Database } = await import('better-sqlite3')
    // Its native part is loaded by the first database.
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
 * Asks a file that is only read.
 *
 * @throws `SCHEMA` for one that is damaged or no database; `UNAVAILABLE`, `BACKEND` for one that cannot be opened or read
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

/** The version of the schema in a file; `undefined` where it has none. */
const schemaIn = async (path: string): Promise<number | undefined> =>
  (await ask(path, FIND_SCHEMA)) && Number((await ask(path, FIND_VERSION))?.['version'])

function requireFile(path: string): void {
  if (path === '') throw new Failure(EXIT.usage, 'The URL names no file', 'Such as sqlite:./app.db')
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) {
    throw new Failure(EXIT.usage, `${path} is a directory`, 'Name a file')
  }
}

const missing = (path: string): Failure =>
  new Failure(EXIT.notFound, `There is no file ${path}`, 'Check --store and HOLDFAST_URL')

const foreign = (path: string): Failure =>
  new Failure(EXIT.damaged, `${path} holds no store of holdfast`, 'Check which file this is')

/**
 * Opens a file. One that is somebody else's is left alone.
 *
 * @param path - the file
 * @param create - whether it may be made where it is not there, or empty
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

/** What `doctor` says of a file besides what every store has. */
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
      ...(!isWal && { advice: 'Let the driver switch to WAL (the option wal): commits are faster then' }),
    },
    check === 'ok' ? { what: 'file', level: 'ok', found: 'sound' } : damagedFinding(check),
  ]
}
