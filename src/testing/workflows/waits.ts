/** Steps that wait for an outside system, found by their wait id. @module */
import { equal, rejects } from '../assert.ts'
import { atOnce } from '../build.ts'
import { type Case, defineCase } from '../case.ts'
import { changesNothing, ODD_IDS, RUN, several, spied, stores, structured, verdict } from '../stores.ts'
import { create, runOf, waiting } from './runs.ts'

/** Without a scan. */
export const found: Case = defineCase('WF-801', 'a waiting step is found by its wait id', async (t) => {
  const s = stores(t)
  await waiting(s)
  const step = await s.workflows.getStep(RUN, 'ask')
  for (const it of [s, stores(t)]) {
    equal(await it.workflows.findStepByWaitId('wait'), { runId: RUN, step })
    equal(await it.workflows.findStepByWaitId('none'), undefined)
  }
  await s.workflows.patchStep(RUN, 'later', { status: 'running' })
  await s.workflows.patchStep(RUN, 'later', { status: 'waiting', waitId: 'two' })
  equal((await stores(t).workflows.findStepByWaitId('two'))?.step.stepId, 'later')
  await s.workflows.upsertStep(RUN, { stepId: 'ask', status: 'running' })
  equal(await s.workflows.findStepByWaitId('wait'), undefined, 'It does not wait any more')
})

/** All in one commit. */
export const completes: Case = defineCase('WF-802', 'ending a wait completes the step with its result', async (t) => {
  const s = stores(t)
  await waiting(s)
  const { startedAt } = (await s.workflows.getStep(RUN, 'ask'))!
  const done = await stores(t).workflows.completeWait('wait', { result: structured() })
  const { updatedAt } = done
  equal(done, {
    ...{ stepId: 'ask', status: 'completed', result: structured(), waitId: 'wait' },
    ...{ startedAt, completedAt: updatedAt, updatedAt },
  })
  equal(await s.workflows.loadTaskResult(RUN, 'ask'), { result: structured() })
  equal((await s.workflows.findStepByWaitId('wait'))?.step, done)
  equal((await runOf(s)).status, 'pending')
})

/** Later steps see the answer, and a failure is not a success. */
export const more: Case = defineCase('WF-803', 'a wait ends with context and position in one commit', async (t) => {
  const s = stores(t)
  await waiting(s, { context: { a: 1 }, status: 'waiting' })
  const position = { kind: 'step', stepId: 'next' } as const
  await s.workflows.completeWait('wait', { result: 1, context: { answer: 42 }, position })
  const run = await runOf(stores(t))
  equal([run.context, run.contextVersion, run.position, run.status], [{ a: 1, answer: 42 }, 2, position, 'running'])
  await s.workflows.upsertStep(RUN, { stepId: 'no', status: 'waiting', waitId: 'no' })
  await s.workflows.completeWait('no', { status: 'failed', error: 'Rejected' })
  const step = await stores(t).workflows.getStep(RUN, 'no')
  equal([step?.status, step?.error, step?.result], ['failed', 'Rejected', undefined])
  await s.workflows.updateRun(RUN, { position: { kind: 'fork', stepId: 'f', branches: ['x', 'y'] } })
  for (const [stepId, status] of [
    ['x', 'completed'],
    ['y', 'failed'],
  ] as const) {
    await s.workflows.upsertStep(RUN, { stepId, status: 'waiting', waitId: stepId })
    await s.workflows.completeWait(stepId, { status })
  }
  equal((await runOf(s)).position, { kind: 'fork', stepId: 'f', branches: ['x', 'y'], completed: ['x'] })
})

export const once: Case = defineCase('WF-804', 'a wait ends once, and the second caller gets a conflict', async (t) => {
  const handles = several(t, 4)
  await waiting(handles[0]!)
  const ended = await atOnce(12, (i) =>
    verdict(handles[i % 4]!.workflows.completeWait('wait', { result: i, context: { by: i } })),
  )
  equal(ended.filter((it) => it === 'CONFLICT').length, 11)
  const winner = ended.findIndex((it) => it !== 'CONFLICT')
  const s = stores(t)
  equal(await s.workflows.loadTaskResult(RUN, 'ask'), { result: winner })
  const { context, contextVersion } = await runOf(s)
  equal([context, contextVersion], [{ by: winner }, 1])
  await changesNothing(t, async () => {
    for (const it of [...handles, s]) {
      const { details } = await rejects(it.workflows.completeWait('wait', { result: winner }), 'CONFLICT')
      equal(details?.['status'], 'completed')
    }
  })
})

