import { describe, expect, test } from 'vitest'
import { memory } from '../../src/drivers/memory.ts'
import { createHoldfast } from '../../src/holdfast.ts'
import { defineWorkflow } from '../../src/runner/index.ts'
import { crashEverywhere, jumpingClock, play } from '../../src/runner/testing.ts'

const DAY = 86_400_000

const stores = () => {
  const clock = jumpingClock()
  return { clock, holdfast: createHoldfast({ driver: memory({ clock }), clock }) }
}

describe('a clock that jumps', () => {
  test('has 30 days of sleeps pass at once, and messages come in time', async () => {
    const { clock, holdfast } = stores()
    const patient = defineWorkflow({ name: 'patient' }, async (ctx) => {
      const days: number[] = []
      for (let day = 0; day < 30; day++) {
        await ctx.sleep('1 day')
        days.push(ctx.now())
      }
      const first = await ctx.message('approved', { timeout: '2 days' })
      const second = await Promise.race([ctx.message('approved'), ctx.sleep('2 days')])
      return [days.length, days.at(-1)! - days[0]!, first, second]
    })
    const messages = [{ after: '33 days', name: 'approved', payload: 'yes' }] as const
    const { outcome, elapsed } = await play(holdfast, patient, { clock, messages })
    expect(outcome).toEqual({ status: 'completed', result: [30, 29 * DAY, undefined, 'yes'] })
    expect(elapsed).toBe(33 * DAY)
  })

  test('has 10 000 timers go off in their order', async () => {
    const { clock, holdfast } = stores()
    const timers = defineWorkflow({ name: 'timers' }, async (ctx) => {
      const order: number[] = []
      await Promise.all(
        Array.from({ length: 10_000 }, async (_, i) => {
          const span = Math.floor(ctx.random() * 30 * DAY)
          await ctx.sleep(span)
          order.push(span)
          return i
        }),
      )
      return order.every((span, i) => i === 0 || span >= order[i - 1]!)
    })
    const { outcome } = await play(holdfast, timers, { clock })
    expect(outcome).toEqual({ status: 'completed', result: true })
  })

  test('tells of a run that waits for what never comes', async () => {
    const { clock, holdfast } = stores()
    const lost = defineWorkflow({ name: 'lost' }, (ctx) => ctx.message('never'))
    await expect(play(holdfast, lost, { clock })).rejects.toMatchObject({ code: 'TIMEOUT' })
  })
})

test('a crash at every commit changes nothing, or is told', async () => {
  let attempts = 0
  const order = defineWorkflow({ name: 'order' }, async (ctx) => {
    await ctx.step('a', () => 1, { compensate: () => 2 })
    await ctx.sleep('2 h')
    const answer = await ctx.message('answer')
    const [x, y] = await Promise.all([ctx.step('x', () => 'x'), ctx.step('y', () => 'y')])
    return [answer, x, y]
  })
  const options = {
    driver: (clock: () => number) => memory({ clock }),
    open: (driver: ReturnType<typeof memory>, clock: () => number) => createHoldfast({ driver, clock }),
    messages: [{ name: 'answer', payload: 42, after: '1 h' as const }],
    reset: () => void (attempts = 0),
  }
  expect(await crashEverywhere(order, options)).toBeGreaterThan(15)
  const moody = defineWorkflow({ name: 'moody' }, async (ctx) => {
    await ctx.step('a', () => 1)
    return ctx.step('b', () => ++attempts)
  })
  await expect(crashEverywhere(moody, options)).rejects.toMatchObject({ code: 'CONFLICT' })
})
