/** What the Redis suites share: servers, clients, and namespaces of one's own. */
import { createHash } from 'node:crypto'
import { Redis } from '@upstash/redis'
import { afterAll, beforeAll, it, onTestFinished } from 'vitest'
import { type RedisClientType, createClient } from 'redis'
import { type RedisOptions, type RedisServer, startRedis } from '../../../src/dev/redis-server.ts'
import { type UpstashServer, startUpstash } from '../../../src/dev/upstash.ts'
import type { Commit, CommitRequest, Driver, EntryPage, Op, Value } from '../../../src/core/driver.ts'
import { type UpstashOptions, upstash } from '../../../src/drivers/upstash/driver.ts'
import type { Backend, Harness } from '../../../src/testing/index.ts'
import { part } from '../../support/parts.ts'

/** Whether these suites can run here. */
export const hasRedis: boolean = part('redis') !== undefined

/** Side by side: most of the time is spent waiting for the server's clock. */
export const atOnce = (name: string, run: () => Promise<void>): void => it.concurrent(name, run, 60_000)

let namespaces = 0
/** A namespace that nobody else uses: cases share a server. */
export const namespace = (): string => `t${process.pid}-${++namespaces}`

/** A connected client of node-redis. */
export async function connected(url: string): Promise<RedisClientType> {
  const client = createClient({ url, socket: { reconnectStrategy: (tries) => Math.min(20 * tries, 200) } })
  // It reconnects by itself; without a listener the error would end the process.
  client.on('error', () => {})
  return client.connect()
}

/**
 * Changes every script on its way to a server, also where it is named by its SHA-1.
 *
 * @param edit - from the script as the driver knows it to the one that is sent
 * @param further - arguments after those of the driver
 */
export function scriptEditor(
  edit: (source: string) => string,
  further: () => readonly string[] = () => [],
): (command: readonly string[]) => string[] {
  const shas = new Map<string, string>()
  return ([name = '', script = '', ...args]) => {
    if (!name.startsWith('EVAL')) return [name, script, ...args]
    if (name === 'EVAL') {
      const sent = edit(script)
      if (sent === script) throw new Error('The script no longer has what was to be changed')
      shas.set(shaOf(script), shaOf(sent))
      return [name, sent, ...args, ...further()]
    }
    return [name, shas.get(script) ?? script, ...args, ...further()]
  }
}

const shaOf = (source: string): string => createHash('sha1').update(source).digest('hex')

/** Has scripts take their time from this clock, which is told along with each call. */
export const clockEditor = (clock: () => number): ReturnType<typeof scriptEditor> =>
  scriptEditor(
    (source) =>
      source.replace(
        "local time = redis.call('TIME')",
        `local given = tonumber(table.remove(ARGV))
local time = { math.floor(given / 1000), given % 1000 * 1000 }`,
      ),
    () => [String(clock())],
  )

/** A server for all tests of a file, and a client of it. */
export function redisForFile(options: RedisOptions = {}): { server: RedisServer; client: RedisClientType } {
  const own = {} as { server: RedisServer; client: RedisClientType }
  if (!hasRedis) return own
  beforeAll(async () => {
    own.server = await startRedis(options)
    own.client = await connected(own.server.url)
  })
  afterAll(async () => {
    own.client?.destroy()
    await own.server?.stop()
  })
  return own
}

/** The same, with Upstash's protocol in front of it. */
export function upstashForFile(options: RedisOptions = {}): ReturnType<typeof redisForFile> & { rest: UpstashServer } {
  const own = redisForFile(options) as ReturnType<typeof redisForFile> & { rest: UpstashServer }
  if (!hasRedis) return own
  beforeAll(async () => {
    own.rest = await startUpstash({ redis: own.server.url, readOnlyToken: 'reader' })
  })
  afterAll(() => own.rest?.close())
  return own
}

/** A client of the service's own making, with its defaults. */
export const vendor = ({ url, token }: Pick<UpstashServer, 'url' | 'token'>): Redis =>
  new Redis({ url, token, enableTelemetry: false })

/** Everything that a namespace holds of entries: all but the records of requests, and the version. */
async function dump(client: RedisClientType, of: string): Promise<unknown[]> {
  const found: unknown[] = []
  for (const key of (await client.keys(`{${of}}:[ekxpg]:*`)).sort()) {
    const isHash = key.includes('}:e:')
    found.push({ key, holds: isHash ? await client.hGetAll(key) : await client.zRangeWithScores(key, 0, -1) })
  }
  return found
}

/** Fresh namespaces of one server, through any client. */
export const harness = (
  name: string,
  admin: () => RedisClientType,
  redis: () => UpstashOptions['redis'],
  options: Partial<UpstashOptions> = {},
): Harness => ({
  name,
  async create(): Promise<Backend> {
    const own = namespace()
    const open = () => upstash({ redis: redis(), namespace: own, ...options })
    return { driver: open(), reopen: async () => open(), dump: () => dump(admin(), own) }
  },
})

export const PART = 'default!run!r1'

let ids = 0
/** A request of one commit. */
export function request(ops: readonly Op[], more: Partial<Commit> = {}): CommitRequest {
  const id = `id${process.pid}.${++ids}`
  return { id, commits: [{ id, checks: [], ops, durability: 'relaxed', ...more }] }
}

export const put = (key: string, value: Value = key, part = PART): Op => ({ put: { part, key }, value })
export const append = (value: string, part = PART): Op => ({ append: { part, key: 'event!' }, value })

/** Opened, and closed when the test ends. */
export async function opened(options: UpstashOptions): Promise<Driver> {
  const driver = upstash({ namespace: namespace(), ...options })
  onTestFinished(() => driver.close())
  await driver.open()
  return driver
}

/** All values of a range, page by page. */
export async function valuesOf(driver: Driver, part = PART): Promise<Value[]> {
  const values: Value[] = []
  for (let start = ' ', more = true; more;) {
    const { answers } = await driver.read([{ range: { part, start, end: '~~', limit: 1000 } }])
    const page = answers[0] as EntryPage
    values.push(...page.entries.map((entry) => entry.value))
    more = page.more
    start = `${page.entries.at(-1)?.key} `
  }
  return values
}
