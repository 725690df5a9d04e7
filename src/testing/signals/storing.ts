/** Requests to cancel or pause: validated, stored, withdrawn. @module */
import type { SignalKind } from '../../runs/state.ts'
import { requireSignalAllowed } from '../../stores/signals/store.ts'
import type { Completion } from '../../runs/status.ts'
import { equal, ok, rejects } from '../assert.ts'
import { isNear } from '../build.ts'
import { type Case, defineCase } from '../case.ts'
import { changesNothing, RUN, stores, verdict } from '../stores.ts'
import { at, begin, offered, runOf } from './runs.ts'

const KINDS: readonly SignalKind[] = ['cancel', 'pause']
const WHY = { reason: 'Out of stock', requestedBy: 'ada' }

export const stored: Case = defineCase('SI-101', 'a signal is stored with its reason and requester', async (t) => {
  const s = stores(t)
  await begin(s)
  for (const kind of KINDS) {
    equal(await s.signals.getSignal(RUN, kind), undefined)
    equal(await s.signals.storeSignal(RUN, kind, WHY), undefined)
    const signal = (await stores(t).signals.getSignal(RUN, kind))!
    equal(signal, { ...WHY, requestedAt: signal.requestedAt })
    ok(isNear(signal.requestedAt, s.db.now()), 'By the clock of the backend')
  }
  equal((await runOf(t)).status, 'running', 'Asked for is not done')
})

export const bare: Case = defineCase('SI-102', 'a signal needs no reason', async (t) => {
  const s = stores(t)
  await begin(s)
  await s.signals.storeSignal(RUN, 'cancel')
  equal(Object.keys((await s.signals.getSignal(RUN, 'cancel'))!), ['requestedAt'])
})

export const latest: Case = defineCase('SI-103', 'of two requests of a kind, the later one counts', async (t) => {
  const s = stores(t)
  await begin(s)
  await s.signals.storeSignal(RUN, 'cancel', { reason: 'one', requestedBy: 'ada' })
  await stores(t).signals.storeSignal(RUN, 'cancel', { reason: 'two' })
  const { reason, requestedBy } = (await s.signals.getSignal(RUN, 'cancel'))!
  equal([reason, requestedBy], ['two', undefined])
})

export const unknown: Case = defineCase('SI-104', 'an unknown run accepts no signal', async (t) => {
  const s = stores(t)
  await changesNothing(t, async () => {
    for (const kind of KINDS) {
      await rejects(s.signals.storeSignal(RUN, kind), 'NOT_FOUND')
      equal([await s.signals.getSignal(RUN, kind), await s.signals.clearSignal(RUN, kind)], [undefined, false])
    }
    await rejects(s.signals.checkAndCancel(RUN), 'NOT_FOUND')
    await rejects(s.signals.checkAndPause(RUN), 'NOT_FOUND')
    await rejects(s.signals.checkControlSignals(RUN), 'NOT_FOUND')
  })
})

/** A refusal returns the status, and changes nothing. */
export const ended: Case = defineCase('SI-105', 'an ended run accepts no signal', async (t) => {
  const s = stores(t)
  for (const completion of ['completed', 'failed', 'cancelled', 'compensated'] as const) {
    await begin(s, {}, completion)
    await s.log.complete(completion, completion)
    for (const it of [s, stores(t)]) {
      await changesNothing(t, async () => {
        const pause = await rejects(it.signals.storeSignal(completion, 'pause'), 'ALREADY_COMPLETED')
        equal(pause.details?.['completion'], completion)
        if (completion === 'cancelled') return
        const cancel = await rejects(it.signals.storeSignal(completion, 'cancel'), 'ALREADY_COMPLETED')
        equal(cancel.details?.['completion'], completion)
      })
    }
  }
})

/** A request without effect is not stored. */
export const already: Case = defineCase('SI-106', 'pausing a paused run succeeds and stores nothing', async (t) => {
  const s = stores(t)
  await begin(s, { status: 'paused' }, 'a')
  await begin(s, {}, 'b')
  await s.log.complete('b', 'cancelled')
  await changesNothing(t, async () => {
    for (const it of [s, stores(t)]) {
      await it.signals.storeSignal('a', 'pause', WHY)
      await it.signals.storeSignal('b', 'cancel', WHY)
    }
  })
  await s.signals.storeSignal('a', 'cancel', WHY)
  equal((await s.signals.getSignal('a', 'cancel'))?.reason, WHY.reason, 'A paused run can be cancelled')
})

