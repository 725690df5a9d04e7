/**
 * SQLite through better-sqlite3, version 12 or 13, for Node and the main process of Electron.
 *
 * @module
 */
import type { Driver } from '../../core/driver.ts'
import { HoldfastError, invalid } from '../../core/errors.ts'
import { type SqliteOptions, sqliteDriver } from './driver.ts'
import type { SqliteHandle, SqliteStatement } from './handle.ts'

export type { SqliteOptions } from './driver.ts'

/** The part of a better-sqlite3 `Statement` that the driver uses. */
export interface BetterSqlite3Statement {
  /** Whether it returns rows. */
  readonly reader: boolean
  /** Makes rows come as arrays. */
  raw(): unknown
  /** The first row. */
  get(...values: unknown[]): unknown
  /** All rows. */
  all(...values: unknown[]): unknown[]
  /** Runs a statement without rows. */
  run(...values: unknown[]): { readonly changes: number | bigint }
}

/** The part of a better-sqlite3 `Database` that the driver uses. */
export interface BetterSqlite3Database {
  /** Whether the database exists only in memory. */
  readonly memory: boolean
  /** Compiles a statement. */
  prepare(sql: string): BetterSqlite3Statement
  /** Runs statements without results. */
  exec(sql: string): unknown
  /** Closes the connection. */
  close(): unknown
}

/** Options of {@link sqlite}. */
export interface BetterSqlite3Options extends SqliteOptions {
  /**
   * An open better-sqlite3 database, or a drizzle database over one. It stays open when the driver is closed. The
   * driver leaves its settings alone, except that it switches `fullfsync` on and sets the journal mode, see `wal`.
   * While its owner keeps a transaction open across an `await`, calls of the driver fail with `UNAVAILABLE`.
   */
  readonly db?: BetterSqlite3Database | { readonly $client: BetterSqlite3Database }
  /** The file to open instead. A missing file is created; its directory must exist. */
  readonly path?: string
}

/**
 * Creates a driver that stores everything in a SQLite file. Any number of processes on this machine can share the file.
 *
 * Opening, and later calls, throw: `UNAVAILABLE` if the file stays locked longer than the busy timeout, or cannot be
 * opened; `READ_ONLY` if it cannot be written (reads still work once the schema exists, but see `wal`);
 * `QUOTA_EXCEEDED` if the disk is full; `SCHEMA` if the file is damaged, not a database, or written by a newer release;
 * `UNSUPPORTED` if better-sqlite3 is not installed.
 *
 * @param options - either `db` or `path`; also `clock`, `replayWindow` and `busyTimeout` (milliseconds), and `wal`
 * @returns a driver, which opens the file at the first call
 * @throws `INVALID_ARGUMENT` for a malformed option
 *
 * @example
 * ```ts
 * import { createHoldfast } from 'holdfast'
 * import { sqlite } from 'holdfast/better-sqlite3'
 *
 * const holdfast = createHoldfast({ driver: sqlite({ path: 'app.db' }) })
 * await holdfast.state.set('greeting', 'hello')
 * await holdfast.close()
 * ```
 */
export function sqlite(options: BetterSqlite3Options): Driver {
  const { db, path } = options
  if ((db === undefined) === (path === undefined)) throw invalid('Pass either db or path, not both')
  const given = db !== undefined && '$client' in db ? db.$client : db
  return sqliteDriver(
    {
      name: 'better-sqlite3',
      isShared: given !== undefined,
      isMemory: given?.memory ?? (path === ':memory:' || path === ''),
      open: async () => withArrays(given ?? (await openPath(path!))),
    },
    options,
  )
}

async function openPath(path: string): Promise<BetterSqlite3Database> {
  let Database
  try {
    ;({ default: Database } = await import('better-sqlite3'))
  } catch (cause) {
    throw new HoldfastError('UNSUPPORTED', 'better-sqlite3 does not load; install it, or pass an open db', { cause })
  }
  return new Database(path)
}

const withArrays = (db: BetterSqlite3Database): SqliteHandle => ({
  prepare(sql) {
    const statement = db.prepare(sql)
    if (statement.reader) statement.raw()
    return statement as SqliteStatement
  },
  exec: (sql) => db.exec(sql),
  close: () => db.close(),
})
