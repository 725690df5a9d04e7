import { afterEach, describe, expect, test, vi } from 'vitest'
import { memory } from '../../src/drivers/memory.ts'
import { createHoldfast } from '../../src/holdfast.ts'
import { type Workflow, run } from '../../src/runner/index.ts'
import { engines } from '../support/engines.ts'
import { RUN, deeds, go, logOf, on, pause, until } from './setting.ts'

/** Until the backend's clock, which is this machine's, is past it. */
const past = (time: number): Promise<void> => until(() => Date.now() > time)

describe.each(engines)('a sleep over $name', (engine) => {
  // SY-89: parks, waits on when run too early, goes on afterwards; what came before it passes through.
  test('has the run wait at the right place, and is over at the time that was set first', () =>
    on(engine, async ({ begin }) => {
      const { done } = deeds()
      const workflow: Workflow<string> = async (ctx) => {
        const a = await ctx.step('a', () => (done.push('a'), 'a'))
        await ctx.sleep(800)
        return ctx.step('b', () => (done.push('b'), `${a} b`))
      }
      const holdfast = await begin()
      const from = Date.now()
      const outcome = await go(holdfast, workflow)
      const { status, position } = (await holdfast.workflows.getRun(RUN))!
      const { wakeAt } = position as { wakeAt: number }
      expect(position).toEqual({ kind: 'wait', stepId: 'sleep', wakeAt, next: 'work' })
      expect(wakeAt - from).toBeGreaterThanOrEqual(799)
      expect([status, outcome]).toEqual(['waiting', { status: 'waiting', until: wakeAt }])
      expect(await holdfast.timers.nextDue()).toBe(wakeAt)
      expect(await holdfast.claims.findAvailableTasks({ workerId: 'w' })).toEqual([])
      expect(await go(await begin(), workflow)).toEqual(outcome)
      expect(done).toEqual(['a'])
      await past(wakeAt)
      expect(await go(await begin(), workflow)).toEqual({ status: 'completed', result: 'a b' })
      expect(done).toEqual(['a', 'b'])
      expect(await logOf(holdfast)).toEqual([
        'step.completed a',
        'sleep.started sleep',
        'sleep.completed sleep',
        'step.completed b',
        'run.completed',
      ])
    }))

  // SY-89: a delay can be the last; row 24 of the failures: and is woken as often as one likes.
  test('that is moved on by the timers is over, however often', () =>
    on(engine, async ({ begin }) => {
      const workflow: Workflow<string> = async (ctx) => {
        await ctx.sleep('400 ms')
        await ctx.sleep('0.4s')
        return 'rested'
      }
      const holdfast = await begin()
      for (const stepId of ['sleep', 'sleep#2']) {
        const outcome = await go(holdfast, workflow)
        expect(await holdfast.workflows.getRun(RUN)).toMatchObject({ position: { stepId } })
        await past((outcome as { until: number }).until)
        const advanced = await Promise.all([holdfast.timers.advanceDue(), (await begin()).timers.advanceDue()])
        expect(advanced.flat()).toEqual([{ runId: RUN, kind: 'wait', stepId }])
        expect(await holdfast.claims.findAvailableTasks({ workerId: 'w' })).toMatchObject([{ stepId: 'work' }])
      }
      expect(await go(holdfast, workflow)).toEqual({ status: 'completed', result: 'rested' })
    }))

  test('that is short enough is waited out in the process', () =>
    on(engine, async ({ begin }) => {
      const start = performance.now()
      const outcome = await go(await begin(), async (ctx) => ctx.sleep(40), { maxWait: '1s' })
      expect(outcome.status).toBe('completed')
      expect(performance.now() - start).toBeGreaterThan(38)
    }))

  test.each(['soon', -1, Number.NaN, '1 y', 1.5] as never[])('refuses %s', (duration) =>
    on(engine, async ({ begin }) => {
      const holdfast = await begin()
      expect(await go(holdfast, (ctx) => ctx.sleep(duration))).toMatchObject({ status: 'failed' })
      expect(await logOf(holdfast)).toEqual(['run.failed'])
    }),
  )

  // Issue 15, 10: one wait at a time.
  test('and messages side by side are waited for together, and whichever comes first has the run go on', () =>
    on(engine, async ({ begin }) => {
      const workflow: Workflow = async (ctx) => {
        const first = await Promise.race([ctx.message('approved'), ctx.sleep('2 days')])
        const both = await Promise.all([ctx.message('a'), ctx.message('b'), ctx.sleep(20)])
        const slow = await Promise.race([ctx.step('quick', () => 'quick'), ctx.sleep('1 h')])
        await ctx.sleep(5)
        return [first, both.slice(0, 2), slow]
      }
      const holdfast = await begin()
      const start = Date.now()
      const outcome = await go(holdfast, workflow)
      expect(outcome).toMatchObject({ status: 'waiting' })
      expect((outcome as { until: number }).until).toBeGreaterThanOrEqual(start + 2 * 86_400_000)
      expect((await holdfast.workflows.getRun(RUN))?.position).toMatchObject({ kind: 'wait', names: ['approved'] })
      await holdfast.signals.sendMessage(RUN, 'other', 0)
      expect(await holdfast.claims.findAvailableTasks({ workerId: 'w' })).toEqual([])
      await holdfast.signals.sendMessage(RUN, 'approved', 'yes')
      expect(await holdfast.claims.findAvailableTasks({ workerId: 'w' })).toMatchObject([{ runId: RUN }])
      expect(await go(await begin(), workflow)).toMatchObject({ status: 'waiting' })
      await holdfast.signals.sendMessage(RUN, 'b', 2)
      await holdfast.signals.sendMessage(RUN, 'a', 1)
      const last = await go(await begin(), workflow, { maxWait: 5000 })
      expect(last).toEqual({ status: 'completed', result: ['yes', [1, 2], 'quick'] })
    }))

  // SY-90: branches that are done stay done; the run waits until all that fail may be tried again, or looks again.
  test('beside failing steps ends in a wait, and never in a run that is ready for nothing', () =>
    on(engine, async ({ begin }) => {
      const { done, count } = deeds()
      const shaky =
        (name: string) =>
        ({ attempt }: { attempt: number }): number => {
          done.push(name)
          if (attempt === 1) throw new Error('no')
          return attempt
        }
      const workflow: Workflow<number> = async (ctx) => {
        const steps = [30, 60].map((initialDelay) =>
          ctx.step(`after ${initialDelay}`, shaky(`after ${initialDelay}`), {
            retry: { maxAttempts: 2, initialDelay },
          }),
        )
        const fine = ctx.step('fine', () => (done.push('fine'), pause(5)))
        await ctx.sleep(45)
        await fine
        return (await Promise.all(steps)).length
      }
      const holdfast = await begin()
      for (let rounds = 0; ; rounds++) {
        expect(rounds).toBeLessThan(6)
        const outcome = await go(await begin(), workflow)
        if (outcome.status === 'completed') break
        const { status, position } = (await holdfast.workflows.getRun(RUN))!
        expect([outcome.status, status, position?.kind]).toEqual(['waiting', 'waiting', 'wait'])
        await past((position as { wakeAt: number }).wakeAt)
        await holdfast.timers.advanceDue()
      }
      expect(['fine', 'after 30', 'after 60'].map(count)).toEqual([1, 2, 2])
    }))
})

