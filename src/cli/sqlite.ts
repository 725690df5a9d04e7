/** SQLite files at the command line: through better-sqlite3, or what this Node brings. @module */
import { existsSync, statSync } from 'node:fs'
import type { Driver } from '../core/driver.ts'
import { sqlite } from '../drivers/sqlite/better-sqlite3.ts'
import { SCHEMA_VERSION } from '../drivers/sqlite/migrations.ts'
import { nodeSqlite } from '../drivers/sqlite/node-sqlite.ts'
import type { Finding } from '../ops/health.ts'
import { EXIT, Failure } from './failures.ts'

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

/** Asks a file that is only read; an engine that cannot open or read it throws. */
async function ask(path: string, sql: string): Promise<Row> {
  const file = await openToRead(path)
  try {
    return file.prepare(sql).get() as Row
  } finally {
    file.close()
  }
}

/** The version of the schema in a file; `undefined` where it has none. */
async function schemaIn(path: string): Promise<number | undefined> {
  try {
    return Number((await ask(path, 'SELECT max(version) AS version FROM holdfast_schema'))?.['version'])
  } catch (cause) {
    if (/no such table/.test(String(cause))) return undefined
    if (/not a database/.test(String(cause))) {
      throw new Failure(EXIT.damaged, `${path} is no SQLite file`, 'Check which file this is')
    }
    throw cause
  }
}

/**
 * Opens a file. One that is somebody else's is left alone.
 *
 * @param path - the file
 * @param create - whether it may be made where it is not there, or empty
 */
export async function openSqlite(path: string, create: boolean): Promise<Driver> {
  if (path === '') throw new Failure(EXIT.usage, 'The URL names no file', 'Such as sqlite:./app.db')
  const isThere = existsSync(path)
  if (!isThere && !create) {
    throw new Failure(EXIT.notFound, `There is no file ${path}`, 'Check --store and HOLDFAST_URL')
  }
  if (isThere && !(create && statSync(path).size === 0) && (await schemaIn(path)) === undefined) {
    throw new Failure(EXIT.damaged, `${path} holds no store of holdfast`, 'Check which file this is')
  }
  return (await hasBetterSqlite3()) ? sqlite({ path }) : nodeSqlite({ path })
}

/** What `doctor` says of a file besides what every store has. */
export async function inspectSqlite(path: string): Promise<readonly Finding[]> {
  const version = await schemaIn(path)
  const journal = String((await ask(path, 'PRAGMA journal_mode'))?.['journal_mode'])
  const check = String((await ask(path, 'PRAGMA quick_check(1)'))?.['quick_check'])
  const isWal = journal === 'wal'
  const isSound = check === 'ok'
  return [
    {
      what: 'schema',
      level: version === SCHEMA_VERSION ? 'ok' : 'warning',
      found: `version ${version}, this release has ${SCHEMA_VERSION}`,
      ...(version !== SCHEMA_VERSION && { advice: 'Open it with this release to bring it up to date, after a backup' }),
    },
    {
      what: 'journal',
      level: isWal ? 'ok' : 'warning',
      found: journal,
      ...(!isWal && { advice: 'Let the driver switch to WAL (the option wal): commits are faster then' }),
    },
    {
      what: 'file',
      level: isSound ? 'ok' : 'failure',
      found: isSound ? 'sound' : check,
      ...(!isSound && { advice: 'Restore it from a backup' }),
    },
  ]
}
