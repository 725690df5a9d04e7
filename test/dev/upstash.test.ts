/** The protocol of Upstash as the local server speaks it: by plain requests, and by the service's own client. */
import { createHash } from 'node:crypto'
import { Redis } from '@upstash/redis'
import { createClient } from 'redis'
import { describe, expect, it, onTestFinished } from 'vitest'
import { freePort } from '../../src/dev/ports.ts'
import { startRedis } from '../../src/dev/redis-server.ts'
import { startUpstash } from '../../src/dev/upstash.ts'
import { hasRedis, upstashForFile, vendor } from '../drivers/upstash/support.ts'
import { takenPort } from './ports.ts'

const own = upstashForFile()

interface Asked {
  readonly method?: string
  readonly token?: string | null
  readonly headers?: Record<string, string>
  readonly body?: unknown
}

/** A request as it is; what is no text is sent as JSON. */
async function ask(path: string, { method = 'POST', token = 'local', headers = {}, body }: Asked = {}) {
  const response = await fetch(own.rest.url + path, {
    method,
    headers: { ...(token !== null && { authorization: `Bearer ${token}` }), ...headers },
    ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  })
  return { status: response.status, headers: response.headers, bytes: Buffer.from(await response.arrayBuffer()) }
}

async function json(path: string, asked?: Asked): Promise<[number, unknown]> {
  const { status, bytes } = await ask(path, asked)
  return [status, JSON.parse(bytes.toString())]
}

/** Where no redis-server listens. */
const deadRedis = async (): Promise<string> => `redis://127.0.0.1:${await freePort()}`

const BASE64 = { 'upstash-encoding': 'base64' }
const encoded = (text: string): string => Buffer.from(text).toString('base64')