describe.each(engines)('a message over $name', (engine) => {
  const waits: Workflow = (ctx) => ctx.message('paid')

  // SY-93: one that came before is taken without parking.
  test('that came before the run waits for it is taken at once, in order', () =>
    on(engine, async ({ begin }) => {
      const holdfast = await begin()
      await holdfast.workflows.createRun({ runId: RUN, workflow: 'order' })
      for (const n of [1, 2, 3]) await holdfast.signals.sendMessage(RUN, 'paid', n)
      await holdfast.signals.sendMessage(RUN, 'other', 4)
      const workflow: Workflow = async (ctx) => [
        await ctx.message('paid'),
        await ctx.message('other'),
        await ctx.message('paid'),
      ]
      expect(await go(holdfast, workflow)).toEqual({ status: 'completed', result: [1, 4, 2] })
      const { items } = await holdfast.signals.listMessages(RUN, 'paid')
      expect(items.map(({ consumed }) => consumed)).toEqual([true, true, false])
    }))

  // SY-93: parks; the payload becomes the result.
  test('that comes while the run waits has it go on', () =>
    on(engine, async ({ begin }) => {
      const holdfast = await begin()
      expect(await go(holdfast, waits)).toEqual({ status: 'waiting', until: undefined })
      expect(await holdfast.workflows.getRun(RUN)).toMatchObject({
        status: 'waiting',
        position: { kind: 'wait', names: ['paid'], next: 'work' },
      })
      expect(await holdfast.claims.findAvailableTasks({ workerId: 'w' })).toEqual([])
      await (await begin()).signals.sendMessage(RUN, 'paid', { cents: 42n })
      expect(await holdfast.claims.findAvailableTasks({ workerId: 'w' })).toMatchObject([{ runId: RUN }])
      expect(await go(await begin(), waits)).toEqual({ status: 'completed', result: { cents: 42n } })
      expect(await logOf(holdfast)).toEqual(['message.awaited paid', 'message.received paid', 'run.completed'])
    }))

  test('is waited for in the process where that is allowed', () =>
    on(engine, async ({ begin }) => {
      const holdfast = await begin()
      const outcome = go(holdfast, waits, { maxWait: '5s', lease: 3000 })
      await until(async () => (await logOf(holdfast)).length === 1)
      await holdfast.signals.sendMessage(RUN, 'paid', 'soon')
      expect(await outcome).toEqual({ status: 'completed', result: 'soon' })
      expect(await go(await begin(), waits, { runId: 'other', maxWait: 30, lease: 3000 })).toMatchObject({
        status: 'waiting',
      })
    }))

  // Rows 9, 26 of the failures: a message is given to the workflow once and stays with it.
  test('is consumed once, also where the process ends just after', () =>
    on(engine, async ({ begin }) => {
      const workflow: Workflow = async (ctx) => [await ctx.message('paid'), await ctx.message('paid')]
      for (let most = 1; ; most++) {
        const holdfast = await begin()
        await holdfast.workflows.deleteRun(RUN)
        await holdfast.workflows.createRun({ runId: RUN, workflow: 'order' })
        for (const n of [1, 2, 3]) await holdfast.signals.sendMessage(RUN, 'paid', n)
        let calls = 0
        let isCut = false
        const cut = await begin((driver) => ({
          ...driver,
          async commit(request, options) {
            const answer = await driver.commit(request, options)
            // The commit has taken effect, and nobody has heard of it.
            if (++calls > most) throw ((isCut = true), new Error('The process is gone'))
            return answer
          },
        }))
        await go(cut, workflow).catch(() => {})
        expect(await go(await begin(), workflow)).toEqual({ status: 'completed', result: [1, 2] })
        if (!isCut) return
      }
    }))

  test('that does not come in time is undefined, also later', () =>
    on(engine, async ({ begin }) => {
      const holdfast = await begin()
      const workflow: Workflow = async (ctx) => [
        await ctx.message('paid', { timeout: 1000 }),
        await ctx.message('paid'),
      ]
      const outcome = await go(holdfast, workflow)
      const { wakeAt } = (await holdfast.workflows.getRun(RUN))!.position as { wakeAt: number }
      expect(outcome).toEqual({ status: 'waiting', until: wakeAt })
      // Too early.
      expect(await go(await begin(), workflow)).toEqual(outcome)
      await past(wakeAt)
      expect((await go(await begin(), workflow)).status).toBe('waiting')
      await holdfast.signals.sendMessage(RUN, 'paid', 'late')
      expect(await go(await begin(), workflow)).toEqual({ status: 'completed', result: [undefined, 'late'] })
      expect(await logOf(holdfast)).toContain('message.timedOut paid')
    }))

  test('that does not come in time is waited for in the process', () =>
    on(engine, async ({ begin }) => {
      const outcome = await go(await begin(), (ctx) => ctx.message('paid', { timeout: 30 }), { maxWait: 1000 })
      expect(outcome).toEqual({ status: 'completed', result: undefined })
    }))

  // Row 32 of the failures: either the message or the timeout, for everybody.
  test('and the end of the time meet in one outcome', () =>
    on(engine, async ({ begin }) => {
      for (let i = 0; i < 10; i++) {
        const holdfast = await begin()
        const other = await begin()
        await holdfast.workflows.deleteRun(RUN)
        const workflow: Workflow = async (ctx) => [
          await ctx.message('paid', { timeout: 8 }),
          await ctx.message('paid', { timeout: 0 }),
        ]
        // On a slow machine the time is over already.
        const { until: wakeAt = 0 } = (await go(holdfast, workflow)) as { until?: number }
        await until(() => Date.now() >= wakeAt - 1)
        const [, , outcome] = await Promise.all([
          other.signals.sendMessage(RUN, 'paid', i).catch(() => {}),
          other.timers.advanceDue(),
          go(holdfast, workflow),
        ])
        const last = outcome.status === 'completed' ? outcome : await go(await begin(), workflow)
        expect([
          [i, undefined],
          [undefined, i],
          [undefined, undefined],
        ]).toContainEqual((last as { result: unknown }).result)
        expect(await go(await begin(), workflow)).toEqual(last)
      }
    }))
})

