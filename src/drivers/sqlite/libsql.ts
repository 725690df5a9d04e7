/**
 * libSQL, over HTTP as with Turso and `sqld`, or in a file. A request is one `batch()` of its client, see `batch-driver.ts`.
 *
 * @module
 */
import type { Driver } from '../../core/driver.ts'
import { requireInteger } from '../../core/arguments.ts'
import { HoldfastError, invalid } from '../../core/errors.ts'
import { DEFAULT_TIMEOUT, batched } from './batch-driver.ts'
import type { Batches, Statement } from './batch-client.ts'
import { resultOf } from './errors.ts'

/** The part of an `@libsql/client` client that the driver uses, whichever entry created it. */
export interface LibsqlClient {
  /** Runs statements as one transaction. */
  batch(
    statements: { sql: string; args: (string | number | null | Uint8Array)[] }[],
    mode: 'write' | 'deferred',
  ): Promise<{ readonly rows: readonly unknown[] }[]>
  /** `file` if the client opens a file itself. */
  readonly protocol?: string
  /** Reopens its connections. */
  reconnect?(): unknown
}

/** Options of {@link libsql}. */
export interface LibsqlOptions {
  /**
   * The client, or a drizzle database over it. It must talk to the primary, and return integers as numbers, as it does
   * by default. A client that opens a file needs its option `timeout`, for example 5000: how long to wait while another
   * process writes, in milliseconds from 1000. If that is not enough, the driver reopens the client's connections,
   * which ends your own transactions on it.
   */
  readonly db: LibsqlClient | { readonly $client: LibsqlClient }
  /**
   * How long to try a call, in milliseconds from 1000; 15 000 by default. A call that failed for a temporary reason is
   * repeated, and so is a call that has no answer after a third of this time.
   */
  readonly timeout?: number
}

/** Runs calls one after the other, so that reopening the connections disturbs no other call. */
function oneByOne(run: Batches['run']): Batches['run'] {
  let last: Promise<unknown> = Promise.resolve()
  return (...args) => {
    const result = last.then(() => run(...args))
    last = result.catch(() => {})
    return result
  }
}

/** Reads how long SQLite waits for a lock, and the path of the file, which a database in memory lacks. */
const FILE = `SELECT timeout, (SELECT file FROM pragma_database_list WHERE name = 'main') AS file FROM pragma_busy_timeout`

/** The least wait for a lock. A client that gives up on a lock may keep everybody out, so that must be rare. */
const LEAST_PATIENCE = 1000

/**
 * Checks the wait for locks. It is a setting of each connection, and only the client's own option reaches all of them.
 */
function requirePatience(row: unknown): void {
  const { timeout, file } = row as { timeout: number; file: string | null }
  if (timeout >= LEAST_PATIENCE || !file) return
  throw new HoldfastError(
    'UNSUPPORTED',
    `A libSQL client that opens a file must wait at least ${LEAST_PATIENCE} ms for locks, not ${timeout}; create it with createClient({ url, timeout: 5000 })`,
  )
}

/**
 * Creates a driver that stores everything in a libSQL database. It holds no connection, promise or timer between calls.
 * The client belongs to its owner, and the driver does not close it.
 *
 * Opening, and later calls, throw: `UNAVAILABLE` if the server cannot be reached within `timeout`, or another
 * connection writes for longer than that (`ambiguous` if a commit may have taken effect); `UNAUTHORIZED` if the server
 * refuses the token; `QUOTA_EXCEEDED` if the disk is full; `SCHEMA` if a newer release wrote the database, or if it has
 * foreign tables with the driver's names; `UNSUPPORTED` if a client that opens a file does not wait for locks; `CLOSED`
 * if the client was closed; `ABORTED` if the signal was aborted.
 *
 * @param options - the client, and `timeout` in milliseconds
 * @returns a driver, which creates its tables at the first call
 * @throws `INVALID_ARGUMENT` if `db` is not a libSQL client, or for a malformed timeout
 *
 * @example
 * ```ts
 * import { createClient } from '@libsql/client'
 * import { drizzle } from 'drizzle-orm/libsql'
 * import { createHoldfast } from 'holdfast'
 * import { libsql } from 'holdfast/libsql'
 *
 * // Over HTTP: { url: 'libsql://…', authToken }; at the edge, import from '@libsql/client/web'.
 * const db = drizzle(createClient({ url: 'file:orders.db', timeout: 5000 }))
 * const { state } = createHoldfast({ driver: libsql({ db }) })
 * console.log(await state.increment('visits')) // 1
 * ```
 */
export function libsql({ db: given, timeout = DEFAULT_TIMEOUT }: LibsqlOptions): Driver {
  requireInteger(timeout, 'timeout', 1000)
  const client = given && '$client' in given ? given.$client : given
  if (typeof client?.batch !== 'function') throw invalid('db must be a libSQL client, or a drizzle database over one')
  async function run(statements: Statement[], isWrite: boolean): Promise<readonly unknown[][]> {
    try {
      const results = await client.batch(statements, isWrite ? 'write' : 'deferred')
      return results.map(({ rows }) => [...rows])
    } catch (cause) {
      // A statement that met a lock stays open until it is garbage collected. Until then no transaction of the same
      // connection can end, so its lock would keep everybody out.
      if (client.protocol === 'file' && resultOf(cause) === 'BUSY') await client.reconnect?.()
      throw cause
    }
  }

  return batched({
    name: 'libsql',
    title: 'libSQL',
    timeout,
    fitness: client.protocol === 'file' ? { sql: FILE, require: requirePatience } : undefined,
    run: client.protocol === 'file' ? oneByOne(run) : run,
  })
}
