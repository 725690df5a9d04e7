/** Runs that wait for a message, and go on with it. @module */
import { equal, ok, rejects } from '../assert.ts'
import { upTo, isNear } from '../build.ts'
import { type Case, defineCase } from '../case.ts'
import { changesNothing, RUN, stores, structured } from '../stores.ts'
import { at, begin, now, offered, putStep, runOf, standing, stepOf, waitFor } from './runs.ts'

export const advances: Case = defineCase('SI-501', 'a message wakes the run that waits for it', async (t) => {
  const s = stores(t)
  await begin(s)
  equal(await s.signals.park(RUN, waitFor()), 'waiting')
  equal([await standing(t), await offered(t)], [['waiting', waitFor()], []])
  equal(await stores(t).signals.sendMessage(RUN, 'paid', structured()), { seq: 1, duplicate: false })
  equal([await standing(t), await offered(t)], [['running', at('ship')], [[RUN, 'ship']]])
  const { status, result, completedAt, updatedAt } = (await stepOf(t))!
  equal([status, result, completedAt], ['completed', structured(), updatedAt])
  ok(isNear(updatedAt, await now(s)), 'By the clock of the backend')
  equal(await s.signals.consumeMessage(RUN, 'paid'), undefined, 'It was taken')
})

export const bySnapshot: Case = defineCase('SI-502', 'it does not matter how a run came to wait', async (t) => {
  const s = stores(t)
  await s.state.saveSnapshot({ runId: RUN, state: 1, position: waitFor() })
  await begin(s, { position: waitFor() }, 'other')
  for (const runId of [RUN, 'other']) {
    await s.signals.sendMessage(runId, 'paid', 5)
    equal(await standing(t, runId), ['running', at('ship')])
  }
})

export const completes: Case = defineCase('SI-503', 'a message completes a run that has no next step', async (t) => {
  const s = stores(t)
  await begin(s)
  await s.signals.park(RUN, waitFor('paid', { next: undefined }))
  await s.signals.sendMessage(RUN, 'paid', 'output')
  equal([await standing(t), (await stepOf(t))?.result], [['completed', undefined], 'output'])
  const { completion, completedAt } = (await s.log.load(RUN))!
  equal([completion, completedAt], ['completed', (await stepOf(t))?.completedAt])
  equal(await offered(t), [])
})

export const otherName: Case = defineCase('SI-504', 'a message of another name is kept', async (t) => {
  const s = stores(t)
  await begin(s)
  await s.signals.park(RUN, waitFor())
  await s.signals.sendMessage(RUN, 'other', 1)
  equal(await standing(t), ['waiting', waitFor()])
  await s.signals.sendMessage(RUN, 'paid', 2)
  equal([await standing(t), (await stepOf(t))?.result], [['running', at('ship')], 2])
  equal((await s.signals.consumeMessage(RUN, 'other'))?.payload, 1)
})

/** An earlier message is not waited for. */
export const already: Case = defineCase('SI-505', 'a run that parks takes a message sent before', async (t) => {
  const s = stores(t)
  await begin(s)
  for (const n of upTo(3)) await s.signals.sendMessage(RUN, 'paid', n)
  await s.signals.consumeMessage(RUN, 'paid')
  equal(await stores(t).signals.park(RUN, waitFor()), 'delivered')
  equal([await standing(t), (await stepOf(t))?.result], [['running', at('ship')], 2])
  equal(await s.signals.park(RUN, waitFor('paid', { stepId: 'again', next: undefined })), 'delivered')
  equal([(await runOf(t)).status, (await stepOf(t, 'again'))?.result], ['completed', 3])
})

export const noOvertaking: Case = defineCase('SI-506', 'a message does not overtake an older one', async (t) => {
  const s = stores(t)
  await begin(s, { position: at() })
  for (const n of upTo(2)) await s.signals.sendMessage(RUN, 'paid', n)
  // A snapshot does not look for messages.
  await s.state.saveSnapshot({ runId: RUN, state: 1, position: waitFor() })
  equal((await runOf(t)).status, 'waiting')
  equal(await stores(t).signals.sendMessage(RUN, 'paid', 3), { seq: 3, duplicate: false })
  equal([await standing(t), (await stepOf(t))?.result], [['running', at('ship')], 1])
  equal((await s.signals.consumeMessage(RUN, 'paid'))?.payload, 2)
  equal((await stores(t).signals.consumeMessage(RUN, 'paid'))?.payload, 3)
})

