/** Stores by URL. A new kind of URL is one line in the table. @module */
import type { Driver } from '../core/driver.ts'
import { memory } from '../drivers/memory.ts'
import { type Holdfast, createHoldfast } from '../holdfast.ts'
import type { Finding } from '../ops/health.ts'
import { EXIT, Failure } from './failures.ts'
import { inspectPostgres, inspectRedis, inspectUpstash } from './inspect.ts'
import { openHttp, openPostgres, openRedis, openUpstash } from './servers.ts'
import { inspectSqlite, openSqlite } from './sqlite.ts'

/** How URLs of one scheme are opened. */
export interface Scheme {
  /** For help and messages. */
  readonly example: string
  /**
   * Makes a driver.
   *
   * @param rest - the URL behind the scheme and its colon
   * @param create - whether a store may be made where there is none
   */
  open(rest: string, create: boolean): Promise<Driver>
  /** What `doctor` says of it besides what every store has. */
  inspect?(rest: string): Promise<readonly Finding[]>
}

const ofPostgres = (scheme: string): Scheme => ({
  example: `${scheme}://user@host/database`,
  open: (rest) => openPostgres(scheme, rest),
  inspect: (rest) => inspectPostgres(`${scheme}:${rest}`),
})

const ofRedis = (scheme: string): Scheme => ({
  example: `${scheme}://host:6379`,
  open: (rest) => openRedis(scheme, rest),
  inspect: (rest) => inspectRedis(`${scheme}:${rest}`),
})

/** By what stands before the first colon. */
export const SCHEMES: Readonly<Record<string, Scheme>> = {
  memory: { example: 'memory:', open: async () => memory() },
  sqlite: { example: 'sqlite:./app.db', open: openSqlite, inspect: inspectSqlite },
  postgres: ofPostgres('postgres'),
  postgresql: ofPostgres('postgresql'),
  upstash: { example: 'upstash:https://…', open: openUpstash, inspect: inspectUpstash },
  redis: ofRedis('redis'),
  rediss: ofRedis('rediss'),
  http: { example: 'http://localhost:3000/state', open: (rest) => openHttp('http', rest) },
  https: { example: 'https://host/state', open: (rest) => openHttp('https', rest) },
}

/** A store that is named, and not opened yet. */
export interface NamedStore {
  readonly scheme: Scheme
  readonly rest: string
}

/** @throws {@link Failure} for what names no store; passwords in it are not repeated */
export function storeNamed(url: string | undefined): NamedStore {
  const known = Object.values(SCHEMES).map(({ example }) => example)
  const advice = `Such as ${known.join(', ')}`
  if (!url) throw new Failure(EXIT.usage, 'No store is named: give --store, or set HOLDFAST_URL', advice)
  const colon = url.indexOf(':')
  const name = url.slice(0, Math.max(colon, 0))
  if (!Object.hasOwn(SCHEMES, name)) {
    throw new Failure(EXIT.usage, 'The URL of the store has a scheme that is not known', advice)
  }
  return { scheme: SCHEMES[name]!, rest: url.slice(colon + 1) }
}

/** How a store is opened. */
export interface Opening {
  /** Whether it may be made where there is none; not by default. */
  readonly create?: boolean
  /** Whether it is connected to, and brought up to date, before the work; so by default. */
  readonly open?: boolean
}

/** Opens a store, does the work, and closes it. */
export async function withStore<T>(
  url: string | undefined,
  options: Opening & { readonly tenant?: string | undefined },
  work: (holdfast: Holdfast) => Promise<T>,
): Promise<T> {
  const { scheme, rest } = storeNamed(url)
  const { tenant, create = false, open = true } = options
  const driver = await scheme.open(rest, create)
  const holdfast = createHoldfast({ driver, ...(tenant !== undefined && { tenant }) })
  try {
    if (open) await holdfast.db.open()
    return await work(holdfast)
  } finally {
    await holdfast.close()
  }
}
