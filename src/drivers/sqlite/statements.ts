/**
 * All SQL of the driver, prepared once per connection. It is plain text, so that bundles need no query builder. @module
 */
import type { SqliteHandle, SqliteStatement } from './handle.ts'
import { octetsOf, valueOf } from './long-values.ts'

/** The names of the statements. */
export type StatementName =
  | 'begin'
  | 'beginImmediate'
  | 'commit'
  | 'ping'
  | 'dataVersion'
  | 'totalChanges'
  | 'get'
  | 'head'
  | 'entry'
  | 'last'
  | 'rangeUp'
  | 'rangeDown'
  | 'keysUp'
  | 'keysDown'
  | 'parts'
  | 'put'
  | 'shorten'
  | 'putInstead'
  | 'replaceLong'
  | 'renew'
  | 'addLong'
  | 'putLong'
  | 'delete'
  | 'deleteRange'
  | 'deletePart'
  | 'sweepEntries'
  | 'sweepRequests'
  | 'findRequest'
  | 'keepRequest'

const IN_RANGE = 'part = ? AND key >= ? AND key < ?'

const range = (columns: string, order: 'ASC' | 'DESC'): string =>
  `SELECT key, version, expires_at, ${columns} FROM holdfast_keys
    WHERE ${IN_RANGE} AND (expires_at IS NULL OR expires_at > ?) ORDER BY key ${order} LIMIT ?`

const VALUE = valueOf('holdfast_keys')
const OCTETS = octetsOf('holdfast_keys')

/**
 * The value and its length. A value longer than the parameter reads as NULL, and is not loaded. Parameters have no
 * numbers, because better-sqlite3 treats numbered parameters as named ones.
 */
const UP_TO = `CASE WHEN ${OCTETS} <= ? THEN ${VALUE} END, ${OCTETS}`

const TEXTS: Readonly<Record<StatementName, string>> = {
  begin: 'BEGIN',
  beginImmediate: 'BEGIN IMMEDIATE',
  commit: 'COMMIT',
  ping: 'SELECT 1 FROM holdfast_schema',
  /** Changes when another connection writes to the file. */
  dataVersion: 'PRAGMA data_version',
  /** Changes when this connection writes. */
  totalChanges: 'SELECT total_changes()',
  /** (part, key) */
  get: `SELECT key, version, expires_at, ${VALUE} FROM holdfast_keys WHERE part = ? AND key = ?`,
  /** (part, key) */
  head: 'SELECT key, version, expires_at, NULL FROM holdfast_keys WHERE part = ? AND key = ?',
  /** (longest value, part, key) */
  entry: `SELECT key, version, expires_at, ${UP_TO} FROM holdfast_keys WHERE part = ? AND key = ?`,
  /** (part, start, end) */
  last: `SELECT key FROM holdfast_keys WHERE ${IN_RANGE} ORDER BY key DESC LIMIT 1`,
  /** (longest value, part, start, end, now, limit) */
  rangeUp: range(UP_TO, 'ASC'),
  rangeDown: range(UP_TO, 'DESC'),
  /** (part, start, end, now, limit) */
  keysUp: range("'', 0", 'ASC'),
  keysDown: range("'', 0", 'DESC'),
  /** (start, end, end, limit): one index seek per name, however many entries a part has */
  parts: `WITH RECURSIVE names (name) AS (
      SELECT min(part) FROM holdfast_keys WHERE part >= ? AND part < ?
      UNION ALL
      SELECT (SELECT min(part) FROM holdfast_keys WHERE part > names.name AND part < ?)
      FROM names WHERE names.name IS NOT NULL
    ) SELECT name FROM names WHERE name IS NOT NULL LIMIT ?`,
  /** (part, key, version, expires at, value): a short value; changes nothing if the entry has a long one */
  put: `INSERT INTO holdfast_keys (part, key, version, expires_at, value) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (part, key) DO UPDATE SET
      version = excluded.version, expires_at = excluded.expires_at, value = excluded.value WHERE long_id IS NULL`,
  /** (part, key): deletes a long value that `putInstead` replaces with a short one */
  shorten: `DELETE FROM holdfast_long_values
    WHERE id = (SELECT long_id FROM holdfast_keys WHERE part = ? AND key = ?)`,
  /** (version, expires at, value, part, key) */
  putInstead: `UPDATE holdfast_keys SET version = ?, expires_at = ?, value = ?, long_id = NULL, long_bytes = NULL
    WHERE part = ? AND key = ?`,
  /** (value, part, key): replaces a long value by another; `renew` changes its row */
  replaceLong: `UPDATE holdfast_long_values SET value = ?
    WHERE id = (SELECT long_id FROM holdfast_keys WHERE part = ? AND key = ?)`,
  /** (version, expires at, part, key) */
  renew: `UPDATE holdfast_keys SET version = ?, expires_at = ?,
    long_bytes = (SELECT octet_length(long.value) FROM holdfast_long_values AS long WHERE long.id = long_id)
    WHERE part = ? AND key = ?`,
  /** (value): inserts a long value; `putLong` inserts its row */
  addLong: 'INSERT INTO holdfast_long_values (value) VALUES (?)',
  /** (part, key, version, expires at) */
  putLong: `INSERT INTO holdfast_keys (part, key, version, expires_at, value, long_id, long_bytes)
    SELECT ?, ?, ?, ?, '', id, octet_length(long.value)
    FROM holdfast_long_values AS long WHERE id = last_insert_rowid()
    ON CONFLICT (part, key) DO UPDATE SET version = excluded.version, expires_at = excluded.expires_at,
      value = excluded.value, long_id = excluded.long_id, long_bytes = excluded.long_bytes`,
  /** (part, key) */
  delete: 'DELETE FROM holdfast_keys WHERE part = ? AND key = ?',
  /** (part, start, end) */
  deleteRange: `DELETE FROM holdfast_keys WHERE ${IN_RANGE}`,
  /** (part) */
  deletePart: 'DELETE FROM holdfast_keys WHERE part = ?',
  /** (now, limit) */
  sweepEntries: `DELETE FROM holdfast_keys WHERE (part, key) IN
    (SELECT part, key FROM holdfast_keys WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)`,
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

/** Prepares all statements on a connection that has the schema. */
export function prepareStatements(handle: Pick<SqliteHandle, 'prepare'>): Statements {
  return Object.fromEntries(Object.entries(TEXTS).map(([name, text]) => [name, handle.prepare(text)])) as Statements
}
