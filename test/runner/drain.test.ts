import { describe, expect, test } from 'vitest'
import type { Holdfast } from '../../src/holdfast.ts'
import { type Workflow, type DrainOptions, drain as drainAll, start } from '../../src/runner/index.ts'
import { engines } from '../support/engines.ts'
import { deeds, named, on, pause } from './setting.ts'

const submit = async (holdfast: Holdfast, ...runIds: string[]): Promise<void> => {
  for (const runId of runIds)
    await start(
      holdfast,
      named(async () => {}),
      { runId },
    )
}

const drain = (holdfast: Holdfast, [order]: readonly [Workflow], options?: DrainOptions): Promise<number> =>
  drainAll(holdfast, [named(order)], { onError: () => {}, ...options })

const statusesOf = async ({ workflows }: Holdfast): Promise<string[]> =>
  (await workflows.listRuns()).items.map(({ status }) => status)

describe.each(engines)('draining over $name', (engine) => {
  test('runs what is ready, so many at a time, and returns when nothing is', () =>
    on(engine, async ({ begin }) => {
      const holdfast = await begin()
      let now = 0
      let most = 0
      const order: Workflow = (ctx) =>
        ctx.step('a', async () => {
          most = Math.max(most, ++now)
          await pause(10)
          now--
        })
      await submit(holdfast, 'a', 'b', 'c', 'd', 'e')
      expect(await drain(holdfast, [order], { concurrency: 3 })).toBe(5)
      expect(most).toBe(3)
      expect(await statusesOf(holdfast)).toEqual(Array.from({ length: 5 }, () => 'completed'))
      expect(await drain(holdfast, [order])).toBe(0)
    }))

  test('takes up no more than it may', () =>
    on(engine, async ({ begin }) => {
      const holdfast = await begin()
      const { done } = deeds()
      const order: Workflow = (ctx) => ctx.step('a', () => done.push(ctx.runId))
      await submit(holdfast, 'a', 'b', 'c')
      expect(await drain(holdfast, [order], { limit: 2 })).toBe(2)
      expect(done).toHaveLength(2)
      expect(await drain(holdfast, [order], { limit: 2 })).toBe(1)
      await expect(drain(holdfast, [order], { limit: 0 })).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
      })
    }))

  test('leaves what waits for its time, which the timers tell', () =>
    on(engine, async ({ begin }) => {
      const holdfast = await begin()
      const order: Workflow = (ctx) => ctx.sleep('1 h')
      await submit(holdfast, 'a')
      const start = Date.now()
      expect(await drain(holdfast, [order])).toBe(1)
      expect(await drain(holdfast, [order])).toBe(0)
      expect(await holdfast.timers.nextDue()).toBeGreaterThanOrEqual(start + 3_600_000)
      expect(await statusesOf(holdfast)).toEqual(['waiting'])
    }))

  test('tells of a run that throws, puts it off, and goes on with the others', () =>
    on(engine, async ({ begin }) => {
      const holdfast = await begin()
      const told: unknown[] = []
      let isDown = true
      const order: Workflow = async (ctx) => {
        await ctx.step('a', () => 1)
        if (ctx.runId === 'a' && isDown) await holdfast.claims.forceReleaseClaim('a')
        return ctx.step('b', () => 2)
      }
      await submit(holdfast, 'a', 'b')
      const options = { onError: (error: unknown, runId?: string) => told.push(error, runId) }
      expect(await drain(holdfast, [order], options)).toBe(1)
      expect(told).toEqual([expect.objectContaining({ code: 'CLAIM_LOST' }), 'a'])
      expect(await statusesOf(holdfast)).toEqual(['running', 'completed'])
      isDown = false
      expect(await drain(holdfast, [order], options)).toBe(1)
      expect(await statusesOf(holdfast)).toEqual(['completed', 'completed'])
    }))

  test('throws what its signal or the backend says', () =>
    on(engine, async ({ begin }) => {
      const order: Workflow = (ctx) => ctx.step('a', () => pause(60_000))
      const holdfast = await begin()
      await submit(holdfast, 'a')
      const signal = AbortSignal.timeout(30)
      await expect(drain(holdfast, [order], { signal })).rejects.toMatchObject({ code: 'ABORTED' })
      expect(await statusesOf(holdfast)).toEqual(['running'])
      const dead = await begin((driver) => ({ ...driver, read: () => Promise.reject(new Error('The disk is gone')) }))
      await expect(drain(dead, [order])).rejects.toMatchObject({ code: 'BACKEND' })
    }))
})
