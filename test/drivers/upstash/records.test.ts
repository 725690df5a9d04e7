/** What is kept of requests: for how long, in which form, and what happens where it cannot be kept. */
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import type { Commit, Driver } from '../../../src/core/driver.ts'
import { lateAt } from '../../../src/core/request-records.ts'
import { startRedis } from '../../../src/dev/redis-server.ts'
import { upstash } from '../../../src/drivers/upstash/driver.ts'
import { cases, runCase } from '../../../src/testing/index.ts'
import { failureOf } from '../../support/failure.ts'
import {
  PART,
  append,
  clockEditor,
  connected,
  hasRedis,
  namespace,
  opened,
  put,
  request,
  upstashForFile,
  valuesOf,
  vendor,
} from './support.ts'

const own = upstashForFile()
const WINDOW = 60_000
const ofReplay = cases.filter(({ id }) => /^DR-8\d\d$/.test(id))

/** A commit that is refused wherever `k` is there. */
const ifAbsent: Partial<Commit> = { checks: [{ at: { part: PART, key: 'k' }, version: null }] }
const lost = (): Error => new Error('socket hang up')
const overTcp = (driver: { send(command: string[]): Promise<unknown> }): Promise<Driver> =>
  opened({ redis: driver, replayWindow: WINDOW })

describe.skipIf(!hasRedis)('records of upstash', () => {
  it('has cases', () => expect(ofReplay.map(({ id }) => id)).toContain('DR-811'))
  it.each(ofReplay.map((one) => [one.id, one.name, one] as const))(
    'pass %s under a clock of ours: %s',
    async (_, __, one) => {
      let ahead = 0
      const edit = clockEditor(() => Date.now() + ahead)
      const redis = { send: (command: string[]) => own.client.sendCommand(edit(command)) }
      await runCase(one, {
        name: 'upstash under a clock',
        create: async () => ({
          driver: upstash({ redis, namespace: namespace(), replayWindow: WINDOW }),
          advance: (ms) => void (ahead += ms),
        }),
      })
    },
  )

  it('hold a digest and verdicts for two windows, and no value', async () => {
    const space = namespace()
    const driver = await opened({ redis: vendor(own.rest), namespace: space, replayWindow: WINDOW })
    const first = request([put('k', 's3cret'), append('s3cret')])
    const refused = request([put('k', 's3cret')], ifAbsent)
    for (const [it, verdict] of [
      [first, '+1'],
      [refused, '-0'],
    ] as const) {
      const { now } = await driver.commit(it)
      const name = `{${space}}:r:${it.id}`
      expect(await own.client.get(name)).toMatch(new RegExp(`^${now + WINDOW}:[0-9a-f]{16}:\\${verdict}$`))
      const left = await own.client.pTTL(name)
      expect([left > WINDOW, left <= 2 * WINDOW]).toEqual([true, true])
    }
  })

  it('are read as the first releases wrote them', async () => {
    const space = namespace()
    const driver = await opened({ redis: vendor(own.rest), namespace: space })
    await driver.commit(request([put('k')]))
    const it = request([append('x')])
    const commits = [it.commits[0]!, { ...it.commits[0]!, ...ifAbsent, id: 'another' }]
    await own.client.set(`{${space}}:r:${it.id}`, '+7;-0', { PX: WINDOW })
    const { outcomes } = await driver.commit({ id: it.id, commits })
    expect(outcomes).toMatchObject([
      { ok: true, seqs: [7] },
      { ok: false, failed: [{ check: 0, current: { value: 'k' } }] },
    ])
    expect(await valuesOf(driver)).toEqual(['k'])
  })

  it('are wanted: where memory is full nothing is executed, and nobody is told "no" either', async () => {
    const server = await startRedis({ args: ['--maxmemory', '4mb', '--maxmemory-policy', 'noeviction'] })
    const client = await connected(server.url)
    onTestFinished(async () => {
      client.destroy()
      await server.stop()
    })
    const driver = await overTcp({ send: (command) => client.sendCommand(command) })
    await driver.commit(request([put('k')]))
    await client.sendCommand(['CONFIG', 'SET', 'maxmemory', '1'])
    const refused = request([put('k', 'mine')], ifAbsent)
    const error = await failureOf(driver.commit(refused))
    expect([error.code, error.ambiguous]).toEqual(['QUOTA_EXCEEDED', false])
    expect(await valuesOf(driver)).toEqual(['k'])
    await client.sendCommand(['CONFIG', 'SET', 'maxmemory', '0'])
    await driver.commit(request([{ delete: { part: PART, key: 'k' } }]))
    // It was not judged yet: this is its first time.
    expect((await driver.commit(refused)).outcomes).toEqual([{ ok: true, seqs: [] }])
    expect((await driver.commit(refused)).outcomes).toEqual([{ ok: true, seqs: [] }])
  })
})

