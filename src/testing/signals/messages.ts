/** Messages: queued under a name, taken once. @module */
import { equal, ok, rejects } from '../assert.ts'
import { upTo, isNear } from '../build.ts'
import { type Case, defineCase } from '../case.ts'
import { byPage, changesNothing, losing, ODD_IDS, RUN, stores, structured, verdict } from '../stores.ts'
import { at, begin, runOf, standing, stepOf } from './runs.ts'

export const fifo: Case = defineCase('SI-401', 'messages of a name are taken in order, each once', async (t) => {
  const s = stores(t)
  await begin(s)
  for (const n of upTo(3)) equal(await s.signals.sendMessage(RUN, 'n', n), { seq: n, duplicate: false })
  equal((await stores(t).signals.consumeMessage(RUN, 'n'))?.payload, 1)
  equal((await s.signals.consumeMessage(RUN, 'n'))?.payload, 2)
  await stores(t).signals.sendMessage(RUN, 'n', 4)
  equal((await s.signals.consumeMessage(RUN, 'n'))?.payload, 3)
  equal((await stores(t).signals.consumeMessage(RUN, 'n'))?.payload, 4)
  for (const it of [s, stores(t)]) equal(await it.signals.consumeMessage(RUN, 'n'), undefined)
})

export const none: Case = defineCase('SI-402', 'an unknown name or run has no message', async (t) => {
  const s = stores(t)
  await changesNothing(t, async () => {
    equal(await s.signals.consumeMessage(RUN, 'n'), undefined)
    equal(await s.signals.listMessages(RUN, 'n'), { items: [] })
  })
  await begin(s)
  await changesNothing(t, async () => equal(await s.signals.consumeMessage(RUN, 'n'), undefined))
})

/** Some of these names have broken other stores. */
export const names: Case = defineCase('SI-403', 'names do not share queues', async (t) => {
  const s = stores(t)
  await begin(s)
  const odd = ODD_IDS.filter((_, i) => i % 3 === 0)
  await Promise.all(odd.map((name) => s.signals.sendMessage(RUN, name, name, { idempotencyKey: name })))
  for (const name of odd) {
    const message = await s.signals.consumeMessage(RUN, name)
    equal([message?.name, message?.payload, message?.seq], [name, name, 1])
    equal(await s.signals.consumeMessage(RUN, name), undefined)
  }
})

/** A message comes out as it went in. */
export const values: Case = defineCase('SI-404', 'a message holds any structured value, or none', async (t) => {
  const s = stores(t)
  await begin(s)
  const payloads = [structured(), undefined, null, 0, '', new Uint8Array([1, 2]), [undefined], new Date(5)]
  const before = s.db.now()
  for (const payload of payloads) await s.signals.sendMessage(RUN, 'n', payload)
  for (const payload of payloads) {
    const { sentAt, ...message } = (await stores(t).signals.consumeMessage(RUN, 'n'))!
    equal(message.payload, payload)
    equal(Object.hasOwn(message, 'payload'), payload !== undefined)
    ok(isNear(sentAt, before), 'By the clock of the backend')
  }
})

/** The run does not change. */
export const bufferOnly: Case = defineCase('SI-405', 'a message does not move a run that does not wait', async (t) => {
  const s = stores(t)
  await begin(s, { position: at() })
  await s.signals.sendMessage(RUN, 'n', 1)
  equal(await standing(t), ['running', at()])
  await s.signals.consumeMessage(RUN, 'n')
  equal([await standing(t), await stepOf(t)], [['running', at()], undefined])
})

