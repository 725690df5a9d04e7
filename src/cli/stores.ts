/** Stores by URL. A new URL scheme is one line in the table. @module */
import type { Driver } from '../core/driver.ts'
import { memory } from '../drivers/memory.ts'
import { type Holdfast, createHoldfast } from '../holdfast.ts'
import type { Finding } from '../ops/health.ts'
import { EXIT, Failure } from './failures.ts'
import { inspectPostgres, inspectRedis, inspectUpstash } from './inspect.ts'
import { openHttp, openPostgres, openRedis, openUpstash } from './servers.ts'
import { inspectSqlite, openSqlite } from './sqlite.ts'

/** Opens the URLs of one scheme. */
export interface Scheme {
  /** An example for help and messages. */
  readonly example: string
  /**
   * Creates a driver.
   *
   * @param rest - the part of the URL after the scheme and its colon
   * @param create - whether to create a missing store
   */
  open(rest: string, create: boolean): Promise<Driver>
  /** Findings of `doctor` about this kind of store, besides those about every store. */
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

/** Schemes by the part of the URL before the first colon. */
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

/** A store that is named but not open yet. */
export interface NamedStore {
  readonly scheme: Scheme
  readonly rest: string
}

/** @throws {@link Failure} if the URL names no store. Messages never repeat the URL, which may hold a password */
export function storeNamed(url: string | undefined): NamedStore {
  const known = Object.values(SCHEMES).map(({ example }) => example)
  const advice = `For example ${known.join(', ')}`
  if (!url) throw new Failure(EXIT.usage, 'No store is named: pass --store, or set HOLDFAST_URL', advice)
  const colon = url.indexOf(':')
  const name = url.slice(0, Math.max(colon, 0))
  if (!Object.hasOwn(SCHEMES, name)) {
    throw new Failure(EXIT.usage, 'The URL of the store has an unknown scheme', advice)
  }
  return { scheme: SCHEMES[name]!, rest: url.slice(colon + 1) }
}

/** Options for opening a store. */
export interface Opening {
  /** Creates a missing store; `false` by default. */
  readonly create?: boolean
  /** Connects and migrates the store before the work; `true` by default. */
  readonly open?: boolean
}

/** Opens a store, runs the work, and closes the store. */
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
