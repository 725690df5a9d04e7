/** The cost of calls: one request if the run is cached, two if not. @module */
import { HoldfastError } from '../../core/errors.ts'
import { equal, ok, rejects } from '../assert.ts'
import { atOnce } from '../build.ts'
import { type Case, defineCase } from '../case.ts'
import { changesNothing, RUN, spied, stores } from '../stores.ts'
import { create, newRun, READS, runOf, waiting, WRITES } from './runs.ts'

/** One insert-if-absent. */
export const starts: Case = defineCase('WF-1101', 'a start is one request, or two if the run exists', async (t) => {
  const s = spied(t)
  await s.db.open()
  const prepare = (runId: string, policy: 'useExisting' | 'terminateExisting', it = s) =>
    it.workflows.prepareRun({ ...newRun({ input: 1, definition: 1, context: { a: 1 } }, runId), policy })
  equal(await s.cost(() => create(s, { input: 1, definition: 1, context: {} })), 1)
  equal(await s.cost(() => prepare('a', 'useExisting')), 1)
  equal(await s.cost(() => prepare('b', 'terminateExisting')), 1)
  equal(await s.cost(() => prepare('b', 'terminateExisting')), 1)
  const cold = spied(t)
  await cold.db.open()
  equal(await cold.cost(() => prepare('a', 'useExisting', cold)), 2)
  equal(await cold.cost(() => prepare('b', 'terminateExisting', cold)), 2)
  equal(await cold.cost(() => rejects(create(cold), 'ALREADY_EXISTS')), 1)
  equal(await cold.cost(() => atOnce(50, (i) => create(cold, {}, `r${i}`))), 1, 'Together')
})

/** Every write is one commit. A cold store also reads the run, and other entries involved. */
export const writes: Case = defineCase('WF-1102', 'a change of a run is one request, and few when cold', async (t) => {
  const s = spied(t)
  await create(s)
  for (const [name, write] of Object.entries(WRITES)) {
    await write(s, RUN)
    equal(await s.cost(() => write(s, RUN)), 1, name)
    const cold = spied(t)
    await cold.db.open()
    const cost = await cold.cost(() => write(cold, RUN))
    ok(cost <= (['updateRun', 'failTask'].includes(name) ? 2 : 3), `${name} took ${cost}`)
    const none = spied(t)
    await none.db.open()
    equal(await none.cost(() => rejects(write(none, 'none'), 'NOT_FOUND')), 1, name)
  }
  equal(await s.cost(() => s.workflows.deleteRun(RUN)), 1)
  equal(await s.cost(() => s.workflows.deleteRun(RUN)), 1)
  await create(s)
  const cold = spied(t)
  await cold.db.open()
  equal(await cold.cost(() => cold.workflows.deleteRun(RUN)), 2)
})

/** Reads are one request, except pages of steps. */
export const reads: Case = defineCase('WF-1103', 'reading a run is one request', async (t) => {
  const s = spied(t)
  await waiting(s)
  for (const [name, read] of Object.entries(READS)) {
    equal(await s.cost(() => read(s, RUN)), name.toLowerCase().endsWith('steps') ? 2 : 1, name)
  }
  equal(s.spy.commits.length, 2, 'Looking writes nothing')
})

/** Group commit: together they are one request. */
export const together: Case = defineCase('WF-1104', 'changes of a run made together share a request', async (t) => {
  const s = spied(t)
  await create(s)
  equal(await s.cost(() => atOnce(50, (i) => s.workflows.saveTaskResult(RUN, `s${i}`, i))), 1)
  equal(await s.cost(() => atOnce(50, (i) => s.workflows.patchContext(RUN, { [`k${i}`]: i }))), 1)
  equal(await s.cost(() => atOnce(50, () => s.workflows.failTask(RUN, 'a', { error: 'E' }))), 1)
  equal(await s.cost(() => atOnce(50, (i) => s.workflows.upsertStep(RUN, { stepId: 'a', result: i }))), 1)
  const { context, retries } = await runOf(stores(t))
  equal([Object.keys(context as object).length, retries?.['a']?.attempts], [50, 50])
})

/** An error of the backend does not mean that there is nothing. */
export const faults: Case = defineCase(
  'WF-1105',
  'a failing backend is reported, and never taken for an empty one',
  async (t) => {
    const s = spied(t)
    await create(s, { input: 1 })
    await changesNothing(t, async () => {
      for (const write of Object.values(WRITES)) {
        s.spy.fail('commit', new HoldfastError('UNAVAILABLE', 'Locked', { retryable: true }))
        await rejects(write(s, RUN), 'UNAVAILABLE')
      }
      for (const read of Object.values(READS)) {
        s.spy.fail('read', new Error('Cut'))
        await rejects(read(s, RUN), 'BACKEND')
      }
      const cold = spied(t)
      await cold.db.open()
      cold.spy.fail('read', new Error('Cut'))
      await rejects(cold.workflows.prepareRun({ ...newRun({ input: 2 }), policy: 'useExisting' }), 'BACKEND')
      cold.spy.fail('commit', new Error('Cut'))
      await rejects(cold.workflows.prepareRun({ ...newRun({ input: 2 }), policy: 'terminateExisting' }), 'BACKEND')
    })
    for (const write of Object.values(WRITES)) await write(s, RUN)
    equal((await runOf(stores(t))).input, 1)
  },
)
