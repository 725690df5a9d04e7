/** Ways to reach PostgreSQL: anything that runs one statement with parameters. @module */
import { invalid } from '../../core/errors.ts'

/**
 * Runs one statement and resolves with its rows, each an object or an array in the order of the columns. It must work
 * without a session, because every call may go to another connection. Once the signal is aborted, nobody waits for the
 * rows, and the statement may be cancelled.
 */
export type PostgresFunction = (
  text: string,
  params: string[],
  options: { readonly signal: AbortSignal },
) => PromiseLike<readonly unknown[]>

/** A client with `query(text, params)`: a `Pool` or `Client` of `pg`, PGlite, or the result of `neon()`. */
export interface PostgresClient {
  /** Resolves with the rows, or with an object that has them as `rows`. */
  query(text: string, params: string[]): PromiseLike<unknown>
}

/** The result of `postgres()` of postgres.js. */
export interface PostgresJs {
  /** Runs a text as a statement, without preparing it. The result can be cancelled. */
  unsafe(text: string, params: string[]): PromiseLike<unknown>
}

/** A drizzle database over one of these clients, available as `$client`. */
export interface DrizzleOverClient {
  /** The client underneath. */
  readonly $client: PostgresFunction | PostgresClient | PostgresJs
}

/** A drizzle database without a client, such as the one of `drizzle-orm/pg-proxy`. */
export interface DrizzleProxy {
  /** Runs a drizzle query. */
  execute(query: unknown): PromiseLike<unknown>
}

/** All types that {@link PostgresOptions} accepts as `db`. */
export type PostgresHandle = PostgresFunction | PostgresClient | PostgresJs | DrizzleOverClient | DrizzleProxy

/** One row as an array, in the order of the columns. */
export type Row = readonly unknown[]

/** Runs one statement. Once the signal is aborted, nobody waits for its rows. */
export type Run = (text: string, params: string[], signal: AbortSignal) => Promise<readonly Row[]>

type Send = (text: string, params: string[], signal: AbortSignal) => PromiseLike<unknown>

/**
 * Makes a function that runs statements over any of the accepted handles.
 *
 * @throws `INVALID_ARGUMENT` if `db` is none of {@link PostgresHandle}
 */
export function runOver(db: PostgresHandle): Run {
  const send = sendOver(db)
  // Clients return thenables that send the statement each time they are awaited, so await once.
  return async (text, params, signal) => rowsOf(await send(text, params, signal)).map(toRow)
}

function sendOver(db: PostgresHandle): Send {
  const client: unknown = Object(db) === db && '$client' in db ? db.$client : db
  if (has(client, 'execute')) return overDrizzle(client as unknown as DrizzleProxy)
  // Test for `query` first: `neon()` has an `unsafe` with another meaning, and is a function itself.
  if (has(client, 'query')) {
    if (isPool(client)) return overPool(client)
    const { query } = client as unknown as Fetching
    return has(client, 'unsafe')
      ? (text, params, signal) => query.call(client, text, params, { fetchOptions: { signal } })
      : (text, params) => query.call(client, text, params)
  }
  if (has(client, 'unsafe')) return overPostgresJs(client as unknown as PostgresJs)
  if (typeof client === 'function') {
    return (text, params, signal) => (client as PostgresFunction)(text, params, { signal })
  }
  throw invalid('db must be a client of PostgreSQL, a drizzle database, or a function (text, params) => rows')
}

const has = <Name extends string>(client: unknown, name: Name): client is Record<Name, unknown> =>
  typeof (Object(client) as Partial<Record<Name, unknown>>)[name] === 'function'

/** Waits for work, and calls `onAbort` if the signal is aborted before it is done. */
async function until<T>(work: PromiseLike<T>, signal: AbortSignal, onAbort: () => void): Promise<T> {
  signal.addEventListener('abort', onAbort)
  try {
    return await work
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}

/** The result of `neon()`, which passes on options of `fetch`. */
interface Fetching {
  query(text: string, params: string[], options?: object): PromiseLike<unknown>
}

const overPostgresJs =
  (client: PostgresJs): Send =>
  (text, params, signal) => {
    const query = client.unsafe(text, params) as PromiseLike<unknown> & { cancel?(): unknown }
    // If the server cannot be reached, it cannot be told to cancel either.
    return until(query, signal, () => void Promise.resolve(query.cancel?.()).catch(() => {}))
  }

/** The parts used of a `Pool` of `pg`. */
interface Pool {
  readonly totalCount: number
  connect(): Promise<PooledClient>
}

interface PooledClient extends PostgresClient {
  on(event: 'error', listener: () => void): unknown
  off(event: 'error', listener: () => void): unknown
  release(isBroken?: boolean): void
}

const isPool = (client: unknown): client is Pool =>
  has(client, 'connect') && typeof (client as { totalCount?: unknown }).totalCount === 'number'

/**
 * How long to wait before a connection is closed, in milliseconds. Its statement mostly ends sooner than a new
 * connection opens.
 */
const GRACE = 500

/** A statement cannot be withdrawn, but its connection can be closed, so that the pool opens another. */
const overPool =
  (pool: Pool): Send =>
  async (text, params, signal) => {
    const client = await pool.connect()
    let timer: ReturnType<typeof setTimeout> | undefined
    let isBroken = false
    const broken = (): void => void (isBroken = true)
    let isHeld = true
    const release = (): void => {
      if (!isHeld) return
      isHeld = false
      client.release(isBroken)
      client.off('error', broken)
    }
    const close = (): void => {
      isBroken = true
      release()
    }
    // The pool listens for errors only while the connection is idle. The statement under way fails too.
    client.on('error', broken)
    try {
      // The call was aborted, so the statement need not be sent.
      if (signal.aborted) return []
      return await until(client.query(text, params), signal, () => (timer = setTimeout(close, GRACE)))
    } finally {
      clearTimeout(timer!)
      release()
    }
  }

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
  throw invalid('db must return an array of rows, or an object with an array named rows')
}

const toRow = (row: unknown): Row => (Array.isArray(row) ? row : Object.values(row as object))
