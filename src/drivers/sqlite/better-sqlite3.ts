/**
 * SQLite through better-sqlite3, version 12 or 13, for Node and the main process of Electron.
 *
 * @module
 */
import type { Driver } from '../../core/driver.ts'
import type { SqliteOptions } from './driver.ts'
import { type Engine, driverOver } from './engine.ts'
import type { SqliteStatement } from './handle.ts'

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

const ENGINE: Engine<BetterSqlite3Database> = {
  name: 'better-sqlite3',
  load: async () => (await import('better-sqlite3')).default,
  missing: 'better-sqlite3 does not load; install it, or pass an open db',
  isMemory: (db) => db.memory,
  prepare(db, sql) {
    const statement = db.prepare(sql)
    if (statement.reader) statement.raw()
    return statement as SqliteStatement
  },
  exec: (db, sql) => db.exec(sql),
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
export const sqlite = (options: BetterSqlite3Options): Driver => driverOver(ENGINE, options)
