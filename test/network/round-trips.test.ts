/** Round trips, counted at the server: one for every call, and one more for a guess that was wrong. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Holdfast, createHoldfast } from '../../src/holdfast.ts'
import { run } from '../../src/runner/index.ts'
import { RIGS, type Rig } from './rigs.ts'

const RUN = 'r1'
/** What is given back has to be read before: the value or message that goes, and which steps a run has. */
const LEARNING = { getAndDelete: 2, consumeMessage: 2, listSteps: 2 }
/** Of a process that remembers what was true before another one made the same call; what goes by no memory stays at one. */
const CONTENDED = {
  set: 1,
  setIfAbsent: 1,
  append: 1,
  getAndDelete: 1,
  increment: 2,
  upsertStep: 2,
  storeSignal: 2,
  // How many were taken was wrong, and so which message is the next.
  consumeMessage: 3,
}
const event = { runId: RUN, workflow: 'w', kind: 'k' }

describe.each(RIGS)('round trips of $name', (kind) => {
  let rig: Rig
  let warm: Holdfast
  if (kind.isHere) {
    beforeAll(async () => {
      rig = await kind.start()
      warm = holdfast()
      await warm.persistence.append({ ...event, runId: 'cold' })
    })
    afterAll(() => rig.end())
  }
  const test = it.skipIf(!kind.isHere)
  const holdfast = (): Holdfast => createHoldfast({ driver: rig.overHttp() })

  async function cost(work: () => Promise<unknown>): Promise<number> {
    rig.http.resetTraffic()
    await work()
    return rig.http.traffic().requests
  }

  test('are one for every call of a process that has made one before', async () => {
    const { state, persistence, workflows, claims, signals, timers, idempotency } = warm
    await persistence.append(event)
    await signals.sendMessage(RUN, 'm', undefined)
    const kept = (await claims.claimTask({ runId: RUN, stepId: 'kept', workerId: 'w1' }))!
    const released = (await claims.claimTask({ runId: RUN, stepId: 'released', workerId: 'w1' }))!
    const compensation = { workflow: 'w', runId: RUN, kind: 'refund', stepId: 's' }
    const calls: Record<string, () => Promise<unknown>> = {
      set: () => state.set('k', 'v'),
      get: () => state.get('k'),
      getMany: () => state.getMany(['k', 'l', 'm']),
      exists: () => state.exists('k'),
      setIfAbsent: () => state.setIfAbsent('k', 'v'),
      increment: () => state.increment('count'),
      'increment again': () => state.increment('count'),
      listKeys: () => state.listKeys(),
      delete: () => state.delete('k'),
      'set again': () => state.set('k', 'v'),
      getAndDelete: () => state.getAndDelete('k'),
      saveSnapshot: () => state.saveSnapshot({ runId: RUN, workflow: 'w', state: { a: 1 }, throughSeq: 1 }),
      'saveSnapshot again': () => state.saveSnapshot({ runId: RUN, workflow: 'w', state: { a: 2 }, throughSeq: 1 }),
      loadSnapshot: () => state.loadSnapshot(RUN),
      append: () => persistence.append(event),
      appendBatch: () => persistence.appendBatch([event, event, event]),
      'append to a new run': () => persistence.append({ ...event, runId: 'new' }),
      load: () => persistence.load(RUN),
      loadEventsAfter: () => persistence.loadEventsAfter(RUN, 1),
      getLatestSeq: () => persistence.getLatestSeq(RUN),
      listRuns: () => workflows.listRuns(),
      resume: () => persistence.resume(RUN, 1),
      saveIntervention: () => persistence.saveIntervention(RUN, { targetStep: 's' }),
      createRun: () => workflows.createRun({ runId: 'created', workflow: 'w' }),
      getRun: () => workflows.getRun(RUN),
      upsertStep: () => workflows.upsertStep(RUN, { stepId: 's' }),
      'upsertStep again': () => workflows.upsertStep(RUN, { stepId: 's' }),
      getStep: () => workflows.getStep(RUN, 's'),
      listSteps: () => workflows.listSteps(RUN),
      claimTask: () => claims.claimTask({ runId: RUN, stepId: 's', workerId: 'w1', ttl: 60_000 }),
      'claimTask, lost': () => claims.claimTask({ runId: RUN, stepId: 's', workerId: 'w2', ttl: 60_000 }),
      getClaim: () => claims.getClaim(RUN, { stepId: 's' }),
      extendTaskClaim: () => claims.extendTaskClaim(kept, 60_000),
      releaseTaskClaim: () => claims.releaseTaskClaim(released),
      findAvailableTasks: () => claims.findAvailableTasks({ workerId: 'w1' }),
      storeSignal: () => signals.storeSignal(RUN, 'pause'),
      getSignal: () => signals.getSignal(RUN, 'pause'),
      clearSignal: () => signals.clearSignal(RUN, 'pause'),
      sendMessage: () => signals.sendMessage(RUN, 'm', 1),
      consumeMessage: () => signals.consumeMessage(RUN, 'm'),
      nextDue: () => timers.nextDue(),
      markCompensated: () => idempotency.markCompensated(compensation),
      wasCompensated: () => idempotency.wasCompensated(compensation),
      complete: () => persistence.complete(RUN, 'completed'),
      deleteRun: () => workflows.deleteRun('created'),
    }
    const costs: Record<string, number> = {}
    for (const [name, call] of Object.entries(calls)) costs[name] = await cost(call)
    expect(costs).toEqual({ ...Object.fromEntries(Object.keys(calls).map((name) => [name, 1])), ...LEARNING })
  })

  test('are one more where another process has changed what a call goes by', async () => {
    const other = holdfast()
    const runId = 'contended'
    await warm.persistence.append({ ...event, runId })
    for (const n of [1, 2, 3]) await warm.signals.sendMessage(runId, 'm', n)
    await warm.state.increment('shared')
    await warm.state.set('held', 'v')
    await warm.workflows.upsertStep(runId, { stepId: 's' })
    await warm.signals.consumeMessage(runId, 'm')
    const calls: Record<string, (of: Holdfast) => Promise<unknown>> = {
      increment: ({ state }) => state.increment('shared'),
      append: ({ persistence }) => persistence.append({ ...event, runId }),
      upsertStep: ({ workflows }) => workflows.upsertStep(runId, { stepId: 's', status: 'running' }),
      storeSignal: ({ signals }) => signals.storeSignal(runId, 'pause'),
      consumeMessage: ({ signals }) => signals.consumeMessage(runId, 'm'),
      set: ({ state }) => state.set('held', 'w'),
      setIfAbsent: ({ state }) => state.setIfAbsent('held', 'w'),
      getAndDelete: ({ state }) => state.getAndDelete('held'),
    }
    const costs: Record<string, number> = {}
    for (const [name, call] of Object.entries(calls)) {
      await call(other)
      costs[name] = await cost(() => call(warm))
    }
    expect(costs).toEqual(CONTENDED)
  })

  test('are one for a hundred appends at once', async () => {
    await warm.persistence.append({ ...event, runId: 'many' })
    const appends = Array.from({ length: 100 }, (_, i) => ({ ...event, runId: 'many', payload: i }))
    expect(await cost(() => Promise.all(appends.map((it) => warm.persistence.append(it))))).toBe(1)
  })

  test('are one for each step of the runner', async () => {
    const counts: number[] = []
    const outcome = await run(warm, { runId: 'stepped', workflow: 'w' }, async (ctx) => {
      for (let i = 0; i < 5; i++) counts.push(await cost(() => ctx.step(`step ${i}`, () => i)))
    })
    expect([outcome.status, counts]).toEqual(['completed', [1, 1, 1, 1, 1]])
  })

  test.for<[string, (fresh: Holdfast) => Promise<unknown>]>([
    ['set', ({ state }) => state.set('cold', 'x')],
    ['get', ({ state }) => state.get('cold')],
    ['append', ({ persistence }) => persistence.append({ ...event, runId: 'cold' })],
    ['load', ({ persistence }) => persistence.load('cold')],
    ['resume', ({ persistence }) => persistence.resume('cold', 1)],
    ['increment', ({ state }) => state.increment('cold count')],
    ['saveSnapshot', ({ state }) => state.saveSnapshot({ runId: 'cold', workflow: 'w', state: {}, throughSeq: 0 })],
    ['upsertStep', ({ workflows }) => workflows.upsertStep('cold', { stepId: 's' })],
    ['claimTask', ({ claims }) => claims.claimTask({ runId: 'cold', stepId: 's', workerId: 'w' })],
    ['sendMessage', ({ signals }) => signals.sendMessage('cold', 'm', undefined)],
    ['complete', ({ persistence }) => persistence.complete('cold', 'completed')],
  ])('are at most two where %s is the first call of a process', async ([, call]) => {
    expect(await cost(() => call(holdfast()))).toBeLessThanOrEqual(2)
  })
})