describe.skipIf(!hasRedis)('the REST protocol of Upstash', () => {
  it('takes one command of strings, numbers and booleans', async () => {
    expect(await json('/', { body: ['SET', 'one', 1, 'EX', 100] })).toEqual([200, { result: 'OK' }])
    expect(await json('/', { body: ['GET', 'one'] })).toEqual([200, { result: '1' }])
    expect(await json('/', { body: ['INCR', 'one'] })).toEqual([200, { result: 2 }])
    expect(await json('/', { body: ['GET', 'absent'] })).toEqual([200, { result: null }])
    expect(await json('/', { body: ['SET', 'flag', true] })).toEqual([200, { result: 'OK' }])
    expect(await json('/', { body: ['MGET', 'flag', 'absent'] })).toEqual([200, { result: ['true', null] }])
  })

  it('answers errors of Redis with 400', async () => {
    await json('/', { body: ['SET', 'text', 'x'] })
    const [status, answer] = await json('/', { body: ['INCR', 'text'] })
    expect([status, answer]).toEqual([400, { error: 'ERR value is not an integer or out of range' }])
    expect((await json('/', { body: ['NONE'] }))[0]).toBe(400)
  })

  it.each([
    ['no JSON', '{'],
    ['no list', '{}'],
    ['an empty list', '[]'],
    ['a null', '["GET",null]'],
    ['a list', '[["GET","a"]]'],
  ])('refuses a command that is %s', async (_, body) => expect((await json('/', { body }))[0]).toBe(400))

  it('takes pipelines, whose items fail alone and in order', async () => {
    const body = [
      ['SET', 'p', 'x'],
      ['INCR', 'p'],
      ['APPEND', 'p', 'y'],
      ['GET', 'p'],
    ]
    const error = 'ERR value is not an integer or out of range'
    const answers = [{ result: 'OK' }, { error }, { result: 2 }, { result: 'xy' }]
    expect(await json('/pipeline', { body })).toEqual([200, answers])
    expect(await json('/multi-exec', { body })).toEqual([200, answers])
  })

  it('discards a transaction with a command that cannot be queued', async () => {
    const [status, answer] = await json('/multi-exec', { body: [['SET', 'discarded', 'x'], ['NONE']] })
    expect([status, answer]).toEqual([400, { error: expect.stringMatching(/EXECABORT|unknown command/) as string }])
    expect(await json('/', { body: ['EXISTS', 'discarded'] })).toEqual([200, { result: 0 }])
  })

  it('runs transactions side by side', async () => {
    const all = await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        json('/multi-exec', {
          body: [
            ['SET', `side${i}`, i],
            ['GET', `side${i}`],
          ],
        }),
      ),
    )
    all.forEach((answer, i) => expect(answer).toEqual([200, [{ result: 'OK' }, { result: String(i) }]]))
  })

  it('takes commands as paths, with a body and parameters after them', async () => {
    expect(await json('/set/path%2Fkey/a%20b', { method: 'GET' })).toEqual([200, { result: 'OK' }])
    expect(await json('/get/path%2Fkey', { method: 'GET' })).toEqual([200, { result: 'a b' }])
    expect(await json('/set/body?EX=100', { body: 'from the body' })).toEqual([200, { result: 'OK' }])
    expect(await json('/get/body')).toEqual([200, { result: 'from the body' }])
    expect(await json('/ttl/body')).toEqual([200, { result: 100 }])
    expect((await ask('/get/body', { method: 'HEAD' })).status).toBe(200)
    expect((await json('/get/body', { method: 'DELETE' }))[0]).toBe(405)
    expect(await json('/publish/channel/hello')).toEqual([200, { result: 0 }])
  })

  it('takes a path and a body by PUT as well', async () => {
    expect(await json('/set/by-put', { method: 'PUT', body: 'x' })).toEqual([200, { result: 'OK' }])
    expect(await json('/get/by-put')).toEqual([200, { result: 'x' }])
  })

  it.each(['/subscribe/channel', '/psubscribe/pattern', '/monitor'])('refuses to stream %s', async (path) => {
    const [status, answer] = await json(path, { headers: { accept: 'text/event-stream' }, body: [] })
    expect([status, answer]).toEqual([400, { error: expect.stringMatching(/^ERR Command is not available/) as string }])
  })

  it('wants a token, in a header or a parameter', async () => {
    expect((await json('/ping', { token: null }))[0]).toBe(401)
    expect(await json('/ping', { token: 'wrong' })).toEqual([401, { error: 'WRONGPASS invalid or missing auth token' }])
    expect(await json('/ping?_token=local', { token: null })).toEqual([200, { result: 'PONG' }])
  })

  it('lets the read-only token read, and neither write nor list keys', async () => {
    const reader = { token: 'reader' }
    expect((await json('/', { ...reader, body: ['GET', 'one'] }))[0]).toBe(200)
    for (const body of [
      ['SET', 'a', 'b'],
      ['KEYS', '*'],
      ['SCAN', '0'],
      ['EVAL', 'return 1', '0'],
    ]) {
      const [status, answer] = await json('/', { ...reader, body })
      expect([status, answer]).toEqual([400, { error: expect.stringMatching(/^NOPERM /) as string }])
    }
    expect(await json('/pipeline', { ...reader, body: [['PING'], ['DEL', 'a']] })).toEqual([
      200,
      [{ result: 'PONG' }, { error: expect.stringMatching(/^NOPERM /) as string }],
    ])
  })

  it('encodes strings on request, but a result that is just OK', async () => {
    const headers = BASE64
    expect(await json('/', { headers, body: ['SET', 'b', 'é😀'] })).toEqual([200, { result: 'OK' }])
    expect(await json('/', { headers, body: ['GET', 'b'] })).toEqual([200, { result: encoded('é😀') }])
    expect(await json('/', { headers, body: ['PING'] })).toEqual([200, { result: encoded('PONG') }])
    const [, nested] = await json('/', { headers, body: ['EVAL', "return {'OK', 1, {'a', false}}", '0'] })
    expect(nested).toEqual({ result: [encoded('OK'), 1, [encoded('a'), null]] })
  })

  it('encodes each item of a pipeline for itself, and errors not at all', async () => {
    await json('/', { body: ['SET', 'text', 'x'] })
    const body = [
      ['SET', 'b', 'y'],
      ['GET', 'b'],
      ['INCR', 'text'],
      ['STRLEN', 'b'],
      ['GET', 'absent'],
    ]
    const error = 'ERR value is not an integer or out of range'
    const answers = [{ result: 'OK' }, { result: encoded('y') }, { error }, { result: 1 }, { result: null }]
    expect(await json('/pipeline', { headers: BASE64, body })).toEqual([200, answers])
    expect(await json('/multi-exec', { headers: BASE64, body })).toEqual([200, answers])
  })

  it('answers bytes that are no UTF-8 as they are under Base64, and with U+FFFD without', async () => {
    const body = ['EVAL', "return 'a' .. string.char(255)", '0']
    expect(await json('/', { body })).toEqual([200, { result: 'a\ufffd' }])
    expect(await json('/', { headers: BASE64, body })).toEqual([200, { result: 'Yf8=' }])
  })

  it('answers integers as numbers and lists as lists', async () => {
    const body = ['EVAL', 'return { 1, { 2, { 3 } }, 3.9 }', '0']
    expect(await json('/', { body })).toEqual([200, { result: [1, [2, [3]], 3] }])
  })

  it('ignores what clients tell of themselves', async () => {
    const headers = { 'upstash-telemetry-runtime': 'node', 'upstash-telemetry-sdk': 'test' }
    expect(await json('/', { headers, body: ['PING'] })).toEqual([200, { result: 'PONG' }])
  })

  it('runs scripts that only read', async () => {
    const script = "return redis.call('GET', KEYS[1])"
    const sha = createHash('sha1').update(script).digest('hex')
    await json('/', { body: ['SET', 'read', 'x'] })
    expect(await json('/', { body: ['EVAL_RO', script, '1', 'read'] })).toEqual([200, { result: 'x' }])
    expect(await json('/', { body: ['EVALSHA_RO', sha, '1', 'read'] })).toEqual([200, { result: 'x' }])
    expect((await json('/', { body: ['EVAL_RO', "return redis.call('DEL', KEYS[1])", '1', 'read'] }))[0]).toBe(400)
  })

  it('answers in RESP 2 on request', async () => {
    const headers = { 'upstash-response-format': 'resp2' }
    const { bytes } = await ask('/', { headers, body: ['EVAL', "return {'a', 1, false, {'é'}}", '0'] })
    expect(bytes.toString()).toBe('*4\r\n$1\r\na\r\n:1\r\n$-1\r\n*1\r\n$2\r\né\r\n')
    expect((await ask('/', { headers, body: ['PING'] })).bytes.toString()).toBe('+PONG\r\n')
    expect((await ask('/', { headers: { ...headers, ...BASE64 }, body: ['PING'] })).status).toBe(400)
    expect((await ask('/pipeline', { headers, body: [['PING'], ['ECHO', 'a']] })).bytes.toString()).toBe(
      '+PONG\r\n$1\r\na\r\n',
    )
    expect(await json('/multi-exec', { headers, body: [['PING']] })).toEqual([200, [{ result: 'PONG' }]])
  })

  it('gives a sync token that changes, and takes any', async () => {
    const tokens = new Set<string | null>()
    for (let i = 0; i < 3; i++) {
      tokens.add(
        (await ask('/ping', { headers: { 'upstash-sync-token': 'anything' } })).headers.get('upstash-sync-token'),
      )
    }
    expect(tokens.size).toBe(3)
    expect(tokens.has(null)).toBe(false)
  })

  it('refuses requests and answers over 10 MB', async () => {
    const [status, answer] = await json('/', { body: ['SET', 'big', 'x'.repeat(10_000_000)] })
    expect([status, answer]).toEqual([
      413,
      { error: expect.stringMatching(/^ERR max request size exceeded/) as string },
    ])
    await json('/', { body: ['SET', 'big', 'x'.repeat(6_000_000)] })
    const [tooMuch] = await json('/', { body: ['MGET', 'big', 'big'] })
    expect(tooMuch).toBe(400)
  })

  it('holds scripts that lock by key to the keys they declare', async () => {
    const script =
      "#!lua flags=allow-key-locking\nredis.call('SET', KEYS[1], ARGV[1])\nreturn redis.call('GET', ARGV[2])"
    const sha = createHash('sha1').update(script).digest('hex')
    expect((await json('/', { body: ['EVALSHA', sha, '1', 'k', 'v', 'k'] }))[1]).toEqual({
      error: expect.stringMatching(/^NOSCRIPT/) as string,
    })
    expect(await json('/', { body: ['SCRIPT', 'LOAD', script] })).toEqual([200, { result: sha }])
    expect(await json('/', { body: ['SCRIPT', 'EXISTS', sha] })).toEqual([200, { result: [1] }])
    expect(await json('/', { body: ['EVALSHA', sha, '1', 'k', 'v', 'k'] })).toEqual([200, { result: 'v' }])
    const [status, answer] = await json('/', { body: ['EVAL', script, '1', 'k', 'v', 'other'] })
    expect([status, answer]).toEqual([
      400,
      { error: expect.stringContaining('Dynamic keys are not allowed') as string },
    ])
  })

  it('answers reads under the fault from a replica, unless the sync token is of the last write', async () => {
    const [behind, leader] = [await startRedis(), await startRedis()]
    const rest = await startUpstash({ redis: leader.url, replica: behind.url })
    onTestFinished(async () => {
      await rest.close()
      await Promise.all([behind.stop(), leader.stop()])
    })
    rest.setFaults(() => ({ stale: true }))
    const inSync = vendor(rest)
    const careless = new Redis({ url: rest.url, token: 'local', enableTelemetry: false, readYourWrites: false })
    await inSync.set('k', 'v')
    expect(await inSync.get('k')).toBe('v')
    expect(await careless.get('k')).toBe(null)
    expect(await careless.eval("return redis.call('GET', KEYS[1])", ['k'], [])).toBe('v')
  })

  it('serves the client of the service', async () => {
    const redis = vendor(own.rest)
    await redis.set('object', { a: [1, 'é'] })
    const [object, count] = await Promise.all([redis.get('object'), redis.incr('count')])
    expect([object, count]).toEqual([{ a: [1, 'é'] }, 1])
    expect(await redis.multi().set('m', 1).incr('m').exec()).toEqual(['OK', 2])
    expect(await redis.createScript<string>('return ARGV[1]').exec([], ['twice'])).toBe('twice')
    await expect(redis.eval("return redis.call('INCR', KEYS[1])", ['object'], [])).rejects.toThrow(/not an integer/)
  })

  it('says that the redis-server is gone, and goes on when it is back', async () => {
    const server = await startRedis()
    const rest = await startUpstash({ redis: server.url })
    onTestFinished(async () => {
      await rest.close()
      await server.stop()
    })
    const ping = async () => (await fetch(`${rest.url}/ping?_token=local`)).status
    expect(await ping()).toBe(200)
    await server.kill()
    expect(await ping()).toBe(503)
    await server.restart()
    await expect.poll(ping, { timeout: 30_000 }).toBe(200)
  })

  describe('leaves no connection behind where it cannot start', () => {
    /** How many connections the server has, but for the one that asks. */
    async function connections(url: string): Promise<number> {
      const client = await createClient({ url }).connect()
      try {
        return (await client.clientList()).length - 1
      } finally {
        client.destroy()
      }
    }

    it.each([
      ['its port is taken', async () => ({ port: await takenPort() }), 'EADDRINUSE'],
      ['there is no replica', async () => ({ replica: await deadRedis() }), 'ECONNREFUSED'],
    ])('as %s', async (_, options, code) => {
      const server = await startRedis()
      onTestFinished(() => server.stop())
      await expect(startUpstash({ redis: server.url, ...(await options()) })).rejects.toMatchObject({ code })
      await expect.poll(() => connections(server.url), { timeout: 30_000 }).toBe(0)
    })

    it('as there is no redis-server', async () => {
      await expect(startUpstash({ redis: await deadRedis() })).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    })
  })
})
