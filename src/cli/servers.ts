/** Stores behind a network at the command line: the client of each is loaded when a URL asks for it. @module */
import type { Driver } from '../core/driver.ts'
import { postgres } from '../drivers/postgres/driver.ts'
import { type UpstashClient, upstash } from '../drivers/upstash/driver.ts'
import { remote } from '../served/http/index.ts'
import { type TimeoutOptions, timeout } from '../wrappers/timeout.ts'
import { EXIT, Failure } from './failures.ts'

/** The same driver, which also lets go of the client that was made for it. */
const closing = (driver: Driver, end: () => Promise<unknown>): Driver => ({
  ...driver,
  async close() {
    await driver.close()
    await end()
  },
})

/** Loads a package that only some need. @throws {@link Failure} where it is not installed */
export async function load<T>(name: string, importing: () => Promise<T>): Promise<T> {
  try {
    return await importing()
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw cause
    throw new Failure(EXIT.usage, `This needs the package ${name}`, `npm install ${name}`)
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

/** @throws {@link Failure} for what is no URL, or names a database by anything but its number */
function requireRedisUrl(text: string): string {
  if (/^\/?\d*$/.test(new URL(requireUrl(text)).pathname)) return text
  throw new Failure(EXIT.usage, 'The path in the URL of the store is no number of a database', 'Such as redis://host/1')
}

/** How long a PostgreSQL may take to let in, in milliseconds: what listens may be something else, which says nothing. */
export const CONNECTION_TIMEOUT = 5000

/** How long a server may take for each kind of call, in milliseconds. */
export const PATIENCE: Required<Pick<TimeoutOptions, 'open' | 'read' | 'commit'>> = {
  open: 2 * CONNECTION_TIMEOUT,
  read: 30_000,
  commit: 30_000,
}

/** Opens a PostgreSQL by its connection string. */
export async function openPostgres(scheme: string, rest: string): Promise<Driver> {
  const connectionString = requireUrl(`${scheme}:${rest}`)
  const { default: pg } = await load('pg', () => import('pg'))
  const pool = new pg.Pool({ connectionString, max: 4, connectionTimeoutMillis: CONNECTION_TIMEOUT })
  // A connection that dies while it is idle is opened again by the next call.
  pool.on('error', () => {})
  return timeout(
    closing(postgres({ db: pool }), () => pool.end()),
    PATIENCE,
  )
}

/** A client of an Upstash, by the URL of its REST interface; the token is in `UPSTASH_REDIS_REST_TOKEN`. */
export async function upstashClient(rest: string): Promise<UpstashClient> {
  const url = requireUrl(rest)
  const token = required('UPSTASH_REDIS_REST_TOKEN')
  const { Redis } = await load('@upstash/redis', () => import('@upstash/redis'))
  return new Redis({ url, token })
}

/** Opens an Upstash by the URL of its REST interface. */
export const openUpstash = async (rest: string): Promise<Driver> =>
  timeout(upstash({ redis: await upstashClient(rest) }), PATIENCE)

/** The part of node-redis that the command line uses. */
export interface RedisClient {
  readonly isOpen: boolean
  connect(): Promise<unknown>
  sendCommand(command: string[]): Promise<unknown>
  info(): Promise<string>
  configGet(name: string): Promise<Readonly<Record<string, string>>>
  destroy(): void
}

/** A client of a Redis, which does not connect again by itself. */
export async function redisClient(url: string): Promise<RedisClient> {
  const checked = requireRedisUrl(url)
  const redis = await load('redis', () => import('redis'))
  const client = redis.createClient({ url: checked, socket: { reconnectStrategy: false } })
  // The call that fails reports what went wrong.
  client.on('error', () => {})
  return client
}

/** Opens a Redis by `redis://` or `rediss://`. */
export async function openRedis(scheme: string, rest: string): Promise<Driver> {
  const client = await redisClient(`${scheme}:${rest}`)
  const send = async (command: readonly string[]): Promise<unknown> => {
    if (!client.isOpen) await client.connect()
    return client.sendCommand([...command])
  }
  const end = async (): Promise<void> => {
    if (client.isOpen) client.destroy()
  }
  return timeout(closing(upstash({ redis: { send } }), end), PATIENCE)
}

/** Opens a store that is served over HTTP; the token in `HOLDFAST_TOKEN`, where there is one, is sent as a bearer's. */
export async function openHttp(scheme: string, rest: string): Promise<Driver> {
  const token = process.env['HOLDFAST_TOKEN']
  const driver = remote({
    url: requireUrl(`${scheme}:${rest}`),
    ...(token && { headers: { authorization: `Bearer ${token}` } }),
  })
  return timeout(driver, PATIENCE)
}
