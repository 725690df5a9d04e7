import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import fc from 'fast-check'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { Driver, EntryPage, EntryKey, PartPage } from '../../../src/core/driver.ts'
import { HoldfastError } from '../../../src/core/errors.ts'
import { encodeId } from '../../../src/core/keys.ts'
import { late } from '../../../src/core/request-records.ts'
import { memory } from '../../../src/drivers/memory.ts'
import { sqlite } from '../../../src/drivers/sqlite/better-sqlite3.ts'
import { type HandlerOptions, createHandler } from '../../../src/served/http/index.ts'
import { spyOn } from '../../../src/testing/spy.ts'
import { replay } from '../../../src/wrappers/replay.ts'
import { MEDIA_TYPE, ENDPOINT, appending, authorize, caller, fetchFrom, listen, post } from './support.ts'

const made = (options: Partial<HandlerOptions> = {}) => {
  const spy = spyOn(replay(memory()))
  return { spy, handler: createHandler(spy.driver, { authorize, ...options }) }
}
const errorOf = async (response: Response): Promise<unknown> => {
  const { error } = JSON.parse(await response.text()) as { error?: { code: string } }
  return [response.status, error?.code]
}
const GOOD = { version: 1, ...appending() }
const READ = { version: 1, reads: [{ get: { part: 'p', key: 'k' } }] }

describe('createHandler', () => {
  it('wants a driver that recognises repeats, and options that can be', () => {
    for (const weak of [memory(), replay(memory(), { window: 119_999 })]) {
      expect(() => createHandler(weak, { authorize })).toThrow(expect.objectContaining({ code: 'UNSUPPORTED' }))
    }
    const driver = replay(memory())
    for (const wrong of [
      { authorize: undefined },
      { maxRequestBytes: 5 },
      { bodyTimeout: 0 },
      { bodyTimeout: 2 ** 31 },
    ]) {
      expect(() => createHandler(driver, { authorize, ...wrong } as HandlerOptions)).toThrow(
        expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
      )
    }
  })

  it('says what it can, with limits of its own', async () => {
    const { handler } = made({ maxRequestBytes: 2 ** 18 + 2 ** 16 })
    const response = await handler(new Request(ENDPOINT, { headers: { authorization: 'acme' } }))
    expect(response.headers.get('content-type')).toBe(MEDIA_TYPE)
    expect(response.headers.get('cache-control')).toBe('no-store')
    expect(JSON.parse(await response.text())).toMatchObject({
      version: 1,
      name: 'memory',
      capabilities: {
        writers: 'many',
        network: true,
        clock: 'shared',
        replayWindow: 600_000,
        limits: { requestBytes: 2 ** 17, valueBytes: 2 ** 17, requestReads: 1000 },
      },
    })
  })

  it('opens the driver at the first request that needs it, again after a failure, and once', async () => {
    const { spy, handler } = made()
    spy.fail('open', new HoldfastError('UNAVAILABLE', 'Not yet', { retryable: true }))
    expect(await errorOf(await handler(post(JSON.stringify(READ))))).toEqual([503, 'UNAVAILABLE'])
    for (let n = 0; n < 3; n++) expect((await handler(post(JSON.stringify(READ)))).status).toBe(200)
    expect(spy.opens).toBe(2)
  })
})

