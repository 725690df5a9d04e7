import { describe, expect, test } from 'vitest'
import type { Workflow } from '../../src/runner/index.ts'
import { engines } from '../support/engines.ts'
import { RUN, deeds, go, latch, logOf, on, pause, until } from './setting.ts'

describe.each(engines)('a cancelled run over $name', (engine) => {
  const twoSteps =
    (done: string[], between = async (): Promise<void> => {}): Workflow<string> =>
    async (ctx) => {
      await ctx.step('a', () => done.push('a'))
      await between()
      await ctx.step('b', () => done.push('b'))
      return 'done'
    }

  // SY-87, RV-25: also where the request came before the first run.
  test('does nothing where that was asked before its first step', () =>
    on(engine, async ({ begin }) => {
      const { done } = deeds()
      const holdfast = await begin()
      await holdfast.workflows.createRun({ runId: RUN, workflow: 'order' })
      await holdfast.signals.storeSignal(RUN, 'cancel', { reason: 'Out of stock', requestedBy: 'ada' })
      expect(await go(await begin(), twoSteps(done))).toEqual({ status: 'cancelled' })
      expect(done).toEqual([])
      expect(await holdfast.workflows.getRun(RUN)).toMatchObject({
        status: 'cancelled',
        stopped: { reason: 'Out of stock', requestedBy: 'ada' },
      })
      expect(await go(holdfast, twoSteps(done))).toEqual({ status: 'cancelled' })
    }))

  test('stops between two steps', () =>
    on(engine, async ({ begin }) => {
      const { done } = deeds()
      const holdfast = await begin()
      const other = await begin()
      const workflow: Workflow = async (ctx) => {
        await ctx.step('a', () => other.signals.storeSignal(RUN, 'cancel'))
        await ctx.step('b', () => done.push('b'))
      }
      expect(await go(holdfast, workflow)).toEqual({ status: 'cancelled' })
      expect(done).toEqual([])
      expect(await logOf(holdfast)).toEqual(['step.completed a'])
    }))

  // RV-26, row 37 of the failures: a request of another process reaches the step that is under way.
  test('aborts the step under way, soon after another process asked for it', () =>
    on(engine, async ({ begin }) => {
      const { done } = deeds()
      const holdfast = await begin()
      const other = await begin()
      const { wait, open } = latch()
      const workflow: Workflow = async (ctx) => {
        try {
          await ctx.step('long', ({ signal }) => {
            open()
            return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)))
          })
        } catch {
          done.push('catch')
        } finally {
          done.push('finally')
        }
      }
      const outcome = go(holdfast, workflow, { lease: 1000 })
      await wait
      await other.signals.storeSignal(RUN, 'cancel')
      expect(await outcome).toEqual({ status: 'cancelled' })
      // The workflow has stayed where it was, and the step has not failed.
      expect(done).toEqual([])
      expect(await logOf(holdfast)).toEqual([])
    }))

  // SY-89, SY-87: while it sleeps or waits, in a process or in none; the steps before are undone.
  test.each([
    ['sleep', 0],
    ['sleep', 5000],
    ['message', 0],
    ['message', 5000],
    ['retry', 0],
    ['retry', 5000],
  ])('stops during a %s of a process that stays %d ms', (kind, maxWait) =>
    on(engine, async ({ begin }) => {
      const { done } = deeds()
      const workflow: Workflow = async (ctx) => {
        await ctx.step('a', () => 1, { compensate: () => done.push('undo a') })
        if (kind === 'sleep') await ctx.sleep(4000)
        else if (kind === 'message') await ctx.message('never')
        else {
          await ctx.step('shaky', () => Promise.reject(new Error('no')), {
            retry: { maxAttempts: 2, initialDelay: 4000 },
          })
        }
        done.push('on')
      }
      const holdfast = await begin()
      const outcome = go(holdfast, workflow, { maxWait })
      if (maxWait === 0) expect((await outcome).status).toBe('waiting')
      else await until(async () => (await logOf(holdfast)).length === 2)
      await holdfast.signals.storeSignal(RUN, 'cancel')
      const last = maxWait === 0 ? go(await begin(), workflow) : outcome
      expect(await last).toEqual({ status: 'compensated', error: 'The run was cancelled', cancelled: true })
      expect(done).toEqual(['undo a'])
    }),
  )

  test('goes on where the request was taken back in time', () =>
    on(engine, async ({ begin }) => {
      const { done } = deeds()
      const holdfast = await begin()
      const other = await begin()
      const between = async (): Promise<void> => {
        await other.signals.storeSignal(RUN, 'cancel')
        await other.signals.clearSignal(RUN, 'cancel')
      }
      expect((await go(holdfast, twoSteps(done, between))).status).toBe('completed')
      expect(done).toEqual(['a', 'b'])
    }))

  test('is stopped also while it is paused', () =>
    on(engine, async ({ begin }) => {
      const { done } = deeds()
      const holdfast = await begin()
      await holdfast.workflows.createRun({ runId: RUN, workflow: 'order' })
      await holdfast.signals.storeSignal(RUN, 'pause')
      expect(await go(holdfast, twoSteps(done))).toEqual({ status: 'paused' })
      await holdfast.signals.storeSignal(RUN, 'cancel')
      expect(await go(await begin(), twoSteps(done))).toEqual({ status: 'cancelled' })
      expect(done).toEqual([])
    }))
})

