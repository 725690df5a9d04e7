/**
 * The Postgres driver: any number of processes on one database, through any client that can run a statement.
 *
 * A request is one statement, a call of a function in the database. The function takes the locks of the keys it
 * touches, reads the server's clock, and applies commit after commit. For a while, it waits for requests that share a
 * key or a range with it, and for no others. The driver leaves nothing in the session: no prepared statement, no
 * setting, no lock. So it works through transaction poolers and over HTTP. `strict` is `synchronous_commit` as the
 * database sets it, or `on` if that is off; `relaxed` is `off`.
 *
 * After a lost answer the request is sent again under the same id, which the function recognises.
 *
 * @module
 */
import { abortable } from '../../core/abort.ts'
import { requireGiven, requireInteger } from '../../core/arguments.ts'
import { writesOf } from '../shared/evaluate.ts'
import type { CallOptions, Capabilities, CommitAnswer, Driver } from '../../core/driver.ts'
import { HoldfastError, inDoubt, invalid, isHoldfastError } from '../../core/errors.ts'
import { lateAt } from '../../core/request-records.ts'
import { sweeps } from '../shared/sweep-schedule.ts'
import { commitOutcomes, isAgain, readVersion } from './answers.ts'
import { type Answered, type Statement, IN_DOUBT, callsOver } from './calls.ts'
import { isSchemaMissing } from './errors.ts'
import { type PostgresHandle, runOver } from './handle.ts'
import { FIND, SCHEMA_VERSION, migration } from './migrations.ts'
import { type Ask, readAll } from './large-reads.ts'
import { LIMITS, encodeCommits } from './requests.ts'

export type {
  DrizzleOverClient,
  DrizzleProxy,
  PostgresClient,
  PostgresFunction,
  PostgresHandle,
  PostgresJs,
} from './handle.ts'
import { requireOpen } from '../shared/require-open.ts'

/** Options of {@link postgres}. */
export interface PostgresOptions {
  /**
   * Runs the statements: a `Pool` or `Client` of `pg`, the result of `postgres()` of postgres.js or of `neon()`, a
   * PGlite, a drizzle database over one of them or of `drizzle-orm/pg-proxy`, or a function `(text, params) => rows`.
   * It stays open when the driver is closed. With postgres.js through a transaction pooler, set its option `prepare:
   * false`, or it prepares statements.
   */
  readonly db: PostgresHandle
  /**
   * The number of partitions over which a new database spreads its entries, by a hash of their part: 1 to 1024, or 0,
   * the default, for a plain table. An existing database keeps its layout.
   */
  readonly partitions?: number
  /**
   * How long a call is tried, in milliseconds from 1000; 15 000 by default. An attempt without an answer is given up
   * after a third of it and repeated. On the server it ends by itself before that if it waits for others. When the call
   * is over, attempts still running are cancelled if the client can do that: over HTTP, with postgres.js, and with a
   * pool of `pg`, which closes the connection.
   */
  readonly timeout?: number
  /**
   * How long a repeated request is recognised, in milliseconds; longer than `timeout`, 10 minutes by default. A later
   * repeat is refused. The database keeps a small record of each request for twice as long.
   */
  readonly replayWindow?: number
}

const COMMIT = 'SELECT * FROM holdfast_commit($1::text::jsonb, $2::text::int)'
const READ = 'SELECT * FROM holdfast_read($1::text::jsonb)'

const DEFAULT_TIMEOUT = 15_000
const DEFAULT_REPLAY_WINDOW = 600_000
const MAX_PARTITIONS = 1024

const CAPABILITIES: Omit<Capabilities, 'replayWindow' | 'timeout'> = {
  writers: 'many',
  reads: 'strict',
  durability: 'strict',
  clock: 'shared',
  network: true,
  limits: LIMITS,
}

/**
 * Makes a driver that keeps everything in a PostgreSQL database, 13 or newer, shared by any number of clients.
 *
 * The first call creates the tables and functions, in the first schema of the search path.
 *
 * Calls throw:
 * - `UNAVAILABLE` if the server cannot be reached within `timeout`; `ambiguous` if a commit may have taken effect
 * - `UNAUTHORIZED` if the server rejects the user or the password
 * - `INVALID_ARGUMENT` if the database does not exist
 * - `READ_ONLY` if the user may not write or may not create tables; `details.sql` is then the SQL that a user with the
 *   right must run
 * - `QUOTA_EXCEEDED` if the disk is full
 * - `SCHEMA` if the tables are missing or of a newer release
 * - `UNSUPPORTED` if the server is too old, the database is not encoded in UTF8, or its isolation level is not read
 *   committed
 * - `CLOSED` if the client was closed
 *
 * @param options - `db`, partitions of a new database, timeout and replay window in milliseconds
 * @returns a driver; it connects at the first call
 * @throws `INVALID_ARGUMENT` for a malformed option
 *
 * @example
 * ```ts
 * import { PGlite } from '@electric-sql/pglite'
 * import { createHoldfast } from 'holdfast'
 * import { postgres } from 'holdfast/postgres'
 *
 * const holdfast = createHoldfast({ driver: postgres({ db: new PGlite() }) })
 * await holdfast.state.set('greeting', 'hello')
 * await holdfast.close()
 * ```
 */
