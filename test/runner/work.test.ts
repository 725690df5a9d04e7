import { describe, expect, test } from 'vitest'
import type { Holdfast } from '../../src/holdfast.ts'
import { type AnyWorkflow, type Workflow, type WorkOptions, start, work } from '../../src/runner/index.ts'
import type { RunStatus } from '../../src/runs/status.ts'
import { engines } from '../support/engines.ts'
import { type Setting, RUN, deeds, go, latch, logOf, named, on, pause, until } from './setting.ts'

/** Has a run wait to be taken up. */
const submit = (holdfast: Holdfast, runId: string, input?: unknown, workflow = 'order'): Promise<unknown> =>
  start(
    holdfast,
    named(async () => {}, workflow),
    { runId, input },
  )

const statusOf = async ({ workflows }: Holdfast, runId: string): Promise<RunStatus | undefined> =>
  (await workflows.getRun(runId))?.status

/** The names of the messages that a run waits for. */
async function waitsFor({ workflows }: Holdfast, runId: string): Promise<readonly string[]> {
  const position = (await workflows.getRun(runId))?.position
  return (position?.kind === 'wait' && position.names) || []
}

/** A worker, in a process of its own, until the play is over. */
async function worker(
  { begin }: Setting,
  play: (holdfast: Holdfast) => Promise<void>,
  {
    order,
    workflows = [named(order!)],
    ...options
  }: Omit<WorkOptions, 'signal'> & {
    readonly order?: Workflow<unknown, never>
    readonly workflows?: readonly AnyWorkflow[]
  },
): Promise<void> {
  const stop = new AbortController()
  const holdfast = await begin()
  const ended = work(holdfast, workflows, {
    pollInterval: 10,
    lease: 2000,
    signal: stop.signal,
    onError: () => {},
    ...options,
  })
  try {
    await play(holdfast)
  } finally {
    stop.abort()
    await ended
  }
}

