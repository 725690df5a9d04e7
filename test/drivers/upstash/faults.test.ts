/** Exactly once while answers are lost, requests are cut and servers go away. */
import { describe, expect, it, onTestFinished } from 'vitest'
import { createHoldfast } from '../../../src/holdfast.ts'
import { startRedis } from '../../../src/dev/redis-server.ts'
import { startUpstash } from '../../../src/dev/upstash.ts'
import { failureOf } from '../../support/failure.ts'
import { append, connected, hasRedis, opened, request, upstashForFile, valuesOf, vendor } from './support.ts'

const own = upstashForFile()

/** Faults until the test is over, or ended. */
function faults(choose: Parameters<typeof own.rest.setFaults>[0]): () => void {
  own.rest.setFaults(choose)
  const end = (): void => own.rest.setFaults(undefined)
  onTestFinished(end)
  return end
}

describe.skipIf(!hasRedis)('upstash under faults', () => {
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

  it('is not ambiguous where nobody listens', async () => {
    const rest = await startUpstash({ redis: own.server.url })
    const driver = await opened({ redis: vendor(rest), retries: 1 })
    await rest.close()
    const error = await failureOf(driver.commit(request([append('x')])))
    expect([error.code, error.ambiguous, error.retryable]).toEqual(['UNAVAILABLE', false, true])
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
    const { now } = await driver.read([])
    // The request waits at a gateway for longer than it may take.
    own.rest.setLatency(1600)
    onTestFinished(() => own.rest.setLatency(0))
    const error = await failureOf(driver.commit({ ...request([append('x')]), deadline: now + 500 }))
    own.rest.setLatency(0)
    expect([error.code, error.ambiguous]).toEqual(['UNAVAILABLE', true])
    await new Promise((resolve) => setTimeout(resolve, 2000))
    expect(await valuesOf(driver)).toEqual([])
  })

  it('goes on when the server is back, and knows its script again', async () => {
    const server = await startRedis({ durable: true })
    onTestFinished(() => server.stop())
    const client = await connected(server.url)
    onTestFinished(() => client.destroy())
    const driver = await opened({ redis: { send: (command) => client.sendCommand(command) }, retries: 40 })
    await driver.commit(request([append('before')]))
    await server.kill()
    const pending = driver.commit(request([append('meanwhile')]))
    await new Promise((resolve) => setTimeout(resolve, 300))
    await server.restart()
    await pending
    expect(await valuesOf(driver)).toEqual(['before', 'meanwhile'])
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
