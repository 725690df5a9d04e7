/** Steps of runs: one row each, in the order of insertion. @module */
import type { RunStatus, StepStatus } from '../../runs/status.ts'
import { equal, ok, rejects } from '../assert.ts'
import { atOnce, upTo } from '../build.ts'
import { type Case, defineCase } from '../case.ts'
import { byPage, changesNothing, collect, ODD_IDS, RUN, several, spied, stores, structured } from '../stores.ts'
import { create, runOf, stepIds } from './runs.ts'

/** First running, then completed. */
export const upserts: Case = defineCase('WF-601', 'a step is inserted, then replaced', async (t) => {
  const s = stores(t)
  await create(s)
  const running = await s.workflows.upsertStep(RUN, { stepId: 'a', status: 'running' })
  const { updatedAt } = running
  equal(running, { stepId: 'a', status: 'running', startedAt: updatedAt, updatedAt })
  const { workflows } = stores(t)
  equal(await workflows.getStep(RUN, 'a'), running)
  const done = await workflows.upsertStep(RUN, { stepId: 'a', status: 'completed', result: structured(), startedAt: 5 })
  const at = done.updatedAt
  equal(done, { stepId: 'a', status: 'completed', result: structured(), startedAt: 5, completedAt: at, updatedAt: at })
  for (const it of [s, stores(t)]) equal(await it.workflows.getStep(RUN, 'a'), done)
  equal(await s.workflows.getStep(RUN, 'b'), undefined)
  equal(await s.workflows.getStep('none', 'a'), undefined)
})

/** It replaces everything. */
export const replaces: Case = defineCase('WF-602', 'a replaced step keeps only its place', async (t) => {
  const s = stores(t)
  await create(s)
  await s.workflows.upsertStep(RUN, {
    stepId: 'a',
    status: 'failed',
    error: 'E',
    result: 1,
    startedAt: 1,
    completedAt: 2,
  })
  const { updatedAt, ...rest } = await stores(t).workflows.upsertStep(RUN, { stepId: 'a' })
  equal(rest, { stepId: 'a', status: 'pending' })
  ok(Number.isSafeInteger(updatedAt), 'Milliseconds')
})

export const patches: Case = defineCase('WF-603', 'a patched step keeps its other fields', async (t) => {
  const s = stores(t)
  await create(s)
  await s.workflows.upsertStep(RUN, { stepId: 'a', status: 'waiting', waitId: 'w', startedAt: 7, result: 1 })
  for (const it of [s, stores(t)]) {
    const { updatedAt, ...rest } = await it.workflows.patchStep(RUN, 'a', { status: undefined, result: undefined })
    equal(rest, { stepId: 'a', status: 'waiting', waitId: 'w', startedAt: 7, result: 1 })
    equal(updatedAt, (await it.workflows.getStep(RUN, 'a'))?.updatedAt)
  }
  const done = await stores(t).workflows.patchStep(RUN, 'a', { status: 'completed', result: null })
  const { completedAt, updatedAt } = done
  equal(done, { stepId: 'a', status: 'completed', waitId: 'w', startedAt: 7, result: null, completedAt, updatedAt })
  equal(completedAt, updatedAt)
  const made = await s.workflows.patchStep(RUN, 'new', { error: '' })
  equal([made.status, made.error, made.startedAt], ['pending', '', undefined])
  equal(await stepIds(s), ['a', 'new'])
})

/** By the backend's clock, set once. */
export const times: Case = defineCase('WF-604', 'a step records when it first started and when it ended', async (t) => {
  const s = stores(t)
  await create(s)
  const { workflows } = s
  const step = async (status: StepStatus) => {
    await t.sleep(5)
    await s.db.health()
    return workflows.patchStep(RUN, 'a', { status })
  }
  equal((await step('pending')).startedAt, undefined)
  const { startedAt } = await step('running')
  ok(startedAt, 'Started')
  for (const status of ['waiting', 'running', 'pending'] as const) {
    const { startedAt: still, completedAt } = await step(status)
    equal([still, completedAt], [startedAt, undefined])
  }
  const failed = await step('failed')
  equal([failed.startedAt, failed.completedAt], [startedAt, failed.updatedAt])
  equal((await step('failed')).completedAt, failed.completedAt, 'It ended once')
  equal((await step('running')).completedAt, undefined, 'It goes on')
  ok((await step('completed')).completedAt! > failed.completedAt!, 'It ended later')
  const skipped = await workflows.upsertStep(RUN, { stepId: 'b', status: 'skipped' })
  equal([skipped.startedAt, skipped.completedAt], [undefined, skipped.updatedAt])
})

/** A changed row keeps its place. */
export const order: Case = defineCase('WF-605', 'steps are listed in the order of insertion, by run', async (t) => {
  const s = stores(t)
  await create(s)
  await create(s, {}, 'other')
  const ids = ['c', 'a', 'b', ...ODD_IDS.filter((id) => !['a', 'b', 'c'].includes(id))]
  for (const [i, stepId] of ids.entries()) {
    await s.workflows.upsertStep(RUN, { stepId, result: stepId })
    await s.workflows.upsertStep('other', { stepId: `other ${i}` })
  }
  const { workflows } = stores(t)
  await workflows.patchStep(RUN, 'c', { status: 'failed' })
  await workflows.upsertStep(RUN, { stepId: 'a', result: 'a' })
  await workflows.saveTaskResult(RUN, 'b', 'b', { overwrite: true })
  for (const limit of [1, 7, 1000]) {
    const found = await byPage((o) => workflows.listSteps(RUN, o), limit)
    equal(
      found.map(({ stepId }) => stepId),
      ids,
    )
    equal(
      found.map(({ result }) => result),
      ids,
    )
  }
  equal((await collect(workflows.steps(RUN, { limit: 10 }))).length, ids.length)
  equal((await collect(workflows.steps('other'))).length, ids.length)
  for (const stepId of ids) equal((await workflows.getStep(RUN, stepId))?.stepId, stepId)
})