describe('a workflow that waits for no call of its context', () => {
  afterEach(() => void vi.useRealTimers())

  test('is reported after 30 s, once; one whose step takes long is not', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const holdfast = createHoldfast({ driver: memory() })
    const stop = new AbortController()
    const told: unknown[] = []
    const options = { lease: '1 h', signal: stop.signal } as const
    const stuck = run(
      holdfast,
      { ...options, runId: 'stuck', workflow: 'w', onError: (error) => void told.push(error) },
      async (ctx) => {
        await ctx.step('a', () => 1)
        await new Promise(() => {})
      },
    )
    const long: unknown[] = []
    const slow = run(
      holdfast,
      { ...options, runId: 'slow', workflow: 'w', onError: (error) => void long.push(error) },
      (ctx) => ctx.step('a', () => new Promise<string>((resolve) => setTimeout(resolve, 80_000, 'at last'))),
    )
    await vi.advanceTimersByTimeAsync(90_000)
    expect(told).toMatchObject([{ code: 'TIMEOUT', details: { runId: 'stuck' } }])
    expect(await slow).toEqual({ status: 'completed', result: 'at last' })
    expect(long).toEqual([])
    stop.abort()
    await expect(stuck).rejects.toMatchObject({ code: 'ABORTED' })
  })
})
