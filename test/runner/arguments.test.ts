/** What callers pass wrongly is refused, with a code, before anything is done. */
import { describe, expect, test } from 'vitest'
import { sqlite } from '../../src/drivers/sqlite/better-sqlite3.ts'
import { memory } from '../../src/drivers/memory.ts'
import { createHoldfast } from '../../src/holdfast.ts'
import { type Context, defineWorkflow, drain, replay, run, start, work } from '../../src/runner/index.ts'
import { engines } from '../support/engines.ts'
import { RUN, deeds, dyingAfter, go, on } from './setting.ts'

const order = defineWorkflow({ name: 'order' }, async () => 1)
const wrong = { code: 'INVALID_ARGUMENT' }

describe('the arguments of the runner', () => {
  const holdfast = createHoldfast({ driver: memory() })
  const signal = AbortSignal.abort()
  const calls: Record<string, () => unknown> = {
    'createHoldfast without a driver': () => createHoldfast({} as never),
    'createHoldfast with a factory': () => createHoldfast({ driver: sqlite as never }),
    'sqlite without options': () => sqlite(undefined as never),
    'defineWorkflow with an unknown option': () => defineWorkflow({ name: 'a', retries: 3 } as never, async () => 1),
    'defineWorkflow with a name first': () => defineWorkflow('a' as never, async () => 1),
    'run with a driver': () => run(memory() as never, order, { runId: 'r' }),
    'run with an unknown option': () => run(holdfast, order, { runId: 'r', maxwait: 0 } as never),
    'run with no lease': () => run(holdfast, order, { runId: 'r', lease: 0 }),
    'run with an empty id': () => run(holdfast, order, { runId: '' }),
    'start without a workflow': () => start(holdfast, undefined as never),
    'start with an unknown option': () => start(holdfast, order, { runid: 'r' } as never),
    'work without a signal': () => work(holdfast, [order], {} as never),
    'work with an unknown option': () => work(holdfast, [order], { signal, poll: 1 } as never),
    'drain with an unknown option': () => drain(holdfast, [order], { most: 1 } as never),
    'replay without events': () => replay(order, { runId: 'r' } as never),
  }
  test.each(Object.entries(calls))('%s', async (_, call) => {
    await expect((async () => call())()).rejects.toMatchObject(wrong)
    expect((await holdfast.workflows.listRuns()).items).toEqual([])
  })

  const inside: Record<string, (ctx: Context, effect: () => void) => Promise<unknown>> = {
    'a compensation that is no function': (ctx, effect) => ctx.step('a', effect, { compensate: 'undo' as never }),
    'an unknown option of a step': (ctx, effect) => ctx.step('a', effect, { retries: 5 } as never),
    'a time as the options of a message': (ctx) => ctx.message('a', 50 as never),
    'a child that is no workflow': (ctx) => ctx.start(undefined as never, {}),
    'an unknown option of a child': (ctx) => ctx.start(order, { detach: true } as never),
  }
  test.each(Object.entries(inside))('of the context: %s', async (_, call) => {
    const store = createHoldfast({ driver: memory() })
    const { done } = deeds()
    let caught: unknown
    await go(store, async (ctx) => {
      await call(ctx, () => void done.push('effect')).catch((error: unknown) => (caught = error))
    })
    expect(caught).toMatchObject(wrong)
    expect(done).toEqual([])
  })

  test('a child without options is started', async () => {
    const store = createHoldfast({ driver: memory() })
    await start(
      store,
      defineWorkflow({ name: 'parent' }, (ctx) => ctx.start(order, undefined as never)),
      { runId: 'p' },
    )
    await drain(store, [order, defineWorkflow({ name: 'parent' }, async (ctx) => void (await ctx.start(order, {})))])
    expect((await store.workflows.listRuns({ workflow: 'order' })).items).toMatchObject([{ status: 'completed' }])
  })

  test('a call of the context inside a step is not tried again', async () => {
    const { done } = deeds()
    const outcome = await go(createHoldfast({ driver: memory() }), (ctx) =>
      ctx.step('outer', async () => {
        done.push('outer')
        await ctx.step('inner', () => 1)
      }),
    )
    expect(outcome.status).toBe('failed')
    expect(done).toEqual(['outer'])
  })

  test.each<[string, (ctx: Context) => unknown]>([
    ['a random number', (ctx) => ctx.random()],
    ['a uuid', (ctx) => ctx.uuid()],
  ])('%s is refused inside a step: a step that is repeated would get that of another', async (_, draw) => {
    const outcome = await go(createHoldfast({ driver: memory() }), (ctx) => ctx.step('outer', () => draw(ctx)))
    expect(outcome).toMatchObject({ status: 'failed', error: expect.stringContaining('inside step "outer"') })
  })

  test('a schema that throws fails the start of a child, once', async () => {
    const input = {
      '~standard': {
        version: 1,
        vendor: 'test',
        validate(): never {
          throw new TypeError('no such table')
        },
      },
    } as const
    const child = defineWorkflow({ name: 'child', input }, async () => {})
    const outcome = await go(createHoldfast({ driver: memory() }), (ctx) => ctx.start(child, { input: 1 }))
    expect(outcome).toMatchObject({ status: 'failed', error: expect.stringContaining('no such table') })
  })
})

describe.each(engines)('over $name', (engine) => {
  test('a process that dies while a retry waits uses up no attempt', () =>
    on(engine, async ({ begin }) => {
      const attempts: number[] = []
      const failing = async (ctx: Context): Promise<void> => {
        await ctx.step(
          'a',
          ({ attempt }) => {
            attempts.push(attempt)
            throw new Error('no')
          },
          { retry: { maxAttempts: 3, initialDelay: 300, factor: 1 } },
        )
      }
      // It dies as soon as the first attempt is recorded.
      await go(await begin(dyingAfter(3)), failing, { maxWait: '1 h' }).catch(() => {})
      expect(attempts).toEqual([1])
      const outcome = await go(await begin(), failing, { maxWait: '1 h' })
      expect(outcome.status).toBe('failed')
      expect(attempts).toEqual([1, 2, 3])
    }))

  test('drain counts the runs that were put aside and go on', () =>
    on(engine, async ({ begin }) => {
      const make = (name: string) =>
        defineWorkflow({ name: 'order' }, async (ctx) => {
          await ctx.step(name, () => 1)
          await ctx.message('go', { timeout: '1 h' })
        })
      const holdfast = await begin()
      const handle = await start(holdfast, make('a'), { runId: RUN })
      await drain(holdfast, [make('a')])
      await handle.send('go', undefined)
      await drain(await begin(), [make('b')], { grace: 20, onError: () => {} })
      expect((await holdfast.workflows.getRun(RUN))?.aside?.code).toBe('NON_DETERMINISTIC')
      expect(await drain(await begin(), [make('a')])).toBe(1)
      expect((await holdfast.workflows.getRun(RUN))?.status).toBe('completed')
    }))
})
