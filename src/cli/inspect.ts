/** Findings of `doctor` about servers, besides those about every store. @module */
import { inTime } from '../core/abort.ts'
import { FIND, SCHEMA_VERSION } from '../drivers/postgres/migrations.ts'
import { policyIn } from '../drivers/upstash/decode.ts'
import { upstash } from '../drivers/upstash/driver.ts'
import type { Finding } from '../ops/health.ts'
import { schemaFinding } from './findings.ts'
import { timeout } from '../wrappers/timeout.ts'
import { CONNECTION_TIMEOUT, PATIENCE, load, redisClient, upstashClient } from './servers.ts'

/** A finding about a setting, with advice if the setting is wrong. */
const judged = (what: string, found: string, isWell: boolean, advice: string, level: Finding['level'] = 'warning') =>
  isWell ? ({ what, level: 'ok', found } as const) : ({ what, level, found, advice } as const)

const SETTINGS = `SELECT current_setting('server_version'), current_setting('fsync'), current_setting('full_page_writes'),
  current_setting('synchronous_commit'), current_setting('max_connections')`

/** Checks the PostgreSQL settings that decide which failures a commit survives. */
export async function inspectPostgres(connectionString: string): Promise<readonly Finding[]> {
  const { default: pg } = await load('pg', () => import('pg'))
  const client = new pg.Client({ connectionString, connectionTimeoutMillis: CONNECTION_TIMEOUT })
  await client.connect()
  try {
    const first = async (sql: string): Promise<readonly unknown[]> =>
      (await client.query<unknown[]>({ text: sql, rowMode: 'array' })).rows[0] ?? []
    const [table] = await first("SELECT to_regclass('holdfast_schema')")
    const version = table === null ? undefined : Number((await first(FIND))[0])
    const [server, fsync, pages, synchronous, connections] = (await first(SETTINGS)) as readonly string[]
    return [
      { what: 'server', level: 'ok', found: `PostgreSQL ${server}, at most ${connections} connections` },
      ...(version === undefined ? [] : [schemaFinding(version, SCHEMA_VERSION)]),
      judged('fsync', fsync!, fsync === 'on', 'Set fsync = on: a power loss can damage the database', 'failure'),
      judged('full_page_writes', pages!, pages === 'on', 'Set full_page_writes = on: a torn page cannot be repaired'),
      { what: 'synchronous_commit', level: 'ok', found: `${synchronous}; at least on for strict commits` },
    ]
  } finally {
    await client.end()
  }
}

/**
 * The finding about `maxmemory-policy`, which is empty if the server does not report it. Eviction that was accepted is no
 * failure.
 */
const evictionFinding = (policy: string, isAccepted = false): Finding =>
  policy === ''
    ? { what: 'eviction', level: 'ok', found: 'none, as far as the server reports' }
    : judged(
        'eviction',
        policy,
        policy === 'noeviction',
        'Set maxmemory-policy noeviction, or turn Eviction off at Upstash: entries can be lost',
        isAccepted ? 'warning' : 'failure',
      )

/** Checks the Redis settings that decide which failures a commit survives, and whether entries are evicted. */
export async function inspectRedis(url: string): Promise<readonly Finding[]> {
  const { client, options } = await redisClient(url)
  try {
    await inTime(client.connect(), CONNECTION_TIMEOUT)
    const info = await inTime(client.info(), CONNECTION_TIMEOUT)
    const told = (name: string): string | undefined => new RegExp(`^${name}:(.*)$`, 'm').exec(info)?.[1]?.trim()
    const isLogged = told('aof_enabled') === '1'
    // Some servers do not allow CONFIG GET.
    const settings = isLogged ? await client.configGet('appendfsync').catch(() => undefined) : undefined
    const sync = settings?.['appendfsync']
    const found = isLogged ? `append-only file, appendfsync ${sync ?? 'unknown'}` : 'no append-only file'
    return [
      { what: 'server', level: 'ok', found: `Redis ${told('redis_version') ?? 'of unknown version'}` },
      evictionFinding(policyIn(info), options.allowEviction),
      judged(
        'persistence',
        found,
        sync === 'always',
        'Set appendonly yes and appendfsync always: a crash of the server loses the commits since the last sync',
      ),
    ]
  } finally {
    if (client.isOpen) client.destroy()
  }
}

/** Checks whether an Upstash database evicts entries. */
export async function inspectUpstash(rest: string): Promise<readonly Finding[]> {
  const { redis, options } = await upstashClient(rest)
  // The driver's errors explain a wrong token or URL.
  const driver = timeout(upstash({ redis, ...options, allowEviction: true }), PATIENCE)
  await driver.open()
  await driver.close()
  const info = await inTime(redis.exec(['INFO', 'memory']), CONNECTION_TIMEOUT).catch(() => undefined)
  return [evictionFinding(policyIn(info), options.allowEviction)]
}
