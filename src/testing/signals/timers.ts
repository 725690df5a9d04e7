/** Runs that wait for a time: woken when it has come, and not before. @module */
import { equal, ok, rejects } from '../assert.ts'
import { atOnce, isNear, upTo } from '../build.ts'
import { type Case, defineCase } from '../case.ts'
import { RUN, type Stores, several, stores } from '../stores.ts'
import { at, begin, nap, now, offered, runOf, standing, stepOf, waitFor } from './runs.ts'

/** Milliseconds in which a few calls finish even on a slow machine. */
const SOON = 2000

/** Whether something is due, within the difference of the clocks. */
const isNow = async (s: Stores): Promise<boolean> => isNear((await s.timers.nextDue()) ?? 0, await now(s))

export const delay: Case = defineCase('SI-601', 'a delay ends when its time has come, and not before', async (t) => {
  const s = stores(t)
  const wakeAt = (await now(s)) + SOON
  await begin(s, { position: nap(wakeAt) })
  equal([await s.timers.nextDue(), await s.timers.advanceDue()], [wakeAt, []])
  equal([await standing(t), await offered(t)], [['waiting', nap(wakeAt)], []])
  await t.sleep(SOON + 50)
  equal(await stores(t).timers.advanceDue(), [{ runId: RUN, kind: 'delay', stepId: 'nap' }])
  equal([await standing(t), await offered(t)], [['running', at('ship')], [[RUN, 'ship']]])
  equal((await stepOf(t, 'nap'))?.status, 'completed')
  ok(await isNow(s), 'The step after the delay is ready')
  equal(await s.timers.advanceDue(), [])
})

/** A run is due at once, even for a caller that has not asked since. */
export const ownClock: Case = defineCase('SI-602', "a delay is due by the backend's clock", async (t) => {
  const s = stores(t)
  await begin(s, { position: nap((await now(s)) + 200) })
  await t.sleep(250)
  equal((await s.timers.advanceDue()).length, 1)
})

export const last: Case = defineCase('SI-603', 'a delay completes a run that has no next step', async (t) => {
  const s = stores(t)
  await s.state.saveSnapshot({ runId: RUN, state: 1, position: { kind: 'delay', stepId: 'nap', wakeAt: 0 } })
  equal(await s.timers.advanceDue(), [{ runId: RUN, kind: 'delay', stepId: 'nap' }])
  equal([await standing(t), await offered(t)], [['completed', undefined], []])
  equal([(await s.state.loadSnapshot(RUN))?.state, (await s.log.load(RUN))?.completion], [1, 'completed'])
})

export const timeout: Case = defineCase('SI-604', 'a wait for a message times out', async (t) => {
  const s = stores(t)
  await begin(s)
  const wakeAt = (await now(s)) + SOON
  await s.signals.park(RUN, waitFor('paid', { wakeAt }))
  equal(await s.timers.advanceDue(), [])
  await t.sleep(SOON + 50)
  equal(await s.timers.advanceDue(), [{ runId: RUN, kind: 'message', stepId: 'wait' }])
  equal(await standing(t), ['running', at('ship')])
  const step = (await stepOf(t))!
  equal([step.status, step.timedOut, Object.hasOwn(step, 'result')], ['completed', true, false])
  await s.signals.sendMessage(RUN, 'paid', 'late')
  equal(Object.hasOwn((await stepOf(t))!, 'result'), false, 'What comes later is kept for another')
  equal((await s.signals.consumeMessage(RUN, 'paid'))?.payload, 'late')
})

/** Without a next step, the run completes. */
export const timeoutLast: Case = defineCase('SI-605', 'a timeout completes a run that has no next step', async (t) => {
  const s = stores(t)
  await begin(s)
  await s.signals.park(RUN, waitFor('paid', { wakeAt: 0, next: undefined }))
  equal((await s.timers.advanceDue()).length, 1)
  equal([await standing(t), (await stepOf(t))?.timedOut], [['completed', undefined], true])
})

/** dbos-ts #1205: a wait with an unseen message does not time out. */
export const messageFirst: Case = defineCase('SI-606', 'a stored message comes before the timeout', async (t) => {
  const s = stores(t)
  await begin(s)
  for (const n of upTo(2)) await s.signals.sendMessage(RUN, 'paid', n)
  await s.signals.consumeMessage(RUN, 'paid')
  await s.state.saveSnapshot({ runId: RUN, state: 1, position: waitFor('paid', { wakeAt: 0 }) })
  equal((await stores(t).timers.advanceDue()).length, 1)
  const step = (await stepOf(t))!
  equal([step.result, step.timedOut, await standing(t)], [2, undefined, ['running', at('ship')]])
})

export const fork: Case = defineCase('SI-607', 'a fork is woken with its branches', async (t) => {
  const s = stores(t)
  const awake = { kind: 'fork', stepId: 'f', branches: ['a', 'b', 'c'], completed: ['b'] } as const
  await begin(s, { position: { ...awake, wakeAt: 5 } })
  equal(await s.timers.nextDue(), 5)
  equal(await s.timers.advanceDue(), [{ runId: RUN, kind: 'fork', stepId: 'f' }])
  equal(await standing(t), ['running', awake])
  equal(await offered(t), [
    [RUN, 'a'],
    [RUN, 'c'],
  ])
  equal(await stepOf(t, 'f'), undefined, 'It is not done')
})

