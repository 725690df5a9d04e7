/** What goes wrong has a code, and no message holds a secret or a value. */
import { inspect } from 'node:util'
import { Redis } from '@upstash/redis'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type RedisOptions, startRedis } from '../../../src/dev/redis-server.ts'
import type { ErrorCode } from '../../../src/core/errors.ts'
import { type UpstashOptions, upstash } from '../../../src/drivers/upstash/driver.ts'
import { failureOf } from '../../support/failure.ts'
import {
  PART,
  append,
  connected,
  hasRedis,
  namespace,
  opened,
  put,
  request,
  scriptEditor,
  upstashForFile,
  valuesOf,
  vendor,
} from './support.ts'

const own = upstashForFile()

/** A handle on a server of one's own. */
async function ownRedis(options: RedisOptions) {
  const server = await startRedis(options)
  const client = await connected(server.url)
  onTestFinished(async () => {
    client.destroy()
    await server.stop()
  })
  return { client, redis: { send: (command: string[]) => client.sendCommand(command) } }
}

/** A handle that can be opened, and answers everything else with this. */
const answering = (reply: unknown) => ({
  send: async (command: string[]) => (command.includes('open') ? ['1', ['ok', '1', '']] : reply),
})
/** A handle that can be opened, and fails with these messages, the last of them for ever; it tells what it was sent. */
function saying(...messages: readonly string[]) {
  const commands: string[] = []
  return {
    commands,
    async send(command: string[]) {
      if (command.includes('open')) return ['1', ['ok', '1', '']]
      commands.push(command[0]!)
      throw new Error(messages[Math.min(commands.length, messages.length) - 1])
    },
  }
}
const failing = (message: string) => ({ send: async () => Promise.reject(new Error(message)) })

