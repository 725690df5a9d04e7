import { describe, expect, test } from 'vitest'
import { type Context, StepError, type Workflow } from '../../src/runner/index.ts'
import { spyOn } from '../../src/testing/spy.ts'
import { engines } from '../support/engines.ts'
import { RUN, deeds, go, latch, logOf, on, pause } from './setting.ts'

describe.each(engines)('the steps of a run over $name', (engine) => {
  // RV-12, SY-91: a run leaves its steps and its end in the log.
  test('are recorded, and the run is completed with its result', () =>
    on(engine, async ({ begin }) => {
      const holdfast = await begin()
      const outcome = await go<string, { cents: number }>(
        holdfast,
        async (ctx) => {
          const charge = await ctx.step('charge', () => ctx.input.cents)
          return ctx.step('ship', async () => `${charge} shipped for ${ctx.runId}`)
        },
        { input: { cents: 42 } },
      )
      expect(outcome).toEqual({ status: 'completed', result: `42 shipped for ${RUN}` })
      expect(await logOf(holdfast)).toEqual(['step.completed charge', 'step.completed ship', 'run.completed'])
      expect((await holdfast.workflows.getRun(RUN))?.status).toBe('completed')
      expect(await holdfast.claims.getClaim(RUN)).toBeUndefined()
    }))

  // SY-86, row 4 of the failures: what was done is not done again, and what follows is given its result.
  test('are done once, and their results come from the log after a crash', () =>
    on(engine, async ({ begin }) => {
      const { done, count } = deeds()
      const workflow: Workflow<string> = async (ctx) => {
        const a = await ctx.step('a', () => (done.push('a'), { n: 1n, at: new Date(5) }))
        const b = await ctx.step('b', () => (done.push('b'), [a.n + 1n, a.at.getTime()]))
        return ctx.step('c', () => (done.push('c'), b.join()))
      }
      const first = await begin((driver) => {
        let commits = 0
        return {
          ...driver,
          async commit(request, options) {
            // The start, the claim, two steps, and the process is gone.
            if (++commits > 4) throw new Error('The process is gone')
            return driver.commit(request, options)
          },
        }
      })
      await expect(go(first, workflow)).rejects.toMatchObject({ code: 'BACKEND' })
      expect(await go(await begin(), workflow)).toEqual({ status: 'completed', result: '2,5' })
      expect([count('a'), count('b')]).toEqual([1, 1])
      expect(count('c')).toBeLessThan(3)
    }))

  test('cost one request each', () =>
    on(engine, async ({ begin }) => {
      let requests = (): number => 0
      const holdfast = await begin((driver) => {
        const spy = spyOn(driver)
        requests = () => spy.commits.length + spy.reads.length
        return spy.driver
      })
      const costs: number[] = []
      await go(holdfast, async (ctx) => {
        for (let i = 0; i < 5; i++) {
          const before = requests()
          await ctx.step('again', () => i)
          costs.push(requests() - before)
        }
      })
      expect(costs).toEqual([1, 1, 1, 1, 1])
    }))

  // Row 15 of the failures.
  test('return values of every kind, the same from the log', () =>
    on(engine, async ({ begin }) => {
      const values = [
        undefined,
        null,
        false,
        0,
        -0,
        Number.NaN,
        '',
        'text',
        2n ** 70n,
        new Date(1),
        new Uint8Array([1, 2, 3]),
        [1, [2]],
        [],
        {},
        { a: { b: undefined } },
        new Map([['k', new Set([1])]]),
      ]
      const workflow: Workflow<unknown[]> = async (ctx) => {
        const results: unknown[] = []
        for (const value of values) results.push(await ctx.step('value', () => value))
        await ctx.message('go')
        return results
      }
      const first = await begin()
      expect((await go(first, workflow)).status).toBe('waiting')
      await first.signals.sendMessage(RUN, 'go', undefined)
      expect(await go(await begin(), workflow)).toEqual({ status: 'completed', result: values })
    }))

  // Issue 15, 4: endless repetition.
  test.each([
    ['a response', () => new Response('x')],
    ['a URL', () => new URL('https://example.org')],
    ['an error', () => new Error('x')],
    ['a function', () => () => 1],
    ['what is too large', () => 'x'.repeat(50_000)],
  ])('whose result cannot be stored have failed, once and for all: %s', (_, make) =>
    on(engine, async ({ begin }) => {
      const holdfast = await begin((driver) => {
        const { limits, ...capabilities } = driver.capabilities
        return { ...driver, capabilities: { ...capabilities, limits: { ...limits, valueBytes: 40_000 } } }
      })
      const { done } = deeds()
      const caught: unknown[] = []
      const workflow: Workflow<string> = async (ctx) => {
        await ctx.step('charge', () => (done.push('charge'), 1), { compensate: () => done.push('refund') })
        await ctx
          .step('odd', (): unknown => (done.push('odd'), make()), { retry: { maxAttempts: 5, initialDelay: 0 } })
          .catch((error: unknown) => void caught.push(error))
        await ctx.step('again', (): unknown => make())
        return 'never'
      }
      expect(await go(holdfast, workflow)).toMatchObject({ status: 'compensated' })
      expect(done).toEqual(['charge', 'odd', 'refund'])
      expect(caught).toMatchObject([{ name: 'StepError', stepId: 'odd', code: expect.any(String) }])
      expect(await holdfast.workflows.getStep(RUN, 'odd')).toMatchObject({ status: 'failed', attempts: 1 })
    }),
  )

  test('that cannot be undone for such a result leave the run failed, and its own result fails the run', () =>
    on(engine, async ({ begin }) => {
      const holdfast = await begin()
      const { done } = deeds()
      const workflow: Workflow = async (ctx) => {
        await ctx.step('a', () => 1, { compensate: () => (done.push('undo'), new URL('https://example.org')) })
        return () => 'no value'
      }
      expect(await go(holdfast, workflow)).toMatchObject({ status: 'failed' })
      expect(done).toEqual(['undo'])
      expect(await logOf(holdfast)).toEqual(['step.completed a', 'run.undoing', 'step.failed a#undo', 'run.failed'])
    }))

  // SY-98: the steps of a loop are told apart.
  test('are told apart where they have the same name, whatever names there are', () =>
    on(engine, async ({ begin }) => {
      const names = ['a#2', 'a', 'a', 'a', 'a#2', 'sleep', 'message go', 'undo a']
      const workflow: Workflow<string[]> = async (ctx) => {
        const results: string[] = []
        for (const [i, name] of names.entries()) {
          results.push(await ctx.step(name, () => `${name} ${i}`, { compensate: () => {} }))
        }
        await ctx.sleep(0)
        await ctx.message('go')
        return results
      }
      const first = await begin()
      expect((await go(first, workflow)).status).toBe('waiting')
      expect((await logOf(first)).slice(0, 8)).toEqual(
        ['a#2#1', 'a', 'a#2', 'a#3', 'a#2#2', 'sleep', 'message go', 'undo a'].map((id) => `step.completed ${id}`),
      )
      await first.signals.sendMessage(RUN, 'go', undefined)
      const result = names.map((name, i) => `${name} ${i}`)
      expect(await go(await begin(), workflow)).toEqual({ status: 'completed', result })
    }))

  test.each(['', 'x'.repeat(201), undefined as unknown as string])('refuse the name %j', (name) =>
    on(engine, async ({ begin }) => {
      const holdfast = await begin()
      for (const call of [
        (ctx: Context) => ctx.step(name, () => 1),
        (ctx: Context) => ctx.message(name),
        async (ctx: Context) => ctx.patch(name),
      ]) {
        await holdfast.workflows.deleteRun(RUN)
        const codes: unknown[] = []
        const workflow: Workflow = (ctx) => call(ctx).catch((error: { code: unknown }) => codes.push(error.code))
        expect(await go(holdfast, workflow)).toMatchObject({ status: 'completed' })
        expect(codes).toEqual(['INVALID_ARGUMENT'])
        expect(await logOf(holdfast)).toEqual(['run.completed'])
      }
    }),
  )

  // SY-90, SY-92: branches side by side, in two stages.
  test('side by side are all recorded, and share requests', () =>
    on(engine, async ({ begin }) => {
      const { done } = deeds()
      let commits = 0
      const holdfast = await begin((driver) => ({
        ...driver,
        commit: (request, options) => (commits++, driver.commit(request, options)),
      }))
      const workflow: Workflow<number> = async (ctx) => {
        const fan = (name: string, n: number) =>
          Promise.all(Array.from({ length: n }, (_, i) => ctx.step(`${name} ${i}`, () => (done.push(name), i))))
        const before = commits
        const first = await fan('first', 64)
        if (before > 0) expect(commits - before).toBeLessThan(8)
        const second = await fan('second', 2)
        await ctx.message('go')
        return [...first, ...second].reduce((a, b) => a + b)
      }
      expect((await go(holdfast, workflow)).status).toBe('waiting')
      await holdfast.signals.sendMessage(RUN, 'go', undefined)
      commits = -1e6
      expect(await go(await begin(), workflow)).toEqual({ status: 'completed', result: 63 * 32 + 1 })
      expect(done).toHaveLength(66)
      expect(new Set(await logOf(holdfast)).size).toBe(66 + 3)
    }))

  // SY-90: what a branch has finished is kept where another one has the run wait.
  test('that are under way where the workflow waits go on, and the run waits for what is left', () =>
    on(engine, async ({ begin }) => {
      const { done, count } = deeds()
      const { wait, open } = latch()
      const workflow: Workflow = async (ctx) => {
        const slow = ctx.step('slow', async () => (done.push('slow'), wait)).then(() => ctx.step('next', () => 1))
        await ctx.message('go')
        await slow
      }
      const holdfast = await begin()
      const outcome = go(holdfast, workflow)
      setTimeout(open, 20)
      expect((await outcome).status).toBe('waiting')
      expect(await logOf(holdfast)).toEqual(['message.awaited go', 'step.completed slow', 'step.completed next'])
      await holdfast.signals.sendMessage(RUN, 'go', undefined)
      expect((await go(await begin(), workflow)).status).toBe('completed')
      expect(count('slow')).toBe(1)
    }))
})

