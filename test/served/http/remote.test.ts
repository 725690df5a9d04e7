import { describe, expect, it, onTestFinished } from 'vitest'
import { createDatabase } from '../../../src/core/database.ts'
import type { Driver, EntryPage } from '../../../src/core/driver.ts'
import { HoldfastError } from '../../../src/core/errors.ts'
import { memory } from '../../../src/drivers/memory.ts'
import { type RemoteOptions, createHandler, remote } from '../../../src/served/http/index.ts'
import { spyOn } from '../../../src/testing/spy.ts'
import { replay } from '../../../src/wrappers/replay.ts'
import { appending, authorize, caller, fetchFrom, listen } from './support.ts'

type Fetch = NonNullable<RemoteOptions['fetch']>

const failure = (call: Promise<unknown>): Promise<unknown> =>
  call.then(
    () => 'none',
    (error: unknown) => error,
  )
const logOf = async (driver: Driver): Promise<unknown[]> => {
  const { answers } = await driver.read([{ range: { part: 'p', start: 'log!', end: 'log"', limit: 100 } }])
  return (answers[0] as EntryPage).entries.map(({ value }) => value)
}
const until = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)))

/** A database whose network does what it is told, once for each thing it is told. */
function shaky() {
  const spy = spyOn(replay(memory()))
  const straight = fetchFrom(createHandler(spy.driver, { authorize }))
  const faults: ((url: string, init: Parameters<Fetch>[1]) => ReturnType<Fetch>)[] = []
  const bodies: (Uint8Array | undefined)[] = []
  const fetch: Fetch = (url, init) => {
    bodies.push(init.body)
    return (faults.shift() ?? straight)(url, init)
  }
  return {
    spy,
    fetch,
    faults,
    bodies,
    /** Nothing arrives. */
    cut: async () => Promise.reject(new TypeError('fetch failed')),
    /** It arrives, is done, and the answer does not come back. */
    lose: async (url: string, init: Parameters<Fetch>[1]) => {
      await straight(url, init)
      throw new TypeError('terminated')
    },
    /** It is done, and the answer comes torn. */
    tear: async (url: string, init: Parameters<Fetch>[1]) => {
      const bytes = await (await straight(url, init)).arrayBuffer()
      return new Response(bytes.slice(0, bytes.byteLength - 3))
    },
    /** It is done, and a gateway says something of its own. */
    gateway: (status: number) => async (url: string, init: Parameters<Fetch>[1]) => {
      await straight(url, init)
      return new Response('<h1>Bad gateway</h1>', { status })
    },
    never: (_: string, init: Parameters<Fetch>[1]) => until(init.signal),
  }
}

