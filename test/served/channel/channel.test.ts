import { EventEmitter } from 'node:events'
import { type MessagePort, MessageChannel } from 'node:worker_threads'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type Port, type ServeOptions, connect, serve } from '../../../src/served/channel/index.ts'
import type { Commit, CommitRequest, Driver, Op, ReadAnswer } from '../../../src/core/driver.ts'
import { HoldfastError } from '../../../src/core/errors.ts'
import { memory } from '../../../src/drivers/memory.ts'
import { spyOn } from '../../../src/testing/spy.ts'
import { pair, ports, thread } from './support.ts'

const MIB = 2 ** 20
const at = { part: 'p', key: 'k' }
let ids = 0
const request = (value: string | Uint8Array = 'v'): CommitRequest => {
  const id = `id${++ids}`
  return { id, commits: [{ id, checks: [], ops: [{ put: at, value }], durability: 'relaxed' }] }
}
const valueOf = async (driver: Driver): Promise<unknown> =>
  ((await driver.read([{ get: at }])).answers[0] as { value?: unknown } | null)?.value
/** The error of a call. */
const failure = (call: Promise<unknown>): Promise<unknown> =>
  call.then(
    () => 'none',
    (error: unknown) => error,
  )
const turn = (ms = 20): Promise<void> => new Promise((resolve) => void setTimeout(resolve, ms))

/** Whether a port keeps the process alive. */
const keepsAlive = (port: MessagePort): boolean => (port as MessagePort & { hasRef(): boolean }).hasRef()

describe('a served driver', () => {
  it('has the name and capabilities of the driver, with writers and a clock that all share', async () => {
    const driver = memory()
    const { remote } = await pair(driver)
    expect(remote.name).toBe('memory')
    const limits = {
      valueBytes: 4 * MIB,
      requestBytes: 8 * MIB,
      answerBytes: 8 * MIB,
      ...{ commitKeys: 1000, requestCommits: 1000, requestReads: 1000, rangeEntries: 1000 },
    }
    expect(remote.capabilities).toEqual({ ...driver.capabilities, writers: 'many', clock: 'shared', limits })
  })

  it('serves several callers on one port, and several ports', async () => {
    const { near, far } = ports()
    const driver = memory()
    serve(driver, far)
    const other = await pair(driver)
    const [one, two] = await Promise.all([connect(near), connect(near)])
    await Promise.all([one.commit(request('1')), two.commit(request('2')), other.remote.commit(request('3'))])
    await one.close()
    expect(await valueOf(two)).toBe('3')
    expect(await valueOf(other.remote)).toBe('3')
  })

  it('tells of changes as long as one of its callers listens', async () => {
    const { near, far } = ports()
    const driver = memory()
    const said: unknown[] = []
    const served = serve(driver, far)
    near.on('message', (message: object) => 'changed' in message && said.push(message.changed))
    const [one, two] = await Promise.all([connect(near), connect(near)])
    const change = async (): Promise<number> => {
      said.length = 0
      await one.read([])
      await driver.commit(request())
      await turn()
      return said.length
    }
    expect(await change()).toBe(0)
    const heard: string[] = []
    const stops = [one, two].map(({ watch }) => watch!((parts) => heard.push(...parts)))
    expect(await change()).toBe(1)
    expect(heard).toEqual(['p', 'p'])
    stops[0]!()
    expect(await change()).toBe(1)
    expect(heard).toEqual(['p', 'p', 'p'])
    stops[1]!()
    expect(await change()).toBe(0)
    one.watch!((parts) => heard.push(...parts))
    expect(await change()).toBe(1)
    await served.close()
    said.length = 0
    await driver.commit(request())
    await turn()
    expect(said).toEqual([])
  })

  it('announces nothing where the driver does not', async () => {
    const driver = { ...memory() }
    delete driver.watch
    expect('watch' in (await pair(driver)).remote).toBe(false)
  })

  it('goes both ways over one port', async () => {
    const { near, far } = ports()
    serve(memory(), near)
    serve(memory(), far)
    const [one, two] = await Promise.all([connect(near), connect(far)])
    await one.commit(request('to far'))
    await two.commit(request('to near'))
    expect([await valueOf(one), await valueOf(two)]).toEqual(['to far', 'to near'])
  })

  it('tells errors whole, and of foreign ones not a word', async () => {
    const spy = spyOn(memory())
    const { remote } = await pair(spy.driver)
    const details = { quota: 1 }
    spy.fail('commit', new HoldfastError('QUOTA_EXCEEDED', 'Full', { retryable: true, ambiguous: true, details }))
    expect(await failure(remote.commit(request()))).toMatchObject({
      name: 'HoldfastError',
      code: 'QUOTA_EXCEEDED',
      message: 'Full',
      retryable: true,
      ambiguous: true,
      details,
    })
    spy.fail('commit', new Error('duplicate key value (secret)'))
    const foreign = (await failure(remote.commit(request()))) as HoldfastError
    expect(foreign).toMatchObject({ code: 'BACKEND', ambiguous: true })
    expect(`${foreign.message} ${JSON.stringify(foreign)}`).not.toContain('secret')
    spy.fail('read', new Error('gone'))
    expect(await failure(remote.read([]))).toMatchObject({ code: 'BACKEND', ambiguous: false })
    spy.fail('open', new HoldfastError('BACKEND', 'Odd', { details: { big: 1n } }))
    expect(await failure(remote.open())).toMatchObject({ code: 'BACKEND', message: 'Odd', details: undefined })
  })

  it('gets the signal of a call that is aborted', async () => {
    const spy = spyOn(memory())
    const { remote } = await pair(spy.driver)
    spy.hold()
    const controller = new AbortController()
    const { signal } = controller
    const calls = [remote.commit(request(), { signal }), remote.read([], { signal })].map(failure)
    await spy.arrived(2)
    controller.abort('enough')
    expect(await Promise.all(calls)).toMatchObject([
      { code: 'ABORTED', ambiguous: true, cause: 'enough' },
      { code: 'ABORTED', ambiguous: false },
    ])
    await turn()
    expect(spy.signals.map((it) => it?.aborted)).toEqual([true, true])
    spy.release()
    expect(await failure(remote.commit(request(), { signal }))).toMatchObject({ code: 'ABORTED', ambiguous: false })
    expect(spy.commits).toHaveLength(1)
  })
})