/** The longest due first, up to the limit. */
export const inOrder: Case = defineCase('SI-608', 'the longest due come first, up to the limit', async (t) => {
  const s = stores(t)
  for (const n of [4, 1, 5, 3, 2]) await begin(s, { position: nap(n) }, `r${n}`)
  await begin(s, { position: nap((await now(s)) + 60_000) }, 'later')
  equal(await s.timers.nextDue(), 1)
  const ids = async (limit?: number): Promise<string[]> =>
    (await stores(t).timers.advanceDue({ limit })).map(({ runId }) => runId)
  equal(await ids(2), ['r1', 'r2'])
  equal([await s.timers.nextDue(), await ids(1)], [3, ['r3']])
  equal(await ids(), ['r4', 'r5'])
  equal(await ids(10_000), [])
})

/** More than a page, and more than a batch. */
export const many: Case = defineCase('SI-609', 'more runs than fit into a request are woken', async (t) => {
  const s = stores(t)
  const n = 250
  await Promise.all(upTo(n).map((i) => begin(s, { position: nap(i) }, `r${i}`)))
  const advanced = await stores(t).timers.advanceDue({ limit: 240 })
  equal(
    advanced.map(({ runId }) => runId),
    upTo(240).map((i) => `r${i}`),
  )
  equal((await s.timers.advanceDue()).length, 10)
})

/** A paused run is not due. */
export const paused: Case = defineCase('SI-610', 'a paused run is not due until it is unpaused', async (t) => {
  const s = stores(t)
  await begin(s, { position: nap((await now(s)) + 100) })
  await s.signals.storeSignal(RUN, 'pause')
  await s.signals.checkAndPause(RUN)
  await t.sleep(150)
  equal([await s.timers.nextDue(), await s.timers.advanceDue()], [undefined, []])
  equal(await s.signals.unpause(RUN), 'waiting')
  equal((await stores(t).timers.advanceDue()).length, 1)
  equal(await standing(t), ['running', at('ship')])
})

/** A run with a signal does not go on. */
export const signalled: Case = defineCase('SI-611', 'a due run with a signal is stopped', async (t) => {
  const s = stores(t)
  for (const runId of ['a', 'b', 'c']) await begin(s, { position: nap(1) }, runId)
  await s.signals.storeSignal('a', 'cancel', { reason: 'enough' })
  await s.signals.storeSignal('b', 'pause')
  await s.signals.storeSignal('c', 'pause')
  await s.signals.storeSignal('c', 'cancel')
  equal(await stores(t).timers.advanceDue(), [
    { runId: 'a', kind: 'cancel', stepId: 'nap' },
    { runId: 'b', kind: 'pause', stepId: 'nap' },
    { runId: 'c', kind: 'cancel', stepId: 'nap' },
  ])
  const { stopped } = await runOf(t, 'a')
  equal([stopped?.reason, stopped?.from, stopped?.interruptedAt], ['enough', 'waiting', 'nap'])
  equal(await Promise.all(['a', 'b', 'c'].map(async (id) => (await runOf(t, id)).status)), [
    'cancelled',
    'paused',
    'cancelled',
  ])
  equal(await s.signals.unpause('b'), 'waiting')
  equal(await s.timers.advanceDue(), [{ runId: 'b', kind: 'delay', stepId: 'nap' }])
})

/** Vercel workflow #4112, dbos-py #742: ten callers, one wakes the run. */
export const oneAdvances: Case = defineCase('SI-612', 'of ten callers, one wakes each due run', async (t) => {
  const handles = several(t, 5)
  await Promise.all(upTo(20).map((i) => begin(handles[0]!, { position: nap(i, i % 2 ? 'ship' : null) }, `r${i}`)))
  await Promise.all(handles.map(({ db }) => db.open()))
  const reports = await atOnce(10, (i) => handles[i % 5]!.timers.advanceDue())
  equal(
    reports
      .flat()
      .map(({ runId }) => runId)
      .toSorted(),
    upTo(20)
      .map((i) => `r${i}`)
      .toSorted(),
  )
  for (const i of upTo(20)) equal((await runOf(t, `r${i}`)).status, i % 2 ? 'running' : 'completed')
})

/** A run that cannot be read does not hold up the others. */
export const poison: Case = defineCase('SI-613', 'a run that fails does not hold up the others', async (t) => {
  const s = stores(t)
  for (const n of upTo(3)) await begin(s, { position: nap(n) }, `r${n}`)
  const part = (await t.parts()).find((it) => it.endsWith('!run!r1'))!
  await t.write({ put: { part, key: 'run' }, value: '{"broken' })
  equal(
    (await stores(t).timers.advanceDue()).map(({ runId }) => runId),
    ['r2', 'r3'],
  )
  let code: unknown
  await stores(t)
    .timers.advanceDue()
    .catch((error: { code: unknown }) => (code = error.code))
  equal(code, 'SERIALIZATION', 'Alone, it is told')
  for (const n of upTo(3)) await begin(s, { position: nap(n) }, `later r${n}`)
  equal(
    (await stores(t).timers.advanceDue({ limit: 1 })).map(({ runId }) => runId),
    ['later r1'],
    'Even if it comes first and fills the limit',
  )
})

