/** How the driver gets at PostgreSQL: whatever runs one statement with parameters. @module */
import { invalid } from '../../core/errors.ts'

/**
 * Runs one statement and resolves with its rows, each an object or an array in the order of the columns. It must work
 * without a session: every call may go to another connection. Once the signal is aborted nobody waits for the rows: the
 * statement may be cancelled.
 */
export type PostgresFunction = (
  text: string,
  params: string[],
  options: { readonly signal: AbortSignal },
) => PromiseLike<readonly unknown[]>

/** A client with `query(text, params)`: `Pool` and `Client` of `pg`, PGlite, what `neon()` returns. */
export interface PostgresClient {
  /** Resolves with rows, or with an object that has them as `rows`. */
  query(text: string, params: string[]): PromiseLike<unknown>
}

/** What `postgres()` of postgres.js returns. */
export interface PostgresJs {
  /** Runs a statement that is text, without preparing it. What it returns can be cancelled. */
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

/** Runs one statement; once the signal is aborted nobody waits for its rows any more. */
export type Run = (text: string, params: string[], signal: AbortSignal) => Promise<readonly Row[]>

type Send = (text: string, params: string[], signal: AbortSignal) => PromiseLike<unknown>

/**
 * Makes the one way to run statements out of what was handed in.
 *
 * @throws `INVALID_ARGUMENT` when it is none of {@link PostgresHandle}
 */
export function runOver(db: PostgresHandle): Run {
  const send = sendOver(db)
  // Clients return thenables that send the statement once for every time they are awaited: this is the only time.
  return async (text, params, signal) => rowsOf(await send(text, params, signal)).map(toRow)
}

function sendOver(db: PostgresHandle): Send {
  const client: unknown = Object(db) === db && '$client' in db ? db.$client : db
  if (has(client, 'execute')) return overDrizzle(client as unknown as DrizzleProxy)
  // `neon()` has `unsafe` as well, which is another thing there; and both of them are functions themselves.
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
  throw invalid(
    'db must be a client of PostgreSQL, a drizzle database, or a function of a statement and its parameters',
  )
}

const has = <Name extends string>(client: unknown, name: Name): client is Record<Name, unknown> =>
  typeof (Object(client) as Partial<Record<Name, unknown>>)[name] === 'function'

/** Calls back when the signal is aborted, unless the work is done before. */
async function until<T>(work: PromiseLike<T>, signal: AbortSignal, onAbort: () => void): Promise<T> {
  signal.addEventListener('abort', onAbort)
  try {
    return await work
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}

/** What `neon()` returns: options of `fetch` go along. */
interface Fetching {
  query(text: string, params: string[], options?: object): PromiseLike<unknown>
}

const overPostgresJs =
  (client: PostgresJs): Send =>
  (text, params, signal) => {
    const query = client.unsafe(text, params) as PromiseLike<unknown> & { cancel?(): unknown }
    // Where the server cannot be reached, it cannot be told either.
    return until(query, signal, () => void Promise.resolve(query.cancel?.()).catch(() => {}))
  }

/** A `Pool` of `pg`, as far as it is used. */
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

/** A connection is mostly back sooner than a new one is there: so long is waited before it is closed, in milliseconds. */
const GRACE = 500

/** A statement cannot be taken back, but its connection can be closed, so that others may have one in its place. */
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
    // The pool listens only while nobody has the connection. The statement under way is told as well.
    client.on('error', broken)
    try {
      // Nobody waits for it any more: it need not be sent.
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
  throw invalid('db must answer with rows')
}

const toRow = (row: unknown): Row => (Array.isArray(row) ? row : Object.values(row as object))
