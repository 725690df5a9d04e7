/**
 * libSQL, over HTTP as by Turso and `sqld`, or in a file: a request is one `batch()` of its client, see `batched.ts`.
 *
 * @module
 */
import type { Driver } from '../../core/driver.ts'
import { invalid } from '../../core/errors.ts'
import { type Statement, batched } from './batched.ts'

/** What is used of a client of `@libsql/client`, whichever of its entries made it. */
export interface LibsqlClient {
  /** Runs statements as one transaction. */
  batch(
    statements: { sql: string; args: (string | number | null | Uint8Array)[] }[],
    mode: 'write' | 'deferred',
  ): Promise<{ readonly rows: readonly unknown[] }[]>
}

/** Options of {@link libsql}. */
export interface LibsqlOptions {
  /**
   * The client, or a drizzle database over it. It must speak to the primary, and give integers as numbers, as it does by
   * default.
   */
  readonly db: LibsqlClient | { readonly $client: LibsqlClient }
}

/**
 * Makes a driver that keeps everything in a libSQL database. It holds no connection, promise or timer between calls; the
 * client belongs to whoever made it, and is not closed.
 *
 * What opening and later calls throw: `UNAVAILABLE` where the server cannot be reached or another connection writes for
 * long; `QUOTA_EXCEEDED` where the disk is full; `SCHEMA` where the database was written by a newer release, or has foreign
 * tables under names of ours; `ABORTED` where the signal was aborted.
 *
 * @param options - the client
 * @returns a driver; its tables are made at the first call
 * @throws `INVALID_ARGUMENT` where `db` is no client of libSQL
 *
 * @example
 * ```ts
 * import { createClient } from '@libsql/client'
 * import { drizzle } from 'drizzle-orm/libsql'
 * import { createHoldfast } from 'holdfast'
 * import { libsql } from 'holdfast/libsql'
 *
 * // Over HTTP: { url: 'libsql://…', authToken }, by '@libsql/client/web' at the edge.
 * const db = drizzle(createClient({ url: 'file:orders.db' }))
 * const { state } = createHoldfast({ driver: libsql({ db }) })
 * console.log(await state.increment('visits')) // 1
 * ```
 */
export function libsql({ db: given }: LibsqlOptions): Driver {
  const client = given && '$client' in given ? given.$client : given
  if (typeof client?.batch !== 'function')
    throw invalid('db must be a client of libSQL, or a drizzle database over one')
  return batched({
    name: 'libsql',
    title: 'libSQL',
    async run(statements: Statement[], isWrite) {
      const results = await client.batch(statements, isWrite ? 'write' : 'deferred')
      return results.map(({ rows }) => [...rows])
    },
  })
}
