/** Runs are started once, by the first caller. @module */
import type { StartPolicy } from '../../stores/workflows/start.ts'
import { equal, ok, rejects } from '../assert.ts'
import { atOnce, upTo } from '../build.ts'
import { type Case, defineCase } from '../case.ts'
import { MANY_WRITERS } from '../many.ts'
import { changesNothing, event, mentions, RUN, several, stores, structured, verdict, WORKFLOW } from '../stores.ts'
import { workflowStore } from '../../stores/workflows/store.ts'
import { create, newRun, runOf, stepIds, waiting } from './runs.ts'

/** With all fields. */
export const roundTrip: Case = defineCase('WF-101', 'a run comes back as it was created', async (t) => {
  const { workflows, db } = stores(t)
  await db.health()
  const given = {
    ...newRun(),
    status: 'waiting' as const,
    definitionVersion: '7',
    definitionHash: 'sha',
    definition: { steps: ['a', 'b'] },
    input: { agent: 'a1', entryPoint: 'e', ...structured() },
    context: { tenant: 'x', nested: { list: [1] } },
    position: { kind: 'delay', stepId: 'nap', wakeAt: 4e12, next: 'a' } as const,
    priority: 1 as const,
    tags: ['gpu', 'eu'],
    deadline: { stepId: 'a', at: 5e12 },
    traceParent: '00-4bf9-00f0-01',
  }
  const run = await workflows.createRun(given)
  const { createdAt } = run
  const times = { createdAt, updatedAt: createdAt, since: createdAt }
  equal(run, { ...given, ...times, generation: 1, contextVersion: 1 })
  equal(await stores(t).workflows.getRun(RUN), run)
  ok(Number.isSafeInteger(createdAt), 'Milliseconds')
})

/** With only the required fields. */
export const bare: Case = defineCase(
  'WF-102',
  'a run without options is pending and has an empty context',
  async (t) => {
    const s = stores(t)
    const run = await create(s)
    const { createdAt } = run
    equal(run, {
      ...newRun(),
      ...{ status: 'pending', createdAt, updatedAt: createdAt, since: createdAt },
      ...{ generation: 1, priority: 3, tags: [], context: {}, contextVersion: 0 },
    })
    equal(await runOf(s), run)
    for (const [i, input] of [null, 0, '', false, [], {}, new Uint8Array(), new Uint8Array([0, 255])].entries()) {
      await create(s, { input, definition: input }, `r${i}`)
      const { input: found, definition } = await runOf(stores(t), `r${i}`)
      equal([found, definition], [input, input])
    }
    await create(s, { input: undefined, definition: undefined, context: undefined, tags: undefined }, 'none')
    equal(Object.keys(await runOf(s, 'none')).toSorted(), Object.keys(run).toSorted())
  },
)

/** A missing run is a value, not an error. */
export const unknown: Case = defineCase('WF-103', 'an unknown run is undefined', async (t) => {
  const { workflows } = stores(t)
  equal(await workflows.getRun(RUN), undefined)
  equal([await workflows.listRuns(), await workflows.listSteps(RUN)], [{ items: [] }, { items: [] }])
})

/** vercel/workflow #2983: a start that comes second says so, and overwrites nothing. */
export const once: Case = defineCase('WF-104', 'an existing run is not created again', async (t) => {
  const [one, two] = [stores(t), stores(t)]
  await create(one, { input: 1, definitionHash: 'h' })
  await one.log.append(event('e', { runId: 'logged', workflow: 'w' }))
  await one.state.saveSnapshot({ runId: 'saved', state: 1, status: 'completed' })
  await changesNothing(t, async () => {
    for (const s of [one, two, stores(t)]) {
      for (const more of [{ input: 2 }, { workflow: 'other' }, { definitionHash: 'other' }]) {
        const { details } = await rejects(create(s, more), 'ALREADY_EXISTS')
        equal([details?.['workflow'], details?.['status']], [WORKFLOW, 'pending'])
      }
      equal((await rejects(create(s, {}, 'logged'), 'ALREADY_EXISTS')).details?.['workflow'], 'w')
      equal((await rejects(create(s, {}, 'saved'), 'ALREADY_EXISTS')).details?.['status'], 'completed')
    }
  })
})

