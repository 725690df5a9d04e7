/** What the runner did wrong when it was tried as a new user would: each test is about one such fault. */
import { describe, expect, test } from 'vitest'
import type { Driver } from '../../src/core/driver.ts'
import { HoldfastError } from '../../src/core/errors.ts'
import { tenantParts } from '../../src/core/keys.ts'
import {
  type Context,
  NonRetryableError,
  RunError,
  type Workflow,
  drain,
  run,
  start,
  work,
} from '../../src/runner/index.ts'
import type { ListRunsOptions } from '../../src/stores/workflows/store.ts'
import { encrypt } from '../../src/wrappers/encrypt.ts'
import { engines } from '../support/engines.ts'
import { RUN, deeds, dyingAfter, go, latch, logOf, named, on, pause, until } from './setting.ts'

const mismatch = expect.objectContaining({ code: 'NON_DETERMINISTIC' })

describe.each(engines)('the runner over $name', (engine) => {
  test('books the winner of a race again after a crash, and no other', () =>
    on(engine, async ({ begin }) => {
      for (let n = 3; n < 8; n++) {
        const { done } = deeds()
        await (await begin()).workflows.deleteRun(RUN)
        const workflow: Workflow<string> = async (ctx) => {
          const ask = (name: string, ms: number): Promise<string> =>
            ctx.step(`ask ${name}`, async () => (await pause(ms), name))
          // The one that is asked first answers last.
          const winner = await Promise.race([ask('B', 12), ask('A', 1)])
          await ctx.step(`book ${winner}`, ({ idempotencyKey }) => done.push(`${winner} ${idempotencyKey}`))
          return winner
        }
        await go(await begin(dyingAfter(n)), workflow).catch(() => {})
        expect(await go(await begin(), workflow)).toEqual({ status: 'completed', result: 'A' })
        expect(new Set(done).size).toBe(1)
      }
    }))

  test('pays every account of parallel branches once, under a key of its own', () =>
    on(engine, async ({ begin }) => {
      for (let n = 3; n < 9; n++) {
        await (await begin()).workflows.deleteRun(RUN)
        const paid = new Map<string, string>()
        const workflow: Workflow<string[]> = (ctx) =>
          Promise.all(
            ['x', 'y', 'z'].map(async (account, i) => {
              await ctx.step('check', () => pause((7 * (i + n)) % 5))
              return ctx.step('pay', ({ idempotencyKey }) => {
                // The service does what it was asked first under a key.
                if (!paid.has(idempotencyKey)) paid.set(idempotencyKey, account)
                return paid.get(idempotencyKey)!
              })
            }),
          )
        await go(await begin(dyingAfter(n)), workflow).catch(() => {})
        expect(await go(await begin(), workflow)).toEqual({ status: 'completed', result: ['x', 'y', 'z'] })
        expect([...paid.values()].toSorted()).toEqual(['x', 'y', 'z'])
      }
    }))

  const recorded: Workflow = async (ctx) => {
    await ctx.step('charge', () => 'charged')
    await ctx.sleep(0)
    await ctx.step('sleep', () => 'slept')
    await ctx.message('go')
  }
  const changes: Record<string, (ctx: Context, effect: () => string) => Promise<unknown>> = {
    'a renamed step': (ctx, effect) => ctx.step('bill', effect),
    'a step before': async (ctx, effect) => {
      await ctx.step('check', effect)
      await ctx.step('charge', effect)
    },
    'a removed step': (ctx) => ctx.sleep(0),
    'a sleep in the place of a step': async (ctx, effect) => {
      await ctx.step('charge', effect)
      await ctx.sleep(0)
      await ctx.sleep('1 h')
    },
    'a message in the place of a sleep': async (ctx, effect) => {
      await ctx.step('charge', effect)
      await ctx.message('sleep')
    },
    'an early end': async (ctx, effect) => void (await ctx.step('charge', effect)),
  }
  test.each(Object.entries(changes))('notices changed code before anything is done: %s', (_, change) =>
    on(engine, async ({ begin }) => {
      const { done } = deeds()
      expect((await go(await begin(), recorded)).status).toBe('waiting')
      const before = await logOf(await begin())
      const changed: Workflow = (ctx) => change(ctx, () => (done.push('effect'), 'x'))
      await expect(go(await begin(), changed, { grace: 50 })).rejects.toEqual(mismatch)
      const holdfast = await begin()
      expect(done).toEqual([])
      expect(await logOf(holdfast)).toEqual(before)
      // It is put aside, and goes on with the right code.
      const found = await holdfast.workflows.getRun(RUN)
      expect(found).toMatchObject({ status: 'paused', aside: { code: 'NON_DETERMINISTIC' } })
      await holdfast.workflows.createRun({ runId: 'paused by a person', workflow: 'other' })
      await holdfast.signals.storeSignal('paused by a person', 'pause')
      await holdfast.signals.checkControlSignals('paused by a person')
      const listed = async (options: ListRunsOptions) => (await holdfast.workflows.listRuns(options)).items
      expect(await listed({ status: 'paused' })).toHaveLength(2)
      expect(await listed({ aside: true })).toMatchObject([{ runId: RUN, aside: found!.aside }])
      await expect(listed({ aside: true, status: 'failed' })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
      await holdfast.signals.sendMessage(RUN, 'go', undefined)
      expect(await go(await begin(), recorded)).toEqual({ status: 'completed', result: undefined })
    }),
  )

  test('a run that was put aside is tried once by the workers of the next deploy', () =>
    on(engine, async ({ begin }) => {
      const holdfast = await begin()
      expect((await go(holdfast, recorded)).status).toBe('waiting')
      await holdfast.signals.sendMessage(RUN, 'go', undefined)
      const told: unknown[] = []
      const onError = (error: unknown): void => void told.push(error)
      const wrong = named((ctx) => ctx.step('bill', () => 1))
      await drain(holdfast, [wrong], { grace: 20, onError })
      await drain(holdfast, [wrong], { grace: 20, onError })
      expect(told).toEqual([mismatch, mismatch])
      await drain(holdfast, [wrong], { grace: 20, onError })
      expect(told).toHaveLength(2)
      await drain(await begin(), [named(recorded)], { onError })
      expect((await holdfast.workflows.getRun(RUN))?.status).toBe('completed')
    }))

  test('ctx.patch has code change under runs that have begun', () =>
    on(engine, async ({ begin }) => {
      const { done } = deeds()
      const old: Workflow = async (ctx) => {
        await ctx.step('charge', () => 1)
        await ctx.message('go')
      }
      const patched: Workflow = async (ctx) => {
        if (ctx.patch('fraud')) await ctx.step('check', () => done.push(ctx.runId))
        await ctx.step('charge', () => 1)
        await ctx.message('go')
        if (ctx.patch('mail')) await ctx.step('mail', () => done.push('mail'))
      }
      const holdfast = await begin()
      expect((await go(holdfast, old)).status).toBe('waiting')
      expect((await go(await begin(), patched, { runId: 'new' })).status).toBe('waiting')
      for (const runId of [RUN, 'new']) await holdfast.signals.sendMessage(runId, 'go', undefined)
      expect((await go(await begin(), patched)).status).toBe('completed')
      expect((await go(await begin(), patched, { runId: 'new' })).status).toBe('completed')
      expect(done).toEqual(['new', 'mail', 'mail'])
      expect(await logOf(holdfast, 'new')).toEqual([
        ...['patch.passed fraud', 'step.completed check', 'step.completed charge', 'message.awaited go'],
        ...['message.received go', 'patch.passed mail', 'step.completed mail', 'run.completed'],
      ])
    }))

  test('ctx.patch is recorded although the step after it cannot be stored', () =>
    on(engine, async ({ begin }) => {
      const patched: Workflow = async (ctx) => {
        if (ctx.patch('fraud')) await ctx.step('check', () => new URL('https://example.com') as never).catch(() => {})
        await ctx.message('go')
      }
      const holdfast = await begin()
      expect((await go(holdfast, patched)).status).toBe('waiting')
      expect(await logOf(holdfast)).toEqual(['patch.passed fraud', 'step.failed check', 'message.awaited go'])
      await holdfast.signals.sendMessage(RUN, 'go', undefined)
      expect((await go(await begin(), patched)).status).toBe('completed')
    }))

  test.each<[string, Workflow]>([
    ['a sleep of NaN', (ctx) => ctx.sleep(Number.NaN)],
    ['an error of another store', () => Promise.reject(new HoldfastError('CLAIM_LOST', 'of something else'))],
    ['an aborted call', () => Promise.reject(new HoldfastError('ABORTED', 'by a timeout of its own'))],
  ])('fails a run for %s, once and for all', (_, workflow) =>
    on(engine, async ({ begin }) => {
      const holdfast = await begin()
      expect(await go(holdfast, workflow)).toMatchObject({ status: 'failed' })
      expect((await holdfast.workflows.getRun(RUN))?.error).toEqual(expect.any(String))
    }),
  )

  test('fails a run whose next life has an input too large to store, once and for all', () =>
    on(engine, async ({ begin }) => {
      const small = (driver: Driver): Driver => {
        const { capabilities } = driver
        return { ...driver, capabilities: { ...capabilities, limits: { ...capabilities.limits, valueBytes: 10_000 } } }
      }
      const outcome = await go(await begin(small), (ctx) => ctx.continueAsNew('x'.repeat(20_000)))
      expect(outcome).toMatchObject({ status: 'failed', error: expect.stringContaining('The input of the next life') })
    }))

  test('puts a run aside whose step ends the process again and again, and counts its attempts', () =>
    on(engine, async ({ begin }) => {
      const attempts: number[] = []
      let isDeadly = true
      const workflow: Workflow<string> = async (ctx) => {
        await ctx.step('a', () => 1)
        return ctx.step('deadly', async ({ attempt }) => {
          attempts.push(attempt)
          // Nothing comes back from here.
          if (isDeadly) await new Promise(() => {})
          return 'alive'
        })
      }
      const options = { maxDeliveries: 4 }
      for (let i = 1; i <= 4; i++) {
        const holdfast = await begin()
        void go(holdfast, workflow, options).catch(() => {})
        await until(() => attempts.length === i)
      }
      const told: unknown[] = []
      const holdfast = await begin()
      const outcome = await go(holdfast, workflow, { ...options, onError: (error) => void told.push(error) })
      expect(outcome).toEqual({ status: 'paused', reason: expect.any(String) })
      expect(told).toMatchObject([{ code: 'MAX_DELIVERIES' }])
      expect(attempts).toEqual([1, 2, 3, 4])
      expect(await go(holdfast, workflow, options)).toMatchObject({ status: 'paused' })
      expect(await holdfast.workflows.getRun(RUN)).toMatchObject({ aside: { code: 'MAX_DELIVERIES' } })
      isDeadly = false
      await holdfast.signals.unpause(RUN)
      expect((await holdfast.workflows.getRun(RUN))?.aside).toBeUndefined()
      expect(await go(await begin(), workflow, options)).toEqual({ status: 'completed', result: 'alive' })
    }))

  test('does at most once what must not be repeated', () =>
    on(engine, async ({ begin }) => {
      const { done } = deeds()
      const caught: unknown[] = []
      const workflow: Workflow = async (ctx) => {
        await ctx
          .step('launch', async () => (done.push('launch'), new Promise<never>(() => {})), { atMostOnce: true })
          .catch((error: unknown) => void caught.push(error))
      }
      void go(await begin(), workflow).catch(() => {})
      await until(() => done.length === 1)
      expect(await go(await begin(), workflow)).toEqual({ status: 'completed', result: undefined })
      expect(caught).toMatchObject([{ name: 'StepError', code: 'INTERRUPTED' }])
      expect(done).toEqual(['launch'])
    }))

  test('ends the attempts of what no attempt helps, and of what takes too long', () =>
    on(engine, async ({ begin }) => {
      const { done, count } = deeds()
      const retry = { maxAttempts: 9, initialDelay: 0 }
      const workflow: Workflow<unknown[]> = async (ctx) => {
        const fails = async (name: string, fn: Parameters<Context['step']>[1], more = {}): Promise<unknown> =>
          ctx.step(name, fn, { retry, ...more }).catch((error: unknown) => error)
        return [
          await fails('final', () => (done.push('final'), Promise.reject(new NonRetryableError('no')))),
          await fails('judged', () => (done.push('judged'), Promise.reject(new Error('no'))), {
            retry: { ...retry, retryIf: (error: Error) => error.message !== 'no' },
          }),
          await fails(
            'slow',
            ({ signal }) => (signal.addEventListener('abort', () => done.push('aborted')), new Promise(() => {})),
            {
              timeout: 10,
              retry: { maxAttempts: 2, initialDelay: 0 },
            },
          ),
        ].map((error) => (error as { code: unknown }).code)
      }
      const outcome = await go(await begin(), workflow)
      expect(outcome).toEqual({ status: 'completed', result: [undefined, undefined, 'TIMEOUT'] })
      expect(['final', 'judged', 'aborted'].map(count)).toEqual([1, 1, 2])
    }))

  test('does what is healthy beside a run that nobody can read', () =>
    on(engine, async ({ begin }) => {
      const holdfast = await begin()
      const order = named(async (ctx) => ctx.step('a', () => ctx.runId))
      for (const runId of ['bad', 'a', 'b', 'c', 'd', 'e']) await start(holdfast, order, { runId })
      const key = { part: tenantParts().run('bad'), key: 'run' }
      await holdfast.db.commit({ ops: [{ put: key, value: 'no record' }] })
      const fresh = await begin()
      const told: unknown[] = []
      const options = { onError: (_: unknown, runId?: string) => told.push(runId), pollInterval: 500 }
      expect(await drain(fresh, [order], { ...options, limit: 10 })).toBe(5)
      const { items } = await fresh.workflows.listRuns({ status: 'completed' })
      expect(items.map(({ runId }) => runId).toSorted()).toEqual(['a', 'b', 'c', 'd', 'e'])
      expect(told).toEqual(['bad'])
      // A worker comes back to it at growing intervals, and does all else.
      const stop = new AbortController()
      const working = work(fresh, [order], { ...options, pollInterval: 5, signal: stop.signal })
      await start(fresh, order, { runId: 'f' })
      await until(async () => (await fresh.workflows.getRun('f'))?.status === 'completed')
      await pause(100)
      stop.abort()
      await working
      expect(told.length).toBeGreaterThan(1)
      expect(told.length).toBeLessThan(9)
    }))

  test('does what is healthy beside a run that was put aside and cannot be read', () =>
    on(engine, async ({ begin }) => {
      const holdfast = await begin()
      await go(holdfast, recorded)
      await go(holdfast, (ctx) => ctx.step('bill', () => 1), { grace: 20 }).catch(() => {})
      expect(await holdfast.workflows.getRun(RUN)).toMatchObject({ aside: { code: 'NON_DETERMINISTIC' } })
      const key = { part: tenantParts().run(RUN), key: 'run' }
      await holdfast.db.commit({ ops: [{ put: key, value: 'no record' }] })
      const fresh = await begin()
      const told: unknown[] = []
      const options = { onError: (_: unknown, runId?: string) => told.push(runId) }
      await start(fresh, named(recorded, 'healthy'), { runId: 'healthy' })
      expect(await drain(fresh, [named(recorded), named(recorded, 'healthy')], options)).toBe(1)
      expect(told).toEqual([RUN])
    }))

  test('does what is healthy beside runs under a key that this process does not have', () =>
    on(engine, async ({ begin }) => {
      const [a, b] = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)]
      const order = named(async (ctx) => {
        if (ctx.runId.endsWith('waits')) await ctx.sleep(2000)
        return ctx.step('a', () => ctx.runId)
      })
      const theirs = await begin((driver) => encrypt(driver, { keys: { a, b }, current: 'b' }))
      await start(theirs, order, { runId: 'theirs waits' })
      await drain(theirs, [order], { onError: () => {} })
      for (const runId of ['theirs 1', 'theirs 2']) await start(theirs, order, { runId })
      const ours = await begin((driver) => encrypt(driver, { keys: { a }, current: 'a' }))
      for (const runId of ['ours 1', 'ours 2']) await start(ours, order, { runId })
      await until(() =>
        ours.timers.advanceDue().then(
          () => false,
          () => true,
        ),
      )
      const told: unknown[] = []
      const onError = (error: unknown): void => void told.push((error as { code: unknown }).code)
      expect(await drain(ours, [order], { onError })).toBe(2)
      const stop = new AbortController()
      const working = work(ours, [order], { onError, pollInterval: 5, signal: stop.signal })
      await start(ours, order, { runId: 'ours waits' })
      await until(async () => (await ours.workflows.getRun('ours waits'))?.status === 'completed')
      stop.abort()
      await working
      expect(new Set(told)).toEqual(new Set(['SERIALIZATION']))
      // Who has the key finds them untouched.
      expect(await drain(theirs, [order], { onError: () => {} })).toBe(3)
    }))

  test('says which value of a result cannot be stored, of which class, and where', () =>
    on(engine, async ({ begin }) => {
      class Receipt {
        cents = 1
      }
      const order = { runId: RUN, workflow: 'order', retry: { maxAttempts: 1 }, onError: () => {} }
      const outcome = await run(await begin(), order, (ctx) => ctx.step('a', () => ({ receipts: [new Receipt()] })))
      expect(outcome).toMatchObject({ status: 'failed', error: expect.stringContaining('Receipt at $.receipts[0]') })
    }))

  test('tells of an error on the console where nobody listens', () =>
    on(engine, async ({ begin }) => {
      const lines: unknown[][] = []
      const { error } = console
      console.error = (...line: unknown[]) => void lines.push(line)
      try {
        const order = { runId: RUN, workflow: 'order', retry: { maxAttempts: 1 } }
        await run(await begin(), order, (ctx) => ctx.step('a', () => Promise.reject(new Error('no luck'))))
      } finally {
        console.error = error
      }
      const [first, ...stack] = String(lines[0]![0]).split('\n')
      expect(lines).toHaveLength(1)
      expect(first).toBe('holdfast: run "order-17": step "a": no luck')
      // Where it was thrown, for the one who has to mend it.
      expect(stack.join('\n')).toContain('defects.test.ts')
    }))

  test('waits for a run that somebody holds, and goes on when that one is dead', () =>
    on(engine, async ({ begin }) => {
      const { done } = deeds()
      let isDeadly = true
      const workflow: Workflow<string> = async (ctx) => {
        await ctx.step('a', () => done.push('a'))
        return ctx.step('b', async () => (done.push('b'), isDeadly ? new Promise<never>(() => {}) : 'done'))
      }
      const dying = await begin((driver) => ({
        ...driver,
        commit: (request, options) =>
          done.length > 1 && isDeadly ? Promise.reject(new Error('dead')) : driver.commit(request, options),
      }))
      const other = await begin()
      void go(dying, workflow, { lease: 600, workerId: 'first' }).catch(() => {})
      await until(() => done.length === 2)
      expect(await go(other, workflow, { maxWait: 20 })).toMatchObject({
        status: 'busy',
        by: 'first',
        until: expect.any(Number),
      })
      isDeadly = false
      await dying.close().catch(() => {})
      expect(await go(other, workflow, { maxWait: '1 m' })).toEqual({ status: 'completed', result: 'done' })
      expect(done).toEqual(['a', 'b', 'b'])
    }))

  test('a worker that names itself takes its runs back at once when it is started again', () =>
    on(engine, async ({ begin }) => {
      const { done } = deeds()
      const { wait, open } = latch()
      let isDeadly = true
      const order = named(async (ctx) => {
        await ctx.step('a', async () => {
          done.push('a')
          if (isDeadly) await wait
        })
      })
      const first = await begin()
      const others = await begin()
      const restarted = await begin()
      const told: unknown[] = []
      const options = { lease: '1 h', pollInterval: 10 } as const
      const stop = new AbortController()
      const former = work(first, [order], {
        ...options,
        workerId: 'me',
        signal: stop.signal,
        onError: (error) => void told.push(error),
      })
      await start(first, order, { runId: RUN })
      await until(() => done.length === 1)
      isDeadly = false
      await pause(5)
      expect(await drain(others, [order], { ...options, workerId: 'other' })).toBe(0)
      expect(await drain(restarted, [order], { ...options, workerId: 'me' })).toBe(1)
      expect((await restarted.workflows.getRun(RUN))?.status).toBe('completed')
      // Its former self is fenced off.
      open()
      await until(() => told.length > 0)
      expect(told[0]).toMatchObject({ code: expect.stringMatching(/CLAIM_LOST|ALREADY_COMPLETED/) })
      stop.abort()
      await former
      expect(await logOf(restarted)).toEqual(['step.completed a', 'run.completed'])
    }))

  test('gives every step of every life of every run of every tenant a key of its own', () =>
    on(engine, async ({ begin }) => {
      const keys: string[] = []
      const holdfast = await begin()
      const workflow: Workflow = async (ctx) => {
        for (const name of ['pay', '1 pay', 'pay#2', 'pay']) {
          await ctx.step(name, ({ idempotencyKey }) => void keys.push(idempotencyKey), {
            compensate: (_, { idempotencyKey }) => keys.push(idempotencyKey),
          })
        }
        throw new Error('undo it')
      }
      let runs = 0
      for (const it of [holdfast, holdfast.forTenant('other')]) {
        for (const runId of ['order', 'order 1']) {
          for (const life of ['first', 'terminated', 'deleted']) {
            if (life === 'terminated') await start(it, named(workflow), { runId, policy: 'terminateExisting' })
            if (life === 'deleted') await it.workflows.deleteRun(runId)
            await go(it, workflow, { runId })
            runs++
          }
        }
      }
      expect(keys).toHaveLength(runs * 8)
      expect(new Set(keys).size).toBe(keys.length)
    }))

  test('refuses at once what could never be replayed, and hangs nowhere', () =>
    on(engine, async ({ begin }) => {
      const holdfast = await begin()
      const codes: unknown[] = []
      const note = (error: { code: unknown }): void => void codes.push(error.code)
      let late: Promise<unknown> | undefined
      const workflow: Workflow = async (ctx) => {
        await ctx.step('a', () => ctx.sleep(5)).catch(note)
        await ctx.step('b', async () => (await pause(1), ctx.message('x').catch(note))).catch(note)
        await ctx.step('c', async () => (await pause(1), ctx.step('inner', () => 1))).catch(note)
        late = pause(20).then(() => ctx.step('late', () => 1))
        late.catch(() => {})
      }
      expect((await go(holdfast, workflow, { retry: { maxAttempts: 1 } })).status).toBe('completed')
      await expect(late).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
      expect(codes).toEqual(['INVALID_ARGUMENT', 'INVALID_ARGUMENT', 'INVALID_ARGUMENT'])
      expect((await logOf(holdfast)).filter((it) => /sleep|message|inner|late/.test(it))).toEqual([])
    }))

  test('records what is under way at the end, and fails the run for what nobody has awaited', () =>
    on(engine, async ({ begin }) => {
      const holdfast = await begin()
      const { done } = deeds()
      const forgotten: Workflow<string> = async (ctx) => {
        void ctx.step('mail', async () => (await pause(10), done.push('mail')))
        return 'done'
      }
      expect(await go(holdfast, forgotten)).toEqual({ status: 'completed', result: 'done' })
      expect(await logOf(holdfast)).toEqual(['step.completed mail', 'run.completed'])
      const failing: Workflow<string> = async (ctx) => {
        await ctx.step('charge', () => 1, { compensate: () => done.push('refund') })
        void ctx.step('mail', async () => (await pause(10), Promise.reject(new Error('no mail'))), {
          retry: { maxAttempts: 1 },
        })
        return 'done'
      }
      expect(await go(holdfast, failing, { runId: 'failing' })).toEqual({ status: 'compensated', error: 'no mail' })
      expect(await go(await begin(), failing, { runId: 'failing' })).toEqual({
        status: 'compensated',
        error: 'no mail',
      })
      expect(done).toEqual(['mail', 'refund'])
    }))

  test('gives the workflow in its first run what it will see in every later one', () =>
    on(engine, async ({ begin }) => {
      const seen: unknown[][] = []
      const shared = { a: 1 }
      const workflow: Workflow = async (ctx) => {
        const bytes = await ctx.step('bytes', () => Buffer.from('abc'))
        const twice = await ctx.step('twice', () => [shared, shared])
        const bare = await ctx.step('bare', (): unknown => Object.assign(Object.create(null), { x: 1 }))
        const error = await ctx
          .step(
            'error',
            () => Promise.reject(Object.assign(new Error('no', { cause: 'why' }), { code: 'E1', data: { n: 1 } })),
            { retry: { maxAttempts: 1 } },
          )
          .catch((it: Error & { code: unknown; data: unknown }) => it)
        seen.push([
          Buffer.isBuffer(bytes),
          [...(bytes as Uint8Array)],
          twice[0] === twice[1],
          Object.getPrototypeOf(bare) === Object.prototype,
          [(error as Error).cause, (error as { code: unknown }).code, (error as { data: unknown }).data],
        ])
        await ctx.message('go')
      }
      const holdfast = await begin()
      await go(holdfast, workflow)
      await holdfast.signals.sendMessage(RUN, 'go', undefined)
      expect(await go(await begin(), workflow)).toMatchObject({ status: 'completed' })
      expect(seen[0]).toEqual([false, [97, 98, 99], false, true, [undefined, 'E1', { n: 1 }]])
      expect(seen[1]).toEqual(seen[0])
    }))

  test('hears a cancel of the same process at once, and one that came before the end wins', () =>
    on(engine, async ({ begin }) => {
      const holdfast = await begin()
      const { wait, open } = latch()
      const workflow: Workflow = (ctx) =>
        ctx.step('long', ({ signal }) => {
          open()
          return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)))
        })
      const outcome = go(holdfast, workflow, { lease: '1 h' })
      await wait
      await holdfast.signals.storeSignal(RUN, 'cancel')
      expect(await outcome).toEqual({ status: 'cancelled' })
      const { done } = deeds()
      const last: Workflow = async (ctx) => {
        await ctx.step('charge', () => 1, { compensate: () => done.push('refund') })
        // By another process, of whom nobody tells.
        await quiet.signals.storeSignal('last', 'cancel')
      }
      const quiet = await begin((driver) => {
        const { watch: _, ...rest } = driver
        return rest
      })
      const deaf = await begin((driver) => {
        const { watch: _, ...rest } = driver
        return rest
      })
      const cancelled = await go(deaf, last, { runId: 'last', lease: '1 h' })
      expect(cancelled).toEqual({ status: 'compensated', error: 'The run was cancelled', cancelled: true })
      expect(await deaf.workflows.getRun('last')).toMatchObject({ status: 'compensated', stopped: { from: 'running' } })
      expect(done).toEqual(['refund'])
    }))

  test('needs no positions to enqueue, tells results and errors, and runs each version by its own code', () =>
    on(engine, async ({ begin }) => {
      const holdfast = await begin()
      const versions = ['1', '2'].map((version) => named(async (ctx) => ctx.step('a', () => version), 'order', version))
      const [one, two] = versions as [(typeof versions)[0], (typeof versions)[0]]
      const handles = [await start(holdfast, one, { runId: 'one' }), await start(holdfast, two, { runId: 'two' })]
      expect((await handles[0]!.get())?.status).toBe('pending')
      const told: unknown[] = []
      const onError = (error: unknown): void => void told.push(error)
      // What it does not have is left to others, without a word.
      expect(await drain(holdfast, [two], { onError })).toBe(1)
      expect((await holdfast.workflows.getRun('one'))?.status).toBe('pending')
      expect(await drain(holdfast, versions, { onError })).toBe(1)
      expect(told).toEqual([])
      expect(await Promise.all(handles.map((it) => it.result()))).toEqual(['1', '2'])
      expect(await holdfast.workflows.getRun('one')).toMatchObject({ status: 'completed', result: '1' })
      const failing = named(
        async (ctx) =>
          ctx.step('b', () => Promise.reject(Object.assign(new Error('no'), { code: 'E1' })), {
            retry: { maxAttempts: 1 },
          }),
        'failing',
      )
      const failed = await start(holdfast, failing, { runId: 'failing' })
      await expect(failed.result({ timeout: 10 })).rejects.toMatchObject({ code: 'TIMEOUT' })
      await drain(holdfast, [failing], { onError })
      expect(await failed.get()).toMatchObject({
        status: 'failed',
        error: 'no',
        failure: { stepId: 'b', attempt: 1, error: 'no' },
      })
      const error: unknown = await failed.result().catch((it: unknown) => it)
      expect(error).toBeInstanceOf(RunError)
      expect(error).toMatchObject({ status: 'failed', code: 'E1', error: { name: 'StepError', message: 'no' } })
    }))

  test('keeps the rows of steps in the commits of their events', () =>
    on(engine, async ({ begin }) => {
      const holdfast = await begin()
      const workflow: Workflow = async (ctx) => {
        await ctx.step('charge', () => ({ id: 7n }))
        await ctx.step('shaky', ({ attempt }) => (attempt === 1 ? Promise.reject(new Error('busy')) : attempt))
        await ctx.step('never', () => Promise.reject(new Error('no')), { retry: { maxAttempts: 1 } }).catch(() => {})
        await ctx.message('go')
      }
      await go(holdfast, workflow)
      const { items } = await holdfast.workflows.listSteps(RUN)
      expect(items).toMatchObject([
        { stepId: 'charge', status: 'completed', result: { id: 7n }, attempts: 1, seq: 1 },
        { stepId: 'shaky', status: 'completed', result: 2, attempts: 2, seq: 3 },
        { stepId: 'never', status: 'failed', error: 'no', attempts: 1 },
      ])
      expect(await holdfast.workflows.loadTaskResult(RUN, 'charge')).toEqual({ result: { id: 7n } })
      expect(await holdfast.workflows.getStep(RUN, 'shaky')).toMatchObject({ status: 'completed', result: 2 })
    }))
})