describe('bytes', () => {
  it('stay the own of the caller, and travel without what is around them', async () => {
    const { near, far } = ports()
    const seen: { body?: { commits: { ops: { value: Uint8Array }[] }[] } }[] = []
    far.on('message', (message: (typeof seen)[number]) => seen.push(message))
    serve(memory(), far)
    const remote = await connect(near)
    const buffer = new Uint8Array(4096).fill(7)
    await remote.commit(request(buffer.subarray(10, 12)))
    await remote.commit(request(buffer))
    expect(buffer.every((byte) => byte === 7)).toBe(true)
    const sizes = seen.map(({ body }) => body?.commits?.[0]?.ops[0]!.value.buffer.byteLength)
    expect(sizes).toEqual([undefined, 2, 4096])
  })

  it('of an answer are transferred, and copied where they are a window', async () => {
    const own = new Uint8Array([1, 2, 3])
    const window = new Uint8Array(64).fill(5).subarray(8, 10)
    const entry = { version: 'v', expiresAt: null }
    const entries = [own, own, window].map((value, i) => ({ ...entry, key: `k${i}`, value }))
    const driver: Driver = { ...memory(), read: async () => ({ now: 1, answers: [{ entries, more: false }, null] }) }
    const { remote } = await pair(driver)
    const range = { part: 'p', start: 'k', end: 'l', limit: 9 }
    const { answers } = await remote.read([{ range }, { get: at }])
    expect(answers).toEqual([
      {
        entries: [own, own, window].map((_, i) => ({
          ...entry,
          key: `k${i}`,
          value: [new Uint8Array([1, 2, 3]), new Uint8Array([1, 2, 3]), new Uint8Array([5, 5])][i],
        })),
        more: false,
      },
      null,
    ])
    expect([own.byteLength, window.byteLength]).toEqual([0, 2])
  })

  it('that cannot be transferred are copied', async () => {
    const shared = new Uint8Array(new SharedArrayBuffer(2)).fill(4)
    const driver: Driver = {
      ...memory(),
      read: async () => ({ now: 1, answers: [{ key: 'k', version: 'v', value: shared, expiresAt: null }] }),
    }
    const { remote } = await pair(driver)
    expect(await valueOf(remote)).toEqual(new Uint8Array([4, 4]))
  })
})

