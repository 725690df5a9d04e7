/** How the driver gets at PostgreSQL: whatever runs one statement with parameters. @module */
import { invalid } from '../../core/errors.ts'

/**
 * Runs one statement and resolves with its rows, each an object or an array in the order of the columns. It must work
 * without a session: every call may go to another connection.
 */
export type PostgresFunction = (text: string, params: string[]) => PromiseLike<readonly unknown[]>

/** A client with `query(text, params)`: `Pool` and `Client` of `pg`, PGlite, what `neon()` returns. */
export interface PostgresClient {
  /** Resolves with rows, or with an object that has them as `rows`. */
  query(text: string, params: string[]): PromiseLike<unknown>
}

/** What `postgres()` of postgres.js returns. */
export interface PostgresJs {
  /** Runs a statement that is text, without preparing it. */
  unsafe(text: string, params: string[]): PromiseLike<unknown>
}

/** A drizzle database over one of these clients, which it shows as `$client`. */
export interface DrizzleOverClient {
  /** The client underneath. */
  readonly $client: PostgresFunction | PostgresClient | PostgresJs
}

/** A drizzle database without a client, such as that of `drizzle-orm/pg-proxy`. */
export interface DrizzleProxy {
  /** Runs a drizzle query. */
  execute(query: unknown): PromiseLike<unknown>
}

/** Everything that {@link PostgresOptions} takes as `db`. */
export type PostgresHandle = PostgresFunction | PostgresClient | PostgresJs | DrizzleOverClient | DrizzleProxy

/** One row as an array, in the order of the columns. */
export type Row = readonly unknown[]

/** Runs one statement. */
export type Run = (text: string, params: string[]) => Promise<readonly Row[]>

/**
 * Makes the one way to run statements out of what was handed in.
 *
 * @throws `INVALID_ARGUMENT` when it is none of {@link PostgresHandle}
 */
export function runOver(db: PostgresHandle): Run {
  const send = sendOver(db)
  // Clients return thenables that send the statement once for every time they are awaited: this is the only time.
  return async (text, params) => rowsOf(await send(text, params)).map(toRow)
}

function sendOver(db: PostgresHandle): (text: string, params: string[]) => PromiseLike<unknown> {
  const client: unknown = Object(db) === db && '$client' in db ? db.$client : db
  if (has(client, 'execute')) return overDrizzle(client as unknown as DrizzleProxy)
  // `neon()` has `unsafe` as well, which is another thing there; and both of them are functions themselves.
  if (has(client, 'query')) return (text, params) => (client as unknown as PostgresClient).query(text, params)
  if (has(client, 'unsafe')) return (text, params) => (client as unknown as PostgresJs).unsafe(text, params)
  if (typeof client === 'function') return client as PostgresFunction
  throw invalid(
    'db must be a client of PostgreSQL, a drizzle database, or a function of a statement and its parameters',
  )
}

const has = <Name extends string>(client: unknown, name: Name): client is Record<Name, unknown> =>
  typeof (Object(client) as Partial<Record<Name, unknown>>)[name] === 'function'

const overDrizzle = (db: DrizzleProxy) => async (text: string, params: string[]) => {
  const { sql } = await import('drizzle-orm')
  const pieces = text.split(/\$\d/)
  return db.execute(
    sql.join(pieces.map((piece, i) => (i === 0 ? sql.raw(piece) : sql`${params[i - 1]}${sql.raw(piece)}`))),
  )
}

function rowsOf(result: unknown): readonly unknown[] {
  const rows = Array.isArray(result) ? result : (result as { rows?: unknown } | null)?.rows
  if (Array.isArray(rows)) return rows
  throw invalid('db must answer with rows')
}

const toRow = (row: unknown): Row => (Array.isArray(row) ? row : Object.values(row as object))