describe('an error', () => {
  const told = async (error: HoldfastError): Promise<unknown[]> => {
    const { spy, handler } = made()
    spy.fail('commit', error)
    const response = await handler(post(JSON.stringify({ version: 1, ...appending() })))
    const [status, code] = (await errorOf(response)) as unknown[]
    return [status, code, response.headers.get('retry-after')]
  }
  const retryable = { retryable: true }

  it('has a status for those on the way, and says when to come again', async () => {
    const cases: [HoldfastError, unknown[]][] = [
      [new HoldfastError('CONFLICT', 'Reused'), [409, 'CONFLICT', null]],
      [new HoldfastError('OVERLOADED', 'Full', retryable), [503, 'OVERLOADED', '1']],
      [
        new HoldfastError('UNAVAILABLE', 'Away', { ...retryable, details: { retryAfter: 2500 } }),
        [503, 'UNAVAILABLE', '3'],
      ],
      [new HoldfastError('UNAVAILABLE', 'Locked'), [503, 'UNAVAILABLE', null]],
      // The same request must not come again.
      [late(1), [503, 'UNAVAILABLE', null]],
      [new HoldfastError('TIMEOUT', 'Slow', { ...retryable, ambiguous: true }), [504, 'TIMEOUT', null]],
      [new HoldfastError('QUOTA_EXCEEDED', 'Full'), [507, 'QUOTA_EXCEEDED', null]],
      // It is the server that is not let in, not the caller.
      [new HoldfastError('UNAUTHORIZED', 'Wrong password'), [500, 'BACKEND', null]],
      // Only what certainly changed nothing is a 4xx.
      [new HoldfastError('PAYLOAD_TOO_LARGE', 'Torn', { ambiguous: true }), [500, 'PAYLOAD_TOO_LARGE', null]],
    ]
    for (const [error, expected] of cases) expect(await told(error)).toEqual(expected)
  })

  it('that an id was used before names the id as the caller knows it', async () => {
    const { handler } = made()
    const first = appending()
    await handler(post(JSON.stringify({ version: 1, ...first })))
    const response = await handler(post(JSON.stringify({ version: 1, ...appending(), id: first.id })))
    const text = await response.text()
    expect([response.status, JSON.parse(text)]).toMatchObject([
      409,
      { error: { code: 'CONFLICT', retryable: false, ambiguous: false, details: { id: first.id } } },
    ])
    expect(text).not.toContain('acme')
  })
})

describe('authorization', () => {
  /** A body that notes whether anybody asked for it. */
  function watched() {
    const seen = { pulls: 0 }
    const body = new ReadableStream({ pull: (it) => (seen.pulls++, it.close()) }, { highWaterMark: 0 })
    return { seen, request: post(body) }
  }

  it.each([
    ['nobody', () => undefined, 401],
    ['401', () => 401 as const, 401],
    ['403', async () => 403 as const, 403],
  ])('%s stays outside before the body is read', async (_, who, status) => {
    const { spy, handler } = made({ authorize: who })
    const { seen, request } = watched()
    expect(await errorOf(await handler(request))).toEqual([status, 'UNAUTHORIZED'])
    expect([seen.pulls, spy.opens, spy.commits.length]).toEqual([0, 0, 0])
    expect((await handler(new Request(ENDPOINT))).status).toBe(status)
    expect((await handler(new Request(ENDPOINT, { method: 'DELETE' }))).status).toBe(status)
  })

  it.each([
    ['throws', () => Promise.reject(new Error('secret'))],
    ['answers no tenant', () => '' as const],
    ['answers anything', () => ({}) as string],
  ])('that %s lets nobody in', async (_, who) => {
    const { spy, handler } = made({ authorize: who })
    const { seen, request } = watched()
    const response = await handler(request)
    const text = await response.text()
    expect([response.status, text.includes('BACKEND'), text.includes('secret')]).toEqual([500, true, false])
    expect([seen.pulls, spy.opens, spy.commits.length]).toEqual([0, 0, 0])
  })
})

