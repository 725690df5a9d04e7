/** A run is deleted whole, and can be copied whole. @module */
import { encodeId, tenantParts } from '../../core/keys.ts'
import { stateStore } from '../../stores/state/store.ts'
import { equal, ok, rejects } from '../assert.ts'
import { atOnce, upTo } from '../build.ts'
import { type Case, type Context, defineCase } from '../case.ts'
import {
  changesNothing,
  collect,
  entriesOf,
  event,
  mentions,
  ODD_IDS,
  RUN,
  several,
  spied,
  type Stores,
  stores,
} from '../stores.ts'
import { create, newRun, runOf, stepIds } from './runs.ts'

/** Gives a run one of everything. */
async function fill(s: Stores, runId: string = RUN): Promise<void> {
  await create(s, { input: 1, definition: 2, context: { a: 1 }, tags: ['gpu'], status: 'running' }, runId)
  await s.workflows.updateRun(runId, { position: { kind: 'delay', stepId: 'nap', wakeAt: 4e12 } })
  await s.workflows.upsertStep(runId, { stepId: 'ask', status: 'waiting', waitId: `wait of ${runId}` })
  await s.workflows.saveTaskResult(runId, 'a', 1)
  await s.workflows.failTask(runId, 'b', { error: 'E' })
  await s.log.append(event('e', { runId, idempotencyKey: 'k' }))
  await s.log.saveIntervention(runId, { targetStep: 'a' })
  await s.state.saveSnapshot({ runId, state: 1 })
  await s.state.set('name', 'v', { runId })
  await s.signals.sendMessage(runId, 'paid', 1, { idempotencyKey: 'k' })
  await s.signals.storeSignal(runId, 'pause')
  await s.claims.claimTask({ runId, stepId: 'a', workerId: 'w' })
}

export const nothing: Case = defineCase('WF-501', 'a deleted run leaves nothing', async (t) => {
  const s = stores(t)
  const before = await entriesOf(t)
  for (const it of [s, stores(t)]) {
    await fill(s)
    ok(await mentions(t, `wait of ${RUN}`), 'It was there')
    equal(await it.workflows.deleteRun(RUN), true)
    equal(await entriesOf(t), before)
    equal(await mentions(t, RUN), false, 'Not even its name')
    for (const other of [s, stores(t)]) {
      await changesNothing(t, async () => equal(await other.workflows.deleteRun(RUN), false))
      equal(await other.workflows.getRun(RUN), undefined)
      equal(await stepIds(other), [])
      equal(await other.workflows.findStepByWaitId(`wait of ${RUN}`), undefined)
    }
  }
})

/** Idempotent, even if the run never existed. */
export const absent: Case = defineCase('WF-502', 'deleting an unknown run succeeds and returns false', async (t) => {
  const s = stores(t)
  await changesNothing(t, async () => {
    for (const runId of [RUN, 'x', ...ODD_IDS.slice(0, 5)]) equal(await s.workflows.deleteRun(runId), false)
  })
})

/** langgraph-redis #39: similar names are not touched. */
export const neighbours: Case = defineCase('WF-503', 'deleting a run keeps those with similar names', async (t) => {
  const s = stores(t)
  const names = ['a', 'a2', 'a:b', 'a!', 'a!run', 'a%', '%', '*', 'A', 'aa', '__proto__']
  for (const runId of names) await fill(s, runId)
  for (const runId of ['a', '%', '*', '__proto__']) {
    const others = await Promise.all(names.map((it) => s.workflows.getRun(it)))
    equal(await stores(t).workflows.deleteRun(runId), true)
    equal(
      await Promise.all(names.map((it) => s.workflows.getRun(it))),
      others.map((run) => (run?.runId === runId ? undefined : run)),
    )
  }
  for (const runId of ['a2', 'a:b', 'a!', 'a!run', 'a%', 'A', 'aa']) {
    equal(await stepIds(s, runId), ['ask', 'a'])
    equal((await s.workflows.findStepByWaitId(`wait of ${runId}`))?.runId, runId)
    equal(await s.log.getLatestSeq(runId), 1)
    equal(await s.workflows.deleteRun(runId), true)
  }
  equal(await mentions(t, 'run!'), false)
})

/** Whichever store created it. */
export const others: Case = defineCase('WF-504', 'runs created by logs and snapshots are deleted, too', async (t) => {
  const s = stores(t)
  const before = await t.dump()
  for (const it of [s, stores(t)]) {
    await s.log.append(event('e', { idempotencyKey: 'k' }), {
      run: { tags: ['x'], position: { kind: 'step', stepId: 'a' } },
    })
    await s.state.saveSnapshot({ runId: 'saved', state: 1, status: 'completed' })
    await s.state.set('alone', 'v', { runId: 'values' })
    equal([await it.workflows.deleteRun(RUN), await it.workflows.deleteRun('saved')], [true, true])
    equal(await it.workflows.deleteRun('values'), false, 'No run, but values under its id')
    equal(await t.dump(), before)
  }
  await s.log.append(event('e', { workflow: 'other', idempotencyKey: 'k', payload: 2 }))
  equal((await stores(t).log.load(RUN))?.workflow, 'other')
})

