/**
 * Neon's SQL over HTTP as a local server, over a real or an embedded PostgreSQL. Requests, batches, headers, limits,
 * status codes and errors are those of Neon's proxy, and the session is reset between requests.
 *
 * Differences: a client that hangs up does not cancel its query, and without `Neon-Raw-Text-Output` arrays stay text.
 *
 * @module
 */
import { toJson, toParameter } from './neon-values.ts'
import { type Answered, type Asked, type LocalServer, inJson, listen } from './server.ts'

/** A column of a result. */
export interface NeonField {
  readonly name: string
  readonly dataTypeID: number
}

/** The result of a statement: rows as arrays in PostgreSQL's text format. */
export interface NeonResult {
  readonly fields: readonly NeonField[]
  readonly rows: readonly (readonly (string | null)[])[]
  readonly command: string
  readonly rowCount: number | null
}

/** A session of the database during one request. */
export interface NeonSession {
  /** Runs one statement with parameters in PostgreSQL's text format. */
  query(text: string, params: readonly (string | null)[]): Promise<NeonResult>
}

/** Runs work in a session of the database that the connection string of a request names. */
export type NeonBackend = <T>(url: URL, work: (session: NeonSession) => Promise<T>) => Promise<T>

/** The parts used of a `Pool` of pg. */
export interface PoolLike {
  /** Takes a connection. */
  connect(): Promise<{
    /** Runs one statement. */
    query(config: object): Promise<unknown>
    /** Listens for the end of the connection. The pool itself listens only while the connection is idle. */
    on(event: 'error', listener: () => void): unknown
    /** Stops listening. */
    off(event: 'error', listener: () => void): unknown
    /** Returns the connection to the pool, or closes it if it is broken. */
    release(error?: Error | boolean): void
  }>
}

/** The parts used of a PGlite. */
export interface EmbeddedLike {
  /** Parsers and serializers of PostgreSQL's text format, by the OIDs of types. */
  readonly parsers: Readonly<Record<string, unknown>>
  readonly serializers: Readonly<Record<string, unknown>>
  /** Runs one statement. */
  query(text: string, params: unknown[], options: object): Promise<unknown>
  /** Runs several statements without parameters. */
  exec(text: string): Promise<unknown>
}

const MAX_BYTES = 10 * 2 ** 20
/** Resets a session in one round trip: everything that a client could notice, but not cached plans. */
const RESET = `ROLLBACK; SET SESSION AUTHORIZATION DEFAULT; RESET ALL; DEALLOCATE ALL; CLOSE ALL; UNLISTEN *;
  SELECT pg_advisory_unlock_all(); DISCARD TEMP; DISCARD SEQUENCES`
const asText = (value: unknown): unknown => value
const allAsText = (types: Readonly<Record<string, unknown>>) =>
  Object.fromEntries(Object.keys(types).map((type) => [type, asText]))

/**
 * Makes a backend over real servers. @param poolOf - the pool for a user and a database; the same pool for the same
 * names
 */
export const overPools =
  (poolOf: (url: URL) => PoolLike): NeonBackend =>
  async (url, work) => {
    const client = await poolOf(url).connect()
    // The statement under way fails too, so no error is missed.
    const ignore = (): void => {}
    client.on('error', ignore)
    const release = (isBroken: boolean): void => {
      client.off('error', ignore)
      client.release(isBroken)
    }
    try {
      return await work({
        async query(text, values) {
          const types = { getTypeParser: () => asText }
          const { fields, rows, command, rowCount } = (await client.query({
            text,
            values,
            rowMode: 'array',
            // Even without parameters, so that several statements in one are refused.
            queryMode: 'extended',
            types,
          })) as NeonResult
          return { fields, rows, command, rowCount }
        },
      })
    } finally {
      // Nobody waits for the reset. The connection is returned once it is done.
      client.query({ text: RESET }).then(
        () => release(false),
        () => release(true),
      )
    }
  }

