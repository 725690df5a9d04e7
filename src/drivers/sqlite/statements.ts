/** All SQL of the driver, on the names of the drizzle schema: made to text once per connection. @module */
import { type Column, type SQL, sql } from 'drizzle-orm'
import { SQLiteSyncDialect } from 'drizzle-orm/sqlite-core'
import type { SqliteHandle, SqliteStatement } from './handle.ts'
import { entries, requests, schemaVersion } from './schema.ts'

/** The statements, by what they do. */
export type StatementName =
  | 'begin'
  | 'beginImmediate'
  | 'commit'
  | 'ping'
  | 'dataVersion'
  | 'get'
  | 'last'
  | 'rangeUp'
  | 'rangeDown'
  | 'keysUp'
  | 'keysDown'
  | 'parts'
  | 'put'
  | 'delete'
  | 'deleteRange'
  | 'deletePart'
  | 'sweepEntries'
  | 'sweepRequests'
  | 'findRequest'
  | 'keepRequest'

/** A column by its bare name, as assignments need it. */
const name = (column: Column): SQL => sql`${sql.identifier(column.name)}`

function texts(): Record<StatementName, SQL> {
  const [part, key, version] = [name(entries.part), name(entries.key), name(entries.version)]
  const [value, expiresAt] = [name(entries.value), name(entries.expiresAt)]
  const [id, record, until] = [name(requests.id), name(requests.record), name(requests.expiresAt)]

  const inRange = sql`${part} = ? AND ${key} >= ? AND ${key} < ?`
  const entry = sql`${key}, ${version}, ${expiresAt}`
  const range = (last: SQL, order: SQL): SQL =>
    sql`SELECT ${entry}, ${last} FROM ${entries}
      WHERE ${inRange} AND (${expiresAt} IS NULL OR ${expiresAt} > ?) ORDER BY ${key} ${order} LIMIT ?`
  const keysOnly = sql`''`
  const [up, down] = [sql`ASC`, sql`DESC`]

  return {
    begin: sql`BEGIN`,
    beginImmediate: sql`BEGIN IMMEDIATE`,
    commit: sql`COMMIT`,
    ping: sql`SELECT 1 FROM ${schemaVersion}`,
    /** Another number when another connection has written to the file. */
    dataVersion: sql`PRAGMA data_version`,
    /** (part, key) */
    get: sql`SELECT ${entry}, ${value} FROM ${entries} WHERE ${part} = ? AND ${key} = ?`,
    /** (part, start, end) */
    last: sql`SELECT ${key} FROM ${entries} WHERE ${inRange} ORDER BY ${key} DESC LIMIT 1`,
    /** (part, start, end, now, limit), as the next three */
    rangeUp: range(value, up),
    rangeDown: range(value, down),
    keysUp: range(keysOnly, up),
    keysDown: range(keysOnly, down),
    /** (start, end, end, limit): one index seek per name, however many entries a part holds */
    parts: sql`WITH RECURSIVE names (name) AS (
        SELECT min(${part}) FROM ${entries} WHERE ${part} >= ? AND ${part} < ?
        UNION ALL
        SELECT (SELECT min(${part}) FROM ${entries} WHERE ${part} > names.name AND ${part} < ?)
        FROM names WHERE names.name IS NOT NULL
      ) SELECT name FROM names WHERE name IS NOT NULL LIMIT ?`,
    /** (part, key, version, expires at, value) */
    put: sql`INSERT INTO ${entries} (${part}, ${key}, ${version}, ${expiresAt}, ${value}) VALUES (?, ?, ?, ?, ?)
      ON CONFLICT (${part}, ${key}) DO UPDATE SET
        ${version} = excluded.${version}, ${expiresAt} = excluded.${expiresAt}, ${value} = excluded.${value}`,
    /** (part, key) */
    delete: sql`DELETE FROM ${entries} WHERE ${part} = ? AND ${key} = ?`,
    /** (part, start, end) */
    deleteRange: sql`DELETE FROM ${entries} WHERE ${inRange}`,
    /** (part) */
    deletePart: sql`DELETE FROM ${entries} WHERE ${part} = ?`,
    /** (now, limit) */
    sweepEntries: sql`DELETE FROM ${entries} WHERE (${part}, ${key}) IN
      (SELECT ${part}, ${key} FROM ${entries} WHERE ${expiresAt} <= ? ORDER BY ${expiresAt} LIMIT ?)`,
    /** (now, limit) */
    sweepRequests: sql`DELETE FROM ${requests} WHERE ${id} IN
      (SELECT ${id} FROM ${requests} WHERE ${until} <= ? ORDER BY ${until} LIMIT ?)`,
    /** (id, now) */
    findRequest: sql`SELECT ${record} FROM ${requests} WHERE ${id} = ? AND ${until} > ?`,
    /** (id, record, expires at); one that has expired under this id is of no more use */
    keepRequest: sql`INSERT OR REPLACE INTO ${requests} (${id}, ${record}, ${until}) VALUES (?, ?, ?)`,
  }
}

/** The driver's statements by name. */
export type Statements = Readonly<Record<StatementName, SqliteStatement>>

/** Prepares all statements on a connection whose schema is in place. */
export function prepareStatements(handle: Pick<SqliteHandle, 'prepare'>): Statements {
  const dialect = new SQLiteSyncDialect()
  return Object.fromEntries(
    Object.entries(texts()).map(([name, text]) => [name, handle.prepare(dialect.sqlToQuery(text).sql)]),
  ) as Statements
}
