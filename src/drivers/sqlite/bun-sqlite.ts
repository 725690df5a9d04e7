/**
 * SQLite through `bun:sqlite`, which is part of Bun.
 *
 * @module
 */
import type { Driver } from '../../core/driver.ts'
import type { SqliteOptions } from './driver.ts'
import { type Engine, driverOver } from './engine.ts'
import type { SqliteRow, SqliteValue } from './handle.ts'

export type { SqliteOptions } from './driver.ts'
export type { SqliteValue } from './handle.ts'

/** The part of a `bun:sqlite` `Statement` that the driver uses. */
export interface BunSqliteStatement {
  /** The rows as arrays. Some releases return `null` if there are none. */
  values(...values: SqliteValue[]): unknown[][] | null
  /** Runs a statement without rows. */
  run(...values: SqliteValue[]): { readonly changes: number }
}

/** The part of a `bun:sqlite` `Database` that the driver uses. */
export interface BunSqliteDatabase {
  /** Its path, or `:memory:`. */
  readonly filename: string
  /** Compiles a statement. */
  prepare(sql: string): BunSqliteStatement
  /** Runs statements without results. */
  run(sql: string): unknown
  /** Closes the connection. */
  close(): unknown
}

/** Options of {@link bunSqlite}. */
export interface BunSqliteOptions extends SqliteOptions {
  /**
   * An open `bun:sqlite` database, or a drizzle database over one. It stays open when the driver is closed. The driver
   * leaves its settings alone, except that it switches `fullfsync` on and sets the journal mode, see `wal`. It waits
   * for locks only if its owner has set a busy timeout, or if `busyTimeout` is given. While its owner keeps a
   * transaction open across an `await`, calls of the driver fail with `UNAVAILABLE`.
   */
  readonly db?: BunSqliteDatabase | { readonly $client: BunSqliteDatabase }
  /** The file to open instead. A missing file is created; its directory must exist. */
  readonly path?: string
}

const ENGINE: Engine<BunSqliteDatabase> = {
  name: 'bun-sqlite',
  load: async () => (await import('bun:sqlite')).Database,
  missing: 'This runtime has no bun:sqlite; use Bun',
  isMemory: ({ filename }) => filename === ':memory:' || filename === '',
  prepare(db, sql) {
    const statement = db.prepare(sql)
    const all = (...values: SqliteValue[]): SqliteRow[] => statement.values(...values) ?? []
    return { all, get: (...values) => all(...values)[0], run: (...values) => statement.run(...values) }
  },
  exec: (db, sql) => db.run(sql),
}

/**
 * Creates a driver that stores everything in a SQLite file. Any number of processes on this machine can share the file,
 * including those that use better-sqlite3 or `node:sqlite`.
 *
 * Opening, and later calls, throw: `UNAVAILABLE` if the file stays locked longer than the busy timeout, or cannot be
 * opened; `READ_ONLY` if it cannot be written (reads still work once the schema exists, but see `wal`);
 * `QUOTA_EXCEEDED` if the disk is full; `SCHEMA` if the file is damaged, not a database, or written by a newer release;
 * `UNSUPPORTED` if this runtime is not Bun.
 *
 * @param options - either `db` or `path`; also `clock`, `replayWindow` and `busyTimeout` (milliseconds), and `wal`
 * @returns a driver, which opens the file at the first call
 * @throws `INVALID_ARGUMENT` for a malformed option
 *
 * @example
 * ```ts
 * import { createHoldfast } from 'holdfast'
 * import { bunSqlite } from 'holdfast/bun-sqlite'
 *
 * const holdfast = createHoldfast({ driver: bunSqlite({ path: 'app.db' }) })
 * await holdfast.state.set('greeting', 'hello')
 * await holdfast.close()
 * ```
 */
export const bunSqlite = (options: BunSqliteOptions): Driver => driverOver(ENGINE, options)