export const matrix: Case = defineCase('SI-107', 'the allowed signals follow from the status', async () => {
  const may = (status: string, kind: SignalKind): Promise<unknown> =>
    verdict((async () => requireSignalAllowed(status, kind))())
  for (const status of ['pending', 'running', 'waiting', 'paused', 'hibernating', '', '__proto__']) {
    for (const kind of KINDS) equal(await may(status, kind), undefined, `${kind} of ${status}`)
  }
  equal([await may('cancelled', 'cancel'), await may('cancelled', 'pause')], [undefined, 'ALREADY_COMPLETED'])
  for (const status of ['completed', 'failed', 'compensated'] satisfies Completion[]) {
    equal([await may(status, 'cancel'), await may(status, 'pause')], ['ALREADY_COMPLETED', 'ALREADY_COMPLETED'])
  }
})

export const cleared: Case = defineCase('SI-108', 'a signal is withdrawn, and the other kind stays', async (t) => {
  const s = stores(t)
  await begin(s, { position: at() })
  for (const kind of KINDS) await s.signals.storeSignal(RUN, kind, WHY)
  equal(await s.signals.clearSignal(RUN, 'cancel'), true)
  equal(await stores(t).signals.clearSignal(RUN, 'cancel'), false, 'It is gone')
  const left = await stores(t).signals.getSignal(RUN, 'pause')
  equal([await s.signals.getSignal(RUN, 'cancel'), left?.reason], [undefined, WHY.reason])
  equal(await stores(t).signals.clearSignal(RUN, 'pause'), true)
  equal([(await runOf(t)).signals, await offered(t)], [undefined, [[RUN, 'work']]])
})

/** A run with a signal is offered to be stopped, even if it waits or is paused. */
export const offersStop: Case = defineCase('SI-109', 'a run with a signal is offered to be stopped', async (t) => {
  const s = stores(t)
  for (const runId of ['a', 'b', 'c']) await begin(s, { position: at() }, runId)
  await begin(s, { position: { kind: 'message', stepId: 'w', name: 'n' } }, 'd')
  await begin(s, { status: 'paused', position: at() }, 'e')
  await s.signals.storeSignal('a', 'cancel')
  await s.signals.storeSignal('b', 'pause')
  for (const runId of ['d', 'e']) await s.signals.storeSignal(runId, 'cancel')
  const byRun = (await offered(t)).toSorted(([x = ''], [y = '']) => (x < y ? -1 : 1))
  equal(byRun, [
    ['a', 'work', 'cancel'],
    ['b', 'work', 'pause'],
    ['c', 'work'],
    ['d', 'w', 'cancel'],
    ['e', 'work', 'cancel'],
  ])
})

export const deleted: Case = defineCase('SI-110', 'a deleted run takes its signals with it', async (t) => {
  const s = stores(t)
  await s.state.saveSnapshot({ runId: RUN, state: {} })
  await s.signals.storeSignal(RUN, 'cancel', WHY)
  await s.state.deleteSnapshot(RUN)
  equal(await t.dump(), [])
  await s.state.saveSnapshot({ runId: RUN, state: {} })
  equal([await s.signals.getSignal(RUN, 'cancel'), await s.signals.checkAndCancel(RUN)], [undefined, false])
})

/** Tenants share nothing. */
export const tenants: Case = defineCase('SI-111', 'signals and messages stay with their tenant', async (t) => {
  const [mine, yours] = [stores(t), stores(t, {}, 'another')]
  await begin(mine)
  await rejects(yours.signals.storeSignal(RUN, 'cancel'), 'NOT_FOUND')
  await rejects(yours.signals.sendMessage(RUN, 'n', undefined), 'NOT_FOUND')
  await begin(yours, { position: { kind: 'delay', stepId: 'd', wakeAt: 0 } })
  await mine.signals.storeSignal(RUN, 'cancel')
  await mine.signals.sendMessage(RUN, 'n', undefined)
  equal(await yours.signals.getSignal(RUN, 'cancel'), undefined)
  equal(await yours.signals.consumeMessage(RUN, 'n'), undefined)
  await mine.signals.checkAndCancel(RUN)
  equal(await mine.timers.nextDue(), undefined)
  equal(await mine.timers.advanceDue(), [])
  equal((await yours.timers.advanceDue()).length, 1)
})
