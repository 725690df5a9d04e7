/** Exactly once while answers are lost, requests are cut and servers go away. */
import { describe, expect, it, onTestFinished } from 'vitest'
import { createHoldfast } from '../../../src/holdfast.ts'
import { startRedis } from '../../../src/dev/redis-server.ts'
import type { RequestSeen } from '../../../src/dev/server.ts'
import { startUpstash } from '../../../src/dev/upstash.ts'
import { upstash } from '../../../src/drivers/upstash/driver.ts'
import { randomFrom } from '../../support/random.ts'
import {
  append,
  connected,
  failureOf,
  hasRedis,
  namespace,
  opened,
  request,
  upstashForFile,
  valuesOf,
  vendor,
} from './support.ts'

const own = upstashForFile()

/** How many operations: 10 000 in a full run. */
const OPERATIONS = Number(process.env['HOLDFAST_OPERATIONS'] ?? 500)
const SEED = Number(process.env['HOLDFAST_SEED'] ?? 1)

/** One request in ten is cut before it is executed, and one answer in ten after it was. */
function lossy(seed: number): (seen: RequestSeen) => { cut: 'request' | 'answer' } | undefined {
  const random = randomFrom(seed)
  return () => {
    const drawn = random()
    return drawn < 0.1 ? { cut: 'request' } : drawn < 0.2 ? { cut: 'answer' } : undefined
  }
}

/** Faults until the test is over, or ended. */
function faults(choose: Parameters<typeof own.rest.setFaults>[0]): () => void {
  own.rest.setFaults(choose)
  const end = (): void => own.rest.setFaults(undefined)
  onTestFinished(end)
  return end
}

const batches = (n: number, size: number): number[][] =>
  Array.from({ length: Math.ceil(n / size) }, (_, b) =>
    Array.from({ length: Math.min(size, n - b * size) }, (_, i) => b * size + i),
  )