export const policies: Case = defineCase(
  'WF-105',
  'an existing run is refused, used or terminated, as the policy says',
  async (t) => {
    const s = stores(t)
    const prepare = (policy: StartPolicy | undefined, input: number, it = s) =>
      it.workflows.prepareRun({ ...newRun({ input }), ...(policy && { policy }) })
    const first = await prepare('fail', 1)
    equal([first.created, first.run.input, first.run.generation], [true, 1, 1])
    for (const it of [s, stores(t)]) {
      await changesNothing(t, async () => {
        for (const policy of ['fail', undefined] as const) await rejects(prepare(policy, 2, it), 'ALREADY_EXISTS')
        equal(await prepare('useExisting', 2, it), { created: false, run: first.run })
      })
    }
    for (const [i, it] of [s, stores(t)].entries()) {
      const { created, run } = await prepare('terminateExisting', 3 + i, it)
      equal([created, run.input, run.generation], [true, 3 + i, 2 + i])
      equal(await runOf(stores(t)), run)
    }
    equal((await s.workflows.prepareRun({ ...newRun({}, 'new'), policy: 'terminateExisting' })).run.generation, 1)
    equal((await s.workflows.prepareRun({ ...newRun({}, 'newer'), policy: 'useExisting' })).created, true)
  },
)

/** An ended run can be started over, or used as it is. */
export const endedRuns: Case = defineCase('WF-106', 'an ended run is used as it is, or started over', async (t) => {
  const s = stores(t)
  await create(s, { input: 1, position: { kind: 'step', stepId: 'a' } })
  await s.workflows.saveTaskResult(RUN, 'a', 'out')
  await s.workflows.updateRun(RUN, { status: 'failed', error: 'Broken' })
  for (const it of [s, stores(t)]) {
    const { created, run } = await it.workflows.prepareRun({ ...newRun({ input: 2 }), policy: 'useExisting' })
    equal([created, run.status, run.completion, run.error, run.input], [false, 'failed', 'failed', 'Broken', 1])
    equal(run.completedAt, run.since)
  }
  const { run } = await s.workflows.prepareRun({ ...newRun({ input: 2 }), policy: 'terminateExisting' })
  equal([run.status, run.completion, run.error, run.input], ['pending', undefined, undefined, 2])
  equal(await s.workflows.loadTaskResult(RUN, 'a'), undefined)
})

/** Another definition is an error, whatever the policy. A missing field cannot differ. */
export const definitions: Case = defineCase(
  'WF-107',
  'a run with another definition is refused by every policy',
  async (t) => {
    const s = stores(t)
    await create(s, { definitionVersion: '1', definitionHash: 'one' })
    await create(s, {}, 'plain')
    const policies: StartPolicy[] = ['fail', 'useExisting', 'terminateExisting']
    await changesNothing(t, async () => {
      for (const { workflows } of [s, stores(t)]) {
        for (const policy of policies) {
          const start = (more: object) => workflows.prepareRun({ ...newRun(more), policy })
          const { details } = await rejects(start({ definitionHash: 'two' }), 'DEFINITION_MISMATCH')
          equal([details?.['found'], details?.['expected']], ['one', 'two'])
          await rejects(start({ definitionVersion: '2' }), 'DEFINITION_MISMATCH')
          await rejects(start({ definitionVersion: '2', definitionHash: 'one' }), 'DEFINITION_MISMATCH')
          await rejects(start({ workflow: 'other' }), 'WORKFLOW_MISMATCH')
        }
        for (const more of [{}, { definitionHash: 'one' }, { definitionVersion: '1' }]) {
          equal((await workflows.prepareRun({ ...newRun(more), policy: 'useExisting' })).created, false)
        }
        const found = await workflows.prepareRun({
          ...newRun({ definitionHash: 'new', definitionVersion: '9' }, 'plain'),
          policy: 'useExisting',
        })
        equal([found.created, found.run.definitionHash], [false, undefined])
      }
    })
  },
)

/** Terminating a run removes all its children. */
export const terminated: Case = defineCase('WF-108', 'a new run has nothing of the terminated one', async (t) => {
  const s = stores(t)
  const old = 'OLD-MARKER'
  await waiting(s, { input: old, definition: old, context: { old }, tags: [old], priority: 1 }, old)
  await s.workflows.saveTaskResult(RUN, 'a', old)
  await s.log.append(event('e', { payload: old, idempotencyKey: old }))
  await s.log.saveIntervention(RUN, { targetStep: old })
  await s.state.saveSnapshot({ runId: RUN, state: old, position: { kind: 'step', stepId: old } })
  await s.state.set('name', old, { runId: RUN })
  await s.signals.storeSignal(RUN, 'pause', { reason: old })
  await s.signals.sendMessage(RUN, old, old)
  await s.claims.claimTask({ runId: RUN, stepId: 'b', workerId: old })
  await create(s, {}, `${RUN}2`)
  await s.workflows.prepareRun({ ...newRun({ input: 'new' }), policy: 'terminateExisting' })
  equal(await mentions(t, old), false, 'Something of the old run is left')
  for (const it of [s, stores(t)]) {
    equal(await stepIds(it), [])
    const { generation, input, context, status, signals } = await runOf(it)
    equal([generation, input, context, status, signals], [2, 'new', {}, 'pending', undefined])
    equal([await it.log.getLatestSeq(RUN), await it.state.loadSnapshot(RUN)], [undefined, undefined])
    equal((await it.workflows.listRuns({ status: 'pending' })).items.length, 2)
  }
  equal(await s.workflows.saveTaskResult(RUN, 'a', 'new'), { duplicate: false })
  equal(await s.workflows.patchContext(RUN, { b: 1 }), { version: 1, context: { b: 1 } })
  equal((await s.log.append(event('e', { idempotencyKey: old }))).seq, 1)
  equal((await runOf(s, `${RUN}2`)).generation, 1)
})