export function postgres(options: PostgresOptions): Driver {
  const { db, partitions = 0, timeout = DEFAULT_TIMEOUT } = requireGiven(options, 'options')
  const { replayWindow = DEFAULT_REPLAY_WINDOW } = options
  const send = runOver(db)
  requireInteger(partitions, 'partitions', 0, MAX_PARTITIONS)
  requireInteger(timeout, 'timeout', 1000)
  requireInteger(replayWindow, 'replayWindow', 1)
  if (replayWindow <= timeout)
    throw invalid(`replayWindow must be longer than timeout, which is ${timeout}, not ${replayWindow}`)
  const run = callsOver(send, timeout)
  let opening: Promise<void> | undefined
  let isOpen = false
  /** Whether a call has found the schema. Until then, a call may find that it is missing. */
  let isFound = false
  const swept = sweeps()

  async function findVersion(): Promise<number> {
    try {
      return readVersion((await run(schema(FIND))).rows)
    } catch (error) {
      if (isSchemaMissing(error)) return 0
      throw error
    }
  }

  async function connect(): Promise<void> {
    let version = await findVersion()
    if (version < SCHEMA_VERSION) {
      const sql = migration(partitions)
      try {
        await run(schema(sql))
      } catch (error) {
        throw isHoldfastError(error, 'READ_ONLY') ? noTables(error, sql) : error
      }
      version = await findVersion()
    }
    if (version > SCHEMA_VERSION) throw tooNew(version)
    isFound = true
  }

  /** Opens once. A failure is not kept: the next call tries again. */
  const opened = (): Promise<void> =>
    (opening ??= connect().catch((cause: unknown) => {
      opening = undefined
      throw cause
    }))

  /** Calls a function of the schema. If the first call finds no schema, it is created. */
  async function call(statement: Statement, options?: CallOptions): Promise<Answered> {
    let answered
    try {
      answered = await run(statement, options)
    } catch (error) {
      if (isFound || !isSchemaMissing(error)) throw error
      await abortable(opened(), options?.signal)
      answered = await run(statement, options)
    }
    isFound = true
    return answered
  }

  const asking =
    (options?: CallOptions): Ask =>
    async (questions) =>
      (await call({ text: READ, params: () => [questions], kind: 'read' }, options)).rows

  return {
    name: 'postgres',
    capabilities: { ...CAPABILITIES, replayWindow, timeout },
    async open({ signal, ahead = false } = {}) {
      if (!ahead) await abortable(opened(), signal)
      isOpen = true
    },
    async read(reads, options) {
      requireOpen(isOpen)
      return readAll(reads, asking(options))
    },
    async commit(request, options): Promise<CommitAnswer> {
      requireOpen(isOpen)
      const sweep = swept.most(performance.now(), writesOf(request))
      const text = encodeCommits(request, { window: replayWindow, sweep })
      const params = (wait: number): string[] => [text, String(wait)]
      const { rows, isRepeat } = await call({ text: COMMIT, params, kind: 'commit', isAgain }, options)
      try {
        const { now, outcomes, swept: count } = commitOutcomes(request, rows)
        swept.found(performance.now(), count, sweep)
        return { now, outcomes }
      } catch (error) {
        throw isRepeat && lateAt(error) !== undefined ? inDoubt(error as HoldfastError, IN_DOUBT) : error
      }
    },
    async close() {
      await opening?.catch(() => {})
      opening = undefined
      isFound = false
      isOpen = false
    },
  }
}

/** A statement that finds or changes the schema. */
const schema = (text: string): Statement => ({ text, params: () => [], kind: 'schema' })

const noTables = ({ cause, details }: HoldfastError, sql: string): HoldfastError =>
  new HoldfastError(
    'READ_ONLY',
    'The user may not create the tables; have a user with that right run the SQL in details.sql',
    {
      cause,
      details: { ...details, sql },
    },
  )

const tooNew = (version: number): HoldfastError =>
  new HoldfastError(
    'SCHEMA',
    `The database has schema version ${version}, but this release supports only ${SCHEMA_VERSION}; use a newer release of holdfast`,
    { details: { found: version, known: SCHEMA_VERSION } },
  )