/** Sent while paused, taken when unpaused. */
export const whilePaused: Case = defineCase('SI-507', 'a message to a paused run is not lost', async (t) => {
  const s = stores(t)
  await begin(s)
  await s.signals.park(RUN, waitFor())
  await s.signals.storeSignal(RUN, 'pause')
  await s.signals.checkAndPause(RUN)
  for (const n of upTo(2)) await stores(t).signals.sendMessage(RUN, 'paid', n)
  equal([await standing(t), await stepOf(t)], [['paused', waitFor()], undefined])
  equal(await stores(t).signals.unpause(RUN), 'running')
  equal([await standing(t), (await stepOf(t))?.result], [['running', at('ship')], 1])
  equal((await s.signals.consumeMessage(RUN, 'paid'))?.payload, 2)
})

/** It was the last step. */
export const unpausedToEnd: Case = defineCase('SI-508', 'a message may complete an unpaused run', async (t) => {
  const s = stores(t)
  await begin(s, { status: 'paused', position: waitFor('paid', { next: undefined }) })
  await s.signals.sendMessage(RUN, 'paid', 'output')
  equal(await s.signals.unpause(RUN), 'completed')
  equal([await standing(t), (await stepOf(t))?.result], [['completed', undefined], 'output'])
})

/** A paused run stays paused. */
export const parkPaused: Case = defineCase('SI-509', 'a paused run that parks stays paused', async (t) => {
  const s = stores(t)
  await begin(s, { status: 'paused', position: at() })
  await s.signals.sendMessage(RUN, 'paid', 1)
  equal(await s.signals.park(RUN, waitFor()), 'waiting')
  equal(await standing(t), ['paused', waitFor()])
  equal(await s.signals.unpause(RUN), 'running')
  equal((await stepOf(t))?.result, 1)
})

/** A repeat, whose first attempt was delivered, takes no second message. */
export const parkAgain: Case = defineCase(
  'SI-510',
  'parking again after the delivery takes no other message',
  async (t) => {
    const s = stores(t)
    await begin(s)
    await s.signals.park(RUN, waitFor())
    equal(await s.signals.park(RUN, waitFor()), 'waiting', 'Still waiting')
    await stores(t).signals.sendMessage(RUN, 'paid', 1)
    await stores(t).signals.sendMessage(RUN, 'paid', 2)
    for (const it of [s, stores(t)]) equal(await it.signals.park(RUN, waitFor()), 'delivered')
    equal([await standing(t), (await stepOf(t))?.result], [['running', at('ship')], 1])
    equal((await s.signals.consumeMessage(RUN, 'paid'))?.payload, 2)
  },
)

/** The first result wins. */
export const firstResult: Case = defineCase(
  'SI-511',
  'a step with a result keeps it, and the message is kept',
  async (t) => {
    const s = stores(t)
    await begin(s, { position: waitFor() })
    await putStep(t, { stepId: 'wait', status: 'completed', result: 'first' })
    await s.signals.sendMessage(RUN, 'paid', 'second')
    equal([await standing(t), (await stepOf(t))?.result], [['running', at('ship')], 'first'])
    equal((await s.signals.consumeMessage(RUN, 'paid'))?.payload, 'second')
  },
)

/** The other fields of a step stay. */
export const keepsStep: Case = defineCase('SI-512', 'a waiting step keeps its other fields', async (t) => {
  const s = stores(t)
  await begin(s)
  await putStep(t, { stepId: 'wait', status: 'waiting', startedAt: 7 })
  await s.signals.park(RUN, waitFor())
  await stores(t).signals.sendMessage(RUN, 'paid', 1)
  const { status, startedAt, result } = (await stepOf(t))!
  equal([status, startedAt, result], ['completed', 7, 1])
})

/** The run must be able to go on. */
export const cannotPark: Case = defineCase('SI-513', 'unknown and ended runs do not park', async (t) => {
  const s = stores(t)
  await rejects(s.signals.park(RUN, waitFor()), 'NOT_FOUND')
  await begin(s)
  await s.log.complete(RUN, 'cancelled')
  await changesNothing(t, async () => {
    for (const it of [s, stores(t)]) await rejects(it.signals.park(RUN, waitFor()), 'ALREADY_COMPLETED')
  })
})
