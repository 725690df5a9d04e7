/** Requests take effect: runs are cancelled, paused and unpaused. @module */
import { equal, rejects } from '../assert.ts'
import { atOnce } from '../build.ts'
import { type Case, defineCase } from '../case.ts'
import { changesNothing, RUN, several, stores } from '../stores.ts'
import { at, begin, nap, now, offered, runOf, standing, waitFor } from './runs.ts'

const WHY = { reason: 'Out of stock', requestedBy: 'ada' }

export const cancels: Case = defineCase('SI-201', 'a check cancels a run with a cancel request', async (t) => {
  const s = stores(t)
  await begin(s, { position: at() })
  await s.signals.storeSignal(RUN, 'pause')
  await s.signals.storeSignal(RUN, 'cancel', WHY)
  const { requestedAt } = (await s.signals.getSignal(RUN, 'cancel'))!
  equal(await stores(t).signals.checkAndCancel(RUN, { interruptedAt: 'work' }), true)
  const { status, stopped, signals, position } = await runOf(t)
  equal([status, signals, position], ['cancelled', undefined, at()])
  equal(stopped, { ...WHY, requestedAt, from: 'running', interruptedAt: 'work' })
  equal([await s.signals.checkAndCancel(RUN), await offered(t)], [false, []])
  equal((await s.log.load(RUN))?.completion, 'cancelled')
  await rejects(s.log.append({ runId: RUN, workflow: 'order', kind: 'late' }), 'ALREADY_COMPLETED')
})

export const nothing: Case = defineCase('SI-202', 'a check of a run without a request does nothing', async (t) => {
  const s = stores(t)
  await begin(s, { position: at() })
  await changesNothing(t, async () => {
    for (const { signals } of [s, stores(t)]) {
      const found = [await signals.checkAndCancel(RUN), await signals.checkAndPause(RUN)]
      equal([...found, await signals.checkControlSignals(RUN)], [false, false, undefined])
    }
  })
})

/** The request stays. */
export const afterEnd: Case = defineCase('SI-203', 'a check of an ended run does nothing', async (t) => {
  const s = stores(t)
  await begin(s)
  await s.signals.storeSignal(RUN, 'cancel', WHY)
  await s.signals.storeSignal(RUN, 'pause', WHY)
  await s.log.complete(RUN, 'completed')
  await changesNothing(t, async () => {
    for (const { signals } of [s, stores(t)]) {
      const found = [await signals.checkAndCancel(RUN), await signals.checkAndPause(RUN)]
      equal([...found, await signals.checkControlSignals(RUN)], [false, false, undefined])
    }
  })
  equal((await s.signals.getSignal(RUN, 'pause'))?.reason, WHY.reason)
  equal([(await runOf(t)).status, await offered(t)], ['completed', []])
})

/** Even if nobody works on the run. */
export const anyState: Case = defineCase('SI-204', 'waiting, paused and pending runs are cancelled', async (t) => {
  const s = stores(t)
  for (const from of ['pending', 'waiting', 'paused'] as const) {
    await begin(s, { position: nap((await now(s)) + 60_000), status: from }, from)
    await s.signals.storeSignal(from, 'cancel')
    equal(await s.signals.checkAndCancel(from), true)
    const { status, stopped } = await runOf(t, from)
    equal([status, stopped?.from], ['cancelled', from])
  }
  equal([await s.timers.nextDue(), await offered(t)], [undefined, []])
})

export const pauses: Case = defineCase('SI-205', 'a check pauses a run with a pause request', async (t) => {
  const s = stores(t)
  const fork = { kind: 'fork', stepId: 'f', branches: ['a', 'b'], completed: ['a'] } as const
  await s.state.saveSnapshot({ runId: RUN, state: { done: [1] }, position: fork })
  await s.signals.storeSignal(RUN, 'pause', WHY)
  const { requestedAt } = (await s.signals.getSignal(RUN, 'pause'))!
  equal(await stores(t).signals.checkAndPause(RUN), true)
  const { status, position, stopped, state } = (await s.state.loadSnapshot(RUN))!
  equal([status, position, state], ['paused', fork, { done: [1] }])
  equal(stopped, { ...WHY, requestedAt, from: 'running' })
  equal([await s.signals.getSignal(RUN, 'pause'), await s.signals.checkAndPause(RUN)], [undefined, false])
  equal(await offered(t), [])
})

export const cancelFirst: Case = defineCase('SI-206', 'of both signals, cancel comes first', async (t) => {
  const s = stores(t)
  for (const runId of ['a', 'b', 'c']) {
    await begin(s, {}, runId)
    await s.signals.storeSignal(runId, 'pause')
    if (runId !== 'c') await s.signals.storeSignal(runId, 'cancel')
  }
  equal([await s.signals.checkAndCancel('a'), await s.signals.checkAndPause('a')], [true, false])
  equal(await stores(t).signals.checkControlSignals('b', { interruptedAt: 'x' }), 'cancelled')
  equal((await runOf(t, 'b')).stopped?.interruptedAt, 'x')
  equal(await stores(t).signals.checkControlSignals('c'), 'paused')
  equal(await s.signals.checkControlSignals('c'), undefined)
})

/** A cancel request outlives a pause. */
export const pausedThenCancelled: Case = defineCase('SI-207', 'a pause keeps the cancel request', async (t) => {
  const s = stores(t)
  await begin(s, { position: at() })
  await s.signals.storeSignal(RUN, 'pause')
  await s.signals.storeSignal(RUN, 'cancel')
  equal(await s.signals.checkAndPause(RUN), true)
  equal(await offered(t), [[RUN, 'work', 'cancel']])
  equal(await s.signals.checkControlSignals(RUN), 'cancelled')
  equal((await runOf(t)).stopped?.from, 'paused')
})