/** A worker on the old run is fenced off. */
export const fenced: Case = defineCase(
  'WF-109',
  'a worker on a terminated run writes nothing into the new one',
  async (t) => {
    const [worker, other] = [stores(t), stores(t)]
    await create(worker, { status: 'running', position: { kind: 'step', stepId: 'a' } })
    const claim = await worker.claims.claimTask({ runId: RUN, stepId: 'a', workerId: 'w', ttl: 600_000 })
    ok(claim, 'Claimed')
    await worker.workflows.saveTaskResult(RUN, 'a', 1, { claim })
    await other.workflows.prepareRun({ ...newRun(), policy: 'terminateExisting' })
    await changesNothing(t, async () => {
      for (const { workflows } of [worker, stores(t)]) {
        await rejects(workflows.saveTaskResult(RUN, 'a', 1, { claim }), 'CLAIM_LOST')
        await rejects(workflows.patchContext(RUN, { a: 1 }, { claim }), 'CLAIM_LOST')
        await rejects(workflows.updateRun(RUN, { status: 'completed' }, { claim }), 'CLAIM_LOST')
      }
    })
  },
)

export const oneStarter: Case = defineCase(
  'WF-110',
  'of concurrent starters exactly one creates the run',
  async (t) => {
    const handles = several(t, 5)
    for (const policy of ['fail', 'useExisting'] as const) {
      const found = await atOnce(20, (i) =>
        verdict(handles[i % 5]!.workflows.prepareRun({ ...newRun({ input: i }, policy), policy })),
      )
      const winners = found.flatMap((it, i) => ((it as { created?: boolean }).created ? [i] : []))
      equal(winners.length, 1, policy)
      const run = await runOf(stores(t), policy)
      equal(run.input, winners[0])
      for (const [i, it] of found.entries()) {
        if (i !== winners[0]) equal(it, policy === 'fail' ? 'ALREADY_EXISTS' : { created: false, run })
      }
    }
    const created = await atOnce(20, (i) => verdict(create(handles[i % 5]!, { input: i }, 'created')))
    equal(created.filter((it) => it === 'ALREADY_EXISTS').length, 19)
  },
)

/** A reopened driver stands for another process. */
export const otherProcesses: Case = defineCase(
  'WF-111',
  'of starters in several processes exactly one creates the run',
  async (t) => {
    const drivers = [t.driver, (await t.reopen()).driver, (await t.reopen()).driver]
    const handles = drivers.map((driver) => workflowStore(t.db({ driver }), { tenant: t.tenant }))
    const found = await atOnce(15, (i) =>
      handles[i % 3]!.prepareRun({ ...newRun({ input: i }), policy: 'useExisting' }),
    )
    equal(found.filter(({ created }) => created).length, 1)
    equal(new Set(found.map(({ run }) => run.input)).size, 1)
  },
  MANY_WRITERS,
)

/** Every caller that terminates gets its turn. */
export const successors: Case = defineCase('WF-112', 'concurrent terminations count the generations', async (t) => {
  const handles = several(t, 4)
  const found = await atOnce(12, (i) =>
    handles[i % 4]!.workflows.prepareRun({ ...newRun({ input: i, tags: [`t${i}`] }), policy: 'terminateExisting' }),
  )
  equal(
    found.map(({ run }) => run.generation).toSorted((a, b) => a - b),
    upTo(12),
  )
  const last = found.find(({ run }) => run.generation === 12)!.run
  equal(await runOf(stores(t)), last)
  equal((await stores(t).workflows.listRuns({ status: 'pending' })).items.length, 1)
})

