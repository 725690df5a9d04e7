/** Stores behind a network, by the URLs that the command line takes. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { createClient } from 'redis'
import { describe, expect, test } from 'vitest'
import { startPostgres } from '../../src/dev/postgres-server.ts'
import { startRedis } from '../../src/dev/redis-server.ts'
import { startUpstash } from '../../src/dev/upstash.ts'
import { sqlite } from '../../src/drivers/sqlite/better-sqlite3.ts'
import { createHandler } from '../../src/served/http/index.ts'
import { listen } from '../served/http/support.ts'
import { withDirectory } from '../support/engines.ts'
import { part } from '../support/parts.ts'
import { PROGRAM, inPlace } from './support.ts'

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

/** What works on a file works the same over a network: the store of the tests is restored there first. */
const worksAlike = (url: string): Promise<void> =>
  inPlace(async ({ run, bare }) => {
    const there = (...args: readonly string[]) => bare({ HOLDFAST_URL: url }, ...args)
    expect((await run('backup', 'here.ndjson')).code).toBe(0)
    expect((await there('restore', 'here.ndjson', '--overwrite', '--yes')).code).toBe(0)
    for (const args of [
      ['runs'],
      ['show', 'order-1', '--json', '--payloads'],
      ['events', 'order-1'],
      ['stats', '--sizes'],
      ['pause', 'order-1', '--by', 'ada'],
      ['unpause', 'order-1'],
      ['intervene', 'order-1', 'ship', '--payload', '17'],
      ['cancel', 'order-1', '--yes'],
      ['cancel', 'done', '--yes'],
      ['purge', '--keep-last', '0', '--yes'],
      ['delete', 'text', '--yes'],
      ['delete', 'text', '--yes'],
      ['verify', '--repair'],
    ]) {
      const [here, other] = [await run(...args), await there(...args)]
      expect({ args, ...other }).toEqual({ args, ...here })
    }
  })

/** A command that waits for more says so, and what to do, when the server goes away. */
const losesIts = (url: string, stop: () => Promise<unknown>): Promise<void> =>
  inPlace(async ({ run, directory }) => {
    await run('copy', '--to', url, '--overwrite', '--yes')
    const args = [PROGRAM, 'events', 'sleeper', '--follow', '--interval', '20ms', '--store', url]
    const child = spawn(process.execPath, args, { cwd: directory, env: { PATH: process.env['PATH'] } })
    const err: string[] = []
    child.stderr.on('data', (text: Buffer) => err.push(String(text)))
    await once(child.stdout, 'data')
    await stop()
    expect(await once(child, 'close')).toEqual([5, null])
    expect(err.join('')).toMatch(/^[^\n]+\. [^\n]+\n$/)
  })

describe('the command line over a network', () => {
  test('waits only so long for what accepts and says nothing', async () => {
    const silent = createServer(() => {}).listen(0, '127.0.0.1')
    await once(silent, 'listening')
    const host = `127.0.0.1:${(silent.address() as AddressInfo).port}`
    try {
      await inPlace(async ({ bare }) => {
        const env = { UPSTASH_REDIS_REST_TOKEN: 'secret' }
        const urls = [`redis://${host}`, `upstash:http://${host}`, `http://${host}/state`, `postgres://me@${host}/app`]
        const [ended, looked] = await Promise.all([
          Promise.all(urls.map((url) => bare(env, 'get', 'greeting', '--store', url, '--json'))),
          Promise.all(urls.map((url) => bare(env, 'doctor', '--store', url))),
        ])
        for (const { code, err } of ended) {
          expect(code).toBe(5)
          expect(JSON.parse(err)).toMatchObject({ error: { code: 'TIMEOUT', advice: expect.any(String) } })
        }
        for (const { code, out } of looked) expect([code, out]).toEqual([1, expect.stringContaining('failure')])
      })
    } finally {
      silent.close()
    }
  })

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
        ['eviction\tok\tnoeviction'],
      )
      await worksAlike(redis.url)
      await losesIts(redis.url, () => redis.stop())
    } finally {
      await rest.close()
      await redis.stop()
    }
  })

  test.skipIf(!part('redis'))('takes the options of the driver from the URL', async () => {
    const redis = await startRedis()
    const client = createClient({ url: redis.url })
    const token = { UPSTASH_REDIS_REST_TOKEN: 'secret' }
    const rest = await startUpstash({ redis: redis.url, token: 'secret' })
    try {
      await client.connect()
      await client.configSet('maxmemory-policy', 'allkeys-lru')
      await inPlace(async ({ bare }) => {
        for (const [i, url] of [redis.url, `upstash:${rest.url}`].entries()) {
          const at = (query: string, ...args: readonly string[]) => bare(token, ...args, '--store', url + query)
          const refused = await at('', 'set', 'greeting', 'hello', '--json')
          expect(JSON.parse(refused.err)).toMatchObject({ error: { code: 'UNSUPPORTED' } })
          expect(await at('?allowEviction=true', 'set', 'greeting', 'hello')).toMatchObject({ code: 0 })
          const other = `?namespace=other${i}&allowEviction=true`
          expect((await at(other, 'get', 'greeting')).code).toBe(3)
          expect(await at(other, 'set', 'greeting', 'hi')).toMatchObject({ code: 0 })
          expect((await at('?allowEviction=true', 'get', 'greeting')).out).toBe('hello\n')
          for (const wrong of ['?tenant=acme', '?allowEviction=yes', '#here']) {
            expect(await at(wrong, 'get', 'greeting')).toMatchObject({ code: 2 })
          }
        }
      })
    } finally {
      client.destroy()
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
      await worksAlike(server.url)
      await losesIts(server.url, () => server.stop())
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
