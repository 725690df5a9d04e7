/** Results of steps do not overwrite each other, and the first result of each step stays. @module */
import { equal, ok, rejects } from '../assert.ts'
import { atOnce, upTo } from '../build.ts'
import { type Case, defineCase } from '../case.ts'
import {
  changesNothing,
  collect,
  ODD_IDS,
  RUN,
  several,
  spied,
  stores,
  structured,
  verdict,
  type Stores,
} from '../stores.ts'
import { create, outcome, runOf, stepIds } from './runs.ts'

const fork = (branches: readonly string[]) => ({ kind: 'fork', stepId: 'fork', branches }) as const

/** A task result is the result of its row. */
export const readable: Case = defineCase(
  'WF-701',
  'a saved result can be loaded, and is the result of its step',
  async (t) => {
    const s = stores(t)
    await create(s, { status: 'running' })
    const all = [undefined, null, false, 0, -0, '', {}, new Uint8Array(), new Uint8Array([0, 255]), structured()]
    for (const [i, result] of all.entries()) {
      equal(await s.workflows.saveTaskResult(RUN, `s${i}`, result), { duplicate: false })
      for (const it of [s, stores(t)]) {
        equal(await it.workflows.loadTaskResult(RUN, `s${i}`), { result })
        equal(await it.workflows.saveTaskResult(RUN, `s${i}`, result), { duplicate: true })
      }
      equal(await outcome(stores(t), `s${i}`), ['completed', result])
    }
    equal((await stepIds(s)).length, all.length)
    const step = await s.workflows.getStep(RUN, 's1')
    equal([step?.startedAt, step?.completedAt], [step?.updatedAt, step?.updatedAt])
  },
)

/** A missing result is a value, not an error. */
export const absent: Case = defineCase(
  'WF-702',
  'a step without a result has none, and neither has an unknown run',
  async (t) => {
    const s = stores(t)
    await create(s)
    for (const status of ['pending', 'running', 'waiting', 'failed', 'cancelled', 'skipped'] as const) {
      await s.workflows.upsertStep(RUN, { stepId: status, status, result: 1 })
      equal(await s.workflows.loadTaskResult(RUN, status), undefined)
    }
    equal(await s.workflows.loadTaskResult(RUN, 'never'), undefined)
    equal(await s.workflows.loadTaskResult('none', 'a'), undefined)
    await s.workflows.upsertStep(RUN, { stepId: 'done', status: 'completed', result: 1 })
    equal(await s.workflows.loadTaskResult(RUN, 'done'), { result: 1 })
  },
)

/** An ended run keeps its results, and accepts no others. */
export const afterEnd: Case = defineCase('WF-703', 'results can be loaded after the run has ended', async (t) => {
  for (const completion of ['completed', 'failed', 'cancelled', 'compensated'] as const) {
    const s = stores(t)
    await create(s, {}, completion)
    await s.workflows.saveTaskResult(completion, 'a', [completion])
    await s.log.complete(completion, completion)
    for (const { workflows } of [s, stores(t)]) {
      equal(await workflows.loadTaskResult(completion, 'a'), { result: [completion] })
      equal(await workflows.saveTaskResult(completion, 'a', [completion]), { duplicate: true })
      await rejects(workflows.saveTaskResult(completion, 'a', 2), 'CONFLICT')
    }
  }
})