describe.skipIf(!hasRedis)('upstash under faults', () => {
  it('appends, counts and claims once each while answers are lost', { timeout: 600_000 }, async () => {
    const space = namespace()
    const clients = await Promise.all(
      [1, 2, 3, 4].map(() => opened({ redis: vendor(own.rest), namespace: space, retries: 30 })),
    )
    const stores = clients.map((driver) => createHoldfast({ driver }))
    const end = faults(lossy(SEED))
    const won: number[] = []
    const perClient = Math.ceil(OPERATIONS / 3 / stores.length)
    const seqs = await Promise.all(
      stores.map(async ({ state, persistence, claims }, c) => {
        const own: number[] = []
        for (const batch of batches(perClient, 5)) {
          await Promise.all(
            batch.map(async (i) => {
              const { seq } = await persistence.append({ runId: 'r', workflow: 'w', kind: `${c}:${i}` })
              own.push(seq)
              await state.increment('count')
              const claim = { runId: 'r', stepId: `step ${i}`, workerId: `worker ${c}`, ttl: 600_000 }
              if ((await claims.claimTask(claim)) !== undefined) won.push(i)
            }),
          )
        }
        return own
      }),
    )
    end()
    const total = perClient * stores.length
    const { events } = (await stores[0]!.persistence.load('r'))!
    expect(events.map(({ seq }) => seq)).toEqual(Array.from({ length: total }, (_, i) => i + 1))
    expect(new Set(events.map(({ kind }) => kind)).size).toBe(total)
    expect(seqs.flat().toSorted((a, b) => a - b)).toEqual(events.map(({ seq }) => seq))
    expect(await stores[0]!.state.increment('count', 0)).toBe(total)
    expect(won.toSorted((a, b) => a - b)).toEqual(Array.from({ length: perClient }, (_, i) => i))
  })

  it('gives up with an error that says the outcome is unknown, and a repeat tells the truth', async () => {
    const driver = await opened({ redis: vendor(own.rest), retries: 2 })
    const { persistence } = createHoldfast({ driver })
    const event = { runId: 'r', workflow: 'w', kind: 'k', idempotencyKey: 'once' }
    await persistence.append({ ...event, idempotencyKey: 'first' })
    let asked = 0
    const end = faults(() => (asked++, { cut: 'answer' }))
    const error = await failureOf(persistence.append(event))
    expect([error.code, error.ambiguous, error.retryable, asked]).toEqual(['UNAVAILABLE', true, true, 3])
    end()
    expect(await persistence.append(event)).toEqual({ seq: 2, duplicate: true })
  })

  it('is not ambiguous where nothing was executed', async () => {
    const driver = await opened({ redis: vendor(own.rest), retries: 1 })
    faults(() => ({ status: 503, body: { error: 'LOADING Redis is loading the dataset in memory' } }))
    const error = await failureOf(driver.commit(request([append('x')])))
    expect([error.code, error.ambiguous, error.retryable]).toEqual(['UNAVAILABLE', false, true])
    const read = await failureOf(driver.read([]))
    expect([read.code, read.ambiguous]).toEqual(['UNAVAILABLE', false])
  })

  it.each([
    ['an overloaded server', 429, { error: 'ERR max concurrent connections exceeded' }],
    ['a broken server', 500, { error: 'Internal error' }],
    ['a broken gateway', 502, { error: 'Bad Gateway' }],
  ])('asks %s again', async (_, status, body) => {
    const driver = await opened({ redis: vendor(own.rest) })
    let left = 3
    faults(() => (left-- > 0 ? { status, body } : undefined))
    await driver.commit(request([append('x')]))
    expect(left).toBe(-1)
    expect(await valuesOf(driver)).toEqual(['x'])
  })

  it('reads what it has written though replicas lag behind', async () => {
    const [behind, leader] = [await startRedis(), await startRedis()]
    const rest = await startUpstash({ redis: leader.url, replica: behind.url })
    onTestFinished(async () => {
      await rest.close()
      await Promise.all([behind.stop(), leader.stop()])
    })
    rest.setFaults(() => ({ stale: true }))
    const driver = await opened({ redis: vendor(rest) })
    for (let i = 1; i <= 5; i++) {
      await driver.commit(request([append(`v${i}`)]))
      expect((await valuesOf(driver)).length).toBe(i)
    }
  })

  it('refuses a repeat that comes too late, instead of guessing', async () => {
    const driver = await opened({ redis: vendor(own.rest), replayWindow: 1000, timeout: 300, retries: 5 })
    // The request waits at a gateway for longer than repeats are recognised.
    own.rest.setLatency(1600)
    onTestFinished(() => own.rest.setLatency(0))
    const error = await failureOf(driver.commit(request([append('x')])))
    own.rest.setLatency(0)
    expect([error.code, error.ambiguous]).toEqual(['UNAVAILABLE', true])
    await new Promise((resolve) => setTimeout(resolve, 2000))
    expect(await valuesOf(driver)).toEqual([])
  })

  it('recovers within a second when the server is back, and knows its script again', async () => {
    const server = await startRedis({ durable: true })
    onTestFinished(() => server.stop())
    const client = await connected(server.url)
    onTestFinished(() => client.destroy())
    const driver = await opened({ redis: { send: (command) => client.sendCommand(command) }, retries: 40 })
    await driver.commit(request([append('before')]))
    await server.kill()
    const pending = driver.commit(request([append('meanwhile')])).then(() => performance.now())
    await new Promise((resolve) => setTimeout(resolve, 300))
    await server.restart()
    const back = performance.now()
    expect((await pending) - back).toBeLessThan(1000)
    expect(await valuesOf(driver)).toEqual(['before', 'meanwhile'])
  })

  it('judges time by the server: clients an hour apart agree', async () => {
    const space = namespace()
    const skewed = (by: number) =>
      createHoldfast({ driver: upstash({ redis: vendor(own.rest), namespace: space }), clock: () => Date.now() + by })
    const [early, late] = [skewed(-3_600_000), skewed(3_600_000)]
    await early.persistence.append({ runId: 'r', workflow: 'w', kind: 'k' })
    const claim = (by: typeof early, workerId: string, stepId: string, ttl: number) =>
      by.claims.claimTask({ runId: 'r', stepId, workerId, ttl })
    expect(await claim(early, 'early', 'long', 60_000)).toBeDefined()
    expect(await claim(late, 'late', 'long', 60_000)).toBeUndefined()
    expect(await claim(late, 'late', 'short', 200)).toBeDefined()
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect(await claim(early, 'early', 'short', 60_000)).toBeDefined()
    await early.state.set('k', 'v', { ttl: 2000 })
    expect(await late.state.get('k')).toBe('v')
    await new Promise((resolve) => setTimeout(resolve, 2100))
    expect([await early.state.get('k'), await late.state.get('k')]).toEqual([undefined, undefined])
  })

  it('stops asking when the caller has gone', async () => {
    const driver = await opened({ redis: vendor(own.rest), retries: 100 })
    let asked = 0
    faults(() => (asked++, { cut: 'answer' }))
    const controller = new AbortController()
    setTimeout(() => controller.abort(), 100)
    const error = await failureOf(driver.commit(request([append('x')]), { signal: controller.signal }))
    expect([error.code, error.ambiguous]).toEqual(['ABORTED', true])
    const then = asked
    await new Promise((resolve) => setTimeout(resolve, 700))
    expect(asked).toBeLessThanOrEqual(then + 1)
  })
})