describe('remote', () => {
  it('refuses options that cannot be', () => {
    const wrong: Partial<RemoteOptions>[] = [
      { url: '' },
      { timeout: 0 },
      { attempts: 0 },
      { timeout: 20_000 },
      { attempts: 6 },
      { capabilities: { replayWindow: 95_000 } },
      { capabilities: { limits: { keyOverhead: 31 } } },
      { capabilities: { limits: { valueOverhead: 31 } } },
    ]
    for (const options of wrong) {
      expect(() => caller(options)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
    }
  })

  it.each([
    ['durability', {}],
    ['replayWindow', { durability: 'none', replayWindow: 700_000 }],
    ['valueBytes', { durability: 'none', limits: { valueBytes: 2 ** 30 } }],
  ] as const)('does not open a server that offers less %s', async (lacking, capabilities) => {
    expect(await failure(caller({ capabilities }).open())).toMatchObject({ code: 'UNSUPPORTED', details: { lacking } })
  })

  it('does not open a server of another version, or reads that may be old', async () => {
    const { capabilities } = replay(memory())
    const answering = (body: unknown): Partial<RemoteOptions> => ({ fetch: async () => Response.json(body) })
    const open = (body: unknown) => failure(caller(answering(body)).open())
    expect(await open({ version: 2, capabilities })).toMatchObject({ code: 'UNSUPPORTED' })
    const session = { version: 1, capabilities: { ...capabilities, reads: 'session' } }
    expect(await open(session)).toMatchObject({ code: 'UNSUPPORTED', details: { lacking: 'reads' } })
  })

  it('declares how long it tries a call', () => {
    expect(caller().capabilities.timeout).toBe(48_000)
    expect(caller({ timeout: 1000, attempts: 2 }).capabilities.timeout).toBe(6000)
  })

  it('tells errors whole', async () => {
    const { spy, fetch } = shaky()
    const driver = caller({ fetch })
    const error = { retryable: false, ambiguous: true, details: { quota: 1 } }
    spy.fail('commit', new HoldfastError('QUOTA_EXCEEDED', 'Full', error))
    expect(await failure(driver.commit(appending()))).toMatchObject({
      code: 'QUOTA_EXCEEDED',
      message: 'Full',
      ...error,
    })
    spy.fail('commit', new Error('secret'))
    expect(await failure(driver.commit(appending()))).toMatchObject({ code: 'BACKEND', ambiguous: true })
    spy.fail('read', new Error('secret'))
    expect(await failure(driver.read([]))).toMatchObject({ code: 'BACKEND', ambiguous: false })
    const outside = caller({ fetch, headers: {} })
    expect(await failure(outside.commit(appending()))).toMatchObject({
      code: 'UNAUTHORIZED',
      retryable: false,
      ambiguous: false,
    })
  })

  it('refuses what would be too long a body before it is sent', async () => {
    const { fetch, bodies } = shaky()
    const driver = caller({ fetch, capabilities: { durability: 'none', limits: { requestBytes: 1000 } } })
    const tooLarge = { code: 'PAYLOAD_TOO_LARGE', ambiguous: false, retryable: false }
    expect(await failure(driver.commit(appending('x'.repeat(70_000))))).toMatchObject(tooLarge)
    const get = { get: { part: 'p', key: 'k'.repeat(1000) } }
    expect(await failure(driver.read(Array.from({ length: 70 }, () => get)))).toMatchObject(tooLarge)
    expect(bodies).toHaveLength(0)
  })

  it('asks for its headers at each attempt', async () => {
    const { fetch, faults, cut } = shaky()
    let calls = 0
    const driver = caller({ fetch, headers: async () => ({ authorization: `token ${++calls}` }) })
    faults.push(cut, cut)
    await driver.commit(appending())
    expect(calls).toBe(3)
    const broken = caller({ fetch, headers: () => Promise.reject(new Error('no token')) })
    expect(await failure(broken.commit(appending()))).toMatchObject({ code: 'UNAVAILABLE', ambiguous: false })
  })
})

describe('an answer that is lost', () => {
  it('is asked for again under the same id, and the commit took effect once', async () => {
    const { spy, fetch, faults, bodies, cut, lose, tear, gateway } = shaky()
    const driver = caller({ fetch })
    for (const plan of [[lose], [cut, lose], [tear, gateway(502)], [gateway(504), lose, cut], [gateway(429)]]) {
      const before = (await logOf(driver)).length
      const sent = bodies.length
      faults.push(...plan)
      expect((await driver.commit(appending(new Uint8Array([1])))).outcomes).toEqual([{ ok: true, seqs: [before + 1] }])
      const again = bodies.slice(sent)
      expect(again).toHaveLength(plan.length + 1)
      for (const body of again) expect(body).toEqual(again[0])
      expect(await logOf(driver)).toHaveLength(before + 1)
    }
    expect(spy.commits.length).toBeGreaterThan(5)
  })

  it('of a read is asked for again, too', async () => {
    const { fetch, faults, tear } = shaky()
    const driver = caller({ fetch })
    await driver.commit(appending(new Uint8Array([7, 7, 7, 7])))
    faults.push(tear)
    expect(await logOf(driver)).toEqual([new Uint8Array([7, 7, 7, 7])])
  })

  it('for good leaves a commit unknown, and a read not', async () => {
    const { fetch, faults, lose, cut } = shaky()
    const driver = caller({ fetch })
    faults.push(lose, cut, cut, cut)
    expect(await failure(driver.commit(appending()))).toMatchObject({
      code: 'UNAVAILABLE',
      ambiguous: true,
      retryable: true,
    })
    expect(await logOf(driver)).toHaveLength(1)
    faults.push(cut, cut, cut, cut)
    expect(await failure(driver.read([]))).toMatchObject({ code: 'UNAVAILABLE', ambiguous: false })
  })

  it('stays unknown, though a later attempt is told that it failed', async () => {
    const { spy, fetch, faults, cut } = shaky()
    const driver = caller({ fetch })
    faults.push(cut)
    spy.fail('commit', new HoldfastError('READ_ONLY', 'No more'))
    expect(await failure(driver.commit(appending()))).toMatchObject({ code: 'READ_ONLY', ambiguous: true })
  })

  it('because somebody on the way refused it, did not happen', async () => {
    const { fetch, faults, bodies } = shaky()
    const driver = caller({ fetch })
    faults.push(async () => new Response('Not here', { status: 404 }))
    expect(await failure(driver.commit(appending()))).toMatchObject({ code: 'UNAVAILABLE', ambiguous: false })
    expect(bodies).toHaveLength(1)
  })

  it('because it was larger than somebody on the way accepts, is cut between its calls', async () => {
    const { fetch } = shaky()
    const guarded: Fetch = async (url, init) =>
      (init.body?.length ?? 0) > 100_000 ? new Response('<html>Too large</html>', { status: 413 }) : fetch(url, init)
    const driver = caller({ fetch: guarded })
    const huge = { id: 'huge', checks: [], ops: [{ put: { part: 'p', key: 'k' }, value: 'x'.repeat(200_000) }] }
    const request = { id: 'huge', commits: [{ ...huge, durability: 'relaxed' as const }] }
    expect(await failure(driver.commit(request))).toMatchObject({ code: 'PAYLOAD_TOO_LARGE', ambiguous: false })
    const db = createDatabase({ driver })
    const write = (n: number, size: number) =>
      db.commit({ ops: [{ put: { part: 'p', key: `k${n}` }, value: 'x'.repeat(size) }] })
    const calls = await Promise.allSettled(Array.from({ length: 10 }, (_, n) => write(n, n === 4 ? 200_000 : 30_000)))
    expect(calls.map(({ status }) => status)).toEqual(
      Array.from({ length: 10 }, (_, n) => (n === 4 ? 'rejected' : 'fulfilled')),
    )
  })

  it('because it was too much, is asked for again when it was told to come, and no sooner', async () => {
    const { fetch, faults, bodies } = shaky()
    const driver = caller({ fetch, random: () => 0 })
    const busy = (after: string) => async () => new Response('', { status: 429, headers: { 'retry-after': after } })
    const start = performance.now()
    faults.push(busy('1'), busy(new Date().toUTCString()), busy('soon'))
    expect((await driver.commit(appending())).outcomes).toEqual([{ ok: true, seqs: [1] }])
    // Timers may be early by a millisecond.
    expect(performance.now() - start).toBeGreaterThan(990)
    expect(bodies).toHaveLength(4)
    faults.push(busy('3600'))
    expect(await failure(driver.read([]))).toMatchObject({
      code: 'UNAVAILABLE',
      retryable: true,
      details: { status: 429, retryAfter: 3_600_000 },
    })
    expect(bodies).toHaveLength(5)
  })

  it('is not asked for again half of the window after the first attempt, by a clock that only goes forward', async () => {
    const { spy, fetch, faults, bodies, lose, cut } = shaky()
    let time = 0
    const driver = caller({ fetch, monotonic: () => time })
    const freezing = (ms: number, fault: typeof lose) => async (url: string, init: Parameters<Fetch>[1]) => {
      time += ms
      return fault(url, init)
    }
    faults.push(freezing(60_000, lose))
    expect((await driver.commit(appending())).outcomes).toEqual([{ ok: true, seqs: [1] }])
    faults.push(freezing(30_000, lose), freezing(30_001, cut))
    expect(await failure(driver.commit(appending()))).toMatchObject({ code: 'UNAVAILABLE', ambiguous: true })
    expect([spy.commits.length, bodies.length]).toEqual([3, 4])
    // Frozen while it gets its headers: nothing was sent then.
    const slow = caller({ fetch, monotonic: () => time, headers: async () => ((time += 60_001), {}) })
    expect(await failure(slow.commit(appending()))).toMatchObject({ code: 'UNAVAILABLE', ambiguous: false })
    // A read may be asked at any time.
    faults.push(freezing(60_001, cut))
    expect(await logOf(driver)).toHaveLength(2)
    expect(bodies).toHaveLength(6)
  })

  it('is not asked for again once it was too late for the server', async () => {
    let time = 0
    const handler = createHandler(replay(memory({ clock: () => time }), { clock: () => time }), { authorize })
    let n = 0
    const client = caller({
      fetch: async (url, init) => {
        const response = await fetchFrom(handler)(url, init)
        if (++n > 1) return response
        time += 600_000
        throw new TypeError('terminated')
      },
    })
    expect(await failure(client.commit(appending()))).toMatchObject({
      code: 'UNAVAILABLE',
      ambiguous: true,
      details: { late: true, now: 600_000 },
    })
    // A first attempt that is late did not happen.
    expect(await failure(client.commit({ ...appending(), deadline: 599_999 }))).toMatchObject({
      code: 'UNAVAILABLE',
      retryable: true,
      ambiguous: false,
      details: { late: true },
    })
    expect(n).toBe(3)
    expect(await logOf(client)).toHaveLength(1)
  })

  it('because it takes too long, is asked for again', async () => {
    const { fetch, faults, never } = shaky()
    const driver = caller({ fetch, timeout: 30 })
    faults.push(never, () => new Promise(() => {}))
    expect((await driver.commit(appending())).outcomes).toEqual([{ ok: true, seqs: [1] }])
  })
})

describe('a caller that goes', () => {
  it('by its signal is told whether anything may have happened', async () => {
    const { fetch, faults, bodies, never, cut } = shaky()
    const driver = caller({ fetch })
    const gone = AbortSignal.abort('why')
    expect(await failure(driver.commit(appending(), { signal: gone }))).toMatchObject({
      code: 'ABORTED',
      cause: 'why',
      ambiguous: false,
    })
    expect(bodies).toHaveLength(0)
    faults.push(never, never)
    const commit = failure(driver.commit(appending(), { signal: AbortSignal.timeout(10) }))
    const read = failure(driver.read([], { signal: AbortSignal.timeout(10) }))
    expect(await Promise.all([commit, read])).toMatchObject([
      { code: 'ABORTED', ambiguous: true },
      { code: 'ABORTED', ambiguous: false },
    ])
    const waiting = caller({ fetch, random: () => 100 })
    faults.push(cut)
    expect(await failure(waiting.commit(appending(), { signal: AbortSignal.timeout(30) }))).toMatchObject({
      code: 'ABORTED',
      ambiguous: true,
    })
    expect(bodies).toHaveLength(3)
  })

  it('by closing rejects what is under way', async () => {
    const { fetch, faults, never } = shaky()
    const driver = caller({ fetch })
    faults.push(never)
    const call = failure(driver.commit(appending()))
    await new Promise((resolve) => void setTimeout(resolve, 10))
    await driver.close()
    expect(await call).toMatchObject({ code: 'CLOSED', ambiguous: true })
    expect(await failure(driver.commit(appending()))).toMatchObject({ code: 'CLOSED', ambiguous: false })
    expect(await failure(driver.read([]))).toMatchObject({ code: 'CLOSED', ambiguous: false })
  })

  it('may come back: what was under way at the close is over all the same', async () => {
    const { spy, fetch, faults, bodies, never } = shaky()
    const driver = caller({ fetch })
    faults.push(never)
    const call = failure(driver.commit(appending()))
    await new Promise((resolve) => void setTimeout(resolve, 10))
    await Promise.all([driver.close(), driver.open()])
    expect(await call).toMatchObject({ code: 'CLOSED', ambiguous: true })
    expect((await driver.commit(appending())).outcomes).toEqual([{ ok: true, seqs: [1] }])
    expect([spy.commits.length, bodies.length]).toEqual([1, 3])
  })
})

describe('over a socket', () => {
  it('speaks with the global fetch, and commits once though connections are cut', async () => {
    const spy = spyOn(replay(memory()))
    const handler = createHandler(spy.driver, { authorize })
    let cuts = 0
    const server = await listen(async (request) => {
      const response = await handler(request)
      if (request.method === 'GET' || cuts++ % 2 === 1) return response
      // Done, and then the connection is reset in the middle of the answer.
      return new Response(new ReadableStream({ pull: (it) => it.error(new Error('cut')) }), response)
    })
    onTestFinished(server.close)
    const { url } = server
    const driver = remote({ url, headers: { authorization: 'acme' }, capabilities: { durability: 'none' } })
    await driver.open()
    for (let n = 1; n <= 5; n++) expect((await driver.commit(appending())).outcomes).toEqual([{ ok: true, seqs: [n] }])
    expect(cuts).toBe(10)
  })

  it('says that nobody is there', async () => {
    const server = await listen(createHandler(replay(memory()), { authorize }))
    await server.close()
    const driver = remote({ url: server.url, random: () => 0 })
    expect(await failure(driver.open())).toMatchObject({ code: 'UNAVAILABLE', retryable: true, ambiguous: false })
  })
})