/** The first result wins, unless `overwrite` is given. */
export const firstWins: Case = defineCase(
  'WF-704',
  'the first result of a step stays unless it is overwritten',
  async (t) => {
    const s = stores(t)
    await create(s)
    await s.workflows.saveTaskResult(RUN, 'a', { n: 1 })
    await changesNothing(t, async () => {
      for (const { workflows } of [s, stores(t)]) {
        for (const result of [{ n: 2 }, { n: '1' }, undefined, null, new Uint8Array([1])]) {
          await rejects(workflows.saveTaskResult(RUN, 'a', result), 'CONFLICT')
          await rejects(workflows.saveTaskResult(RUN, 'a', result, { overwrite: false }), 'CONFLICT')
        }
        equal(await workflows.saveTaskResult(RUN, 'a', { n: 1 }), { duplicate: true })
      }
    })
    for (const [i, { workflows }] of [s, stores(t)].entries()) {
      equal(await workflows.saveTaskResult(RUN, 'a', i, { overwrite: true }), { duplicate: false })
      equal(await stores(t).workflows.loadTaskResult(RUN, 'a'), { result: i })
    }
    await s.workflows.upsertStep(RUN, { stepId: 'b', status: 'failed', error: 'E' })
    equal(await s.workflows.saveTaskResult(RUN, 'b', 1), { duplicate: false }, 'A failed one had none')
    const step = await stores(t).workflows.getStep(RUN, 'b')
    equal([step?.status, step?.error], ['completed', undefined])
  },
)

/** Sixty-four branches at once, in as few requests as possible. */
export const siblings: Case = defineCase('WF-705', 'concurrent branches lose no result', async (t) => {
  const branches = upTo(64).map((n) => `b${n}`)
  const s = spied(t)
  await create(s, { position: fork(branches), status: 'running' })
  const requests = await s.cost(() =>
    Promise.all(branches.map((stepId) => s.workflows.saveTaskResult(RUN, stepId, { of: stepId }))),
  )
  ok(requests <= 2, `They share requests, but took ${requests}`)
  for (const stepId of branches)
    equal(await stores(t).workflows.loadTaskResult(RUN, stepId), { result: { of: stepId } })
  equal((await runOf(stores(t))).position, { ...fork(branches), completed: branches })
  equal(await stepIds(s), branches)
})

export const workers: Case = defineCase('WF-706', 'branches of several workers lose no result', async (t) => {
  const branches = upTo(32).map((n) => `b${n}`)
  const handles = several(t, 4)
  await create(handles[0]!, { position: fork(branches), status: 'running' })
  await Promise.all(branches.map((stepId, i) => handles[i % 4]!.workflows.saveTaskResult(RUN, stepId, i)))
  const { position } = await runOf(stores(t))
  ok(position?.kind === 'fork', 'Still there')
  equal(position.completed?.toSorted(), branches.toSorted())
  equal((await collect(stores(t).workflows.steps(RUN))).length, 32)
})

/** vercel/workflow #4173: of N results of one step, one counts. */
export const oneWinner: Case = defineCase(
  'WF-707',
  'of concurrent results of one step the first one stays',
  async (t) => {
    const handles = several(t, 4)
    await create(handles[0]!)
    for (const stepId of ['a', 'b', 'c']) {
      const found = await atOnce(12, (i) =>
        verdict(handles[i % 4]!.workflows.saveTaskResult(RUN, stepId, i).then(({ duplicate }) => duplicate)),
      )
      equal(found.filter((it) => it === 'CONFLICT').length, 11)
      equal(await stores(t).workflows.loadTaskResult(RUN, stepId), { result: found.indexOf(false) })
      const same = await atOnce(12, (i) => handles[i % 4]!.workflows.saveTaskResult(RUN, `same ${stepId}`, 1))
      equal(same.filter(({ duplicate }) => !duplicate).length, 1)
    }
    equal((await stepIds(handles[0]!)).length, 6)
  },
)

/** Late work is not lost. */
export const whileStopped: Case = defineCase(
  'WF-708',
  'a branch that ends while its run is paused or cancelled counts',
  async (t) => {
    for (const status of ['paused', 'cancelled', 'waiting', 'pending'] as const) {
      const s = stores(t)
      await create(s, { position: fork(['a', 'b']), status }, status)
      await s.workflows.saveTaskResult(status, 'a', 1)
      await s.workflows.saveTaskResult(status, 'other', 1)
      const run = await runOf(stores(t), status)
      equal([run.status, run.position], [status, { ...fork(['a', 'b']), completed: ['a'] }])
    }
  },
)