describe.each(engines)('failures over $name', (engine) => {
  // SY-97: retried until it succeeds; no state where the first attempt does.
  test('of a step are followed by further attempts with the same idempotency key', () =>
    on(engine, async ({ begin }) => {
      const seen: unknown[] = []
      const holdfast = await begin()
      const outcome = await go(holdfast, async (ctx) => {
        await ctx.step('calm', () => 1)
        return ctx.step('shaky', ({ attempt, idempotencyKey }) => {
          seen.push([attempt, idempotencyKey])
          if (attempt < 3) throw new Error(`no ${attempt}`)
          return 'yes'
        })
      })
      expect(outcome).toEqual({ status: 'completed', result: 'yes' })
      expect(seen).toEqual([1, 2, 3].map((attempt) => [attempt, expect.stringMatching(/:shaky$/)]))
      expect(new Set(seen.map((it) => (it as unknown[])[1])).size).toBe(1)
      expect(await logOf(holdfast)).toEqual([
        'step.completed calm',
        'step.retried shaky',
        'step.retried shaky',
        'step.completed shaky',
        'run.completed',
      ])
    }))

  // SY-97, row 35 of the failures: attempts are counted over restarts.
  test('of a step are counted over restarts, and the last one fails the run', () =>
    on(engine, async ({ begin }) => {
      const attempts: number[] = []
      const workflow: Workflow = (ctx) =>
        ctx.step(
          'shaky',
          ({ attempt }) => {
            attempts.push(attempt)
            throw new Error(`no ${attempt}`)
          },
          { retry: { maxAttempts: 3, initialDelay: 600, factor: 1 } },
        )
      for (let i = 1; i <= 2; i++) {
        const holdfast = await begin()
        const outcome = await go(holdfast, workflow)
        const found = await holdfast.workflows.getRun(RUN)
        expect(found).toMatchObject({
          status: 'waiting',
          position: { kind: 'wait', next: 'work' },
          failure: { attempt: i },
        })
        const { wakeAt } = found!.position as { wakeAt: number }
        expect(outcome).toEqual({ status: 'waiting', until: wakeAt })
        expect(await holdfast.timers.nextDue()).toBe(wakeAt)
        // Too early, it waits on.
        expect(await go(await begin(), workflow)).toEqual(outcome)
        expect(attempts).toHaveLength(i)
        while (Date.now() <= wakeAt) await new Promise((resolve) => setTimeout(resolve, 5))
      }
      const holdfast = await begin()
      expect(await go(holdfast, workflow)).toEqual({ status: 'failed', error: 'no 3' })
      expect(attempts).toEqual([1, 2, 3])
      expect(await go(await begin(), workflow)).toEqual({ status: 'failed', error: 'no 3' })
      expect(attempts).toHaveLength(3)
    }))

  test('of a step are waited out in the process where that is short enough', () =>
    on(engine, async ({ begin }) => {
      const at: number[] = []
      const workflow: Workflow<number> = (ctx) =>
        ctx.step('shaky', ({ attempt }) => {
          at.push(performance.now())
          if (attempt === 1) throw 'text'
          return attempt
        })
      const retry = { maxAttempts: 2, initialDelay: 30 }
      expect(await go(await begin(), workflow, { retry, maxWait: 1000 })).toEqual({ status: 'completed', result: 2 })
      expect(at[1]! - at[0]!).toBeGreaterThan(25)
    }))

  test('of a step can be caught by the workflow', () =>
    on(engine, async ({ begin }) => {
      const caught: unknown[] = []
      const cause = new Error('no')
      const workflow: Workflow<string> = async (ctx) => {
        try {
          await ctx.step('never', () => Promise.reject(cause), { retry: { maxAttempts: 1 } })
        } catch (error) {
          caught.push(error)
        }
        await ctx.message('go')
        return 'otherwise'
      }
      const holdfast = await begin()
      expect((await go(holdfast, workflow)).status).toBe('waiting')
      await holdfast.signals.sendMessage(RUN, 'go', undefined)
      expect(await go(await begin(), workflow)).toEqual({ status: 'completed', result: 'otherwise' })
      expect(caught).toEqual([expect.any(StepError), expect.any(StepError)])
      const said = (error: unknown): unknown => JSON.parse(JSON.stringify(error))
      expect(caught[0]).toMatchObject({ stepId: 'never', message: 'no', error: { name: 'Error', message: 'no' } })
      // What was thrown itself is of the first run alone.
      expect((caught[0] as Error).cause).toBeUndefined()
      expect(said(caught[1])).toEqual(said(caught[0]))
    }))

  // RV-13, SY-91.
  test.each([
    [new Error('broken'), 'broken'],
    ['text', 'text'],
  ])('of the workflow itself fail the run: %s', (thrown, error) =>
    on(engine, async ({ begin }) => {
      const holdfast = await begin()
      const workflow: Workflow = async (ctx) => {
        await ctx.step('a', () => 1)
        throw thrown
      }
      expect(await go(holdfast, workflow)).toEqual({ status: 'failed', error })
      expect(await logOf(holdfast)).toEqual(['step.completed a', 'run.failed'])
      const found = await holdfast.workflows.getRun(RUN)
      expect(found).toMatchObject({ status: 'failed', completion: 'failed' })
    }),
  )

  test('of the backend are thrown past the workflow, and the run stays', () =>
    on(engine, async ({ begin }) => {
      let isBroken = false
      const holdfast = await begin((driver) => ({
        ...driver,
        commit: (request, options) =>
          isBroken ? Promise.reject(new Error('no disk')) : driver.commit(request, options),
      }))
      const caught: unknown[] = []
      const workflow: Workflow = async (ctx) => {
        isBroken = ctx.input === undefined
        try {
          await ctx.step('a', () => 1)
        } catch (error) {
          caught.push(error)
        } finally {
          caught.push('finally')
        }
        return 'done'
      }
      await expect(go(holdfast, workflow)).rejects.toMatchObject({ code: 'BACKEND' })
      expect(caught).toEqual([])
      expect(await (await begin()).workflows.getRun(RUN)).toMatchObject({ status: 'running' })
    }))
})