describe.each(engines)('a paused run over $name', (engine) => {
  // SY-88: paused, reported as such, and completed after it was let go on.
  test('does nothing until it is let go on', () =>
    on(engine, async ({ begin }) => {
      const { done } = deeds()
      const holdfast = await begin()
      const workflow: Workflow<string> = async (ctx) => {
        await ctx.step('a', async () => {
          done.push('a')
          await holdfast.signals.storeSignal(RUN, 'pause')
        })
        await ctx.step('b', () => done.push('b'))
        return 'done'
      }
      expect(await go(holdfast, workflow)).toEqual({ status: 'paused' })
      expect(await go(await begin(), workflow)).toEqual({ status: 'paused' })
      expect(await holdfast.claims.findAvailableTasks({ workerId: 'w' })).toEqual([])
      // What ended meanwhile is kept.
      expect(await logOf(holdfast)).toEqual(['step.completed a'])
      await holdfast.signals.unpause(RUN)
      expect(await holdfast.claims.findAvailableTasks({ workerId: 'w' })).toMatchObject([{ runId: RUN }])
      expect(await go(await begin(), workflow)).toEqual({ status: 'completed', result: 'done' })
      expect(done).toEqual(['a', 'b'])
    }))

  test('keeps the result of a step that ends while it is paused', () =>
    on(engine, async ({ begin }) => {
      const { done, count } = deeds()
      const holdfast = await begin()
      const other = await begin()
      const { wait, open } = latch()
      const workflow: Workflow = async (ctx) => {
        const slow = ctx.step('slow', async () => (done.push('slow'), wait))
        await ctx.step('fast', () => other.signals.storeSignal(RUN, 'pause'))
        await ctx.step('next', () => done.push('next'))
        await slow
      }
      const outcome = go(holdfast, workflow)
      await until(async () => (await other.workflows.getRun(RUN))?.status === 'paused')
      open()
      expect(await outcome).toEqual({ status: 'paused' })
      expect(await logOf(holdfast)).toEqual(['step.completed fast', 'step.completed slow'])
      expect((await holdfast.workflows.getRun(RUN))?.status).toBe('paused')
      await holdfast.signals.unpause(RUN)
      expect((await go(await begin(), workflow)).status).toBe('completed')
      expect([count('slow'), count('next')]).toEqual([1, 1])
    }))

  test('waits on where it waited', () =>
    on(engine, async ({ begin }) => {
      const holdfast = await begin()
      const workflow: Workflow = (ctx) => ctx.message('go')
      expect((await go(holdfast, workflow)).status).toBe('waiting')
      await holdfast.signals.storeSignal(RUN, 'pause')
      expect(await go(await begin(), workflow)).toEqual({ status: 'paused' })
      await holdfast.signals.sendMessage(RUN, 'go', 1)
      expect(await go(await begin(), workflow)).toEqual({ status: 'paused' })
      expect(await holdfast.signals.unpause(RUN)).toBe('running')
      expect(await go(await begin(), workflow)).toEqual({ status: 'completed', result: 1 })
    }))
})

