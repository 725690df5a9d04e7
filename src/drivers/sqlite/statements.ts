/** All SQL of the driver, prepared once per connection. Text, so that no bundle has to hold what would make it. @module */
import type { SqliteHandle, SqliteStatement } from './handle.ts'

/** The statements, by what they do. */
export type StatementName =
  | 'begin'
  | 'beginImmediate'
  | 'commit'
  | 'ping'
  | 'dataVersion'
  | 'get'
  | 'head'
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

const IN_RANGE = 'part = ? AND key >= ? AND key < ?'

const range = (columns: string, order: 'ASC' | 'DESC'): string =>
  `SELECT key, version, expires_at, ${columns} FROM holdfast_entries
    WHERE ${IN_RANGE} AND (expires_at IS NULL OR expires_at > ?) ORDER BY key ${order} LIMIT ?`

/**
 * The value and its length. A value longer than the parameter is NULL, and SQLite reads none of its overflow pages.
 * Parameters have no numbers: better-sqlite3 takes numbered ones for named ones.
 */
const UP_TO = 'CASE WHEN octet_length(value) <= ? THEN value END, octet_length(value)'

const TEXTS: Readonly<Record<StatementName, string>> = {
  begin: 'BEGIN',
  beginImmediate: 'BEGIN IMMEDIATE',
  commit: 'COMMIT',
  ping: 'SELECT 1 FROM holdfast_schema',
  /** Another number when another connection has written to the file. */
  dataVersion: 'PRAGMA data_version',
  /** (part, key) */
  get: 'SELECT key, version, expires_at, value FROM holdfast_entries WHERE part = ? AND key = ?',
  /** (longest value, part, key) */
  head: `SELECT key, version, expires_at, ${UP_TO} FROM holdfast_entries WHERE part = ? AND key = ?`,
  /** (part, start, end) */
  last: `SELECT key FROM holdfast_entries WHERE ${IN_RANGE} ORDER BY key DESC LIMIT 1`,
  /** (longest value, part, start, end, now, limit) */
  rangeUp: range(UP_TO, 'ASC'),
  rangeDown: range(UP_TO, 'DESC'),
  /** (part, start, end, now, limit) */
  keysUp: range("'', 0", 'ASC'),
  keysDown: range("'', 0", 'DESC'),
  /** (start, end, end, limit): one index seek per name, however many entries a part holds */
  parts: `WITH RECURSIVE names (name) AS (
      SELECT min(part) FROM holdfast_entries WHERE part >= ? AND part < ?
      UNION ALL
      SELECT (SELECT min(part) FROM holdfast_entries WHERE part > names.name AND part < ?)
      FROM names WHERE names.name IS NOT NULL
    ) SELECT name FROM names WHERE name IS NOT NULL LIMIT ?`,
  /** (part, key, version, expires at, value) */
  put: `INSERT INTO holdfast_entries (part, key, version, expires_at, value) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (part, key) DO UPDATE SET
      version = excluded.version, expires_at = excluded.expires_at, value = excluded.value`,
  /** (part, key) */
  delete: 'DELETE FROM holdfast_entries WHERE part = ? AND key = ?',
  /** (part, start, end) */
  deleteRange: `DELETE FROM holdfast_entries WHERE ${IN_RANGE}`,
  /** (part) */
  deletePart: 'DELETE FROM holdfast_entries WHERE part = ?',
  /** (now, limit) */
  sweepEntries: `DELETE FROM holdfast_entries WHERE (part, key) IN
    (SELECT part, key FROM holdfast_entries WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)`,
  /** (now, limit) */
  sweepRequests: `DELETE FROM holdfast_requests WHERE id IN
    (SELECT id FROM holdfast_requests WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)`,
  /** (id) */
  findRequest: 'SELECT record, expires_at FROM holdfast_requests WHERE id = ?',
  /** (id, record, expires at) */
  keepRequest: 'INSERT INTO holdfast_requests (id, record, expires_at) VALUES (?, ?, ?)',
}

/** The driver's statements by name. */
export type Statements = Readonly<Record<StatementName, SqliteStatement>>

/** Prepares all statements on a connection whose schema is in place. */
export function prepareStatements(handle: Pick<SqliteHandle, 'prepare'>): Statements {
  return Object.fromEntries(Object.entries(TEXTS).map(([name, text]) => [name, handle.prepare(text)])) as Statements
}