/** Created again, it is another run. */
export const again: Case = defineCase('WF-505', 'a run created again shows nothing of the old one', async (t) => {
  const s = stores(t)
  await fill(s)
  await s.workflows.deleteRun(RUN)
  await create(s)
  for (const it of [s, stores(t)]) {
    const { context, input, generation, retries, signals } = await runOf(it)
    equal([context, input, generation, retries, signals], [{}, undefined, 1, undefined, undefined])
    equal([await stepIds(it), await it.workflows.loadTaskResult(RUN, 'a')], [[], undefined])
    equal(await it.workflows.findStepByWaitId(`wait of ${RUN}`), undefined)
  }
  equal(await s.workflows.saveTaskResult(RUN, 'a', 2), { duplicate: false })
  await s.workflows.upsertStep(RUN, { stepId: 'other', waitId: `wait of ${RUN}` })
  equal(await stepIds(s), ['a', 'other'])
})

/** One of several callers deletes it, and concurrent writes bring nothing back. */
export const races: Case = defineCase('WF-506', 'of concurrent deletions one returns true', async (t) => {
  const handles = several(t, 4)
  const before = await entriesOf(t)
  for (const round of upTo(3)) {
    await fill(handles[0]!)
    const deleted = await atOnce(12, (i) => handles[(i + round) % 4]!.workflows.deleteRun(RUN))
    equal(deleted.filter((it) => it).length, 1)
    equal(await entriesOf(t), before)
    await create(handles[0]!)
    await Promise.allSettled([
      ...handles.map((s, i) => s.workflows.saveTaskResult(RUN, `s${i}`, i)),
      ...handles.map((s, i) => s.workflows.upsertStep(RUN, { stepId: `t${i}`, waitId: `w${i}` })),
      handles[1]!.workflows.deleteRun(RUN),
      ...handles.map((s, i) => s.workflows.patchContext(RUN, { [`k${i}`]: i })),
      ...handles.map((s) => s.log.saveIntervention(RUN, { targetStep: 'a' })),
    ])
    equal(await entriesOf(t), before)
  }
})

/** Everything of a run is in one part. The indexes follow from its record. */
export const entries: Case = defineCase('WF-507', 'the entries of a run are all entries of its part', async (t) => {
  const s = spied(t, { limits: { rangeEntries: 4 } })
  await fill(s)
  await create(s, {}, `${RUN}2`)
  const part = tenantParts(t.tenant).run(RUN)
  const found = await collect(s.workflows.runEntries(RUN))
  equal(found, await t.all({ part }))
  const keys = found.map(({ key }) => key)
  for (const key of [
    'run',
    'input',
    'definition',
    'context',
    'snapshot',
    `step!${encodeId('a', 'id')}`,
    'value!name',
  ]) {
    ok(keys.includes(key), key)
  }
  equal(await collect(s.workflows.runEntries('none')), [])
})

/** The unit of copies: put back, it is the same. */
export const copied: Case = defineCase('WF-508', 'a run is the same once its entries are put back', async (t) => {
  const s = stores(t)
  await fill(s)
  const run = await runOf(s)
  const saved = await collect(s.workflows.runEntries(RUN))
  await restore(t, saved)
  const other = stores(t, {}, 'elsewhere')
  equal(await other.workflows.getRun(RUN), run)
  equal(await collect(other.workflows.steps(RUN)), await collect(s.workflows.steps(RUN)))
  equal(await other.log.load(RUN), await s.log.load(RUN))
  equal(await other.workflows.deleteRun(RUN), true)
  equal(await runOf(stores(t)), run, 'The other tenant still has it')
})

/** Writes the entries of a run for the tenant `elsewhere`. */
const restore = (t: Context, saved: Awaited<ReturnType<Context['all']>>): Promise<unknown> =>
  t.writeAll(
    saved.map(({ key, value, expiresAt }) => ({
      put: { part: tenantParts('elsewhere').run(RUN), key },
      value,
      ...(expiresAt !== null && { expires: { at: expiresAt } }),
    })),
  )

/** A start between two deletions. */
export const startAndDelete: Case = defineCase(
  'WF-509',
  'starting and deleting at once leaves a whole run or none',
  async (t) => {
    const handles = several(t, 4)
    const before = await t.dump()
    for (const round of upTo(4)) {
      await atOnce(16, async (i) => {
        const { workflows } = handles[(i + round) % 4]!
        if (i % 2) await workflows.deleteRun(RUN)
        else await workflows.prepareRun({ ...newRun({ input: i, context: { i } }), policy: 'useExisting' })
      })
      const run = await stores(t).workflows.getRun(RUN)
      if (run) equal(run.context, { i: run.input })
      equal(await handles[0]!.workflows.deleteRun(RUN), run !== undefined)
      equal(await t.dump(), before)
    }
    await rejects(handles[0]!.workflows.updateRun(RUN, {}), 'NOT_FOUND')
  },
)

export const past: Case = defineCase('WF-510', 'a deleted run leaves no earlier snapshot', async (t) => {
  const s = stores(t)
  const before = await t.dump()
  const state = stateStore(s.db, { tenant: t.tenant, history: 3 })
  for (const remove of [
    () => s.workflows.deleteRun(RUN),
    () => s.workflows.prepareRun({ ...newRun(), policy: 'terminateExisting' }),
  ]) {
    for (const n of upTo(5)) await state.saveSnapshot({ runId: RUN, workflow: 'order', state: `PAST-${n}` })
    equal((await collect(state.snapshots())).length, 1)
    ok((await state.listHistory(RUN)).items.length > 1, 'There are some')
    await remove()
    equal(await mentions(t, 'PAST-'), false)
    equal([await state.listHistory(RUN), await collect(state.snapshots())], [{ items: [] }, []])
    await s.workflows.deleteRun(RUN)
    equal(await t.dump(), before)
  }
})