describe.each(engines)('compensation over $name', (engine) => {
  // RV-15, RV-28: the last first, each with the result of its step.
  test('undoes the steps in reverse order', () =>
    on(engine, async ({ begin }) => {
      const undone: unknown[] = []
      const holdfast = await begin()
      const workflow: Workflow = async (ctx) => {
        for (const name of ['a', 'b', 'c']) {
          await ctx.step(name, () => `${name}!`, {
            compensate: (result, { idempotencyKey }) => undone.push([result, idempotencyKey]),
          })
        }
        await ctx.step('plain', () => 1)
        await ctx.step('never', () => Promise.reject(new Error('no')), { compensate: () => undone.push('never') })
      }
      expect(await go(holdfast, workflow)).toEqual({ status: 'compensated', error: 'no' })
      expect(undone).toEqual(['c', 'b', 'a'].map((name) => [`${name}!`, expect.stringMatching(/:.%23undo$/)]))
      expect((await logOf(holdfast)).slice(-4)).toEqual([
        ...['c', 'b', 'a'].map((name) => `step.completed ${name}#undo`),
        'run.compensated',
      ])
    }))

  // RV-18: once over restarts.
  test('goes on where it stopped after a crash', () =>
    on(engine, async ({ begin }) => {
      const { done } = deeds()
      let isBroken = false
      const workflow: Workflow = async (ctx) => {
        for (const name of ['a', 'b', 'c']) {
          await ctx.step(name, () => 1, {
            compensate: () => {
              done.push(name)
              isBroken = name === 'b' && !done.includes('a') && done.length === 2
            },
          })
        }
        throw new Error('no')
      }
      const first = await begin((driver) => ({
        ...driver,
        commit: (request, options) =>
          isBroken ? Promise.reject(new Error('The process is gone')) : driver.commit(request, options),
      }))
      await expect(go(first, workflow)).rejects.toMatchObject({ code: 'BACKEND' })
      expect(await go(await begin(), workflow)).toEqual({ status: 'compensated', error: 'no' })
      // The one under way at the crash is repeated, with its idempotency key; the one before is not.
      expect(done).toEqual(['c', 'b', 'b', 'a'])
    }))

  // RV-16.
  test('that fails leaves the run failed', () =>
    on(engine, async ({ begin }) => {
      const { done } = deeds()
      const holdfast = await begin()
      const workflow: Workflow = async (ctx) => {
        await ctx.step('a', () => 1, { compensate: () => done.push('a') })
        await ctx.step('b', () => 1, { compensate: () => Promise.reject(new Error('stuck')) })
        throw new Error('no')
      }
      expect(await go(holdfast, workflow)).toEqual({ status: 'failed', error: 'no' })
      expect(await go(await begin(), workflow)).toEqual({ status: 'failed', error: 'no' })
      expect(done).toEqual([])
      expect(await logOf(holdfast)).toContain('step.failed b#undo')
    }))

  // RV-17: fails twice, succeeds at the third attempt; also of a run that was cancelled, and where no wait is allowed.
  test.each(['failed', 'cancelled'])('of a run that %s is tried again', (how) =>
    on(engine, async ({ begin }) => {
      const attempts: number[] = []
      const holdfast = await begin()
      const workflow: Workflow = async (ctx) => {
        await ctx.step('a', () => (how === 'cancelled' ? holdfast.signals.storeSignal(RUN, 'cancel') : undefined), {
          compensate(_, { attempt, signal }) {
            expect(signal.aborted).toBe(false)
            attempts.push(attempt)
            if (attempt < 3) throw new Error('not yet')
          },
        })
        await ctx.step('b', () => Promise.reject(new Error('no')), { retry: { maxAttempts: 1 } })
      }
      const retry = { maxAttempts: 3, initialDelay: 15 }
      expect((await go(holdfast, workflow, { retry })).status).toBe('compensated')
      expect(attempts).toEqual([1, 2, 3])
    }),
  )

  // RV-27, RV-28: a cancelled run is undone; what ends at this moment, and what the log alone knows of, too.
  test('undoes all branches of a run that is cancelled', () =>
    on(engine, async ({ begin }) => {
      const { done } = deeds()
      let isCut = false
      const undo = (what: string) => (): void => {
        done.push(`undo ${what}`)
        isCut = done.length === 3
      }
      const other = await begin()
      const { wait, open } = latch()
      const workflow: Workflow = async (ctx) => {
        const branch = async (name: string, n: number, last: () => Promise<unknown>): Promise<void> => {
          for (let i = 0; i < n; i++) {
            await ctx.step(`${name}${i}`, () => 1, { compensate: undo(`${name}${i}`) })
          }
          await last()
        }
        await Promise.all([
          branch('x', 1, async () => ctx.step('wait', () => wait, { compensate: undo('wait') })),
          branch('y', 4, async () => {
            await other.signals.storeSignal(RUN, 'cancel')
            setTimeout(open, 20)
            await ctx.step('never', () => 1)
            await ctx.step('never', () => 1)
          }),
        ])
      }
      const holdfast = await begin((driver) => ({
        ...driver,
        commit: (request, options) =>
          isCut ? Promise.reject(new Error('The process is gone')) : driver.commit(request, options),
      }))
      await expect(go(holdfast, workflow, { lease: 1000 })).rejects.toMatchObject({ code: 'BACKEND' })
      const log = await logOf(await begin())
      const expected = log
        .filter((it) => /^step.completed [xyw]\w*$/.test(it))
        .map((it) => it.replace('step.completed', 'undo'))
      expect(expected).toHaveLength(6)
      expect(done).toEqual(expected.toReversed().slice(0, 3))
      const last = await go(await begin(), workflow)
      expect(last).toEqual({ status: 'compensated', error: 'The run was cancelled', cancelled: true })
      // What was under way at the crash is done again.
      expect(done.toSpliced(3, 1)).toEqual(expected.toReversed())
    }))
})