/** A run that cannot take messages gets none. */
export const refusedRuns: Case = defineCase('SI-406', 'unknown and ended runs accept no message', async (t) => {
  const s = stores(t)
  await changesNothing(t, async () => {
    await rejects(s.signals.sendMessage(RUN, 'n', undefined), 'NOT_FOUND')
    await rejects(s.signals.sendMessage(RUN, 'n', 1, { idempotencyKey: 'k' }), 'NOT_FOUND')
  })
  await begin(s)
  await s.signals.sendMessage(RUN, 'n', 1)
  await s.log.complete(RUN, 'failed')
  await changesNothing(t, async () => {
    for (const { signals } of [s, stores(t)]) {
      const { details } = await rejects(signals.sendMessage(RUN, 'n', 2), 'ALREADY_COMPLETED')
      equal(details?.['completion'], 'failed')
      await rejects(signals.sendMessage(RUN, 'n', 2, { idempotencyKey: 'k' }), 'ALREADY_COMPLETED')
    }
  })
  equal((await s.signals.consumeMessage(RUN, 'n'))?.payload, 1, 'What came before can be looked at')
})

/** LangGraph #8837: a repeated message is sent once. */
export const duplicates: Case = defineCase('SI-407', 'one idempotency key is one message', async (t) => {
  const s = stores(t)
  await begin(s)
  const send = (it = s, key = 'k', payload: unknown = structured()): Promise<unknown> =>
    it.signals.sendMessage(RUN, 'n', payload, { idempotencyKey: key })
  equal(await send(), { seq: 1, duplicate: false })
  equal(await send(s, 'l'), { seq: 2, duplicate: false })
  await changesNothing(t, async () => {
    equal(await send(), { seq: 1, duplicate: true })
    equal(await send(stores(t)), { seq: 1, duplicate: true })
  })
  equal(await s.signals.sendMessage(RUN, 'm', 5, { idempotencyKey: 'k' }), { seq: 1, duplicate: false }, 'By name')
  await s.signals.consumeMessage(RUN, 'n')
  equal(await send(stores(t)), { seq: 1, duplicate: true }, 'Also when it was taken')
  await s.log.complete(RUN, 'completed')
  for (const it of [s, stores(t)]) equal(await send(it), { seq: 1, duplicate: true }, 'Also when the run has ended')
})

/** A key belongs to one message. */
export const otherPayload: Case = defineCase('SI-408', 'an idempotency key is for one payload', async (t) => {
  const s = stores(t)
  await begin(s)
  await s.signals.sendMessage(RUN, 'n', { a: 1 }, { idempotencyKey: 'k' })
  await changesNothing(t, async () => {
    for (const { signals } of [s, stores(t)]) {
      for (const payload of [{ a: 2 }, { a: 1, b: 1 }, undefined, null, [1]]) {
        const { details } = await rejects(signals.sendMessage(RUN, 'n', payload, { idempotencyKey: 'k' }), 'CONFLICT')
        equal(details, { seq: 1 })
      }
    }
  })
})

/** The answer was lost, but the message was not. */
export const lostAnswer: Case = defineCase('SI-409', 'a message whose answer was lost can be sent again', async (t) => {
  const line = losing(t.driver)
  const s = stores(t, { driver: line.driver })
  await begin(s, { position: { kind: 'message', stepId: 'wait', name: 'n', next: 'ship' } })
  line.lose()
  const send = (): Promise<unknown> => s.signals.sendMessage(RUN, 'n', 7, { idempotencyKey: 'k' })
  equal(await verdict(send()), 'UNAVAILABLE')
  equal(await send(), { seq: 1, duplicate: true })
  equal([await standing(t), (await stepOf(t))?.result], [['running', at('ship')], 7])
  equal(await s.signals.consumeMessage(RUN, 'n'), undefined, 'Delivered once')
})

/** Listed by page, with a mark for taken messages. */
export const lists: Case = defineCase('SI-410', 'messages are listed, and show whether they were taken', async (t) => {
  const s = stores(t)
  await begin(s)
  for (const n of upTo(5)) await s.signals.sendMessage(RUN, 'n', n)
  await s.signals.sendMessage(RUN, 'n!', 'other')
  for (const _ of upTo(2)) await s.signals.consumeMessage(RUN, 'n')
  const found = await byPage((page) => stores(t).signals.listMessages(RUN, 'n', page), 2)
  equal(
    found.map(({ seq, name, payload, consumed }) => [seq, name, payload, consumed]),
    upTo(5).map((n) => [n, 'n', n, n <= 2]),
  )
})