describe.each(engines)('a worker over $name', (engine) => {
  // Each of 16 lanes looked for itself and was offered the same run: 15 of 16 claims were lost, and 20 commits made for a run.
  test('makes five commits for a run of three steps and one to learn of it, also when it takes many at once', () =>
    on(engine, async (setting) => {
      const holdfast = await setting.begin()
      const runIds = Array.from({ length: 40 }, (_, i) => `r${i}`)
      for (const runId of runIds) await submit(holdfast, runId)
      let commits = 0
      const counting: Setting = {
        ...setting,
        begin: () =>
          setting.begin((driver) => ({
            ...driver,
            commit(request, options) {
              commits += request.commits.length
              return driver.commit(request, options)
            },
          })),
      }
      const order: Workflow<number> = async (ctx) => {
        for (const name of ['a', 'b', 'c']) await ctx.step(name, () => pause(1))
        return 1
      }
      const play = () =>
        until(async () =>
          (await Promise.all(runIds.map((id) => statusOf(holdfast, id)))).every((it) => it === 'completed'),
        )
      await worker(counting, play, { order, concurrency: 16 })
      expect(commits).toBeGreaterThanOrEqual(5 * runIds.length)
      expect(commits).toBeLessThan(7 * runIds.length)
    }))

  // SY-96: submitted by one, executed by another.
  test('takes up runs that are ready, and leaves alone what it does not know', () =>
    on(engine, async (setting) => {
      const holdfast = await setting.begin()
      await submit(holdfast, 'strange', 0, 'unknown')
      for (let i = 0; i < 4; i++) await submit(holdfast, `run ${i}`, i)
      const order: Workflow<number, number> = (ctx) => ctx.step('double', () => ctx.input * 2)
      await worker(
        setting,
        async () => {
          for (let i = 0; i < 4; i++) await until(async () => (await statusOf(holdfast, `run ${i}`)) === 'completed')
          for (let i = 0; i < 4; i++) {
            expect(await go(holdfast, order, { runId: `run ${i}` })).toEqual({ status: 'completed', result: i * 2 })
          }
        },
        { order },
      )
      expect(await holdfast.claims.findAvailableTasks({ workerId: 'w' })).toMatchObject([{ runId: 'strange' }])
      expect(await logOf(holdfast, 'strange')).toEqual([])
    }))

  // Row 35 of the failures: what is said to run and is run by nobody is found; row 31: what is run by somebody is not.
  test('takes over runs whose process has died, when their claim is over', () =>
    on(engine, async (setting) => {
      const { done, count } = deeds()
      let isDead = false
      const dying = await setting.begin((driver) => ({
        ...driver,
        commit: (request, options) =>
          isDead ? Promise.reject(new Error('The process is gone')) : driver.commit(request, options),
      }))
      const order: Workflow = async (ctx) => {
        await ctx.step('a', () => done.push('a'))
        await ctx.step('b', () => {
          isDead = count('b') === 0
          done.push('b')
        })
      }
      await expect(go(dying, order, { runId: 'lost', lease: 150 })).rejects.toMatchObject({ code: 'BACKEND' })
      await worker(
        setting,
        async (holdfast) => {
          await pause(60)
          expect(await statusOf(holdfast, 'lost')).toBe('running')
          expect(done).toEqual(['a', 'b'])
          await until(async () => (await statusOf(holdfast, 'lost')) === 'completed')
          expect(done).toEqual(['a', 'b', 'b'])
        },
        { order },
      )
    }))

  // SY-89, SY-93, SY-97, SY-100: sleeps that are over, messages that have come, steps to be tried again.
  test('goes on with runs that wait, when it is time', () =>
    on(engine, async (setting) => {
      const at: Record<string, number> = {}
      const order: Workflow = async (ctx) => {
        await ctx.step('a', () => (at['a'] = performance.now()))
        await ctx.sleep(40)
        await ctx.step('b', () => (at['b'] = performance.now()))
        const paid = await ctx.message('paid')
        const late = await ctx.message('paid', { timeout: 20 })
        await ctx.step(
          'shaky',
          ({ attempt }) => {
            at[`shaky ${attempt}`] = performance.now()
            if (attempt === 1) throw new Error('no')
          },
          { retry: { maxAttempts: 2, initialDelay: 30 } },
        )
        return [paid, late]
      }
      await worker(
        setting,
        async (holdfast) => {
          await submit(holdfast, RUN)
          await until(async () => (await waitsFor(holdfast, RUN)).includes('paid'))
          const sent = performance.now()
          await holdfast.signals.sendMessage(RUN, 'paid', 42)
          await until(async () => (await statusOf(holdfast, RUN)) === 'completed')
          expect(await go(holdfast, order)).toEqual({ status: 'completed', result: [42, undefined] })
          const { a, b, 'shaky 1': first, 'shaky 2': second } = at as Record<'a' | 'b' | 'shaky 1' | 'shaky 2', number>
          expect(b - a).toBeGreaterThanOrEqual(38)
          // Row 34 of the failures: nothing waits much longer than it has to.
          expect(b - a).toBeLessThan(1000)
          expect(first - sent).toBeLessThan(1000)
          expect(second - first).toBeGreaterThanOrEqual(28)
          expect(second - first).toBeLessThan(1000)
        },
        { order },
      )
    }))

  // Signalled runs that nobody works on are offered, and undone before they end, however late the worker comes.
  test('stops runs that were asked to while nobody worked on them', () =>
    on(engine, async (setting) => {
      const { done } = deeds()
      const order: Workflow = async (ctx) => {
        await ctx.step('a', () => 1, { compensate: () => done.push('undo') })
        await ctx.sleep(10)
        await ctx.message('never')
      }
      const holdfast = await setting.begin()
      for (const runId of ['cancel', 'pause'] as const) {
        expect((await go(holdfast, order, { runId })).status).toBe('waiting')
        await holdfast.signals.storeSignal(runId, runId)
      }
      await pause(20)
      await worker(
        setting,
        async () => {
          await until(async () => (await statusOf(holdfast, 'cancel')) === 'compensated')
          await until(async () => (await statusOf(holdfast, 'pause')) === 'paused')
          expect(done).toEqual(['undo'])
          await holdfast.signals.unpause('pause')
          await until(async () => (await waitsFor(holdfast, 'pause')).includes('never'))
        },
        { order },
      )
    }))

  // SY-99: each with the right output, none twice.
  test('and another one finish six runs without doing anything twice', () =>
    on(engine, async (setting) => {
      const { done } = deeds()
      const order: Workflow<string, number> = async (ctx) => {
        const a = await ctx.step('a', async () => (done.push(`a ${ctx.runId}`), pause(2), ctx.input + 1))
        await ctx.sleep(5)
        return ctx.step('b', () => (done.push(`b ${ctx.runId}`), `${a} of ${ctx.runId}`))
      }
      const holdfast = await setting.begin()
      const ids = Array.from({ length: 6 }, (_, i) => `run ${i}`)
      for (const [i, runId] of ids.entries()) await submit(holdfast, runId, i)
      const options = { order, concurrency: 2 }
      const finish = async (): Promise<void> => {
        for (const runId of ids) await until(async () => (await statusOf(holdfast, runId)) === 'completed')
      }
      await Promise.all([worker(setting, finish, options), worker(setting, finish, options)])
      for (const [i, runId] of ids.entries()) {
        expect(await go(holdfast, order, { runId })).toEqual({ status: 'completed', result: `${i + 1} of ${runId}` })
      }
      expect(done.toSorted()).toEqual([...ids.map((id) => `a ${id}`), ...ids.map((id) => `b ${id}`)])
    }))

  test('works on as many runs at a time as it is told', () =>
    on(engine, async (setting) => {
      let now = 0
      let most = 0
      const order: Workflow = (ctx) =>
        ctx.step('a', async () => {
          most = Math.max(most, ++now)
          await pause(30)
          now--
        })
      const holdfast = await setting.begin()
      const ids = Array.from({ length: 9 }, (_, i) => `run ${i}`)
      for (const runId of ids) await submit(holdfast, runId)
      const finish = async (): Promise<void> => {
        for (const runId of ids) await until(async () => (await statusOf(holdfast, runId)) === 'completed')
      }
      await worker(setting, finish, { order, concurrency: 3 })
      expect(most).toBe(3)
    }))

  // Row 35 of the failures: what cannot be run does not keep the others from being run.
  test('tells what goes wrong, and goes on with the others', () =>
    on(engine, async (setting) => {
      const holdfast = await setting.begin()
      const told: [unknown, string | undefined][] = []
      await submit(holdfast, 'bad')
      await pause(3)
      await submit(holdfast, 'good')
      const order: Workflow = async (ctx) => {
        if (ctx.runId === 'bad') await holdfast.claims.forceReleaseClaim('bad')
        return ctx.step('a', () => 1)
      }
      await worker(
        setting,
        async () => {
          await until(async () => (await statusOf(holdfast, 'good')) === 'completed')
          await until(() => told.length > 1)
          expect(await statusOf(holdfast, 'bad')).toBe('running')
        },
        { order, onError: (error, runId) => told.push([(error as { code: unknown }).code, runId]) },
      )
      for (const it of told) expect(it).toEqual(['CLAIM_LOST', 'bad'])
      expect(told.length).toBeLessThan(20)
    }))

  test('ends when it is told, and leaves what is under way to others', () =>
    on(engine, async (setting) => {
      const { done } = deeds()
      const { wait, open } = latch()
      const order: Workflow = async (ctx) => {
        await ctx.step('a', () => done.push('a'))
        await ctx.step('b', () => (done.push('b'), wait))
      }
      const errors: unknown[] = []
      await worker(
        setting,
        async (holdfast) => {
          await submit(holdfast, RUN)
          await until(() => done.length === 2)
        },
        { order, onError: (error) => errors.push(error) },
      )
      expect(errors).toEqual([])
      const holdfast = await setting.begin()
      expect(await logOf(holdfast)).toEqual(['step.completed a'])
      open()
      expect((await go(holdfast, order)).status).toBe('completed')
      expect(done).toEqual(['a', 'b', 'b'])
    }))

  test('ends before it begins where its signal is aborted', () =>
    on(engine, async ({ begin }) => {
      await work(await begin(), [], { signal: AbortSignal.abort() })
    }))

  test.each([0, 1])('ends when the database is closed, with %d runs under way', (runs) =>
    on(engine, async (setting) => {
      const { wait, open } = latch()
      const errors: unknown[] = []
      const other = await setting.begin()
      if (runs > 0) await submit(other, RUN)
      const holdfast = await setting.begin()
      let isBusy = false
      const order: Workflow = (ctx) => ctx.step('a', () => ((isBusy = true), wait))
      const ended = work(holdfast, [named(order)], {
        pollInterval: 10,
        concurrency: 2,
        signal: new AbortController().signal,
        onError: (error) => errors.push(error),
      })
      await until(() => runs === 0 || isBusy)
      await holdfast.close()
      open()
      await ended
      expect(errors).toEqual([])
    }),
  )

  test('that cannot reach the backend tries again', () =>
    on(engine, async (setting) => {
      const errors: unknown[] = []
      let failures = 3
      const holdfast = await setting.begin((driver) => ({
        ...driver,
        read: (reads, options) =>
          failures-- > 0 ? Promise.reject(new Error('no network')) : driver.read(reads, options),
      }))
      const stop = new AbortController()
      await submit(holdfast, RUN)
      const order: Workflow = async () => stop.abort()
      const onError = (_: unknown, runId: string | undefined): void => void errors.push(runId)
      await work(holdfast, [named(order)], { pollInterval: 5, signal: stop.signal, onError })
      expect(errors).toEqual([undefined, undefined, undefined])
    }))
})