describe('a body', () => {
  it('of another type, coding or method is not read', async () => {
    const { handler } = made()
    const body = JSON.stringify(GOOD)
    expect(await errorOf(await handler(post(body, { 'content-type': 'text/plain' })))).toEqual([
      415,
      'INVALID_ARGUMENT',
    ])
    expect(await errorOf(await handler(post(body, { 'content-encoding': 'gzip' })))).toEqual([415, 'INVALID_ARGUMENT'])
    const put = await handler(new Request(post(body), { method: 'PUT' }))
    expect([put.status, put.headers.get('allow')]).toEqual([405, 'GET, POST'])
    expect((await handler(post(body, { 'content-type': `${MEDIA_TYPE.toUpperCase()}; x=y` }))).status).toBe(200)
  })

  it('that is announced too long, or turns out to be, is cut', async () => {
    const { spy, handler } = made({ maxRequestBytes: 2 ** 18 })
    let sent = 0
    const cut = { is: false }
    const endless = new ReadableStream({
      pull: (it) => (it.enqueue(new Uint8Array(2 ** 14)), void sent++),
      cancel: () => void (cut.is = true),
    })
    expect(await errorOf(await handler(post(endless)))).toEqual([413, 'PAYLOAD_TOO_LARGE'])
    expect([cut.is, sent < 20]).toEqual([true, true])
    expect(await errorOf(await handler(post('x', { 'content-length': '300000' })))).toEqual([413, 'PAYLOAD_TOO_LARGE'])
    expect(spy.commits).toHaveLength(0)
  })

  it('that comes too slowly is cut, one that breaks off is refused', async () => {
    const { spy, handler } = made({ bodyTimeout: 50 })
    const cut = { is: false }
    const slow = new ReadableStream({
      start: (it) => it.enqueue(new TextEncoder().encode('{"version":1,')),
      cancel: () => void (cut.is = true),
    })
    expect(await errorOf(await handler(post(slow)))).toEqual([408, 'UNAVAILABLE'])
    expect(cut.is).toBe(true)
    const broken = new ReadableStream({ pull: (it) => it.error(new Error('reset')) })
    expect(await errorOf(await handler(post(broken)))).toEqual([400, 'INVALID_ARGUMENT'])
    expect(spy.commits).toHaveLength(0)
  })

  it('whose announced length does not come is cut by a socket, too', async () => {
    const { spy, handler } = made({ bodyTimeout: 50 })
    const server = await listen(handler)
    const { hostname, port, pathname } = new URL(server.url)
    const socket = connect(Number(port), hostname)
    const head = ['authorization: acme', `content-type: ${MEDIA_TYPE}`, 'content-length: 1000', `host: ${hostname}`]
    socket.write(`POST ${pathname} HTTP/1.1\r\n${head.join('\r\n')}\r\n\r\n{"version":1,`)
    // Ends only because the server closes it.
    expect(await text(socket)).toMatch(/^HTTP\/1.1 408 /)
    expect(spy.commits).toHaveLength(0)
    await server.close()
  })

  it('that is longer than announced in process is cut', async () => {
    const { handler } = made({ maxRequestBytes: 2 ** 18 })
    const long = post('x'.repeat(300_000), { 'content-length': '5' })
    expect(await errorOf(await handler(long))).toEqual([413, 'PAYLOAD_TOO_LARGE'])
  })

  it('comes in pieces of any size', async () => {
    const { spy, handler } = made()
    const bytes = new TextEncoder().encode(JSON.stringify(GOOD))
    let at = 0
    const pieces = new ReadableStream({
      pull: (it) => (at < bytes.length ? it.enqueue(bytes.subarray(at, (at += 7))) : it.close()),
    })
    expect((await handler(post(pieces))).status).toBe(200)
    expect(spy.commits).toHaveLength(1)
  })

  it('that is malformed is a 4xx, and never reaches the driver', async () => {
    const { spy, handler } = made()
    const commit = GOOD.commits[0]!
    const put = (value: unknown) => ({
      ...GOOD,
      commits: [{ ...commit, ops: [{ put: { part: 'p', key: 'k' }, value }] }],
    })
    const one = (op: unknown, checks: unknown[] = []) => ({ ...GOOD, commits: [{ ...commit, checks, ops: [op] }] })
    const bodies: [unknown, string?][] = [
      [null],
      [''],
      ['\n{}'],
      ['{'],
      [new Uint8Array([0xff])],
      [`\ufeff${JSON.stringify(GOOD)}`],
      [JSON.stringify(GOOD, null, 2)],
      ['[]', 'UNSUPPORTED'],
      ['null', 'UNSUPPORTED'],
      [{ ...GOOD, version: 2 }, 'UNSUPPORTED'],
      [{ version: 1 }],
      [{ version: 1, reads: null }],
      [{ ...READ, reads: Array.from({ length: 1001 }, () => READ.reads[0]) }, 'PAYLOAD_TOO_LARGE'],
      [`${JSON.stringify(READ)}\nmore`],
      [`${JSON.stringify(GOOD)}\n\n`],
      [put(5)],
      [put(null)],
      [put({})],
      [put({ bytes: 1 })],
      [put({ bytes: -1 })],
      [put({ bytes: '1' })],
      [put({ text: 0.5 })],
      [put({ bytes: 1e300 })],
      [one({ delete: { part: 'p', key: 'k'.repeat(4097) } })],
      [
        one(
          { deletePart: 'p' },
          [1, 2].map(() => ({ at: { part: 'p', key: 'k' }, version: null })),
        ),
      ],
      [one({ append: { part: 'p', key: 'log' }, value: 'v' })],
      [one({ append: { part: 'p', key: 'log!0' }, value: 'v' })],
      [one({ put: { part: 'p', key: 'k' }, value: 'v' }, [{ log: { part: 'p', key: 'log' }, last: 0 }])],
      ['['.repeat(1e6)],
    ]
    for (const [body, code = 'INVALID_ARGUMENT'] of bodies) {
      const isRaw = body === null || typeof body === 'string' || body instanceof Uint8Array
      const found = await handler(post(isRaw ? body : JSON.stringify(body)))
      expect([body, found.status >= 400 && found.status < 500, (await errorOf(found)) as unknown[]]).toMatchObject([
        body,
        true,
        [found.status, code],
      ])
    }
    const notText = new Uint8Array([...new TextEncoder().encode(`${JSON.stringify(put({ text: 1 }))}\n`), 0xff])
    expect(await errorOf(await handler(post(notText)))).toEqual([400, 'INVALID_ARGUMENT'])
    expect([spy.commits.length, spy.reads.length]).toEqual([0, 0])
  })

  it.each([
    ['memory', 9000, () => replay(memory())],
    ['better-sqlite3', 1000, () => sqlite({ path: ':memory:', replayWindow: 120_000 })],
  ] as const)('and a head of any content are answered as documented, over %s', async (_, numRuns, make) => {
    const driver = make()
    onTestFinished(() => driver.close())
    const handler = createHandler(driver, {
      // One who is no tenant's name is nobody here: what else `authorize` may do is tested above.
      authorize: (request) => request.headers.get('authorization') || 401,
      maxRequestBytes: 2 ** 18,
    })
    const documented = new Set([200, 400, 401, 405, 408, 409, 413, 415])
    const name = fc.oneof(fc.constantFrom('p', 'k', '', 'é', '\0'), fc.string())
    const any = fc.anything({ withNullPrototype: false })
    const or = <T>(it: fc.Arbitrary<T>): fc.Arbitrary<unknown> => fc.oneof({ weight: 12, arbitrary: it }, any)
    const key = or(fc.record({ part: or(name), key: or(name) }, { requiredKeys: [] }))
    const number = or(fc.oneof(fc.integer(), fc.double()))
    const value = or(fc.oneof(fc.string(), fc.record({ bytes: number }), fc.record({ text: number })))
    const range = fc.record({ part: or(name), start: or(name), end: or(name), limit: number }, { requiredKeys: [] })
    const op = fc.record(
      { put: key, append: key, delete: key, deleteRange: range, deletePart: name, value, ref: name, expires: any },
      { requiredKeys: [] },
    )
    const check = fc.record({ at: key, log: key, version: or(fc.constant(null)), last: number }, { requiredKeys: [] })
    const commit = fc.record(
      {
        id: or(name),
        checks: or(fc.array(or(check))),
        ops: or(fc.array(or(op))),
        durability: or(fc.constant('strict')),
      },
      { requiredKeys: [] },
    )
    const read = fc.record({ get: key, range, parts: range }, { requiredKeys: [] })
    const message = fc.record(
      { version: fc.constant(1), id: or(name), reads: or(fc.array(or(read))), commits: or(fc.array(or(commit))) },
      { requiredKeys: ['version'] },
    )
    const text = fc.oneof(message, any).map((it) => {
      try {
        return JSON.stringify(it) ?? ''
      } catch {
        return ''
      }
    })
    const body = fc.oneof(
      fc.tuple(text, fc.uint8Array()).map(([head, tail]) => Buffer.concat([Buffer.from(`${head}\n`), tail])),
      text.map((it) => Buffer.from(it)),
      fc.uint8Array({ maxLength: 200 }),
    )
    /** Mostly as it should be, or nothing would get past the door. */
    const mostly = <T>(usual: T, other: fc.Arbitrary<T>): fc.Arbitrary<T> =>
      fc.oneof({ weight: 12, arbitrary: fc.constant(usual) }, other)
    const token = fc.string({
      unit: fc.constantFrom('!', '#', '*', '-', '.', '|', '~', 'a', 'Z', '0'),
      minLength: 1,
      maxLength: 8,
    })
    // What a header may hold: Latin-1 without control characters.
    const field = fc.string({ unit: fc.integer({ min: 0xa0, max: 0xff }).map((it) => String.fromCharCode(it)) })
    const wide = fc.oneof(
      token,
      field,
      fc.constantFrom('', '-1', '0', '1', '1e9', '0x10', 'NaN', '99999999999999999999'),
    )
    const head = fc.record({
      method: mostly('POST', fc.oneof(fc.constantFrom('GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS', 'PATCH'), token)),
      path: mostly('state', fc.constantFrom('', '/', '//a/../b', '%', '%00', 'é', 'state?version=2', '?'.repeat(4000))),
      authorization: mostly<string | undefined>('acme', fc.option(wide, { nil: undefined })),
      'content-type': mostly<string | undefined>(MEDIA_TYPE, fc.option(wide, { nil: undefined })),
      'content-encoding': mostly<string | undefined>(undefined, wide),
      'content-length': mostly<string | undefined>(undefined, wide),
      'x-other': mostly<string | undefined>(undefined, wide),
    })
    const statuses = new Map<number, number>()
    await fc.assert(
      fc.asyncProperty(head, body, async ({ method, path, ...named }, bytes) => {
        fc.pre(!['CONNECT', 'TRACE', 'TRACK'].includes(method.toUpperCase()))
        const headers = Object.entries(named).filter((it): it is [string, string] => it[1] !== undefined)
        const isBare = ['GET', 'HEAD'].includes(method.toUpperCase())
        const url = `${new URL(ENDPOINT).origin}/${path}`
        const request = new Request(url, {
          method,
          headers,
          ...(!isBare && { body: bytes as Uint8Array<ArrayBuffer> }),
        })
        const response = await handler(request)
        expect(documented).toContain(response.status)
        expect(response.headers.get('cache-control')).toBe('no-store')
        const { error } = JSON.parse((await response.text()).split('\n')[0]!) as { error?: { code: string } }
        expect(error === undefined).toBe(response.status === 200)
        statuses.set(response.status, (statuses.get(response.status) ?? 0) + 1)
      }),
      { numRuns },
    )
    // It would prove nothing if all were refused at the door.
    expect(statuses.get(200)).toBeGreaterThan(numRuns / 300)
    expect(statuses.get(400)).toBeGreaterThan(numRuns / 10)
    for (const status of [401, 405, 413, 415]) expect([status, statuses.get(status)! > 0]).toEqual([status, true])
  })
})

