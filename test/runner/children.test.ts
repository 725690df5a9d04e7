import { describe, expect, test } from 'vitest'
import { type RunError, defineWorkflow, drain, handleOf, run, start } from '../../src/runner/index.ts'
import { engines } from '../support/engines.ts'
import { RUN, deeds, dyingAfter, logOf, on } from './setting.ts'

const quiet = { onError: () => {}, retry: { maxAttempts: 1 } }

describe.each(engines)('a run over $name that starts others', (engine) => {
  const child = defineWorkflow({ name: 'child' }, async (ctx, input: { n: number }) => {
    if (input.n < 0) throw Object.assign(new Error('negative'), { code: 'E1' })
    await ctx.message('go')
    return ctx.step('double', () => input.n * 2)
  })
  const parent = defineWorkflow({ name: 'parent' }, async (ctx, inputs: number[]) => {
    const children = []
    for (const n of inputs) children.push(await ctx.start(child, { input: { n } }))
    return Promise.all(
      children.map((it) =>
        it.result().catch((error: RunError) => `${error.name} ${error.status} ${String(error.code)} ${error.message}`),
      ),
    )
  })

  test('waits for their results, and is woken by the end of each', () =>
    on(engine, async ({ begin }) => {
      const holdfast = await begin()
      const handle = await start(holdfast, parent, { runId: RUN, input: [1, -1, 3] })
      await drain(holdfast, [parent, child], quiet)
      const { position } = (await handle.get())!
      const { runs = [] } = position as { runs?: readonly string[] }
      expect(runs).toHaveLength(2)
      const other = await begin()
      for (const runId of runs) {
        await other.signals.sendMessage(runId, 'go', undefined)
        await drain(other, [child], quiet)
      }
      expect((await handle.get())?.status).toBe('running')
      await drain(await begin(), [parent, child], quiet)
      expect(await handle.result()).toEqual([2, 'RunError failed E1 negative', 6])
    }))

  test('waits for them in its process', () =>
    on(engine, async ({ begin }) => {
      const holdfast = await begin()
      const other = await begin()
      const outcome = run(holdfast, parent, { ...quiet, runId: RUN, input: [5] })
      let ids: readonly string[] = []
      while (ids.length === 0) {
        ids = (await other.workflows.listRuns({ workflow: 'child' })).items.map(({ runId }) => runId)
      }
      await other.signals.sendMessage(ids[0]!, 'go', undefined)
      while ((await drain(other, [child], quiet)) === 0);
      expect(await outcome).toEqual({ status: 'completed', result: [10] })
    }))

  test('starts each once, wherever it is killed', () =>
    on(engine, async ({ begin }) => {
      for (let n = 1; n < 14; n++) {
        const holdfast = await begin()
        for await (const { runId } of holdfast.workflows.runs()) await holdfast.workflows.deleteRun(runId)
        const options = { ...quiet, runId: RUN, input: [1, 2], maxWait: 0 }
        await run(await begin(dyingAfter(n)), parent, options).catch(() => {})
        const fresh = await begin()
        expect((await run(fresh, parent, options)).status).toBe('waiting')
        const { items } = await fresh.workflows.listRuns({ workflow: 'child' })
        expect(items).toHaveLength(2)
        for (const { runId } of items) await fresh.signals.sendMessage(runId, 'go', undefined)
        await drain(fresh, [parent, child], quiet)
        expect(await handleOf(fresh, RUN).result()).toEqual([2, 4])
      }
    }))

  test.each(['fail', 'terminateExisting'] as const)('knows its own again under the policy %s', (policy) =>
    on(engine, async ({ begin }) => {
      const boss = defineWorkflow({ name: 'boss' }, async (ctx) => {
        const { runId } = await ctx.start(child, { runId: 'own', input: { n: 1 }, policy })
        return runId
      })
      for (let n = 1; n < 8; n++) {
        const before = await begin()
        for await (const { runId } of before.workflows.runs()) await before.workflows.deleteRun(runId)
        const options = { ...quiet, runId: RUN, maxWait: 0 }
        await run(await begin(dyingAfter(n)), boss, options).catch(() => {})
        const fresh = await begin()
        expect(await run(fresh, boss, options)).toEqual({ status: 'completed', result: 'own' })
        expect(await fresh.workflows.getRun('own')).toMatchObject({ generation: 1, status: 'pending' })
      }
      // Another run's is not its own.
      const other = await begin()
      const outcome = await run(other, boss, { ...quiet, runId: 'another', maxWait: 0 })
      expect(outcome.status).toBe(policy === 'fail' ? 'failed' : 'completed')
      expect((await other.workflows.getRun('own'))?.generation).toBe(policy === 'fail' ? 1 : 2)
    }),
  )

  test('cancels those that it has not detached', () =>
    on(engine, async ({ begin }) => {
      const holdfast = await begin()
      const boss = defineWorkflow({ name: 'boss' }, async (ctx) => {
        await ctx.start(child, { runId: 'own', input: { n: 1 } })
        await ctx.start(child, { runId: 'free', input: { n: 2 }, detached: true })
        await ctx.message('never')
      })
      const handle = await start(holdfast, boss, { runId: RUN })
      await drain(holdfast, [boss, child], quiet)
      await handle.cancel({ reason: 'enough' })
      await drain(holdfast, [boss, child], quiet)
      const statuses = await Promise.all(
        [RUN, 'own', 'free'].map(async (runId) => (await holdfast.workflows.getRun(runId))?.status),
      )
      expect(statuses).toEqual(['cancelled', 'cancelled', 'waiting'])
      await expect(handle.result()).rejects.toMatchObject({ name: 'RunError', status: 'cancelled' })
    }))

  test('refuses another workflow under the id of a run, and says so to the workflow', () =>
    on(engine, async ({ begin }) => {
      const holdfast = await begin()
      await start(holdfast, parent, { runId: 'taken', input: [] })
      const boss = defineWorkflow({ name: 'boss' }, (ctx) =>
        ctx.start(child, { runId: 'taken', input: { n: 1 } }).then(String, (error: { code: unknown }) => error.code),
      )
      const outcome = await run(holdfast, boss, { ...quiet, runId: RUN })
      expect(outcome).toEqual({ status: 'completed', result: 'WORKFLOW_MISMATCH' })
    }))
})