/** A deleted run leaves no messages. */
export const afterDelete: Case = defineCase(
  'SI-411',
  'a run that is started over does not see old cursors',
  async (t) => {
    const s = stores(t)
    await begin(s)
    for (const n of upTo(2)) await s.signals.sendMessage(RUN, 'n', n, { idempotencyKey: `${n}` })
    await s.signals.consumeMessage(RUN, 'n')
    await t.write({ deletePart: (await t.parts()).find((part) => part.includes('!run!'))! })
    equal(await s.signals.consumeMessage(RUN, 'n'), undefined)
    await rejects(s.signals.sendMessage(RUN, 'n', 3), 'NOT_FOUND')
    await begin(s)
    equal(await s.signals.sendMessage(RUN, 'n', 'new', { idempotencyKey: '1' }), { seq: 1, duplicate: false })
    equal((await s.signals.consumeMessage(RUN, 'n'))?.payload, 'new')
  },
)

/** Taking a message and using it are one commit. */
export const delivers: Case = defineCase('SI-412', 'a message is delivered to a step in one commit', async (t) => {
  const s = stores(t)
  await begin(s, { position: at() })
  const to = { stepId: 'wait', position: at('ship') }
  await changesNothing(t, async () => equal(await s.signals.deliver(RUN, 'n', to), undefined))
  for (const n of upTo(3)) await s.signals.sendMessage(RUN, 'n', n)
  equal((await stores(t).signals.deliver(RUN, 'n', to))?.payload, 1)
  equal([await standing(t), (await stepOf(t))?.result], [['running', at('ship')], 1])
  equal((await s.signals.deliver(RUN, 'n', { stepId: 'wait' }))?.payload, 2)
  equal([await standing(t), (await stepOf(t))?.result], [['running', at('ship')], 1], 'The first result wins')
  equal((await s.signals.deliver(RUN, 'n', { stepId: 'last', position: null, status: 'completed' }))?.payload, 3)
  equal([await standing(t), (await stepOf(t, 'last'))?.result], [['completed', undefined], 3])
})

/** The run must be able to go on. */
export const cannotDeliver: Case = defineCase('SI-413', 'nothing is delivered to unknown or ended runs', async (t) => {
  const s = stores(t)
  await rejects(s.signals.deliver(RUN, 'n', { stepId: 's' }), 'NOT_FOUND')
  await begin(s)
  await s.signals.sendMessage(RUN, 'n', 1)
  await s.log.complete(RUN, 'completed')
  await changesNothing(t, async () => {
    for (const it of [s, stores(t)]) {
      await rejects(it.signals.deliver(RUN, 'n', { stepId: 's' }), 'ALREADY_COMPLETED')
    }
  })
  equal((await runOf(t)).status, 'completed')
})

/** A returned message belongs to the caller. */
export const ownCopy: Case = defineCase(
  'SI-415',
  'changing a delivered message does not change its step',
  async (t) => {
    const s = stores(t)
    await begin(s)
    await s.signals.sendMessage(RUN, 'n', { a: [1] })
    const message = await s.signals.deliver(RUN, 'n', { stepId: 's' })
    ;(message!.payload as { a: number[] }).a.push(2)
    equal(await s.workflows.saveTaskResult(RUN, 's', { a: [1] }), { duplicate: true })
    equal((await stores(t).workflows.getStep(RUN, 's'))?.result, { a: [1] })
    await s.signals.sendMessage(RUN, 'n', Uint8Array.of(1, 2))
    const bytes = await s.signals.deliver(RUN, 'n', { stepId: 'bytes' })
    ;(bytes!.payload as Uint8Array).fill(0)
    equal(await s.workflows.saveTaskResult(RUN, 'bytes', Uint8Array.of(1, 2)), { duplicate: true })
  },
)