describe('a message that is malformed', () => {
  const read = { part: 'p', start: ' ', end: '~', limit: 1 }
  const commit: Commit = { id: 'c', checks: [], ops: [], durability: 'strict' }
  const withOp = (op: unknown) => ({ id: 'r', commits: [{ ...commit, ops: [op as Op] }] })
  const withCheck = (check: unknown) => ({ id: 'r', commits: [{ ...commit, checks: [check] }] })
  const large = (key: string) => ({ ...commit, ops: [{ put: { part: 'p', key }, value: 'x'.repeat(3 * MIB) }] })
  const asked = (reads: unknown[]) => ({ reads, known: 0 })
  const bodies: [call: unknown, body: unknown, code?: string][] = [
    ['drop', undefined],
    [{}, undefined],
    ['read', undefined],
    ['read', []],
    ['read', { known: 0 }],
    ['read', { reads: [] }],
    ['read', { reads: [], known: '0' }],
    ['read', { reads: [{ get: at }], known: 2 }],
    ['read', asked([null])],
    ['read', asked([{}])],
    ['read', asked([{ get: at, range: read }])],
    ['read', asked([{ get: { part: 'p' } }])],
    ['read', asked([{ get: { part: 'é', key: 'k' } }])],
    ['read', asked([{ range: { ...read, limit: '1' } }])],
    ['read', asked([{ range: { ...read, limit: 0 } }])],
    ['read', asked([{ range: { ...read, start: 5 } }])],
    ['read', asked([{ range: [] }])],
    ['read', asked([{ parts: { start: ' ', end: '', limit: 1 } }])],
    ['read', asked(Array.from({ length: 1001 }, () => ({ get: at }))), 'PAYLOAD_TOO_LARGE'],
    ['commit', undefined],
    ['commit', { id: 'r' }],
    ['commit', { id: 5, commits: [] }],
    ['commit', { id: 'x'.repeat(257), commits: [] }],
    ['commit', { id: 'r', commits: [{ ...commit, id: '' }] }],
    ['commit', { id: 'r', commits: [{ ...commit, durability: 'eventually' }] }],
    ['commit', withCheck({ at, version: 5 })],
    ['commit', withCheck({ at })],
    ['commit', withCheck({ log: at, last: -1 })],
    ['commit', withCheck({ log: at, last: '1' })],
    ['commit', withOp({ put: at })],
    ['commit', withOp({ put: at, value: 5 })],
    ['commit', withOp({ put: at, value: 'a\0b' })],
    ['commit', withOp({ put: at, value: '\ud800' })],
    ['commit', withOp({ put: at, value: new Uint16Array(1) })],
    ['commit', withOp({ put: at, value: 'v', expires: { in: '5' } })],
    ['commit', withOp({ put: at, value: 'v', expires: { in: Number.NaN } })],
    ['commit', withOp({ put: at, value: 'v', expires: { in: 1, at: 1 } })],
    ['commit', withOp({ put: at, delete: at, value: 'v' })],
    ['commit', withOp({ append: at, value: 'v', ref: '' })],
    ['commit', withOp({ deleteRange: { part: 'p', start: ' ' } })],
    ['commit', withOp({ deletePart: '' })],
    ['commit', withOp({ put: at, value: new Uint8Array(4 * MIB + 1) }), 'PAYLOAD_TOO_LARGE'],
    ['commit', { id: 'r', commits: Array.from({ length: 1001 }, () => commit) }, 'PAYLOAD_TOO_LARGE'],
    ['commit', { id: 'r', commits: [1, 2, 3].map((n) => large(`k${n}`)) }, 'PAYLOAD_TOO_LARGE'],
  ]

  it('is refused before it reaches the driver, which goes on', async () => {
    const spy = spyOn(memory())
    const { near, far } = ports()
    serve(spy.driver, far)
    const answers = new Map<string, { error?: { code: string } }>()
    near.on('message', (message: { id: string; error?: { code: string } }) => answers.set(message.id, message))
    for (const [i, [call, body]] of bodies.entries()) near.postMessage({ holdfast: 2, id: `${i}`, call, body })
    const remote = await connect(near)
    await remote.commit(request('still there'))
    expect(bodies.map((_, i) => answers.get(`${i}`)?.error?.code)).toEqual(
      bodies.map(([, , code = 'INVALID_ARGUMENT']) => code),
    )
    expect([spy.commits.length, spy.reads.length]).toEqual([1, 0])
  })

  it('is left alone where it is not one of ours', async () => {
    const { near, far } = ports()
    serve(memory(), far)
    const others = [
      null,
      undefined,
      5,
      'text',
      [],
      {},
      { data: {} },
      { data: null },
      { holdfast: 2 },
      { holdfast: '2' },
    ]
    for (const message of [...others, { holdfast: 2, id: 5, call: 'read' }, { holdfast: 2, abort: 'none' }]) {
      near.postMessage(message)
      far.postMessage(message)
    }
    const remote = await connect(near)
    expect(await valueOf(remote)).toBe(undefined)
  })

  it('of another version is refused', async () => {
    const { near, far } = ports()
    serve(memory(), far)
    const answer = new Promise((resolve) => void near.on('message', resolve))
    near.postMessage({ holdfast: 1, id: 'x', call: 'hello' })
    expect(await answer).toMatchObject({ holdfast: 2, id: 'x', error: { code: 'UNSUPPORTED' } })
  })
})