/** A check and its effect are atomic. */
export const oneApplies: Case = defineCase('SI-208', 'of concurrent checks one applies a signal', async (t) => {
  const handles = several(t, 4)
  await begin(handles[0]!)
  for (const kind of ['pause', 'cancel'] as const) {
    await handles[0]!.signals.storeSignal(RUN, kind)
    const found = await atOnce(12, (i) => handles[i % 4]!.signals.checkControlSignals(RUN))
    equal(
      found.filter((it) => it !== undefined),
      [kind === 'pause' ? 'paused' : 'cancelled'],
    )
  }
})

export const unpauses: Case = defineCase('SI-301', 'an unpaused run has its earlier status', async (t) => {
  const s = stores(t)
  const later = (await now(s)) + 60_000
  const loop = { kind: 'loop', stepId: 'l', iteration: 3, next: 'z' } as const
  const states = [
    ['running', at()],
    ['pending', at()],
    ['running', loop],
    ['waiting', nap(later)],
    ['waiting', waitFor()],
    ['waiting', { kind: 'fork', stepId: 'f', branches: ['a', 'b'], wakeAt: later }],
    ['running', undefined],
  ] as const
  for (const [i, [status, position]] of states.entries()) {
    const runId = `r${i}`
    await s.state.saveSnapshot({ runId, state: i, status, position })
    const before = (await s.state.loadSnapshot(runId))!
    const due = await s.timers.nextDue()
    await s.signals.storeSignal(runId, 'pause', WHY)
    equal(await s.signals.checkAndPause(runId), true)
    equal(await stores(t).signals.unpause(runId), status)
    equal(await s.state.loadSnapshot(runId), before)
    equal(await s.timers.nextDue(), due)
  }
})

/** The refusal has a code of its own. */
export const cannotUnpause: Case = defineCase('SI-302', 'a run that is not paused cannot be unpaused', async (t) => {
  const s = stores(t)
  await rejects(s.signals.unpause(RUN), 'NOT_FOUND')
  for (const status of ['running', 'pending', 'waiting'] as const) {
    await begin(s, { status }, status)
    await changesNothing(t, async () => {
      for (const it of [s, stores(t)]) {
        equal((await rejects(it.signals.unpause(status), 'CANNOT_UNPAUSE')).details, { status })
      }
    })
  }
})

/** The run does not pause again; a cancel request stays. */
export const clearsPause: Case = defineCase('SI-303', 'unpausing clears the pause request', async (t) => {
  const s = stores(t)
  await begin(s)
  await s.signals.storeSignal(RUN, 'pause')
  await s.signals.storeSignal(RUN, 'cancel')
  // Paused by other means, so that the request stays.
  await s.state.saveSnapshot({ runId: RUN, state: 1, status: 'paused' })
  equal(await s.signals.unpause(RUN), 'running')
  const { signals, stopped } = await runOf(t)
  equal([Object.keys(signals ?? {}), stopped], [['cancel'], undefined])
  equal(await s.signals.checkAndPause(RUN), false)
})

/** A wait that is over does not come back. */
export const movedMeanwhile: Case = defineCase('SI-304', 'a run moved while paused goes on from there', async (t) => {
  const s = stores(t)
  await begin(s, { position: waitFor() })
  await s.signals.storeSignal(RUN, 'pause')
  await s.signals.checkAndPause(RUN)
  await s.state.saveSnapshot({ runId: RUN, state: 1, position: at('other') })
  equal(await s.signals.unpause(RUN), 'running')
  equal(await standing(t), ['running', at('other')])
  equal(await offered(t), [[RUN, 'other']])
})

/** One of several callers unpauses the run. */
export const oneUnpauses: Case = defineCase('SI-305', 'of concurrent callers one unpauses', async (t) => {
  const handles = several(t, 4)
  await begin(handles[0]!, { status: 'paused', position: at() })
  const found = await atOnce(8, (i) => handles[i % 4]!.signals.unpause(RUN).catch(() => 'refused'))
  equal(found.filter((it) => it === 'running').length, 1)
})

/** Ids of earlier waits say nothing about the next step. */
export const movedWhilePaused: Case = defineCase(
  'SI-310',
  'a run that was moved while paused goes on from its new position',
  async (t) => {
    const s = stores(t)
    await begin(s, { position: at() })
    await s.workflows.upsertStep(RUN, { stepId: 'ask', status: 'waiting', waitId: 'w' })
    await s.workflows.updateRun(RUN, { status: 'waiting' })
    await s.signals.storeSignal(RUN, 'pause')
    equal(await s.signals.checkAndPause(RUN), true)
    await s.workflows.completeWait('w', { position: at('behind') })
    equal(await s.signals.unpause(RUN), 'running')
    await t.sleep(10)
    equal(
      (await stores(t).claims.findAvailableTasks({ workerId: 'w' })).map(({ stepId }) => stepId),
      ['behind'],
    )
  },
)

/** A worker would have nothing to do, and would be asked for ever. */
export const pausedByHand: Case = defineCase(
  'SI-311',
  'a run that was paused by other means is not offered because of its pause request',
  async (t) => {
    const s = stores(t)
    await begin(s, { position: at() })
    await s.signals.storeSignal(RUN, 'pause')
    await s.workflows.updateRun(RUN, { status: 'paused' })
    await t.sleep(10)
    equal(await stores(t).claims.findAvailableTasks({ workerId: 'w' }), [])
    equal(await s.signals.unpause(RUN), 'running')
    const run = (await s.workflows.getRun(RUN))!
    equal([run.signals, run.stopped], [undefined, undefined])
  },
)