/** One row for each step. */
export const concurrent: Case = defineCase('WF-606', 'steps inserted at once each exist once', async (t) => {
  const handles = several(t, 4)
  await create(handles[0]!)
  await atOnce(48, (i) => handles[i % 4]!.workflows.upsertStep(RUN, { stepId: `s${i % 24}`, result: i }))
  const found = await stepIds(stores(t))
  equal(
    found.toSorted(),
    upTo(24)
      .map((n) => `s${n - 1}`)
      .toSorted(),
  )
  await atOnce(30, (i) =>
    handles[i % 4]!.workflows.patchStep(
      RUN,
      'one',
      i % 3 ? (i % 2 ? { error: 'E' } : { result: 1 }) : { startedAt: 3 },
    ),
  )
  const step = await stores(t).workflows.getStep(RUN, 'one')
  equal([step?.error, step?.result, step?.startedAt], ['E', 1, 3])
})

/** Late changes are kept while a run is stopped, but not once it has ended. */
export const late: Case = defineCase(
  'WF-607',
  'steps of stopped runs still change, those of ended ones do not',
  async (t) => {
    const [one, two] = [stores(t), stores(t)]
    for (const status of ['pending', 'running', 'waiting', 'paused', 'cancelled'] as RunStatus[]) {
      await create(one, { status }, status)
      for (const [i, { workflows }] of [one, two, stores(t)].entries()) {
        await workflows.upsertStep(status, { stepId: `s${i}`, status: 'completed' })
        await workflows.patchStep(status, 's0', { result: i })
        equal(await workflows.saveTaskResult(status, `t${i}`, i), { duplicate: false })
      }
      equal((await runOf(two, status)).status, status)
      equal((await stepIds(two, status)).length, 6)
    }
    for (const status of ['completed', 'failed', 'compensated'] as const) {
      await create(one, {}, status)
      await one.workflows.upsertStep(status, { stepId: 'a', status: 'running' })
      await two.workflows.updateRun(status, { status })
      await changesNothing(t, async () => {
        for (const { workflows } of [one, two, stores(t)]) {
          for (const stepId of ['a', 'new']) {
            const { details } = await rejects(workflows.upsertStep(status, { stepId }), 'ALREADY_COMPLETED')
            equal(details?.['completion'], status)
            await rejects(workflows.patchStep(status, stepId, { result: 1 }), 'ALREADY_COMPLETED')
            await rejects(workflows.saveTaskResult(status, stepId, 1), 'ALREADY_COMPLETED')
            await rejects(workflows.saveTaskResult(status, stepId, 1, { overwrite: true }), 'ALREADY_COMPLETED')
          }
        }
      })
    }
  },
)

/** The result is read as it was stored. */
export const values: Case = defineCase('WF-608', 'results of steps can be any structured value', async (t) => {
  const s = stores(t)
  await create(s)
  const all = [null, false, 0, -0, '', '\0', [], {}, new Map([[1, 2]]), new Uint8Array([0, 255]), 10n, structured()]
  for (const [i, result] of all.entries()) {
    await s.workflows.upsertStep(RUN, { stepId: `u${i}`, result })
    await s.workflows.patchStep(RUN, `p${i}`, { result })
    for (const id of [`u${i}`, `p${i}`]) equal((await stores(t).workflows.getStep(RUN, id))?.result, result)
  }
  await changesNothing(t, async () => {
    for (const result of [() => 1, Symbol('s'), { toJSON: () => 1 }, '\ud800']) {
      await rejects(s.workflows.upsertStep(RUN, { stepId: 'x', result }), 'SERIALIZATION')
      await rejects(s.workflows.patchStep(RUN, 'x', { result }), 'SERIALIZATION')
      await rejects(s.workflows.saveTaskResult(RUN, 'x', result), 'SERIALIZATION')
    }
  })
})

/** A list holds one page. */
export const pages: Case = defineCase(
  'WF-609',
  'a page of steps is two requests, however many there are',
  async (t) => {
    const s = spied(t, { limits: { requestReads: 10 } })
    await create(s)
    await atOnce(25, (i) => s.workflows.upsertStep(RUN, { stepId: `s${i}` }))
    equal(await s.cost(() => s.workflows.listSteps(RUN, { limit: 5 })), 2)
    const { items, cursor } = await s.workflows.listSteps(RUN)
    ok(items.length <= 10 && cursor !== undefined, 'No more than the backend takes')
    equal((await collect(s.workflows.steps(RUN))).length, 25)
    equal(await s.cost(() => s.workflows.listSteps('none')), 1)
  },
)

/** A wait that timed out stays marked. */
export const timedOut: Case = defineCase('WF-610', 'a patched step keeps its timedOut', async (t) => {
  const s = stores(t)
  await s.db.health()
  const wakeAt = s.db.now() + 50
  await create(s, { status: 'waiting', position: { kind: 'message', stepId: 'a', name: 'paid', wakeAt, next: 'b' } })
  await t.sleep(100)
  await s.db.health()
  equal((await s.timers.advanceDue()).length, 1)
  equal((await s.workflows.getStep(RUN, 'a'))?.timedOut, true)
  for (const { workflows } of [s, stores(t)]) {
    equal((await workflows.patchStep(RUN, 'a', { error: 'Late' })).timedOut, true)
    equal((await workflows.getStep(RUN, 'a'))?.timedOut, true)
  }
  equal((await s.workflows.patchStep(RUN, 'a', { status: 'running' })).timedOut, undefined, 'It goes on')
})
