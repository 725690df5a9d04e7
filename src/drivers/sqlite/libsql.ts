/**
 * libSQL, over HTTP as by Turso and `sqld`, or in a file: a request is one `batch()` of its client, see `batched.ts`.
 *
 * @module
 */
import type { Driver } from '../../core/driver.ts'
import { requireInteger } from '../../core/arguments.ts'
import { HoldfastError, invalid } from '../../core/errors.ts'
import { DEFAULT_TIMEOUT, batched } from './batched.ts'
import type { Batches, Statement } from './batches.ts'
import { resultOf } from './errors.ts'

/** What is used of a client of `@libsql/client`, whichever of its entries made it. */
export interface LibsqlClient {
  /** Runs statements as one transaction. */
  batch(
    statements: { sql: string; args: (string | number | null | Uint8Array)[] }[],
    mode: 'write' | 'deferred',
  ): Promise<{ readonly rows: readonly unknown[] }[]>
  /** `file` where it opens one itself. */
  readonly protocol?: string
  /** Opens its connections anew. */
  reconnect?(): unknown
}

/** Options of {@link libsql}. */
export interface LibsqlOptions {
  /**
   * The client, or a drizzle database over it. It must speak to the primary, and give integers as numbers, as it does by
   * default. One that opens a file needs its option `timeout`, such as 5000: how long to wait, in milliseconds from 1000,
   * while another process writes. Where that is not enough, the driver has it open its connections anew, which ends
   * transactions of your own on it.
   */
  readonly db: LibsqlClient | { readonly $client: LibsqlClient }
  /**
   * How long a call is tried, in milliseconds from 1000; 15 000 by default. A call that failed for a passing reason is
   * repeated, as is one without an answer after a third of it.
   */
  readonly timeout?: number
}

/** Has calls wait for each other, so that one which opens the connections anew meets no other. */
function oneByOne(run: Batches['run']): Batches['run'] {
  let last: Promise<unknown> = Promise.resolve()
  return (...args) => {
    const result = last.then(() => run(...args))
    last = result.catch(() => {})
    return result
  }
}

/** Of an open file: how long SQLite waits for a lock, and the path, which a database in memory has none of. */
const FILE = `SELECT timeout, (SELECT file FROM pragma_database_list WHERE name = 'main') AS file FROM pragma_busy_timeout`

/** A client that has met a lock for longer than it waits may keep everybody out: that must be rare. */
const LEAST_PATIENCE = 1000

/** It is a setting of each connection, and the client opens several: only its own option reaches all of them. */
function requirePatience(row: unknown): void {
  const { timeout, file } = row as { timeout: number; file: string | null }
  if (timeout >= LEAST_PATIENCE || !file) return
  throw new HoldfastError(
    'UNSUPPORTED',
    `A client of libSQL that opens a file must wait for locks for ${LEAST_PATIENCE} ms at least, not ${timeout}; make it by createClient({ url, timeout: 5000 })`,
  )
}

/**
 * Makes a driver that keeps everything in a libSQL database. It holds no connection, promise or timer between calls; the
 * client belongs to whoever made it, and is not closed.
 *
 * What opening and later calls throw: `UNAVAILABLE` where the server cannot be reached for as long as `timeout`, or another
 * connection writes for longer (`ambiguous` where a commit may have taken effect); `UNAUTHORIZED` where the server refuses
 * the token; `QUOTA_EXCEEDED` where the disk is full; `SCHEMA` where the database was written by a newer release, or has
 * foreign tables under names of ours; `UNSUPPORTED` where a client that opens a file does not wait for locks; `CLOSED`
 * where the client was closed; `ABORTED` where the signal was aborted.
 *
 * @param options - the client, and a timeout in milliseconds
 * @returns a driver; its tables are made at the first call
 * @throws `INVALID_ARGUMENT` where `db` is no client of libSQL, or for a malformed timeout
 *
 * @example
 * ```ts
 * import { createClient } from '@libsql/client'
 * import { drizzle } from 'drizzle-orm/libsql'
 * import { createHoldfast } from 'holdfast'
 * import { libsql } from 'holdfast/libsql'
 *
 * // Over HTTP: { url: 'libsql://…', authToken }, by '@libsql/client/web' at the edge.
 * const db = drizzle(createClient({ url: 'file:orders.db', timeout: 5000 }))
 * const { state } = createHoldfast({ driver: libsql({ db }) })
 * console.log(await state.increment('visits')) // 1
 * ```
 */
export function libsql({ db: given, timeout = DEFAULT_TIMEOUT }: LibsqlOptions): Driver {
  requireInteger(timeout, 'timeout', 1000)
  const client = given && '$client' in given ? given.$client : given
  if (typeof client?.batch !== 'function')
    throw invalid('db must be a client of libSQL, or a drizzle database over one')
  async function run(statements: Statement[], isWrite: boolean): Promise<readonly unknown[][]> {
    try {
      const results = await client.batch(statements, isWrite ? 'write' : 'deferred')
      return results.map(({ rows }) => [...rows])
    } catch (cause) {
      // A statement that met a lock stays open until the garbage is collected, and a transaction of the same connection
      // cannot end before that: its lock would keep everybody out.
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
