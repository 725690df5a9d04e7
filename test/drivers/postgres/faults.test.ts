/** Round trips, lost answers and servers that go: counted and broken at the server that speaks Neon's protocol. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createDatabase } from '../../../src/core/database.ts'
import { isHoldfastError } from '../../../src/core/errors.ts'
import type { PostgresServer } from '../../../src/dev/postgres-server.ts'
import type { Fault } from '../../../src/dev/server.ts'
import { postgres } from '../../../src/drivers/postgres/driver.ts'
import { persistenceStore } from '../../../src/stores/persistence.ts'
import { stateStore } from '../../../src/stores/state.ts'
import { randomFrom } from '../../support/random.ts'
import { bin, neonOver, start } from './support.ts'

/** `HOLDFAST_CALLS=10000` for the long run. */
const CALLS = Number(process.env['HOLDFAST_CALLS'] ?? 500)

describe.skipIf(!bin)('over HTTP', () => {
  let server: PostgresServer
  let neon: Awaited<ReturnType<typeof neonOver>>

  beforeAll(async () => {
    server = await start()
    neon = await neonOver(server)
  })
  afterAll(async () => {
    await neon.end()
    await server.stop()
  })

  const open = (options: { timeout?: number } = {}) => {
    const db = createDatabase({ driver: postgres({ db: neon.open('postgres'), ...options }) })
    return { db, state: stateStore(db), log: persistenceStore(db) }
  }

  async function cost(run: () => Promise<unknown>): Promise<number> {
    neon.http.resetTraffic()
    await run()
    return neon.http.traffic().requests
  }

  test('round trips', async () => {
    await open().db.open()
    const { state, log } = open()
    expect(await cost(() => state.set('first', '1'))).toBe(2)
    expect(await cost(() => state.set('second', '1'))).toBe(1)
    expect(await cost(() => state.get('second'))).toBe(1)
    expect(await cost(() => state.increment('counter'))).toBe(1)
    const append = (i: number) => log.append({ runId: 'r', workflow: 'w', kind: 'step', payload: i })
    expect(await cost(() => append(0))).toBe(1)
    expect(await cost(() => Promise.all(Array.from({ length: 100 }, (_, i) => append(i))))).toBe(1)
    expect(await cost(() => log.resume('r', 0))).toBe(1)
    // To find the schema, to learn what there is of the run, to change it.
    expect(await cost(() => open().log.resume('r', 0))).toBe(3)
  })

  test(`${CALLS} calls take effect once while answers and requests are lost`, { timeout: 600_000 }, async () => {
    const clients = [open(), open(), open(), open()]
    await clients[0]!.db.open()
    const random = randomFrom(7)
    const lost: Record<string, number> = { request: 0, answer: 0 }
    neon.http.setFaults((): Fault | undefined => {
      const dice = random()
      const cut = dice < 0.1 ? 'request' : dice < 0.2 ? 'answer' : undefined
      if (cut === undefined) return dice < 0.23 ? { status: 503, body: { message: 'busy' } } : undefined
      lost[cut]!++
      return { cut }
    })
    const seqs: number[] = []
    let left = CALLS
    const work = async ({ state, log }: (typeof clients)[number]): Promise<void> => {
      while (left-- > 0) {
        const event = { runId: 'faulty', workflow: 'w', kind: 'step', payload: left }
        const [{ seq }] = await Promise.all([log.append(event), state.increment('faulty')])
        seqs.push(seq)
      }
    }
    await Promise.all(clients.map(work))
    neon.http.setFaults(undefined)
    expect(lost['request']).toBeGreaterThan(CALLS / 50)
    expect(lost['answer']).toBeGreaterThan(CALLS / 50)
    expect(seqs.toSorted((a, b) => a - b)).toEqual(Array.from({ length: CALLS }, (_, i) => i + 1))
    expect(await open().state.get('faulty')).toBe(String(CALLS))
  })

  test('who gives up says that he does not know, and a repetition under the same key tells', async () => {
    const { db, log } = open({ timeout: 1000 })
    await db.open()
    neon.http.setFaults(() => ({ cut: 'answer' }))
    const event = { runId: 'given up', workflow: 'w', kind: 'paid', idempotencyKey: 'order 1' }
    const error: unknown = await log.append(event).catch((cause: unknown) => cause)
    neon.http.setFaults(undefined)
    expect(isHoldfastError(error, 'UNAVAILABLE') && [error.ambiguous, error.retryable]).toEqual([true, true])
    expect((await log.append(event)).seq).toBe(1)
    expect((await log.append({ ...event, idempotencyKey: 'order 2' })).seq).toBe(2)
  })

  test('what was never sent is not in doubt', async () => {
    const { db, state } = open({ timeout: 1000 })
    await db.open()
    neon.http.setFaults(() => ({ status: 429, body: { message: 'slow down' } }))
    const error: unknown = await state.get('k').catch((cause: unknown) => cause)
    neon.http.setFaults(undefined)
    expect(isHoldfastError(error, 'UNAVAILABLE') && [error.ambiguous, error.retryable]).toEqual([false, true])
  })

  test('a server that is killed under load loses nothing that was acknowledged', async () => {
    const clients = [open(), open(), open()]
    await clients[0]!.db.open()
    const acknowledged = new Set<number>()
    const recoveries: number[] = []
    const state = { isOver: false, backAt: 0 }
    const work = async ({ log }: (typeof clients)[number], id: number): Promise<void> => {
      for (let i = 0; !state.isOver; i++) {
        const [{ seq }, twin] = await Promise.all([
          log.append({ runId: `killed ${id}`, workflow: 'w', kind: 'a', payload: i }),
          log.append({ runId: `killed ${id}`, workflow: 'w', kind: 'b', payload: i }),
        ])
        expect(twin.seq).toBe(seq + 1)
        acknowledged.add(id * 1e6 + seq).add(id * 1e6 + twin.seq)
        if (state.backAt > 0) {
          recoveries.push(performance.now() - state.backAt)
          state.backAt = 0
        }
      }
    }
    const working = Promise.all(clients.map(work))
    for (let kill = 0; kill < 3; kill++) {
      await new Promise((resolve) => setTimeout(resolve, 300))
      await server.kill()
      await server.restart()
      state.backAt = performance.now()
    }
    await new Promise((resolve) => setTimeout(resolve, 1000))
    state.isOver = true
    await working
    for (let id = 0; id < clients.length; id++) {
      const mine = [...acknowledged].filter((n) => Math.floor(n / 1e6) === id)
      const trace = await open().log.load(`killed ${id}`)
      expect(trace!.events.map((event) => id * 1e6 + event.seq)).toEqual(mine)
    }
    expect(recoveries.length).toBeGreaterThan(0)
    expect(Math.max(...recoveries)).toBeLessThan(1000)
  })
})
