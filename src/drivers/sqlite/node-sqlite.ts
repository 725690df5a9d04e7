/**
 * SQLite through `node:sqlite`: Node 22.13 or newer, with nothing to install.
 *
 * @module
 */
import type { Driver } from '../../core/driver.ts'
import { HoldfastError, invalid } from '../../core/errors.ts'
import { type SqliteOptions, sqliteDriver } from './driver.ts'
import type { SqliteHandle, SqliteStatement, SqliteValue } from './handle.ts'

export type { SqliteOptions } from './driver.ts'
export type { SqliteValue } from './handle.ts'

/** What is used of a `StatementSync`. */
export interface NodeSqliteStatement {
  /** The first row. */
  get(...values: SqliteValue[]): unknown
  /** All rows. */
  all(...values: SqliteValue[]): unknown[]
  /** Runs what returns no rows. */
  run(...values: SqliteValue[]): { readonly changes: number | bigint }
  /** Makes rows arrays; newer than the module itself. */
  setReturnArrays?(enabled: boolean): void
}

/** What is used of a `DatabaseSync`. */
export interface NodeSqliteDatabase {
  /** Compiles a statement. */
  prepare(sql: string): NodeSqliteStatement
  /** Runs statements without results. */
  exec(sql: string): void
  /** Closes the connection. */
  close(): void
  /** `null` for a database in memory; newer than the module itself. */
  location?(): string | null
}

/** Options of {@link nodeSqlite}. */
export interface NodeSqliteOptions extends SqliteOptions {
  /**
   * An open database. It stays open when the driver is closed. Its own settings stay as they are, but for `fullfsync`,
   * which is switched on, and the journal mode of the file, see `wal`. It does not wait for locks unless it was opened
   * with a `timeout`, or `busyTimeout` is given here. While a transaction of its owner is open across an `await`, calls
   * of the driver fail with `UNAVAILABLE`.
   */
  readonly db?: NodeSqliteDatabase
  /** The file to open instead, created when it is not there; its directory has to be. */
  readonly path?: string
}

/**
 * Makes a driver that keeps everything in a SQLite file, shared by any number of processes of this machine; a file is
 * the same for this driver and the one over better-sqlite3.
 *
 * What opening and later calls throw: `UNAVAILABLE` where the file stays locked beyond the busy timeout, or cannot be
 * opened; `READ_ONLY` where it cannot be written (reading still works, once the schema is there; but see `wal`);
 * `QUOTA_EXCEEDED` where the disk is full; `SCHEMA` where the file is no database, is damaged, or was written by a newer
 * release; `UNSUPPORTED` where this runtime has no `node:sqlite`.
 *
 * @param options - `db` or `path`, and clock, replay window, busy timeout (milliseconds), WAL
 * @returns a driver; it connects at the first call
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
export function nodeSqlite(options: NodeSqliteOptions): Driver {
  const { db, path } = options
  if ((db === undefined) === (path === undefined)) throw invalid('Either db or path must be given')
  return sqliteDriver(
    {
      name: 'node-sqlite',
      isShared: db !== undefined,
      isMemory: db ? db.location?.() === null : path === ':memory:' || path === '',
      open: async () => withArrays(db ?? (await openPath(path!))),
    },
    options,
  )
}

async function openPath(path: string): Promise<NodeSqliteDatabase> {
  let DatabaseSync
  try {
    ;({ DatabaseSync } = await import('node:sqlite'))
  } catch (cause) {
    throw new HoldfastError('UNSUPPORTED', 'This runtime has no node:sqlite; use Node 22.13 or newer', { cause })
  }
  return new DatabaseSync(path)
}

const withArrays = (db: NodeSqliteDatabase): SqliteHandle => ({
  prepare(sql) {
    const statement = db.prepare(sql)
    statement.setReturnArrays?.(true)
    return statement.setReturnArrays === undefined ? converting(statement) : (statement as SqliteStatement)
  },
  exec: (sql) => db.exec(sql),
  close: () => db.close(),
})

/** For the releases whose rows are objects only; these hold their columns in order. */
const converting = (statement: NodeSqliteStatement): SqliteStatement => ({
  /** The first row. */
  get(...values) {
    const row = statement.get(...values)
    return row === undefined ? undefined : Object.values(row as object)
  },
  all: (...values) => statement.all(...values).map((row) => Object.values(row as object)),
  run: (...values) => statement.run(...values),
})