describe('when the other side goes', () => {
  it('what waits is rejected, a commit as ambiguous', async () => {
    const spy = spyOn(memory())
    const { remote, far } = await pair(spy.driver)
    spy.hold()
    const calls = [remote.commit(request()), remote.read([])].map(failure)
    await spy.arrived(2)
    far.close()
    expect(await Promise.all(calls)).toMatchObject([
      { code: 'UNAVAILABLE', ambiguous: true },
      { code: 'UNAVAILABLE', ambiguous: false },
    ])
    expect(await failure(remote.commit(request()))).toMatchObject({ code: 'UNAVAILABLE', ambiguous: false })
    expect(spy.signals.map((it) => it?.aborted)).toEqual([true, true])
    spy.release()
  })

  it('and is a thread that was killed, the same', async () => {
    const worker = thread('stuck')
    onTestFinished(async () => void (await worker.terminate()))
    const remote = await connect(worker)
    await remote.open()
    const call = failure(remote.commit(request()))
    await remote.read([])
    await worker.terminate()
    expect(await call).toMatchObject({ code: 'UNAVAILABLE', ambiguous: true })
  })

  it('without a word, it is noticed after the timeout', async () => {
    const { near, far } = ports()
    const served = new MessageChannel()
    onTestFinished(() => served.port1.close())
    // Something in between that can be cut: no port closes then.
    let isCut = false
    const relay = (from: MessagePort, to: MessagePort): unknown =>
      from.on('message', (message) => void (isCut || to.postMessage(message)))
    relay(far, served.port1)
    relay(served.port1, far)
    const spy = spyOn(memory())
    serve(spy.driver, served.port2)
    const remote = await connect(near, { timeout: 100 })
    spy.hold()
    const slow = remote.commit(request('slow'))
    await turn(250)
    spy.release()
    expect((await slow).outcomes).toEqual([{ ok: true, seqs: [] }])
    isCut = true
    expect(await failure(remote.commit(request()))).toMatchObject({ code: 'UNAVAILABLE', ambiguous: true })
  })

  it('or never was there, connecting ends', async () => {
    expect(await failure(connect(ports().near, { timeout: 20 }))).toMatchObject({ code: 'UNAVAILABLE' })
    const signal = AbortSignal.timeout(20)
    expect(await failure(connect(ports().near, { signal, timeout: 0 }))).toMatchObject({ code: 'ABORTED' })
    expect(await failure(connect(ports().near, { timeout: -1 }))).toMatchObject({ code: 'INVALID_ARGUMENT' })
  })

  it('by stopping to serve, it answers what is under way; the rest is certain not to have happened', async () => {
    const spy = spyOn(memory())
    const { remote, served } = await pair(spy.driver)
    spy.hold()
    const first = remote.commit(request('first'))
    await spy.arrived(1)
    const closing = served.close()
    const late = failure(remote.commit(request('late')))
    await turn()
    spy.release()
    await Promise.all([closing, served.close()])
    expect((await first).outcomes).toEqual([{ ok: true, seqs: [] }])
    expect(await late).toMatchObject({ code: 'UNAVAILABLE', ambiguous: false, retryable: true })
    expect([spy.commits.length, spy.closes]).toEqual([1, 0])
  })
})