/** vercel/workflow #4173: of N callers that use one id, one gets it. */
export const taken: Case = defineCase('WF-805', 'a wait id belongs to one step', async (t) => {
  const handles = several(t, 4)
  const [s] = handles as [(typeof handles)[0]]
  await Promise.all(['r0', 'r1', 'r2', 'r3'].map((runId) => create(s, {}, runId)))
  const found = await atOnce(12, (i) =>
    verdict(handles[i % 4]!.workflows.upsertStep(`r${i % 4}`, { stepId: `s${i}`, status: 'waiting', waitId: 'one' })),
  )
  equal(found.filter((it) => it === 'CONFLICT').length, 11)
  const winner = found.findIndex((it) => it !== 'CONFLICT')
  const holder = await stores(t).workflows.findStepByWaitId('one')
  equal([holder?.runId, holder?.step.stepId], [`r${winner % 4}`, `s${winner}`])
  await changesNothing(t, async () => {
    for (const { workflows } of [s, stores(t)]) {
      await rejects(workflows.upsertStep(`r${winner % 4}`, { stepId: 'x', waitId: 'one' }), 'CONFLICT')
      await rejects(workflows.patchStep(`r${(winner + 1) % 4}`, 'x', { waitId: 'one' }), 'CONFLICT')
    }
  })
})

/** A step that waits twice under one id. */
export const again: Case = defineCase('WF-806', 'a step can wait again under its id', async (t) => {
  const s = stores(t)
  await waiting(s)
  for (const { workflows } of [s, stores(t)]) {
    await workflows.upsertStep(RUN, { stepId: 'ask', status: 'running' })
    await rejects(workflows.completeWait('wait'), 'NOT_FOUND')
    await workflows.upsertStep(RUN, { stepId: 'ask', status: 'waiting', waitId: 'wait' })
    equal((await workflows.completeWait('wait', { result: 1 })).status, 'completed')
    await workflows.patchStep(RUN, 'ask', { status: 'waiting' })
    equal((await stores(t).workflows.completeWait('wait', { result: 2 })).result, 2)
  }
  await s.workflows.deleteRun(RUN)
  await create(s, {}, 'other')
  await s.workflows.upsertStep('other', { stepId: 'x', waitId: 'wait' })
})

/** Kept while the run is stopped, but not once it has ended. */
export const stopped: Case = defineCase(
  'WF-807',
  'the wait of a stopped run can end, that of an ended run cannot',
  async (t) => {
    for (const status of ['paused', 'cancelled'] as const) {
      const s = stores(t)
      await waiting(s)
      await s.workflows.updateRun(RUN, { status })
      await stores(t).workflows.completeWait('wait', { result: 1 })
      equal((await runOf(s)).status, status)
      await s.workflows.deleteRun(RUN)
    }
    const s = stores(t)
    await waiting(s)
    await s.workflows.updateRun(RUN, { status: 'failed' })
    await changesNothing(t, async () => {
      for (const it of [s, stores(t)]) await rejects(it.workflows.completeWait('wait'), 'ALREADY_COMPLETED')
    })
  },
)

export const names: Case = defineCase('WF-808', 'wait ids of any name are kept apart', async (t) => {
  const s = stores(t)
  await create(s)
  for (const [i, waitId] of ODD_IDS.entries()) await s.workflows.upsertStep(RUN, { stepId: `s${i}`, waitId })
  const { workflows } = stores(t)
  for (const [i, waitId] of ODD_IDS.entries()) {
    equal((await workflows.findStepByWaitId(waitId))?.step.stepId, `s${i}`)
    equal((await workflows.completeWait(waitId, { result: i })).result, i)
  }
  const before = await t.dump()
  await workflows.deleteRun(RUN)
  equal([before.length > 0, await t.dump()], [true, []])
})

/** Two lookups, one commit. */
export const cost: Case = defineCase(
  'WF-809',
  'finding a wait is two requests, and ending it one more when warm',
  async (t) => {
    const s = spied(t)
    await waiting(s)
    equal(await s.cost(() => s.workflows.findStepByWaitId('wait')), 2)
    equal(await s.cost(() => s.workflows.findStepByWaitId('none')), 1)
    equal(await s.cost(() => s.workflows.completeWait('wait', { result: 1, context: { a: 1 } })), 3)
    equal(await s.cost(() => rejects(s.workflows.completeWait('wait'), 'CONFLICT')), 3)
  },
)