/** Makes a backend over one embedded database. It has one connection, so requests queue. */
export function overEmbedded(db: EmbeddedLike): NeonBackend {
  let last: Promise<unknown> = Promise.resolve()
  const query: NeonSession['query'] = async (text, params) => {
    const types = { parsers: allAsText(db.parsers), serializers: allAsText(db.serializers) }
    const found = await db.query(text, [...params], { rowMode: 'array', ...types })
    const { fields, rows, affectedRows } = found as NeonResult & { affectedRows?: number }
    const command = /^\s*(\w+)/.exec(text)?.[1]?.toUpperCase() ?? ''
    return { fields, rows, command, rowCount: command === 'SELECT' ? rows.length : (affectedRows ?? null) }
  }
  return (_, work) => {
    const turn = last.then(() => work({ query }))
    const reset = (): Promise<unknown> => db.exec(RESET)
    last = turn.then(reset, reset)
    return turn
  }
}

/** Requires one password for all users, because a local server has no users of its own. */
export const withPassword =
  (password: string, backend: NeonBackend): NeonBackend =>
  async (url, work) => {
    const isRight = decodeURIComponent(url.password) === password
    try {
      if (isRight) return await backend(url, work)
    } catch (cause) {
      // An unknown user gets the same answer as a wrong password.
      if ((cause as { code?: unknown }).code !== '28000') throw cause
    }
    const message = `password authentication failed for user "${decodeURIComponent(url.username)}"`
    throw Object.assign(new Error(message), { code: '28P01', severity: 'FATAL' })
  }

interface Query {
  readonly query: string
  readonly params?: readonly unknown[]
  readonly arrayMode?: boolean
}

interface Modes {
  readonly isRaw: boolean
  readonly isArray: boolean
}

/** A refusal by the protocol itself. */
class Refusal extends Error {
  readonly status: 400 | 413 | 507
  constructor(status: 400 | 413 | 507, message: string) {
    super(message)
    this.status = status
  }
}

const LEVELS: Readonly<Record<string, string>> = {
  ReadUncommitted: 'READ UNCOMMITTED',
  ReadCommitted: 'READ COMMITTED',
  RepeatableRead: 'REPEATABLE READ',
  Serializable: 'SERIALIZABLE',
}

const BATCH_OPTIONS = ['Neon-Batch-Isolation-Level', 'Neon-Batch-Read-Only', 'Neon-Batch-Deferrable']

const CORS = {
  'Access-Control-Allow-Origin': '*',
  'Access-Control-Allow-Methods': 'POST',
  'Access-Control-Allow-Headers':
    'Authorization, Neon-Connection-String, Neon-Raw-Text-Output, Neon-Array-Mode, Neon-Pool-Opt-In, Neon-Batch-Read-Only, Neon-Batch-Isolation-Level',
}

/**
 * Starts the server on 127.0.0.1.
 *
 * @param backend - runs the statements
 * @param options - `port`: the port; 0, the default, chooses a free one
 */
export async function startNeon(backend: NeonBackend, options: { readonly port?: number } = {}): Promise<LocalServer> {
  let requests = 0
  async function handle(asked: Asked): Promise<Answered> {
    const [path] = asked.path.split('?')
    if (path !== '/sql' || !['POST', 'OPTIONS'].includes(asked.method)) return inJson('query is not supported', 400)
    if (asked.method === 'OPTIONS') return { status: 200, headers: CORS, body: '' }
    const headers = { 'Access-Control-Allow-Origin': '*', 'Neon-Request-Id': String(++requests) }
    try {
      const answer = inJson(await answerTo(asked, backend), 200, { ...headers, ...batchOptions(asked) })
      if (Buffer.byteLength(answer.body) > MAX_BYTES)
        throw new Refusal(507, `response is too large (max is ${MAX_BYTES} bytes)`)
      return answer
    } catch (cause) {
      const status = cause instanceof Refusal ? cause.status : isFromServer(cause) ? 400 : 500
      return inJson(errorBody(cause), status, headers)
    }
  }
  return listen(handle, options)
}

/** A header's value; the first one if it is repeated. */
const headerOf = ({ headers }: Asked, name: string): string | null => {
  const value = headers[name.toLowerCase()] ?? null
  return Array.isArray(value) ? value[0]! : value
}