/** A created run works like any other. */
export const usable: Case = defineCase('WF-113', 'a created run accepts events, snapshots and claims', async (t) => {
  const s = stores(t)
  await s.db.health()
  await create(s, { status: 'running', position: { kind: 'step', stepId: 'a' } })
  await t.sleep(10)
  const [task] = await s.claims.findAvailableTasks({ workerId: 'w' })
  equal([task?.runId, task?.stepId], [RUN, 'a'])
  equal(await s.log.append(event('e')), { seq: 1, duplicate: false })
  await rejects(s.log.append(event('e', { workflow: 'other' })), 'WORKFLOW_MISMATCH')
  await s.state.saveSnapshot({ runId: RUN, state: 1, status: 'running' })
  equal((await runOf(s)).status, 'running')
  await s.log.complete(RUN, 'completed')
  const { status, completion, completedAt, since } = await runOf(stores(t))
  equal([status, completion, completedAt], ['completed', 'completed', since])
})

/** Two runs that start from the same value diverge, and the original stays. */
export const forks: Case = defineCase('WF-115', "runs started from another's values share nothing", async (t) => {
  const s = stores(t)
  await create(s, { input: { n: 1 }, context: { list: [1], at: new Map([['a', 1]]) }, definition: { v: 1 } })
  await s.state.saveSnapshot({ runId: RUN, state: { list: [1] } })
  const { input, context, definition } = await runOf(s)
  const { state } = (await s.state.loadSnapshot(RUN))!
  for (const runId of ['left', 'right']) {
    const it = runId === 'left' ? s : stores(t)
    await create(it, { input, context, definition }, runId)
    await it.state.saveSnapshot({ runId, state })
    await it.workflows.patchContext(runId, { of: runId })
    await it.workflows.saveTaskResult(runId, 'a', runId)
    await it.state.saveSnapshot({ runId, state: { of: runId } })
  }
  for (const it of [s, stores(t)]) {
    for (const runId of ['left', 'right']) {
      const run = await runOf(it, runId)
      equal([run.input, run.definition, run.context], [input, definition, { ...(context as object), of: runId }])
      equal((await it.state.loadSnapshot(runId))?.state, { of: runId })
      equal(await it.workflows.loadTaskResult(runId, 'a'), { result: runId })
    }
    equal([(await runOf(it)).context, await stepIds(it)], [context, []])
    equal((await it.state.loadSnapshot(RUN))?.state, state)
  }
})

/** Objects of the caller belong to the caller. */
export const copies: Case = defineCase('WF-114', 'arguments and results can be changed without effect', async (t) => {
  const s = stores(t)
  const context = { list: [1] }
  const bytes = new Uint8Array([1, 2])
  const result = { list: [1] }
  await create(s, { context })
  const patched = await s.workflows.patchContext(RUN, context)
  const row = await s.workflows.upsertStep(RUN, { stepId: 'a', result })
  await s.workflows.saveTaskResult(RUN, 'b', bytes)
  for (const it of [context, patched.context as typeof context, result, row.result as typeof result]) it.list.push(2)
  bytes.fill(9)
  equal((await s.workflows.patchContext(RUN, { n: 1 })).context, { list: [1], n: 1 })
  equal((await s.workflows.patchStep(RUN, 'a', { status: 'running' })).result, { list: [1] })
  await rejects(s.workflows.saveTaskResult(RUN, 'b', bytes), 'CONFLICT')
  equal(await s.workflows.saveTaskResult(RUN, 'b', new Uint8Array([1, 2])), { duplicate: true })
  const stored = stores(t)
  equal(
    [(await runOf(stored)).context, await stored.workflows.getStep(RUN, 'a')],
    [{ list: [1], n: 1 }, await s.workflows.getStep(RUN, 'a')],
  )
})

/** A run created in a wait behaves like one that enters it. */
export const beginsWaiting: Case = defineCase(
  'WF-116',
  'a run created in a wait is due in time, and not offered before',
  async (t) => {
    const s = stores(t)
    await s.db.health()
    const at = (stepId: string) => ({ kind: 'step', stepId }) as const
    const nap = { kind: 'delay', stepId: 'nap', wakeAt: s.db.now() + 200, next: 'a' } as const
    equal((await create(s, { position: nap })).status, 'waiting')
    equal((await create(s, { position: at('b') }, 'other')).status, 'running')
    equal((await create(s, { position: at('c'), status: 'pending' }, 'told')).status, 'pending')
    await t.sleep(10)
    const offered = async () => (await s.claims.findAvailableTasks({ workerId: 'w' })).map(({ stepId }) => stepId)
    equal(new Set(await offered()), new Set(['b', 'c']))
    await t.sleep(250)
    await s.db.health()
    equal((await s.timers.advanceDue()).length, 1)
    await t.sleep(10)
    equal(new Set(await offered()), new Set(['a', 'b', 'c']))
  },
)
