/**
 * SQLite through `node:sqlite`, which is part of Node 22.13 and newer.
 *
 * @module
 */
import type { Driver } from '../../core/driver.ts'
import type { SqliteOptions } from './driver.ts'
import { type Engine, driverOver } from './engine.ts'
import type { SqliteStatement, SqliteValue } from './handle.ts'

export type { SqliteOptions } from './driver.ts'
export type { SqliteValue } from './handle.ts'

/** The part of a `StatementSync` that the driver uses. */
export interface NodeSqliteStatement {
  /** The first row. */
  get(...values: SqliteValue[]): unknown
  /** All rows. */
  all(...values: SqliteValue[]): unknown[]
  /** Runs a statement without rows. */
  run(...values: SqliteValue[]): { readonly changes: number | bigint }
  /** Makes rows come as arrays. Older Node releases lack it. */
  setReturnArrays?(enabled: boolean): void
}

/** The part of a `DatabaseSync` that the driver uses. */
export interface NodeSqliteDatabase {
  /** Compiles a statement. */
  prepare(sql: string): NodeSqliteStatement
  /** Runs statements without results. */
  exec(sql: string): void
  /** Closes the connection. */
  close(): void
  /** `null` for a database in memory. Older Node releases lack it. */
  location?(): string | null
}

/** Options of {@link nodeSqlite}. */
export interface NodeSqliteOptions extends SqliteOptions {
  /**
   * An open database. It stays open when the driver is closed. The driver leaves its settings alone, except that it
   * switches `fullfsync` on and sets the journal mode, see `wal`. It waits for locks only if it was opened with a
   * `timeout`, or if `busyTimeout` is given. While its owner keeps a transaction open across an `await`, calls of the
   * driver fail with `UNAVAILABLE`.
   */
  readonly db?: NodeSqliteDatabase
  /** The file to open instead. A missing file is created; its directory must exist. */
  readonly path?: string
}

const ENGINE: Engine<NodeSqliteDatabase> = {
  name: 'node-sqlite',
  load: async () => (await import('node:sqlite')).DatabaseSync,
  missing: 'This runtime has no node:sqlite; use Node 22.13 or newer',
  isMemory: (db) => db.location?.() === null,
  prepare(db, sql) {
    const statement = db.prepare(sql)
    statement.setReturnArrays?.(true)
    return statement.setReturnArrays === undefined ? converting(statement) : (statement as SqliteStatement)
  },
  exec: (db, sql) => db.exec(sql),
}

/**
 * Creates a driver that stores everything in a SQLite file. Any number of processes on this machine can share the file,
 * including those that use better-sqlite3.
 *
 * Opening, and later calls, throw: `UNAVAILABLE` if the file stays locked longer than the busy timeout, or cannot be
 * opened; `READ_ONLY` if it cannot be written (reads still work once the schema exists, but see `wal`);
 * `QUOTA_EXCEEDED` if the disk is full; `SCHEMA` if the file is damaged, not a database, or written by a newer release;
 * `UNSUPPORTED` if this runtime has no `node:sqlite`.
 *
 * @param options - either `db` or `path`; also `clock`, `replayWindow` and `busyTimeout` (milliseconds), and `wal`
 * @returns a driver, which opens the file at the first call
 * @throws `INVALID_ARGUMENT` for a malformed option
 *
 * @example
 * ```ts
 * import { createHoldfast } from 'holdfast'
 * import { nodeSqlite } from 'holdfast/node-sqlite'
 *
 * const holdfast = createHoldfast({ driver: nodeSqlite({ path: 'app.db' }) })
 * await holdfast.state.set('greeting', 'hello')
 * await holdfast.close()
 * ```
 */
export const nodeSqlite = (options: NodeSqliteOptions): Driver => driverOver(ENGINE, options)

/** For Node releases whose rows are always objects, which hold their columns in order. */
const converting = (statement: NodeSqliteStatement): SqliteStatement => ({
  /** The first row. */
  get(...values) {
    const row = statement.get(...values)
    return row === undefined ? undefined : Object.values(row as object)
  },
  all: (...values) => statement.all(...values).map((row) => Object.values(row as object)),
  run: (...values) => statement.run(...values),
})