describe.skipIf(!hasRedis)('errors of upstash', () => {
  it.each([
    ['no client', {}],
    ['a client of another kind', { redis: { get: () => null } }],
    ['a namespace with a colon', { namespace: 'a:b' }],
    ['a namespace in braces', { namespace: '{a}' }],
    ['an empty namespace', { namespace: '' }],
    ['no time for repeats', { replayWindow: 0 }],
    ['no time for an answer', { timeout: 0 }],
    ['negative retries', { retries: -1 }],
    ['an unknown durability', { durability: 'none' }],
  ])('refuses %s', (_, options) => {
    const redis = 'redis' in options || Object.keys(options).length === 0 ? {} : { redis: vendor(own.rest) }
    expect(() => upstash({ ...redis, ...options } as never)).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    )
  })

  it.each<[string, () => UpstashOptions['redis'], ErrorCode, RegExp]>([
    ['a wrong token', () => vendor({ ...own.rest, token: 'wr0ng-s3cret' }), 'UNAUTHORIZED', /token or password; check/],
    ['the read-only token', () => vendor({ ...own.rest, token: 'reader' }), 'UNAUTHORIZED', /use the standard token/],
    ['no listener', () => vendor({ url: 'http://127.0.0.1:1', token: 's3cret' }), 'UNAVAILABLE', /cannot be reached/],
    ['a server without scripts', () => failing("ERR unknown command 'eval'"), 'UNSUPPORTED', /EVAL and EVALSHA/],
    ['a replica', () => failing("READONLY You can't write against a read only replica."), 'READ_ONLY', /its primary/],
    ['a missing password', () => failing('NOAUTH Authentication required.'), 'UNAUTHORIZED', /token or password/],
    ['a cluster', () => failing("CROSSSLOT Keys in request don't hash"), 'UNSUPPORTED', /pass a cluster client/],
    ['a used up plan', () => failing('ERR max daily request limit exceeded. Limit: 10000'), 'QUOTA_EXCEEDED', /plan/],
    ['a closed connection', () => failing('The client is closed'), 'CLOSED', /closed by its owner; open it again/],
    ['an address that is none', () => failing('Failed to parse URL from nowhere'), 'INVALID_ARGUMENT', /is not one/],
  ])('tells %s', async (_, redis, code, message) => {
    const driver = upstash({ redis: redis(), namespace: namespace(), retries: 1 })
    const error = await failureOf(driver.open())
    expect([error.code, error.message, error.ambiguous]).toEqual([code, expect.stringMatching(message), false])
    expect(inspect(error)).not.toMatch(/s3cret/)
  })

  it('tells a server whose scripts are switched off', async () => {
    const { client } = await ownRedis({ args: ['--user default on nopass ~* &* +@all -@scripting'] })
    const error = await failureOf(upstash({ redis: { send: (it) => client.sendCommand(it) }, retries: 1 }).open())
    expect([error.code, error.message]).toEqual(['UNAUTHORIZED', expect.stringContaining('may not run scripts')])
  })

  it('tells what does not speak the protocol', async () => {
    const driver = upstash({ redis: failingPage(), namespace: namespace(), retries: 1 })
    const error = await failureOf(driver.open())
    expect([error.code, error.message]).toEqual(['UNAVAILABLE', expect.stringContaining('check the URL')])
    expect(inspect(error)).not.toContain('<html>')
  })

  it('tells a server that is too old', async () => {
    const redis = { send: async () => ['1', ['old', '', '']] }
    const error = await failureOf(upstash({ redis }).open())
    expect([error.code, error.message]).toEqual(['UNSUPPORTED', expect.stringContaining('6.2 or newer')])
  })

  it('tells a database of another version', async () => {
    const space = namespace()
    await own.client.set(`{${space}}:schema:version`, '2')
    expect((await failureOf(upstash({ redis: vendor(own.rest), namespace: space }).open())).code).toBe('SCHEMA')
  })

  it('tells keys that are not ours, and changes nothing', async () => {
    const space = namespace()
    const driver = await opened({ redis: vendor(own.rest), namespace: space })
    await own.client.set(`{${space}}:k:theirs`, 'a string')
    const error = await failureOf(driver.commit(request([put('a'), put('b', 'v', 'theirs')])))
    expect([error.code, error.ambiguous]).toEqual(['SCHEMA', false])
    expect(await valuesOf(driver)).toEqual([])
  })

  it.each([
    ['nothing', null],
    ['a text', 'OK'],
    ['a time that is none', ['soon']],
    ['too few verdicts', ['1']],
    ['a verdict that is none', ['1', ['?']]],
    ['a check that is none', ['1', ['-', '7', '']]],
    ['numbers', [1, 2]],
  ])('tells an answer of %s', async (_, reply) => {
    const driver = await opened({ redis: answering(reply) })
    const error = await failureOf(driver.commit(request([append('x')])))
    expect([error.code, error.ambiguous]).toEqual(['BACKEND', true])
  })

  it('wants to be opened first', async () => {
    const driver = upstash({ redis: vendor(own.rest) })
    expect((await failureOf(driver.read([]))).code).toBe('CLOSED')
    expect((await failureOf(driver.commit(request([])))).code).toBe('CLOSED')
  })

  it('changes nothing when the memory is full, and says so', async () => {
    const { client, redis } = await ownRedis({ args: ['--maxmemory', '4mb', '--maxmemory-policy', 'noeviction'] })
    const driver = await opened({ redis })
    await driver.commit(request([put('before'), put('kept')]))
    await client.sendCommand(['CONFIG', 'SET', 'maxmemory', '1'])
    const ops = [{ delete: { part: PART, key: 'before' } }, put('new')]
    const error = await failureOf(driver.commit(request(ops)))
    expect([error.code, error.ambiguous]).toEqual(['QUOTA_EXCEEDED', false])
    expect(await valuesOf(driver)).toEqual(['before', 'kept'])
    await client.sendCommand(['CONFIG', 'SET', 'maxmemory', '0'])
    await driver.commit(request(ops))
    expect(await valuesOf(driver)).toEqual(['kept', 'new'])
  })

  describe('that may evict keys', () => {
    const evicting = () => ownRedis({ args: ['--maxmemory', '10mb', '--maxmemory-policy', 'allkeys-lru'] })
    /** Scripts are told nothing, as where hosts keep settings from them. */
    const silent = scriptEditor((source) => source.replace("redis.pcall('INFO', 'memory')", "{ err = 'NOPERM' }"))

    it('refuses a server, with nothing changed, when it is opened and at a first call made ahead', async () => {
      const { client, redis } = await evicting()
      const refused = { code: 'UNSUPPORTED', details: { policy: 'allkeys-lru' } }
      for (let n = 0; n < 2; n++) await expect(upstash({ redis }).open()).rejects.toMatchObject(refused)
      const driver = upstash({ redis })
      await driver.open({ ahead: true })
      for (let n = 0; n < 2; n++) {
        await expect(driver.commit(request([put('k')]))).rejects.toMatchObject({ ...refused, ambiguous: false })
        await expect(driver.read([])).rejects.toMatchObject(refused)
      }
      expect(await client.keys('*')).toEqual([])
    })

    it('takes it by the option that accepts it', async () => {
      const { redis } = await evicting()
      const driver = await opened({ redis, allowEviction: true })
      await driver.commit(request([put('k')]))
      expect(await valuesOf(driver)).toEqual(['k'])
    })

    it('asks by a command of its own where scripts are not told', async () => {
      const { client } = await evicting()
      const commands: string[] = []
      const send = (command: string[]) => (commands.push(command[0]!), client.sendCommand(silent(command)))
      const driver = upstash({ redis: { send } })
      await driver.open({ ahead: true })
      expect((await failureOf(driver.commit(request([put('k')])))).code).toBe('UNSUPPORTED')
      expect([commands, await client.keys('*')]).toEqual([['EVAL', 'INFO'], []])
      await client.sendCommand(['CONFIG', 'SET', 'maxmemory-policy', 'noeviction'])
      await driver.commit(request([put('k')]))
      await driver.commit(request([put('l')]))
      expect(commands).toEqual(['EVAL', 'INFO', 'EVAL', 'INFO', 'EVAL', 'EVALSHA'])
      expect(await valuesOf(driver)).toEqual(['k', 'l'])
    })

    it('cannot see a policy that is kept from everybody', async () => {
      const args = ['--maxmemory 10mb', '--maxmemory-policy allkeys-lru', '--user default on nopass ~* &* +@all -info']
      const { redis } = await ownRedis({ args })
      const driver = await opened({ redis })
      await driver.commit(request([put('k')]))
      expect(await valuesOf(driver)).toEqual(['k'])
    })

    it('does not take a lost answer for a policy that is not told', async () => {
      const { client } = await evicting()
      const send = (command: string[]) =>
        command[0] === 'INFO' ? Promise.reject(new Error('socket hang up')) : client.sendCommand(silent(command))
      const error = await failureOf(upstash({ redis: { send }, retries: 1 }).open())
      expect([error.code, await client.keys('*')]).toEqual(['UNAVAILABLE', []])
    })
  })

  it('never shows a value or a token, whatever the client says', async () => {
    const driver = await opened({ redis: vendor({ ...own.rest, token: 'local' }), retries: 0 })
    for (const fault of [
      { status: 400, body: { error: 'ERR something' } },
      { status: 500, body: { error: 'Internal error' } },
      { status: 401, body: { error: 'Unauthorized' } },
      { cut: 'answer' as const },
    ]) {
      own.rest.setFaults(() => fault)
      const error = await failureOf(driver.commit(request([put('k', 'my-s3cret-value')])))
      own.rest.setFaults(undefined)
      expect(inspect(error, { depth: 9, showHidden: true })).not.toMatch(/s3cret|Bearer/)
      expect(error.message).not.toContain('EVALSHA')
    }
  })

  it('is in doubt where the connection was closed under a command', async () => {
    // As ioredis says it.
    const driver = await opened({ redis: saying('Connection is closed.') })
    const error = await failureOf(driver.commit(request([put('k')])))
    expect([error.code, error.ambiguous]).toEqual(['CLOSED', true])
  })

  it('takes no word of a quoted command for one of the server', async () => {
    const quoted =
      'the answer was cut, command was: ["EVALSHA","my <noscript> with an unexpected flag, max requests limit"]'
    const redis = saying(quoted, 'OOM command not allowed')
    const driver = await opened({ redis })
    const error = await failureOf(driver.commit(request([put('k')])))
    expect([error.code, error.ambiguous]).toEqual(['QUOTA_EXCEEDED', true])
    expect(redis.commands).toEqual(['EVALSHA', 'EVALSHA'])
  })

  it('can be opened again after its close, and is not opened by what a close came before', async () => {
    const driver = upstash({ redis: vendor(own.rest), namespace: namespace() })
    await driver.open()
    const it = request([append('x')])
    await driver.commit(it)
    await driver.close()
    await driver.close()
    expect((await failureOf(driver.commit(it))).code).toBe('CLOSED')
    for (const ahead of [true, false]) {
      await driver.open({ ahead })
      expect((await driver.commit(it)).outcomes).toEqual([{ ok: true, seqs: [1] }])
      await driver.close()
    }
    const opening = failureOf(driver.open())
    await driver.close()
    expect((await opening).code).toBe('CLOSED')
    expect((await failureOf(driver.read([]))).code).toBe('CLOSED')
  })

  it('is opened by others when one of them gives up', async () => {
    const driver = upstash({ redis: vendor(own.rest), namespace: namespace() })
    const controller = new AbortController()
    const givenUp = failureOf(driver.open({ signal: controller.signal }))
    const other = driver.open()
    controller.abort()
    expect((await givenUp).code).toBe('ABORTED')
    await other
    expect(await valuesOf(driver)).toEqual([])
    await driver.close()
  })

  it('declares how long a call is tried', () => {
    const timeoutOf = (options: Partial<UpstashOptions>) =>
      upstash({ redis: vendor(own.rest), ...options }).capabilities.timeout
    expect(timeoutOf({})).toBe(70_000)
    expect(timeoutOf({ retries: 0 })).toBe(10_000)
    expect(timeoutOf({ retries: 2, timeout: 1000 })).toBe(4000)
  })

  it("leaves the settings of the owner's client alone, and needs none of them", async () => {
    const redis = new Redis({
      url: own.rest.url,
      token: own.rest.token,
      enableTelemetry: false,
      enableAutoPipelining: true,
      automaticDeserialization: true,
      readYourWrites: false,
      keepAlive: true,
      signal: AbortSignal.abort(),
    })
    const paths: string[] = []
    own.rest.setFaults((seen) => (paths.push(seen.path), undefined))
    const driver = await opened({ redis })
    await Promise.all([driver.commit(request([put('k', '1e5'), put('big', 'x'.repeat(100_000))])), driver.read([])])
    own.rest.setFaults(undefined)
    expect(new Set(paths)).toEqual(new Set(['/']))
    expect(await valuesOf(driver)).toEqual(['x'.repeat(100_000), '1e5'])
    expect((redis as unknown as { client: { retry: { attempts: number } } }).client.retry.attempts).toBe(5)
  })
})

function failingPage() {
  const error = Object.assign(new Error('Unable to parse response body: <html>'), { name: 'UpstashJSONParseError' })
  return { send: async () => Promise.reject(error) }
}