describe.each(engines)('a run that has ended over $name', (engine) => {
  // SY-85: its outcome is given without executing.
  test.each(['completed', 'failed', 'cancelled', 'compensated'] as const)('as %s is not run again', (status) =>
    on(engine, async ({ begin }) => {
      let calls = 0
      const workflow: Workflow<string> = async (ctx) => {
        calls++
        if (status === 'compensated') await ctx.step('a', () => 1, { compensate: () => {} })
        if (status === 'failed' || status === 'compensated') throw new Error('broken')
        await ctx.step('b', () => 2)
        return 'result'
      }
      const holdfast = await begin()
      if (status === 'cancelled') {
        await holdfast.workflows.createRun({ runId: RUN, workflow: 'order' })
        await holdfast.signals.storeSignal(RUN, 'cancel')
      }
      const outcome = await go(holdfast, workflow)
      expect(outcome.status).toBe(status)
      const log = await logOf(holdfast)
      expect(await go(holdfast, workflow)).toEqual(outcome)
      expect(await go(await begin(), workflow)).toEqual(outcome)
      expect(calls).toBe(1)
      expect(await logOf(holdfast)).toEqual(log)
    }),
  )

  test('by other means has an outcome, too', () =>
    on(engine, async ({ begin }) => {
      const holdfast = await begin()
      const workflow: Workflow = async () => 'never'
      for (const status of ['completed', 'failed', 'compensated'] as const) {
        await holdfast.workflows.createRun({ runId: status, workflow: 'order', status })
        const expected = status === 'completed' ? { status } : { status, error: `The run has ${status}` }
        expect(await go(holdfast, workflow, { runId: status })).toEqual(expected)
      }
    }))

  // SY-94, RV-20.
  test('or goes on is refused to another definition, and to another workflow', () =>
    on(engine, async ({ begin }) => {
      const holdfast = await begin()
      const workflow: Workflow = (ctx) => ctx.message('go')
      const definition = { definitionVersion: '1', definitionHash: 'abc' }
      expect((await go(holdfast, workflow, definition)).status).toBe('waiting')
      for (const other of [{ definitionVersion: '2' }, { definitionHash: 'abd' }]) {
        await expect(go(await begin(), workflow, { ...definition, ...other })).rejects.toMatchObject({
          code: 'DEFINITION_MISMATCH',
        })
      }
      await expect(go(holdfast, workflow, { workflow: 'other' })).rejects.toMatchObject({ code: 'WORKFLOW_MISMATCH' })
      expect((await go(await begin(), workflow, definition)).status).toBe('waiting')
      expect((await go(await begin(), workflow)).status).toBe('waiting')
    }))

  test('have all the time of a timeout that is longer than any timer', () =>
    on(engine, async ({ begin }) => {
      const workflow: Workflow = (ctx) =>
        ctx.step('a', () => pause(20).then(() => 'done'), { timeout: '30 days', retry: { maxAttempts: 1 } })
      expect(await go(await begin(), workflow)).toEqual({ status: 'completed', result: 'done' })
    }))

  // SY-95: the input is that of the first call.
  test('keeps its first input', () =>
    on(engine, async ({ begin }) => {
      const workflow: Workflow = async (ctx) => [ctx.input, await ctx.message('go', { timeout: 0 })]
      const holdfast = await begin()
      await holdfast.workflows.createRun({ runId: RUN, workflow: 'order', input: 'first' })
      expect(await go(holdfast, workflow, { input: 'second' })).toEqual({
        status: 'completed',
        result: ['first', undefined],
      })
    }))

  // DI-6: what distri's graph of steps says, an async function says: what waits for what, and what is left out.
  test('wait for each other as the code does; an empty workflow is complete', () =>
    on(engine, async ({ begin }) => {
      const { done } = deeds()
      const workflow: Workflow<string[]> = async (ctx) => {
        const step = (name: string) => ctx.step(name, () => (done.push(name), name))
        const ab = await Promise.all([step('a'), step('b')])
        if (ab.includes('c')) await step('skipped')
        return [...ab, await step('c')]
      }
      expect(await go(await begin(), workflow)).toEqual({ status: 'completed', result: ['a', 'b', 'c'] })
      expect([done.slice(0, 2).toSorted(), done.slice(2)]).toEqual([['a', 'b'], ['c']])
      const empty = await go(await begin(), async () => {}, { runId: 'empty', workflow: 'empty' })
      expect(empty).toEqual({ status: 'completed', result: undefined })
    }))
})
