/** Stores on servers. The client of each is loaded when a URL needs it. @module */
import type { Driver } from '../core/driver.ts'
import { postgres } from '../drivers/postgres/driver.ts'
import { type UpstashClient, type UpstashOptions, upstash } from '../drivers/upstash/driver.ts'
import { remote } from '../served/http/index.ts'
import { type TimeoutOptions, timeout } from '../wrappers/timeout.ts'
import { EXIT, Failure } from './failures.ts'

/** The driver, which on close also ends the client created for it. */
const closing = (driver: Driver, end: () => Promise<unknown>): Driver => ({
  ...driver,
  async close() {
    await driver.close()
    await end()
  },
})

/** Imports an optional package. @throws {@link Failure} if it is not installed */
export async function load<T>(name: string, importing: () => Promise<T>): Promise<T> {
  try {
    return await importing()
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw cause
    throw new Failure(EXIT.usage, `This needs the package ${name}`, `Install it: npm install ${name}`)
  }
}

function required(name: string): string {
  const value = process.env[name]
  if (value) return value
  throw new Failure(EXIT.usage, `The environment variable ${name} is not set`, 'Set it to the token of the store')
}

function requireUrl(text: string): string {
  if (URL.canParse(text)) return text
  throw new Failure(EXIT.usage, 'The store is not a valid URL', 'See holdfast --help')
}

/** A URL of Redis or Upstash without its query, and what the query says of the store. */
interface RedisStore {
  readonly url: string
  readonly options: Pick<UpstashOptions, 'namespace' | 'allowEviction'>
}

/**
 * Takes the options of the driver out of a URL's query.
 *
 * @throws {@link Failure} for a URL that is malformed, or has a part that means nothing here
 */
function redisStoreAt(text: string): RedisStore {
  const url = new URL(requireUrl(text))
  const { namespace, allowEviction, ...others } = Object.fromEntries(url.searchParams)
  const [unknown] = url.hash ? [url.hash] : Object.keys(others)
  if (unknown !== undefined)
    throw new Failure(EXIT.usage, `The URL has an unknown part: ${unknown}`, 'Known are namespace and allowEviction')
  if (allowEviction !== undefined && !/^(?:true|false)$/.test(allowEviction))
    throw new Failure(EXIT.usage, 'allowEviction in the URL must be true or false', 'For example ?allowEviction=true')
  url.search = ''
  return {
    url: url.href,
    options: {
      ...(namespace !== undefined && { namespace }),
      ...(allowEviction !== undefined && { allowEviction: allowEviction === 'true' }),
    },
  }
}

/** @throws {@link Failure} for a path that is not a database number */
function requireDatabase(url: string): void {
  if (!/^\/?\d*$/.test(new URL(url).pathname))
    throw new Failure(EXIT.usage, 'The path of a redis URL must be a database number', 'For example redis://host/1')
}

/** How long to wait for a connection, in milliseconds. Whatever listens there may never answer. */
export const CONNECTION_TIMEOUT = 5000

/** How long to wait for each kind of call, in milliseconds. */
export const PATIENCE: Required<Pick<TimeoutOptions, 'open' | 'read' | 'commit'>> = {
  open: 2 * CONNECTION_TIMEOUT,
  read: 30_000,
  commit: 30_000,
}

/** Opens a PostgreSQL database by its connection string. */
export async function openPostgres(scheme: string, rest: string): Promise<Driver> {
  const connectionString = requireUrl(`${scheme}:${rest}`)
  const { default: pg } = await load('pg', () => import('pg'))
  const pool = new pg.Pool({ connectionString, max: 4, connectionTimeoutMillis: CONNECTION_TIMEOUT })
  // An idle connection that dies is replaced by the next call.
  pool.on('error', () => {})
  return timeout(
    closing(postgres({ db: pool }), () => pool.end()),
    PATIENCE,
  )
}

/** Creates a client for the REST URL of an Upstash database. The token is in `UPSTASH_REDIS_REST_TOKEN`. */
export async function upstashClient(
  rest: string,
): Promise<{ readonly redis: UpstashClient; readonly options: RedisStore['options'] }> {
  const { url, options } = redisStoreAt(rest)
  const token = required('UPSTASH_REDIS_REST_TOKEN')
  const { Redis } = await load('@upstash/redis', () => import('@upstash/redis'))
  return { redis: new Redis({ url, token }), options }
}

/** Opens an Upstash database by its REST URL. */
export async function openUpstash(rest: string): Promise<Driver> {
  const { redis, options } = await upstashClient(rest)
  return timeout(upstash({ redis, ...options }), PATIENCE)
}

/** The part of node-redis that the command line uses. */
export interface RedisClient {
  readonly isOpen: boolean
  connect(): Promise<unknown>
  sendCommand(command: string[]): Promise<unknown>
  info(): Promise<string>
  configGet(name: string): Promise<Readonly<Record<string, string>>>
  destroy(): void
}

/** Creates a client of a Redis server. It does not reconnect by itself. */
export async function redisClient(
  text: string,
): Promise<{ readonly client: RedisClient; readonly options: RedisStore['options'] }> {
  const { url, options } = redisStoreAt(text)
  requireDatabase(url)
  const redis = await load('redis', () => import('redis'))
  const client = redis.createClient({ url, socket: { reconnectStrategy: false } })
  // Errors surface in the calls that fail.
  client.on('error', () => {})
  return { client, options }
}

/** Opens a Redis server by `redis://` or `rediss://`. */
export async function openRedis(scheme: string, rest: string): Promise<Driver> {
  const { client, options } = await redisClient(`${scheme}:${rest}`)
  const send = async (command: readonly string[]): Promise<unknown> => {
    if (!client.isOpen) await client.connect()
    return client.sendCommand([...command])
  }
  const end = async (): Promise<void> => {
    if (client.isOpen) client.destroy()
  }
  return timeout(closing(upstash({ redis: { send }, ...options }), end), PATIENCE)
}

/** Opens a store that is served over HTTP. If `HOLDFAST_TOKEN` is set, it is sent as a bearer token. */
export async function openHttp(scheme: string, rest: string): Promise<Driver> {
  const token = process.env['HOLDFAST_TOKEN']
  const driver = remote({
    url: requireUrl(`${scheme}:${rest}`),
    ...(token && { headers: { authorization: `Bearer ${token}` } }),
  })
  return timeout(driver, PATIENCE)
}
