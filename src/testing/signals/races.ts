/** Many senders, takers and timers on the same runs. @module */
import { equal, ok } from '../assert.ts'
import { atOnce, upTo } from '../build.ts'
import { type Case, defineCase } from '../case.ts'
import { MANY_WRITERS } from '../many.ts'
import { RUN, several, stores, verdict } from '../stores.ts'
import { signalStore } from '../../stores/signals/store.ts'
import { timerStore } from '../../stores/timers/store.ts'
import { at, begin, nap, runOf, standing, stepOf, waitFor } from './runs.ts'

const sorted = (numbers: readonly number[]): number[] => numbers.toSorted((a, b) => a - b)

/** No seq twice, and the messages of one sender stay in order. */
export const senders: Case = defineCase('SI-1001', 'messages of concurrent senders keep their order', async (t) => {
  const handles = several(t, 4)
  await begin(handles[0]!)
  await Promise.all(
    handles.map(async ({ signals }, h) => {
      for (const n of upTo(8)) await signals.sendMessage(RUN, 'n', [h, n])
    }),
  )
  const taken: [number, number][] = []
  for (let message; (message = await handles[0]!.signals.consumeMessage(RUN, 'n'));) {
    taken.push(message.payload as [number, number])
    equal(message.seq, taken.length)
  }
  equal(taken.length, 32)
  for (const h of [0, 1, 2, 3]) {
    equal(
      taken.filter(([from]) => from === h).map(([, n]) => n),
      upTo(8),
    )
  }
})

/** LangGraph #8837. */
export const consumers: Case = defineCase(
  'SI-1002',
  'each of several concurrent takers gets another message',
  async (t) => {
    const handles = several(t, 4)
    await begin(handles[0]!)
    await Promise.all(upTo(20).map((n) => handles[0]!.signals.sendMessage(RUN, 'n', n)))
    const taken = await atOnce(24, (i) =>
      i % 2 === 0
        ? handles[i % 4]!.signals.consumeMessage(RUN, 'n')
        : handles[i % 4]!.signals.deliver(RUN, 'n', { stepId: `s${i}` }),
    )
    equal(sorted(taken.flatMap((it) => it?.seq ?? [])), upTo(20))
  },
)

/** Sending and taking at the same time: no message is lost or taken twice. */
export const both: Case = defineCase('SI-1003', 'senders and takers do not lose a message', async (t) => {
  const handles = several(t, 4)
  await begin(handles[0]!)
  const seen: number[] = []
  await Promise.all(
    handles.map(async ({ signals }, h) => {
      for (const n of upTo(6)) {
        if (h < 2) await signals.sendMessage(RUN, 'n', n)
        else seen.push(...[await signals.consumeMessage(RUN, 'n')].flatMap((it) => it?.seq ?? []))
      }
    }),
  )
  for (let message; (message = await stores(t).signals.consumeMessage(RUN, 'n'));) seen.push(message.seq)
  equal(sorted(seen), upTo(12))
})

/** Vercel workflow #2983: every caller learns that it is a repeat. */
export const sameKey: Case = defineCase('SI-1004', 'of concurrent sends under one key, one is stored', async (t) => {
  const handles = several(t, 4)
  await begin(handles[0]!)
  await handles[0]!.signals.park(RUN, waitFor())
  const sent = await atOnce(12, (i) => handles[i % 4]!.signals.sendMessage(RUN, 'paid', 'x', { idempotencyKey: 'k' }))
  equal(sent.filter(({ duplicate }) => !duplicate).length, 1)
  ok(
    sent.every(({ seq }) => seq === 1),
    'All get the same seq',
  )
  equal([await standing(t), (await stepOf(t))?.result], [['running', at('ship')], 'x'])
  equal(await handles[0]!.signals.consumeMessage(RUN, 'paid'), undefined)
  const mixed = await atOnce(6, (i) =>
    verdict(handles[i % 4]!.signals.sendMessage(RUN, 'paid', i, { idempotencyKey: 'l' })),
  )
  equal(mixed.filter((it) => it === 'CONFLICT').length, 5, 'Other payloads are refused')
})

