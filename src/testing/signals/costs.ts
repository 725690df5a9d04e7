/** The cost of calls: one request, or two if nothing is cached. @module */
import { equal, ok } from '../assert.ts'
import { atOnce, upTo } from '../build.ts'
import { type Case, defineCase } from '../case.ts'
import { RUN, spied, stores } from '../stores.ts'
import { at, begin, nap, standing, takeLease, waitFor } from './runs.ts'

/** Every change of a cached run. */
export const warm: Case = defineCase('SI-901', 'every signal to a cached run is one request', async (t) => {
  const s = spied(t)
  const { signals, cost } = s
  await begin(s, { position: at() })
  equal(await cost(() => signals.storeSignal(RUN, 'pause')), 1)
  equal(await cost(() => signals.storeSignal(RUN, 'cancel')), 1)
  equal(await cost(() => signals.getSignal(RUN, 'cancel')), 1)
  equal(await cost(() => signals.clearSignal(RUN, 'cancel')), 1)
  equal(await cost(() => signals.clearSignal(RUN, 'cancel')), 1, 'Nothing there')
  equal(await cost(() => signals.checkAndCancel(RUN)), 1, 'Nothing to do')
  equal(await cost(() => signals.checkControlSignals(RUN)), 1)
  equal(await cost(() => signals.storeSignal(RUN, 'pause')), 1, 'Paused already')
  equal(await cost(() => signals.unpause(RUN)), 1)
  equal(await standing(t), ['running', at()])
})

/** Messages too, whether or not the run waits for them. */
export const warmMessages: Case = defineCase('SI-902', 'every message to a cached run is one request', async (t) => {
  const s = spied(t)
  const { signals, cost } = s
  await begin(s, { position: at() })
  equal(await cost(() => signals.park(RUN, waitFor())), 1)
  equal(await cost(() => signals.sendMessage(RUN, 'paid', 1)), 1, 'Waited for')
  equal(await standing(t), ['running', at('ship')])
  equal(await cost(() => signals.sendMessage(RUN, 'paid', 2, { idempotencyKey: 'k' })), 1, 'Kept')
  equal(await cost(() => signals.sendMessage(RUN, 'paid', 2, { idempotencyKey: 'k' })), 2, 'A repetition is compared')
  equal(await cost(() => signals.listMessages(RUN, 'paid')), 1)
  equal(await cost(() => signals.consumeMessage(RUN, 'paid')), 2, 'It has to be read, and taken')
  equal(await cost(() => signals.consumeMessage(RUN, 'paid')), 1, 'There is none')
  equal(await cost(() => signals.deliver(RUN, 'paid', { stepId: 's' })), 1, 'There is none')
  await signals.sendMessage(RUN, 'paid', 3)
  equal(await cost(() => signals.deliver(RUN, 'paid', { stepId: 's' })), 2)
  await signals.sendMessage(RUN, 'paid', 4)
  equal(await cost(() => signals.park(RUN, waitFor('paid', { stepId: 'again' }))), 2, 'There before')
  equal(await standing(t), ['running', at('ship')])
})

/** Every change of a run that is not cached. */
export const cold: Case = defineCase('SI-903', 'a signal to an uncached run is at most two requests', async (t) => {
  const s = stores(t)
  await begin(s, { position: at() })
  const changes: ((it: typeof s) => Promise<unknown>)[] = [
    ({ signals }) => signals.storeSignal(RUN, 'pause'),
    ({ signals }) => signals.clearSignal(RUN, 'pause'),
    ({ signals }) => signals.checkControlSignals(RUN),
    ({ signals }) => signals.storeSignal(RUN, 'pause'),
    ({ signals }) => signals.checkAndPause(RUN),
    ({ signals }) => signals.unpause(RUN),
    ({ signals }) => signals.consumeMessage(RUN, 'paid'),
    ({ signals }) => signals.park(RUN, waitFor()),
    ({ signals }) => signals.sendMessage(RUN, 'paid', 1),
    ({ signals }) => signals.sendMessage(RUN, 'other', 1),
    ({ signals }) => signals.consumeMessage(RUN, 'other'),
  ]
  for (const [i, change] of changes.entries()) {
    const other = spied(t)
    const requests = await other.cost(() => change(other))
    ok(requests <= 2, `Change ${i}: ${requests} requests`)
  }
  equal(await standing(t), ['running', at('ship')])
})

/** Group commit: they share a round trip. */
export const together: Case = defineCase('SI-904', 'concurrent messages are one request', async (t) => {
  const n = Math.min(50, t.limits.requestCommits)
  const s = spied(t)
  await begin(s)
  await s.signals.park(RUN, waitFor())
  const sent: Promise<{ seq: number }>[] = []
  const requests = await s.cost(() => {
    for (const i of upTo(n)) sent.push(s.signals.sendMessage(RUN, 'paid', i, { idempotencyKey: `${i}` }))
    return Promise.all(sent)
  })
  equal(requests, 1)
  equal(
    (await Promise.all(sent)).map(({ seq }) => seq),
    upTo(n),
  )
  equal(await standing(t), ['running', at('ship')])
  equal((await s.signals.consumeMessage(RUN, 'paid'))?.payload, 2, 'The first was taken')
})

/** However many are due. */
export const timers: Case = defineCase('SI-905', 'due runs are woken together', async (t) => {
  const n = Math.min(30, t.limits.requestCommits)
  const s = spied(t)
  const start = (prefix: string): Promise<unknown> => atOnce(n, (i) => begin(s, { position: nap(i) }, `${prefix}${i}`))
  await start('a')
  equal(await s.cost(() => s.timers.advanceDue()), 2, 'Known runs: found, moved')
  equal(await s.cost(() => s.timers.advanceDue()), 1, 'None is due')
  await t.sleep(10)
  const idle = spied(t)
  equal(await idle.cost(() => idle.timers.nextDue()), 3, 'All that is to do is looked at')
  equal(await idle.cost(() => idle.timers.nextDue()), 2, 'Where it lies is known')
  await start('b')
  const other = spied(t)
  const requests = await other.cost(() => other.timers.advanceDue())
  ok(requests <= 3, `Unknown runs: ${requests} requests`)
  ok((await s.timers.nextDue()) !== undefined, 'They can be worked on')
})

/** A fence costs nothing. */
export const fenced: Case = defineCase('SI-906', 'a signal under a claim is one request', async (t) => {
  const s = spied(t)
  await begin(s)
  const claim = await takeLease(t)
  equal(await s.cost(() => s.signals.storeSignal(RUN, 'pause', { claim })), 1)
  equal(await s.cost(() => s.signals.checkControlSignals(RUN, { claim })), 1)
  equal(await s.cost(() => s.signals.unpause(RUN, { claim })), 1)
  equal(await s.cost(() => s.signals.sendMessage(RUN, 'n', 1, { claim })), 1)
})
