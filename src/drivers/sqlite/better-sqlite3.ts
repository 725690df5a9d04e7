/**
 * SQLite through better-sqlite3, version 12 or 13: Node, Electron's main process.
 *
 * @module
 */
import type { Driver } from '../../core/driver.ts'
import { HoldfastError, invalid } from '../../core/errors.ts'
import { type SqliteOptions, sqliteDriver } from './driver.ts'
import type { SqliteHandle, SqliteStatement } from './handle.ts'

export type { SqliteOptions } from './driver.ts'

/** What is used of a `Statement` of better-sqlite3. */
export interface BetterSqlite3Statement {
  /** Whether it returns rows. */
  readonly reader: boolean
  /** Makes rows arrays. */
  raw(): unknown
  /** The first row. */
  get(...values: unknown[]): unknown
  /** All rows. */
  all(...values: unknown[]): unknown[]
  /** Runs what returns no rows. */
  run(...values: unknown[]): { readonly changes: number | bigint }
}

/** What is used of a `Database` of better-sqlite3. */
export interface BetterSqlite3Database {
  /** Whether it is in memory only. */
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
   * An open database of better-sqlite3, or a drizzle database over one. It stays open when the driver is closed. Its own
   * settings stay as they are, but for `fullfsync`, which is switched on, and the journal mode of the file, see `wal`.
   * While a transaction of its owner is open across an `await`, calls of the driver fail with `UNAVAILABLE`.
   */
  readonly db?: BetterSqlite3Database | { readonly $client: BetterSqlite3Database }
  /** The file to open instead, created when it is not there; its directory has to be. */
  readonly path?: string
}

/**
 * Makes a driver that keeps everything in a SQLite file, shared by any number of processes of this machine.
 *
 * What opening and later calls throw: `UNAVAILABLE` where the file stays locked beyond the busy timeout, or cannot be
 * opened; `READ_ONLY` where it cannot be written (reading still works, once the schema is there; but see `wal`);
 * `QUOTA_EXCEEDED` where the disk is full; `SCHEMA` where the file is no database, is damaged, or was written by a newer
 * release; `UNSUPPORTED` where better-sqlite3 is not installed.
 *
 * @param options - `db` or `path`, and clock, replay window, busy timeout (milliseconds), WAL
 * @returns a driver; it connects at the first call
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
  if ((db === undefined) === (path === undefined)) throw invalid('Either db or path must be given')
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
    throw new HoldfastError('UNSUPPORTED', 'better-sqlite3 does not load; install it, or hand in an open db', { cause })
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