/** dbos-ts #1205, mastra #20443: one outcome. */
export const timeoutOrMessage: Case = defineCase(
  'SI-1005',
  'a wait ends either by its message or by its time',
  async (t) => {
    for (const i of upTo(8)) {
      const runId = `r${i}`
      const [one, two, three] = several(t, 3) as [
        ReturnType<typeof stores>,
        ReturnType<typeof stores>,
        ReturnType<typeof stores>,
      ]
      await begin(one, {}, runId)
      await one.signals.park(runId, waitFor('paid', { wakeAt: 1 }))
      if (i % 2) await Promise.all([two, three].map(({ log }) => log.resume(runId, 0)))
      const [sent, ...advanced] = await Promise.all([
        two.signals.sendMessage(runId, 'paid', 'x'),
        one.timers.advanceDue(),
        three.timers.advanceDue(),
      ])
      equal(sent.seq, 1)
      equal(await standing(t, runId), ['running', at('ship')])
      const { result, timedOut } = (await stepOf(t, 'wait', runId))!
      const left = await one.signals.consumeMessage(runId, 'paid')
      const isTimedOut = timedOut === true
      equal([result, left?.payload], isTimedOut ? [undefined, 'x'] : ['x', undefined])
      equal(advanced.flat().length <= 1, true, 'At most one has moved it on')
      if (isTimedOut) equal(advanced.flat().length, 1)
    }
  },
)

/** Whichever comes first, the run gets the message. */
export const parkOrSend: Case = defineCase('SI-1006', 'parking and sending do not miss each other', async (t) => {
  for (const i of upTo(8)) {
    const runId = `r${i}`
    const [one, two] = several(t, 2) as [ReturnType<typeof stores>, ReturnType<typeof stores>]
    await begin(one, {}, runId)
    if (i % 2) await two.log.resume(runId, 0)
    await Promise.all([two.signals.sendMessage(runId, 'paid', i), one.signals.park(runId, waitFor())])
    equal([await standing(t, runId), (await stepOf(t, 'wait', runId))?.result], [['running', at('ship')], i])
  }
})

/** The same with a pause in between. */
export const unpauseOrSend: Case = defineCase('SI-1007', 'unpausing and sending do not miss each other', async (t) => {
  for (const i of upTo(8)) {
    const runId = `r${i}`
    const [one, two] = several(t, 2) as [ReturnType<typeof stores>, ReturnType<typeof stores>]
    await begin(one, { status: 'paused', position: waitFor() }, runId)
    if (i % 2) await two.log.resume(runId, 0)
    await Promise.all([one.signals.unpause(runId), two.signals.sendMessage(runId, 'paid', i)])
    equal([await standing(t, runId), (await stepOf(t, 'wait', runId))?.result], [['running', at('ship')], i])
  }
})

/** A cancellation and a wake-up: one of them takes effect. */
export const cancelOrWake: Case = defineCase('SI-1008', 'a run is either cancelled or goes on', async (t) => {
  for (const i of upTo(6)) {
    const runId = `r${i}`
    const [one, two] = several(t, 2) as [ReturnType<typeof stores>, ReturnType<typeof stores>]
    await begin(one, { position: nap(1) }, runId)
    await one.signals.storeSignal(runId, 'cancel')
    const [isCancelled, advanced] = await Promise.all([two.signals.checkAndCancel(runId), one.timers.advanceDue()])
    equal((await runOf(t, runId)).status, 'cancelled')
    equal(Number(isCancelled) + advanced.length, 1)
  }
})

/** Like other processes. */
export const processes: Case = defineCase(
  'SI-1009',
  'several processes take each message and wake each timer once',
  async (t) => {
    const drivers = [t.driver, (await t.reopen()).driver, (await t.reopen()).driver]
    const options = { tenant: t.tenant }
    const handles = drivers.map((driver) => {
      const db = t.db({ driver })
      return { signals: signalStore(db, options), timers: timerStore(db, options) }
    })
    const s = stores(t)
    await begin(s)
    await Promise.all(upTo(9).map((i) => begin(s, { position: nap(i) }, `r${i}`)))
    await atOnce(9, (i) => handles[i % 3]!.signals.sendMessage(RUN, 'n', i))
    const taken = await atOnce(12, (i) => handles[i % 3]!.signals.consumeMessage(RUN, 'n'))
    equal(sorted(taken.flatMap((it) => it?.seq ?? [])), upTo(9))
    const reports = await atOnce(6, (i) => handles[i % 3]!.timers.advanceDue())
    equal(
      reports
        .flat()
        .map(({ runId }) => runId)
        .toSorted(),
      upTo(9).map((i) => `r${i}`),
    )
  },
  MANY_WRITERS,
)
