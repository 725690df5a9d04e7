/** Stores behind a network, by the URLs that the command line takes. */
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { startPostgres } from '../../src/dev/postgres-server.ts'
import { startRedis } from '../../src/dev/redis-server.ts'
import { startUpstash } from '../../src/dev/upstash.ts'
import { sqlite } from '../../src/drivers/sqlite/better-sqlite3.ts'
import { createHandler } from '../../src/http/index.ts'
import { listen } from '../http/support.ts'
import { withDirectory } from '../support/engines.ts'
import { part } from '../support/parts.ts'
import { inPlace } from './support.ts'

/** Sets, gets, verifies and copies by this URL; what is wrong with another one is told in one line. */
const works = (
  env: Record<string, string>,
  wrong: Record<string, string>,
  found: readonly string[] = [],
): Promise<void> =>
  inPlace(async ({ bare, directory }) => {
    expect(await bare(env, 'set', 'greeting', 'hello')).toMatchObject({ code: 0, err: '' })
    expect((await bare(env, 'get', 'greeting')).out).toBe('hello\n')
    expect((await bare(env, 'verify')).code).toBe(0)
    const { out } = await bare(env, 'doctor')
    for (const finding of ['connection\tok', 'latency', 'clock', 'durability', ...found]) expect(out).toContain(finding)
    expect((await bare(env, 'copy', '--to', `sqlite:${directory}/copy.db`)).code).toBe(0)
    const refused = await bare({ ...env, ...wrong }, 'get', 'greeting')
    expect([refused.code, refused.err.trim().split('\n').length]).toEqual([5, 1])
    expect(refused.err).not.toMatch(/wrong|secret/)
  })

describe('the command line over a network', () => {
  test.skipIf(!part('redis'))('speaks to Redis, and to Upstash', async () => {
    const redis = await startRedis()
    const rest = await startUpstash({ redis: redis.url, token: 'secret' })
    try {
      await works({ HOLDFAST_URL: redis.url }, { HOLDFAST_URL: 'redis://127.0.0.1:1' }, [
        'server\tok\tRedis ',
        'eviction\tok\tnoeviction',
        'persistence\twarning\tno append-only file\tSet appendonly yes',
      ])
      await works(
        { HOLDFAST_URL: `upstash:${rest.url}`, UPSTASH_REDIS_REST_TOKEN: 'secret' },
        { UPSTASH_REDIS_REST_TOKEN: 'wrong' },
        ['eviction\tok\tnone, as far as the server tells'],
      )
    } finally {
      await rest.close()
      await redis.stop()
    }
  })

  test.skipIf(!part('postgres'))('speaks to PostgreSQL', async () => {
    const server = await startPostgres({ bin: part('postgres')!, fsync: false })
    try {
      const wrong = server.url
        .replace('/postgres@', '/postgres:secret@')
        .replace(/\/\/[^/]*/, '//wrong:secret@127.0.0.1:1')
      await works({ HOLDFAST_URL: server.url }, { HOLDFAST_URL: wrong }, [
        'server\tok\tPostgreSQL ',
        'schema\tok\tversion ',
        'fsync\tfailure\toff\tSet fsync = on',
        'synchronous_commit\tok',
      ])
    } finally {
      await server.stop()
    }
  })

  test('speaks to a store that is served', () =>
    withDirectory(async (directory) => {
      const driver = sqlite({ path: join(directory, 'served.db'), replayWindow: 120_000 })
      const handler = createHandler(driver, {
        authorize: ({ headers }) => (headers.get('authorization') === 'Bearer secret' ? 'acme' : 401),
      })
      const { url, close } = await listen(handler)
      try {
        await works({ HOLDFAST_URL: url, HOLDFAST_TOKEN: 'secret' }, { HOLDFAST_TOKEN: 'wrong' })
      } finally {
        await close()
        await driver.close()
      }
    }))
})