async function answerTo(asked: Asked, backend: NeonBackend): Promise<unknown> {
  const url = targetOf(headerOf(asked, 'Neon-Connection-String'))
  const { body: text } = asked
  if (Buffer.byteLength(text) > MAX_BYTES) throw new Refusal(413, `request is too large (max is ${MAX_BYTES} bytes)`)
  const body = parsed(text)
  const modes = {
    isRaw: headerOf(asked, 'Neon-Raw-Text-Output') === 'true',
    isArray: headerOf(asked, 'Neon-Array-Mode') === 'true',
  }
  const { queries } = body
  if (queries === undefined) return backend(url, (session) => run(session, body as Query, modes))
  const begin = beginOf(asked)
  return backend(url, async (session) => {
    await session.query(begin, [])
    const results: unknown[] = []
    for (const query of queries) results.push(await run(session, query, modes))
    await session.query('COMMIT', [])
    return { results }
  })
}

function parsed(text: string): Partial<Query> & { queries?: readonly Query[] } {
  try {
    const body = JSON.parse(text) as Partial<Query> & { queries?: readonly Query[] }
    if (typeof body.query === 'string' || Array.isArray(body.queries)) return body
  } catch {
    // Malformed JSON gets the same answer as JSON that is not a query.
  }
  throw new Refusal(400, 'could not parse the request body')
}

function targetOf(header: string | null): URL {
  if (header === null || !URL.canParse(header)) throw new Refusal(400, 'invalid connection string')
  const url = new URL(header)
  const isComplete = /^postgres(ql)?:$/.test(url.protocol) && url.username !== '' && url.pathname.length > 1
  if (!isComplete || /^[\d.]+$|^\[/.test(url.hostname)) throw new Refusal(400, 'invalid connection string')
  return url
}

/** The options of a batch that are on, for the answer. */
const batchOptions = (asked: Asked): Record<string, string> =>
  Object.fromEntries(
    BATCH_OPTIONS.flatMap((name) => {
      const value = headerOf(asked, name)
      return value !== null && (value === 'true' || Object.hasOwn(LEVELS, value)) ? [[name, value]] : []
    }),
  )

function beginOf(asked: Asked): string {
  const level = headerOf(asked, 'Neon-Batch-Isolation-Level')
  if (level !== null && !Object.hasOwn(LEVELS, level)) throw new Refusal(400, 'invalid isolation level')
  return [
    'BEGIN',
    level === null ? '' : `ISOLATION LEVEL ${LEVELS[level]}`,
    headerOf(asked, 'Neon-Batch-Read-Only') === 'true' ? 'READ ONLY' : '',
    headerOf(asked, 'Neon-Batch-Deferrable') === 'true' ? 'DEFERRABLE' : '',
  ].join(' ')
}

async function run(session: NeonSession, { query, params = [], arrayMode }: Query, modes: Modes): Promise<object> {
  const { fields, rows, command, rowCount } = await session.query(query, params.map(toParameter))
  const isArray = arrayMode ?? modes.isArray
  const decode = (value: string | null, i: number): unknown =>
    value === null || modes.isRaw ? value : toJson(value, fields[i]!.dataTypeID)
  const arrays = rows.map((row) => row.map(decode))
  return {
    command,
    rowCount,
    rowAsArray: isArray,
    fields: fields.map((field) => ({
      tableID: 0,
      columnID: 0,
      dataTypeSize: -1,
      dataTypeModifier: -1,
      ...field,
      format: 'text',
    })),
    rows: isArray ? arrays : arrays.map((row) => Object.fromEntries(row.map((value, i) => [fields[i]!.name, value]))),
  }
}

/** Whether an error comes from the server and has a SQLSTATE, unlike errors of the connection. */
const isFromServer = (cause: unknown): boolean => /^[0-9A-Z]{5}$/.test(String((cause as { code?: unknown }).code))

const ERROR_FIELDS =
  'detail hint position internalPosition internalQuery where table column schema dataType constraint file line routine'

function errorBody(cause: unknown): object {
  const error = cause as Error & Readonly<Record<string, unknown>>
  return {
    message: error.message,
    code: isFromServer(cause) ? error['code'] : '',
    severity: error['severity'] ?? '',
    ...Object.fromEntries(ERROR_FIELDS.split(' ').map((name) => [name, error[name] ?? null])),
  }
}