describe.skipIf(!hasRedis)('attempts of upstash', () => {
  /** A handle over a real server that loses the answers to commits, or what else it is told to. */
  function losing(onSend: (n: number) => void = () => {}): {
    isLosing: boolean
    sent(): number
    send(command: string[]): Promise<unknown>
  } {
    let sent = 0
    const handle = {
      isLosing: false,
      sent: () => sent,
      async send(command: string[]): Promise<unknown> {
        if (!handle.isLosing) return own.client.sendCommand(command)
        onSend(++sent)
        await own.client.sendCommand(command)
        throw lost()
      },
    }
    return handle
  }

  it.each([
    ['half of the window', undefined],
    ['the deadline', 1000],
  ])('end with %s, measured across a freeze of the process', async (_, before) => {
    const real = performance.now.bind(performance)
    let ahead = 0
    vi.spyOn(performance, 'now').mockImplementation(() => real() + ahead)
    onTestFinished(() => void vi.restoreAllMocks())
    // The process is stopped after the second attempt.
    const handle = losing((n) => {
      if (n === 2) ahead += before ?? WINDOW / 2
    })
    const driver = await overTcp(handle)
    const { now } = await driver.read([])
    handle.isLosing = true
    const it = { ...request([append('x')]), ...(before !== undefined && { deadline: now + before }) }
    const error = await failureOf(driver.commit(it))
    expect([error.code, error.ambiguous, error.retryable]).toEqual(['UNAVAILABLE', true, true])
    expect(handle.sent()).toBe(2)
    handle.isLosing = false
    expect(await valuesOf(driver)).toEqual(['x'])
  })

  it('send nothing more when the process was stopped between a script that is not known and its text', async () => {
    const real = performance.now.bind(performance)
    let ahead = 0
    vi.spyOn(performance, 'now').mockImplementation(() => real() + ahead)
    onTestFinished(() => void vi.restoreAllMocks())
    const commands: string[] = []
    const driver = await overTcp({
      async send(command) {
        commands.push(command[0]!)
        if (command[0] === 'EVALSHA') {
          ahead += WINDOW
          throw new Error('NOSCRIPT No matching script.')
        }
        return own.client.sendCommand(command)
      },
    })
    const error = await failureOf(driver.commit(request([append('x')])))
    expect([error.code, error.ambiguous]).toEqual(['UNAVAILABLE', true])
    expect(commands).toEqual(['EVAL', 'EVALSHA'])
  })

  it('stop at a first one that comes too late, which is certain', async () => {
    const driver = await overTcp({ send: (command) => own.client.sendCommand(command) })
    const { now } = await driver.read([])
    const error = await failureOf(driver.commit({ ...request([append('x')]), deadline: now - 1 }))
    expect([error.code, error.ambiguous, error.retryable]).toEqual(['UNAVAILABLE', false, true])
    expect(lateAt(error)).toBeGreaterThanOrEqual(now)
  })

  it('stop at a repeat that comes too late, and are in doubt', async () => {
    let ahead = 0
    // The first is judged, and the second comes when its record only tells that.
    const handle = losing(() => {
      ahead = WINDOW
      handle.isLosing = false
    })
    const edit = clockEditor(() => Date.now() + ahead)
    const driver = await overTcp({ send: (command) => handle.send(edit(command)) })
    const { now } = await driver.read([])
    handle.isLosing = true
    const it = { ...request([append('x')]), deadline: now + WINDOW / 2 }
    const error = await failureOf(driver.commit(it))
    expect([error.code, error.ambiguous, error.retryable]).toEqual(['UNAVAILABLE', true, true])
    expect(lateAt(error)).toBeGreaterThanOrEqual(now + WINDOW)
    expect(await valuesOf(driver)).toEqual(['x'])
  })

  it('begin with the script and the check of the server, and happen once all the same', async () => {
    const handle = losing()
    const driver = upstash({ redis: handle, namespace: namespace(), replayWindow: WINDOW, retries: 0 })
    await driver.open({ ahead: true })
    handle.isLosing = true
    const it = request([append('x')])
    const error = await failureOf(driver.commit(it))
    expect([error.code, error.ambiguous, handle.sent()]).toEqual(['UNAVAILABLE', true, 1])
    handle.isLosing = false
    expect((await driver.commit(it)).outcomes).toEqual([{ ok: true, seqs: [1] }])
    expect(await valuesOf(driver)).toEqual(['x'])
    await driver.close()
  })

  it('tell no verdict by a later read: what did not fit is left out, in one answer', async () => {
    let sent = 0
    const driver = await overTcp({ send: (command) => (sent++, own.client.sendCommand(command)) })
    for (const key of ['a', 'b', 'c']) await driver.commit(request([put(key, key.repeat(3_000_000))]))
    const checks = ['a', 'b', 'c'].map((key) => ({ at: { part: PART, key }, version: null }))
    sent = 0
    const commits = [...request([append('x')]).commits, ...request([], { checks }).commits]
    const { outcomes } = await driver.commit({ id: request([]).id, commits })
    expect(sent).toBe(1)
    expect(outcomes[0]).toEqual({ ok: true, seqs: [1] })
    const found = outcomes[1]!.ok ? [] : outcomes[1]!.failed.map(({ current }) => current)
    expect(found).toMatchObject([{ key: 'a' }, { key: 'b' }, { key: 'c' }])
    expect(found.map((it) => it !== null && 'value' in it)).toEqual([true, true, false])
  })
})