describe.each(engines)('a run over $name that goes on for ever', (engine) => {
  test('continues as new: with an empty log, whose numbers go on, and another life', () =>
    on(engine, async ({ begin }) => {
      const { done } = deeds()
      const counter = defineWorkflow({ name: 'counter' }, async (ctx, n: number): Promise<number> => {
        await ctx.step('count', ({ idempotencyKey }) => void done.push(idempotencyKey))
        const add = await ctx.message<number>('add', { timeout: 0 })
        if (n >= 3) return n
        return ctx.continueAsNew(n + (add ?? 1))
      })
      const holdfast = await begin()
      await start(holdfast, counter, { runId: RUN, input: 0 })
      await holdfast.signals.sendMessage(RUN, 'add', 2)
      expect(await run(holdfast, counter, { ...quiet, runId: RUN })).toEqual({ status: 'completed', result: 3 })
      expect(new Set(done).size).toBe(3)
      expect(await holdfast.workflows.getRun(RUN)).toMatchObject({ generation: 3, input: 3, result: 3 })
      expect(await logOf(holdfast)).toEqual(['step.completed count', 'message.timedOut add', 'run.completed'])
      const { items } = await holdfast.persistence.loadEvents(RUN)
      expect(items.map(({ seq }) => seq)).toEqual([5, 6, 7])
      expect((await holdfast.workflows.listSteps(RUN)).items).toMatchObject([{ stepId: 'count', seq: 5 }])
    }))
})
