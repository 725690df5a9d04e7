/**
 * SQLite through `bun:sqlite`, which comes with Bun.
 *
 * @module
 */
import type { Driver } from '../../core/driver.ts'
import { HoldfastError, invalid } from '../../core/errors.ts'
import { type SqliteOptions, sqliteDriver } from './driver.ts'
import type { SqliteHandle, SqliteRow, SqliteValue } from './handle.ts'

export type { SqliteOptions } from './driver.ts'
export type { SqliteValue } from './handle.ts'

/** What is used of a `Statement` of `bun:sqlite`. */
export interface BunSqliteStatement {
  /** The rows as arrays; `null` in some releases where there are none. */
  values(...values: SqliteValue[]): unknown[][] | null
  /** Runs what returns no rows. */
  run(...values: SqliteValue[]): { readonly changes: number }
}

/** What is used of a `Database` of `bun:sqlite`. */
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
   * An open database of `bun:sqlite`, or a drizzle database over one. It stays open when the driver is closed. Its own
   * settings stay as they are, but for `fullfsync`, which is switched on, and the journal mode of the file, see `wal`.
   * It does not wait for locks unless its owner has set a busy timeout, or `busyTimeout` is given here. While a
   * transaction of its owner is open across an `await`, calls of the driver fail with `UNAVAILABLE`.
   */
  readonly db?: BunSqliteDatabase | { readonly $client: BunSqliteDatabase }
  /** The file to open instead, created when it is not there; its directory has to be. */
  readonly path?: string
}

/**
 * Makes a driver that keeps everything in a SQLite file, shared by any number of processes of this machine; a file is
 * the same for this driver and those over better-sqlite3 and `node:sqlite`.
 *
 * What opening and later calls throw: `UNAVAILABLE` where the file stays locked beyond the busy timeout, or cannot be
 * opened; `READ_ONLY` where it cannot be written (reading still works, once the schema is there; but see `wal`);
 * `QUOTA_EXCEEDED` where the disk is full; `SCHEMA` where the file is no database, is damaged, or was written by a newer
 * release; `UNSUPPORTED` where this runtime is not Bun.
 *
 * @param options - `db` or `path`, and clock, replay window, busy timeout (milliseconds), WAL
 * @returns a driver; it connects at the first call
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
export function bunSqlite(options: BunSqliteOptions): Driver {
  const { db, path } = options
  if ((db === undefined) === (path === undefined)) throw invalid('Either db or path must be given')
  const given = db !== undefined && '$client' in db ? db.$client : db
  const name = given?.filename ?? path
  return sqliteDriver(
    {
      name: 'bun-sqlite',
      isShared: given !== undefined,
      isMemory: name === ':memory:' || name === '',
      open: async () => withArrays(given ?? (await openPath(path!))),
    },
    options,
  )
}

async function openPath(path: string): Promise<BunSqliteDatabase> {
  let Database
  try {
    ;({ Database } = await import('bun:sqlite'))
  } catch (cause) {
    throw new HoldfastError('UNSUPPORTED', 'This runtime has no bun:sqlite; use Bun', { cause })
  }
  return new Database(path)
}

const withArrays = (db: BunSqliteDatabase): SqliteHandle => ({
  prepare(sql) {
    const statement = db.prepare(sql)
    const all = (...values: SqliteValue[]): SqliteRow[] => statement.values(...values) ?? []
    return { all, get: (...values) => all(...values)[0], run: (...values) => statement.run(...values) }
  },
  exec: (sql) => db.run(sql),
  close: () => db.close(),
})