describe('what goes over a port', () => {
  /** So many values of a mebibyte in a driver that tells how much of them came of it at once. */
  async function filled(n: number) {
    const inner = memory()
    const seen = { most: 0 }
    const driver: Driver = {
      ...inner,
      async read(reads, options) {
        const found = await inner.read(reads, options)
        const bytes = found.answers.flatMap((it) =>
          it && 'entries' in it ? it.entries : it && 'value' in it ? [it] : [],
        )
        seen.most = Math.max(
          seen.most,
          bytes.reduce((sum, { value }) => sum + value.length, 0),
        )
        return found
      },
    }
    for (let i = 0; i < n; i++) {
      const ops = [{ put: { part: 'p', key: `k${String(i).padStart(4, '0')}` }, value: new Uint8Array(MIB).fill(i) }]
      await inner.commit({ id: `c${i}`, commits: [{ id: `c${i}`, checks: [], ops, durability: 'relaxed' }] })
    }
    return { driver, seen }
  }

  it('is bounded, whatever is asked: what does not fit comes with the next messages, from one view', async () => {
    const { driver, seen } = await filled(24)
    const { remote, near } = await pair(driver)
    let most = 0
    near.on('message', ({ value }: { value?: { answers?: unknown[] } }) => {
      const bytes = (value?.answers ?? []).map((it) => ((it as { value?: Uint8Array }).value ?? '').length)
      most = Math.max(
        most,
        bytes.reduce((sum, it) => sum + it, 0),
      )
    })
    const gets = Array.from({ length: 40 }, (_, i) => ({
      get: { part: 'p', key: `k${String(i % 24).padStart(4, '0')}` },
    }))
    const { answers } = await remote.read(gets)
    expect(answers.map((it) => (it as { value: Uint8Array }).value[0])).toEqual(gets.map((_, i) => i % 24))
    expect(most).toBeLessThanOrEqual(8 * MIB)
    expect(seen.most).toBeLessThanOrEqual(16 * MIB)
    const range = { part: 'p', start: 'k', end: 'l', limit: 1000 }
    const pages = (await remote.read([{ range }, { range }])).answers as { entries: unknown[]; more: boolean }[]
    expect(pages.map(({ entries, more }) => [entries.length, more])).toEqual([
      [7, true],
      [1, true],
    ])
    expect((await serveWith(driver, { maxAnswerBytes: 2 * MIB })).capabilities.limits.answerBytes).toBe(2 * MIB)
  })

  async function serveWith(driver: Driver, options: ServeOptions): Promise<Driver> {
    const { near, far } = ports()
    serve(driver, far, options)
    return connect(near)
  }

  it('may be of other sizes, which the driver has to take as well', async () => {
    const remote = await serveWith(memory(), { maxRequestBytes: 2 ** 40, maxAnswerBytes: 2 ** 20 })
    expect(remote.capabilities.limits).toMatchObject({
      valueBytes: 2 ** 26,
      requestBytes: 2 ** 28,
      answerBytes: 2 ** 20,
    })
    for (const options of [{ maxRequestBytes: 5 }, { maxAnswerBytes: 5 }, { maxRequests: 0 }, { maxRequests: 1.5 }]) {
      expect(() => serve(memory(), ports().far, options)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
    }
  })

  it('waits in order, and is refused beyond what may wait; who has gone by its turn has changed nothing', async () => {
    const spy = spyOn(memory())
    const remote = await serveWith(spy.driver, { maxRequests: 3 })
    spy.hold()
    const first = Array.from({ length: 16 }, (_, i) => remote.commit(request(`${i}`)))
    await spy.arrived(16)
    const controller = new AbortController()
    const { signal } = controller
    const waiting = [
      remote.read([{ get: at }]),
      failure(remote.commit(request('gone'), { signal })),
      remote.commit(request('last')),
    ]
    const refused = await failure(remote.commit(request('too many')))
    expect(refused).toMatchObject({ code: 'OVERLOADED', retryable: true, ambiguous: false })
    expect(await failure(remote.read([]))).toMatchObject({ code: 'OVERLOADED' })
    controller.abort()
    // What is no work does not wait.
    await remote.open()
    spy.release()
    const [read, gone] = await Promise.all(waiting)
    expect((read as ReadAnswer).answers[0]).toMatchObject({ value: '15' })
    expect(gone).toMatchObject({ code: 'ABORTED' })
    expect(spy.commits).toHaveLength(17)
    await Promise.all(first)
    expect(await valueOf(remote)).toBe('last')
  })
})

describe('closing', () => {
  it('rejects what waits, and leaves the port to whoever handed it in', async () => {
    const spy = spyOn(memory())
    const { remote, near } = await pair(spy.driver)
    spy.hold()
    const call = failure(remote.commit(request()))
    await spy.arrived(1)
    await remote.close()
    expect(await call).toMatchObject({ code: 'CLOSED', ambiguous: true })
    expect(await failure(remote.read([]))).toMatchObject({ code: 'CLOSED', ambiguous: false })
    spy.release()
    const again = await connect(near)
    expect(await valueOf(again)).toBe('v')
    expect(spy.closes).toBe(0)
  })

  it('leaves the port, which then keeps no process alive, until the driver is opened again', async () => {
    const { near, far } = ports()
    const driver = memory()
    serve(driver, far)
    const remote = await connect(near)
    const heard: string[] = []
    remote.watch!((parts) => heard.push(...parts))
    await remote.commit(request())
    await turn()
    for (const _ of [1, 2]) {
      await Promise.all([remote.close(), remote.close()])
      expect(keepsAlive(near)).toBe(false)
      expect(await failure(remote.read([]))).toMatchObject({ code: 'CLOSED', ambiguous: false })
      // By then the other side tells nothing any more.
      await turn()
      await driver.commit(request('unheard'))
      await turn()
      heard.length = 0
      await Promise.all([remote.open(), remote.open()])
      expect(keepsAlive(near)).toBe(true)
      await remote.commit(request('heard'))
      await turn()
      expect(heard).toEqual(['p'])
    }
  })

  it('and opening again asks the other side anew, also where it was given up', async () => {
    const { near, far } = ports()
    const driver = memory()
    const served = serve(driver, far)
    const remote = await connect(near)
    await served.close()
    await turn()
    expect(await failure(remote.open())).toMatchObject({ code: 'UNAVAILABLE' })
    serve(driver, far)
    expect(await failure(remote.read([]))).toMatchObject({ code: 'UNAVAILABLE' })
    await remote.close()
    expect(await failure(remote.read([]))).toMatchObject({ code: 'CLOSED' })
    await remote.open()
    await remote.commit(request())
    expect(await valueOf(remote)).toBe('v')
  })
})

/** As Electron's `MessagePortMain`: events with `data` through `on`, and no transfer of anything but ports. */
function electron(port: MessagePort): Port {
  const emitter = new EventEmitter()
  port.on('message', (data) => emitter.emit('message', { data, ports: [] }))
  port.on('close', () => emitter.emit('close'))
  return {
    on: (type, listener) => emitter.on(type, listener as () => void),
    off: (type, listener) => emitter.off(type, listener as () => void),
    postMessage(message, transfer) {
      if (transfer.length > 0) throw new TypeError('Invalid value for transfer')
      port.postMessage(message)
    },
    start: () => port.start(),
  }
}

describe('a port that only has on', () => {
  it('serves, and nothing is transferred to it', async () => {
    const { near, far } = ports()
    const transfers: unknown[][] = []
    const renderer: Port = {
      postMessage(message, transfer) {
        transfers.push(transfer)
        near.postMessage(message, transfer)
      },
      addEventListener: near.addEventListener.bind(near),
      removeEventListener: near.removeEventListener.bind(near),
    }
    serve(memory(), electron(far))
    const remote = await connect(renderer)
    await remote.commit(request(new Uint8Array([1, 2])))
    expect(await valueOf(remote)).toEqual(new Uint8Array([1, 2]))
    expect(transfers.flat()).toEqual([])
  })

  it('asks', async () => {
    const { near, far } = ports()
    serve(memory(), far)
    const remote = await connect(electron(near))
    await remote.commit(request(new Uint8Array([1, 2])))
    expect(await valueOf(remote)).toEqual(new Uint8Array([1, 2]))
  })
})