describe('tenants', () => {
  it('cannot tell a key of another that exists from one that does not, by what they are answered', async () => {
    const { handler } = made()
    const mine = caller({ fetch: fetchFrom(handler), headers: { authorization: 'mine' } })
    const secret = { part: 'p', key: 'exists' }
    const put = { id: 'v1', checks: [], ops: [{ put: secret, value: 'secret' }], durability: 'relaxed' as const }
    await mine.commit({ id: 'r', commits: [put] })
    const root = `${encodeId('mine', 'tenant')}!!`
    /** What another tenant is answered, whole but for the clock and what it sent itself. */
    let others = 0
    const told = async (key: string, part: string, body: (at: EntryKey) => object): Promise<unknown> => {
      const sent = JSON.stringify({ version: 1, ...body({ part, key }) })
      // One after the other: the id of a request is good for one.
      const response = await handler(post(sent, { authorization: `theirs${++others}` }))
      const text = (await response.text()).replaceAll(/"now":[\d.]+/g, '').replaceAll(key, 'KEY')
      expect(text).not.toMatch(/secret|v1/)
      return [response.status, [...response.headers], text]
    }
    const commit = (at: EntryKey, it: object) => ({
      // The id of the other tenant's request, too.
      id: 'r',
      commits: [{ id: 'c', checks: [], ops: [], durability: 'relaxed', ...it }],
      at: at.key,
    })
    const bodies: [number, (at: EntryKey) => object][] = [
      [200, (at) => ({ reads: [{ get: at }] })],
      [200, (at) => commit(at, { checks: [{ at, version: 'v1' }] })],
      [400, (at) => commit(at, { checks: [{ at, version: 5 }] })],
      [400, (at) => commit(at, { ops: [{ delete: at }, { delete: at }] })],
      [400, (at) => commit(at, { ops: [{ put: at, value: '\0' }] })],
      [413, (at) => ({ reads: Array.from({ length: 1001 }, () => ({ get: at })) })],
    ]
    for (const part of ['p', `${root}p`, root]) {
      for (const [status, body] of bodies) {
        const found = (await told('exists', part, body)) as [number]
        expect(found).toEqual(await told('absent', part, body))
        expect(found[0]).toBe(status)
      }
    }
  })

  const all = { start: ' ', end: '~~~', limit: 1000 }
  const dump = async (driver: Driver): Promise<unknown> => {
    const { answers } = await driver.read([{ parts: all }])
    const { parts } = answers[0] as PartPage
    if (parts.length === 0) return []
    const pages = await driver.read(parts.map((part) => ({ range: { part, ...all } })))
    return parts.map((part, i) => [part, (pages.answers[i] as EntryPage).entries])
  }

  it('see, change and learn nothing of each other, whatever they ask for', async () => {
    const id = fc.oneof(
      fc.constantFrom('a', 'a!', 'a!!', 'b', '!', '~', 'a!!b'),
      fc.string({ minLength: 1, maxLength: 4 }),
    )
    const ascii = fc.string({ unit: fc.constantFrom('!', '"', '#', 'a', 'b', '~', ' '), minLength: 1, maxLength: 6 })
    const part = fc.oneof(
      ascii,
      id.map((it) => `${encodeId(it, 'tenant')}!!p`),
      fc.constant('p'),
    )
    const ops = fc.oneof(
      part.map((it) => ({ deletePart: it })),
      fc.tuple(part, ascii, ascii).map(([it, start, end]) => ({ deleteRange: { part: it, start, end } })),
      fc.tuple(part, ascii).map(([it, key]) => ({ delete: { part: it, key } })),
      fc.tuple(part, ascii).map(([it, key]) => ({ put: { part: it, key }, value: 'theirs' })),
      part.map((it) => ({ append: { part: it, key: 'log!' }, value: 'theirs' })),
    )
    await fc.assert(
      fc.asyncProperty(
        id,
        id,
        fc.array(ops, { maxLength: 5 }),
        part,
        ascii,
        ascii,
        async (mine, theirs, all_, p, s, e) => {
          fc.pre(mine !== theirs)
          const driver = replay(memory())
          const header = (it: string) => ({ authorization: encodeURIComponent(it) })
          const who: HandlerOptions['authorize'] = (it) => decodeURIComponent(it.headers.get('authorization') ?? '')
          const handler = createHandler(driver, { authorize: who })
          const as = (it: string): Driver =>
            caller({ headers: header(it), fetch: (url, init) => handler(new Request(url, init)) })
          const [me, them] = [as(mine), as(theirs)]
          await me.commit({ ...appending('mine'), id: 'same' })
          const before = await dump(me)
          const commits = all_.map((op, i) => ({ id: `c${i}`, checks: [], ops: [op], durability: 'relaxed' as const }))
          const { outcomes } = await them.commit({ id: 'same', commits })
          expect(outcomes.every((outcome) => outcome.ok)).toBe(true)
          const { answers } = await them.read([
            { range: { part: p, ...all } },
            { parts: { start: s, end: e, limit: 100 } },
            { get: { part: p, key: 'log!0000000000000001' } },
          ])
          expect(JSON.stringify(answers)).not.toContain('mine')
          // Checks that fail show what is there, and errors what was wrong with the request: theirs.
          const wrong = await them.commit({
            id: 'wrong',
            commits: [
              {
                id: 'w',
                checks: [
                  { at: { part: p, key: s }, version: 'none' },
                  { at: { part: 'p', key: 'log!0000000000000001' }, version: 'none' },
                  { log: { part: p, key: 'log!' }, last: 1000 },
                ],
                ops: [{ deletePart: p }],
                durability: 'relaxed',
              },
            ],
          })
          expect(wrong.outcomes).toMatchObject([{ ok: false, failed: [{}, {}, { current: {} }] }])
          expect(JSON.stringify(wrong)).not.toContain('mine')
          const op = { put: { part: p, key: s }, value: 'theirs' }
          const twice: unknown = await them
            .commit({ id: 'twice', commits: [{ id: 't', checks: [], ops: [op, op], durability: 'relaxed' }] })
            .catch((error: unknown) => error)
          expect(twice).toMatchObject({ code: 'INVALID_ARGUMENT' })
          expect(await dump(me)).toEqual(before)
          const asked = await them.commit({
            id: 'checks',
            commits: [
              { id: 'c', checks: [{ log: { part: 'p!', key: 'log!' }, last: 0 }], ops: [], durability: 'relaxed' },
            ],
          })
          expect(asked.outcomes).toEqual([{ ok: true, seqs: [] }])
        },
      ),
      { numRuns: 500 },
    )
  })
})
