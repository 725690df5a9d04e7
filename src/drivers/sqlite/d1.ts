/**
 * Cloudflare D1: SQLite behind a binding of Workers. A request is one `batch()`, see `batched.ts`.
 *
 * @module
 */
import type { Driver } from '../../core/driver.ts'
import { requireInteger } from '../../core/arguments.ts'
import { invalid } from '../../core/errors.ts'
import { DEFAULT_TIMEOUT, batched } from './batched.ts'

/** What is used of a prepared statement of D1. */
export interface D1Statement {
  /** The same statement with parameters. */
  bind(...values: (string | number | null | Uint8Array)[]): D1Statement
}

/** What is used of a D1 binding. */
export interface D1Database {
  /** Makes a statement; nothing is sent yet. */
  prepare(query: string): D1Statement
  /** Runs statements as one transaction. */
  batch(statements: D1Statement[]): Promise<{ readonly results: unknown[] }[]>
}

/** Options of {@link d1}. */
export interface D1Options {
  /** The binding, or a drizzle database over it. */
  readonly db: D1Database | { readonly $client: D1Database }
  /**
   * How long a call is tried, in milliseconds from 1000; 15 000 by default. A call that failed for a passing reason is
   * repeated, as is one without an answer after a third of it.
   */
  readonly timeout?: number
}

/**
 * Makes a driver that keeps everything in a D1 database. It holds no connection, promise or timer between calls, so it is
 * as cheap to make one per request as it has to be on Workers; a database that was opened before costs one query more.
 *
 * What opening and later calls throw: `UNAVAILABLE` where D1 cannot be reached for as long as `timeout`, or is overloaded
 * (`ambiguous` where a commit may have taken effect); `QUOTA_EXCEEDED` where the database is full; `SCHEMA` where it was
 * written by a newer release, or has foreign tables under names of ours; `ABORTED` where the signal was aborted.
 *
 * @param options - the binding, and a timeout in milliseconds
 * @returns a driver; its tables are made at the first call
 * @throws `INVALID_ARGUMENT` where `db` is no binding of D1, or for a malformed timeout
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
  if (typeof db?.batch !== 'function') throw invalid('db must be a binding of D1, or a drizzle database over one')
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