/** A worker that must undo steps first gets such a run. */
export const left: Case = defineCase('SI-614', 'a due run with a signal can be left to workers', async (t) => {
  const s = stores(t)
  for (const runId of ['a', 'b']) await begin(s, { position: nap(1) }, runId)
  await s.signals.storeSignal('a', 'cancel')
  const due = await stores(t).timers.advanceDue({ leaveSignalled: true, limit: 1 })
  equal(due, [{ runId: 'b', kind: 'delay', stepId: 'nap' }])
  equal((await runOf(t, 'a')).status, 'waiting')
  equal(
    (await offered(t)).find(([runId]) => runId === 'a'),
    ['a', 'nap', 'cancel'],
  )
})

/** A dead worker holds its claim until it expires; only then can another one take over. */
export const claimEnds: Case = defineCase(
  'SI-615',
  'a ready step is due: now, or when its claim expires',
  async (t) => {
    const s = stores(t)
    await now(s)
    equal(await s.timers.nextDue(), undefined)
    await begin(s, { position: at() })
    ok(await isNow(s), 'Nobody has it')
    await t.sleep(10)
    const [task] = await s.claims.findAvailableTasks({ workerId: 'w' })
    for (const stepId of [undefined, task!.stepId]) {
      const claim = (await s.claims.claimTask({ runId: RUN, stepId, workerId: 'w', ttl: 60_000 }))!
      const end = (await s.claims.getClaim(RUN, { stepId }))!.expiresAt
      equal(await stores(t).timers.nextDue(), end)
      const wakeAt = end! - 30_000
      await begin(s, { position: nap(wakeAt) }, 'other')
      equal(await s.timers.nextDue(), wakeAt)
      await s.workflows.deleteRun('other')
      await s.claims.releaseTaskClaim(claim)
      ok(await isNow(s), 'Nobody has it any more')
    }
    const run = await s.claims.claimTask({ runId: RUN, workerId: 'w', ttl: 60_000 })
    await s.claims.claimTask({ runId: RUN, stepId: task!.stepId, workerId: 'w', ttl: 120_000 })
    equal(
      await s.timers.nextDue(),
      (await s.claims.getClaim(RUN, { stepId: task!.stepId }))!.expiresAt,
      'Both claims must have expired',
    )
    await s.claims.releaseTaskClaim(run!)
    await s.claims.forceReleaseClaim(RUN, { stepId: task!.stepId })
    await s.claims.claimTask({ runId: RUN, workerId: 'w' })
    equal(await s.timers.nextDue(), undefined, 'It never ends by itself')
    await s.claims.forceReleaseClaim(RUN)
    const short = (await s.claims.claimTask({ runId: RUN, workerId: 'w', ttl: 100 }))!
    const due = (await s.timers.nextDue())!
    await t.sleep(150)
    ok(due <= (await now(s)) && (await isNow(s)), 'The claim is over')
    await rejects(s.claims.releaseTaskClaim(short), 'NOT_FOUND')
  },
)

/** A free step is found among any number of claimed ones. Steps that the worker cannot run do not count. */
export const claimsOfMany: Case = defineCase('SI-616', 'of many claimed steps, the first expiry counts', async (t) => {
  const s = stores(t)
  await now(s)
  const n = 30
  await atOnce(n, (i) => begin(s, { position: at() }, `r${i}`))
  const claims = await atOnce(n, (i) => s.claims.claimTask({ runId: `r${i}`, workerId: 'w', ttl: 100_000 - i * 1000 }))
  await t.sleep(10)
  equal(await s.timers.nextDue(), (await s.claims.getClaim(`r${n - 1}`))!.expiresAt)
  await s.claims.releaseTaskClaim(claims[7]!)
  ok(await isNow(s), 'One is free')
  equal(await s.timers.nextDue({ workflows: ['unknown'] }), undefined)
  equal(await s.timers.nextDue({ tags: ['gpu'] }), await s.timers.nextDue(), 'Runs without tags are for everybody')
  await rejects(s.timers.nextDue({ workflows: 'order' as never }), 'INVALID_ARGUMENT')
})

/** A postponed step is not forgotten. */
export const retryAt: Case = defineCase('SI-617', 'a failed step is due at its next attempt', async (t) => {
  const s = stores(t)
  await now(s)
  await begin(s, { position: at() })
  await t.sleep(10)
  const [task] = await s.claims.findAvailableTasks({ workerId: 'w' })
  const retryAt = (await now(s)) + 60_000
  await s.workflows.failTask(RUN, task!.stepId!, { error: 'E', workerId: 'w', retryAt })
  equal(await s.timers.nextDue(), retryAt)
  equal(await s.timers.nextDue({ workflows: ['unknown'] }), retryAt, 'Somebody has to look')
})
