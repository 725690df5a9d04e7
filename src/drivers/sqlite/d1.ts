/**
 * Cloudflare D1: SQLite through a Workers binding. A request is one `batch()`, see `batch-driver.ts`.
 *
 * @module
 */
import type { Driver } from '../../core/driver.ts'
import { requireInteger } from '../../core/arguments.ts'
import { invalid } from '../../core/errors.ts'
import { DEFAULT_TIMEOUT, batched } from './batch-driver.ts'

/** The part of a D1 prepared statement that the driver uses. */
export interface D1Statement {
  /** The same statement with parameters. */
  bind(...values: (string | number | null | Uint8Array)[]): D1Statement
}

/** The part of a D1 binding that the driver uses. */
export interface D1Database {
  /** Creates a statement. Nothing is sent yet. */
  prepare(query: string): D1Statement
  /** Runs statements as one transaction. */
  batch(statements: D1Statement[]): Promise<{ readonly results: unknown[] }[]>
}

/** Options of {@link d1}. */
export interface D1Options {
  /** The binding, or a drizzle database over it. */
  readonly db: D1Database | { readonly $client: D1Database }
  /**
   * How long to try a call, in milliseconds from 1000; 15 000 by default. A call that failed for a temporary reason is
   * repeated, and so is a call that has no answer after a third of this time.
   */
  readonly timeout?: number
}

/**
 * Creates a driver that stores everything in a D1 database. It holds no connection, promise or timer between calls, so
 * you can create one per request, as Workers need. Opening an existing database costs one query.
 *
 * Opening, and later calls, throw: `UNAVAILABLE` if D1 is overloaded, or cannot be reached within `timeout`
 * (`ambiguous` if a commit may have taken effect); `QUOTA_EXCEEDED` if the database is full; `SCHEMA` if a newer
 * release wrote it, or if it has foreign tables with the driver's names; `ABORTED` if the signal was aborted.
 *
 * @param options - the binding, and `timeout` in milliseconds
 * @returns a driver, which creates its tables at the first call
 * @throws `INVALID_ARGUMENT` if `db` is not a D1 binding, or for a malformed timeout
 *
 * @example
 * ```ts
 * import { createHoldfast } from 'holdfast'
 * import { type D1Database, d1 } from 'holdfast/d1'
 *
 * const worker = {
 *   async fetch(request: Request, env: { DB: D1Database }) {
 *     const { state } = createHoldfast({ driver: d1({ db: env.DB }) })
 *     return new Response(String(await state.increment('visits')))
 *   },
 * }
 * ```
 */
export function d1({ db: given, timeout = DEFAULT_TIMEOUT }: D1Options): Driver {
  requireInteger(timeout, 'timeout', 1000)
  const db = given && '$client' in given ? given.$client : given
  if (typeof db?.batch !== 'function') throw invalid('db must be a D1 binding, or a drizzle database over one')
  return batched({
    name: 'd1',
    title: 'D1',
    timeout,
    run: async (statements) => {
      const prepared = statements.map(({ sql, args }) =>
        args.length ? db.prepare(sql).bind(...args) : db.prepare(sql),
      )
      return (await db.batch(prepared)).map(({ results }) => results)
    },
  })
}