/** LangGraph #8039: a row that was stored without an update of its run. */
export const healed: Case = defineCase('WF-709', 'saving a result again also updates the fork', async (t) => {
  const s = stores(t)
  await create(s, { status: 'running' })
  await s.workflows.saveTaskResult(RUN, 'a', 1)
  await s.workflows.updateRun(RUN, { position: fork(['a', 'b']) })
  for (const it of [s, stores(t)]) {
    equal(await it.workflows.saveTaskResult(RUN, 'a', 1), { duplicate: true })
    equal((await runOf(stores(t))).position, { ...fork(['a', 'b']), completed: ['a'] })
  }
  await rejects(s.workflows.saveTaskResult(RUN, 'a', 2), 'CONFLICT')
})

/** Concurrent changes overwrite nothing of each other. */
export const orders: Case = defineCase(
  'WF-711',
  'results, context, snapshot and position are all kept, in any order',
  async (t) => {
    const writes: ((s: Stores, runId: string) => Promise<unknown>)[] = [
      ({ workflows }, runId) => workflows.saveTaskResult(runId, 'a', 1),
      ({ workflows }, runId) => workflows.patchStep(runId, 'a', { waitId: `wait of ${runId}` }),
      ({ workflows }, runId) => workflows.patchContext(runId, { b: 2 }),
      ({ state }, runId) => state.saveSnapshot({ runId, state: { c: 3 } }),
      ({ workflows }, runId) =>
        workflows.updateRun(runId, { position: { kind: 'step', stepId: 'd' }, status: 'waiting' }),
    ]
    const s = stores(t)
    await Promise.all(
      permutations(writes).map(async (order, i) => {
        const runId = `r${i}`
        await create(s, { context: { a: 1 } }, runId)
        for (const write of order) await write(s, runId)
      }),
    )
    for (let i = 0; i < 120; i++) {
      const runId = `r${i}`
      const { context, position } = await runOf(s, runId)
      equal(
        [context, position],
        [
          { a: 1, b: 2 },
          { kind: 'step', stepId: 'd' },
        ],
      )
      equal(await s.workflows.loadTaskResult(runId, 'a'), { result: 1 })
      equal((await s.workflows.findStepByWaitId(`wait of ${runId}`))?.step.status, 'completed')
      equal((await s.state.loadSnapshot(runId))?.state, { c: 3 })
    }
  },
)

const permutations = <T>(items: readonly T[]): T[][] =>
  items.length === 0
    ? [[]]
    : items.flatMap((item, i) => permutations(items.toSpliced(i, 1)).map((rest) => [item, ...rest]))

export const names: Case = defineCase('WF-710', 'results of steps of any name are kept apart', async (t) => {
  const s = stores(t)
  await create(s, { position: fork(ODD_IDS), status: 'running' })
  await Promise.all(ODD_IDS.map((stepId, i) => s.workflows.saveTaskResult(RUN, stepId, i)))
  for (const [i, stepId] of ODD_IDS.entries()) {
    equal(await stores(t).workflows.loadTaskResult(RUN, stepId), { result: i })
  }
  equal((await runOf(stores(t))).position, { ...fork(ODD_IDS), completed: ODD_IDS })
})

/** A finished branch changes only its own offer. */
export const siblingOffers: Case = defineCase(
  'WF-713',
  'a finished branch does not affect the offers of the others',
  async (t) => {
    const s = spied(t)
    const branches = upTo(30).map((n) => `b${n}`)
    await s.db.health()
    await create(s, { position: { kind: 'fork', stepId: 'f', branches } })
    await t.sleep(10)
    const [offer] = await s.claims.findAvailableTasks({ workerId: 'w', limit: 1 })
    await t.sleep(20)
    await s.workflows.saveTaskResult(
      RUN,
      branches.find((branch) => branch !== offer!.stepId)!,
      'done',
    )
    ok(s.spy.commits.at(-1)!.commits[0]!.ops.length < 10, 'What it costs does not grow with the branches')
    ok(await s.claims.claimTask({ ...offer!, workerId: 'w', ttl: 1000 }), 'The offer still stands')
  },
)