describe.each(engines)('a claim over $name', (engine) => {
  // Row 31 of the failures: the claim decides.
  test('of another process has a call do nothing', () =>
    on(engine, async ({ begin }) => {
      const { done, count } = deeds()
      const holdfast = await begin()
      const other = await begin()
      const { wait, open } = latch()
      const workflow: Workflow<number> = (ctx) => ctx.step('a', async () => (done.push('a'), wait.then(() => 7)))
      const outcome = go(holdfast, workflow)
      await until(() => count('a') === 1)
      expect(await go(other, workflow)).toEqual({ status: 'busy', by: expect.any(String), until: expect.any(Number) })
      expect(await go(holdfast, workflow)).toMatchObject({ status: 'busy' })
      open()
      expect(await outcome).toEqual({ status: 'completed', result: 7 })
      expect(count('a')).toBe(1)
    }))

  // Row 34 of the failures: signs of life keep a step that takes longer than its lease.
  test('is kept by signs of life', () =>
    on(engine, async ({ begin }) => {
      const { done } = deeds()
      const holdfast = await begin()
      const other = await begin()
      const workflow: Workflow<string> = (ctx) =>
        ctx.step('long', async () => {
          done.push('long')
          await pause(600)
          return 'done'
        })
      const outcome = go(holdfast, workflow, { lease: 400 })
      await pause(300)
      expect(await go(other, workflow)).toEqual({ status: 'busy', by: expect.any(String), until: expect.any(Number) })
      await pause(150)
      expect(await go(other, workflow)).toEqual({ status: 'busy', by: expect.any(String), until: expect.any(Number) })
      expect(await outcome).toEqual({ status: 'completed', result: 'done' })
      expect(done).toEqual(['long'])
    }))

  // Row 7 of the failures: who was overtaken writes nothing.
  test('that is lost ends the call, and nothing more is written or begun', () =>
    on(engine, async ({ begin }) => {
      const { done } = deeds()
      const holdfast = await begin()
      const other = await begin()
      let signal: AbortSignal | undefined
      const workflow: Workflow = async (ctx) => {
        await ctx.step('a', () => 1, { compensate: () => done.push('undo') })
        try {
          await ctx.step('b', async (info) => {
            ;({ signal } = info)
            await other.claims.forceReleaseClaim(RUN)
            await other.claims.claimTask({ runId: RUN, workerId: 'other' })
          })
        } catch {
          done.push('catch')
        }
        await ctx.step('c', () => done.push('c'))
      }
      await expect(go(holdfast, workflow)).rejects.toMatchObject({ code: 'CLAIM_LOST' })
      expect(signal?.aborted).toBe(true)
      expect(done).toEqual([])
      expect(await logOf(holdfast)).toEqual(['step.completed a'])
      expect(await other.claims.getClaim(RUN)).toMatchObject({ workerId: 'other' })
    }))

  test('that is lost while nothing is written is noticed by the signs of life', () =>
    on(engine, async ({ begin }) => {
      const holdfast = await begin()
      const other = await begin()
      const { wait, open } = latch()
      let reason: Promise<unknown> | undefined
      const outcome = go(
        holdfast,
        (ctx) =>
          ctx.step('a', ({ signal }) => {
            reason = new Promise((resolve) => signal.addEventListener('abort', resolve))
            open()
            return reason
          }),
        { lease: 90 },
      )
      await wait
      await other.claims.forceReleaseClaim(RUN)
      await expect(outcome).rejects.toMatchObject({ code: 'CLAIM_LOST' })
      await reason
      expect(await logOf(holdfast)).toEqual([])
    }))

  test('counts as lost when no sign of life comes through any more, and not before', () =>
    on(engine, async ({ begin }) => {
      let failures = 0
      let isBroken = false
      const holdfast = await begin((driver) => ({
        ...driver,
        commit(request, options) {
          if (!isBroken || failures === 0) return driver.commit(request, options)
          failures--
          return Promise.reject(new Error('no network'))
        },
      }))
      const workflow: Workflow<string> = (ctx) =>
        ctx.step('long', async () => {
          isBroken = true
          await pause(240)
          isBroken = false
          return 'done'
        })
      failures = 2
      expect(await go(holdfast, workflow, { lease: 120 })).toEqual({ status: 'completed', result: 'done' })
      failures = 1e9
      await expect(go(holdfast, workflow, { runId: 'other', lease: 120 })).rejects.toMatchObject({ code: 'CLAIM_LOST' })
      expect(await logOf(holdfast, 'other')).toEqual([])
    }))

  test('is given back at the end, whatever the end', () =>
    on(engine, async ({ begin }) => {
      const holdfast = await begin()
      const stop = new AbortController()
      const ends: Workflow[] = [
        async () => 'done',
        () => Promise.reject(new Error('no')),
        (ctx) => ctx.sleep(1000),
        (ctx) => ctx.message(''),
        (ctx) => ctx.step('a', () => stop.abort()),
      ]
      for (const [i, end] of ends.entries()) {
        const runId = `run ${i}`
        await go(holdfast, end, { runId, signal: stop.signal }).catch(() => {})
        expect(await holdfast.claims.getClaim(runId)).toBeUndefined()
      }
    }))
})

describe.each(engines)('an aborted call over $name', (engine) => {
  test('ends at once, and the run goes on elsewhere', () =>
    on(engine, async ({ begin }) => {
      const { done } = deeds()
      const holdfast = await begin()
      const stop = new AbortController()
      const { wait, open } = latch()
      let signal: AbortSignal | undefined
      const workflow: Workflow<string> = async (ctx) => {
        await ctx.step('a', () => done.push('a'))
        await ctx.step('b', async (info) => {
          done.push('b')
          signal ??= info.signal
          if (info.signal === signal) stop.abort(new Error('enough'))
          await wait
        })
        await ctx.step('c', () => done.push('c'))
        return 'done'
      }
      const options = { signal: stop.signal }
      await expect(go(holdfast, workflow, options)).rejects.toMatchObject({ code: 'ABORTED' })
      expect(signal?.aborted).toBe(true)
      open()
      await pause(10)
      expect(await logOf(holdfast)).toEqual(['step.completed a'])
      await expect(go(holdfast, workflow, options)).rejects.toMatchObject({ code: 'ABORTED' })
      expect(await go(holdfast, workflow)).toEqual({ status: 'completed', result: 'done' })
      expect(done).toEqual(['a', 'b', 'b', 'c'])
    }))
})
