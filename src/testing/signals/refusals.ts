/** Refused before any I/O: malformed arguments, aborted signals, calls after close. @module */
import type { WriteOptions } from '../../core/options.ts'
import { signalStore } from '../../stores/signals/store.ts'
import type { Position } from '../../runs/status.ts'
import { timerStore } from '../../stores/timers/store.ts'
import { equal, rejects } from '../assert.ts'
import { type Case, type Context, defineCase } from '../case.ts'
import { BAD_IDS, BAD_NUMBERS, changesNothing, NOT_SIGNALS, RUN, type SpiedStores, spied } from '../stores.ts'
import { BY_RUN, TIMERS } from './calls.ts'
import { at, begin, stepOf, waitFor } from './runs.ts'

const ALL: readonly ((s: SpiedStores, options?: WriteOptions) => Promise<unknown>)[] = [
  ...BY_RUN.map((call) => (s: SpiedStores, o?: WriteOptions) => call(s, RUN, o)),
  ...TIMERS,
]

/** Asserts that all calls are refused without a request and without a change. */
async function refused(t: Context, calls: (s: SpiedStores) => Iterable<Promise<unknown>>): Promise<void> {
  const s = spied(t)
  await begin(s)
  await changesNothing(t, async () => {
    const requests = await s.cost(() => Promise.all([...calls(s)].map((call) => rejects(call, 'INVALID_ARGUMENT'))))
    equal(requests, 0, 'Requests')
  })
}

/** Every id is checked. */
export const badIds: Case = defineCase('SI-801', 'signals and messages refuse malformed ids', (t) =>
  refused(t, (s) =>
    (BAD_IDS as readonly string[]).flatMap((id) => [
      ...BY_RUN.map((call) => call(s, id)),
      s.signals.sendMessage(RUN, id, undefined),
      s.signals.consumeMessage(RUN, id),
      s.signals.listMessages(RUN, id),
      s.signals.deliver(RUN, id, { stepId: 's' }),
      s.signals.deliver(RUN, 'n', { stepId: id }),
      s.signals.park(RUN, waitFor('n', { name: id })),
      s.signals.park(RUN, waitFor('n', { stepId: id })),
      ...(id === undefined
        ? []
        : [
            s.signals.sendMessage(RUN, 'n', 1, { idempotencyKey: id }),
            s.signals.checkAndCancel(RUN, { interruptedAt: id }),
            s.signals.checkControlSignals(RUN, { interruptedAt: id }),
            s.signals.park(RUN, waitFor('n', { next: id })),
          ]),
    ]),
  ),
)

/** Kinds, reasons and requesters. */
export const badSignals: Case = defineCase('SI-802', 'malformed signals are refused', (t) =>
  refused(t, ({ signals }) => [
    ...(['', 'stop', 'Cancel', '__proto__', undefined, null, 5, {}] as 'cancel'[]).flatMap((kind) => [
      signals.storeSignal(RUN, kind),
      signals.getSignal(RUN, kind),
      signals.clearSignal(RUN, kind),
    ]),
    ...([5, null, {}, '\ud800'] as string[]).flatMap((text) => [
      signals.storeSignal(RUN, 'cancel', { reason: text }),
      signals.storeSignal(RUN, 'pause', { requestedBy: text }),
    ]),
    signals.storeSignal(RUN, 'cancel', null as never),
    signals.checkAndCancel(RUN, null as never),
    signals.checkControlSignals(RUN, null as never),
  ]),
)

/** Positions: only park may wait for a message. */
export const badPositions: Case = defineCase('SI-803', 'messages refuse malformed positions', (t) =>
  refused(t, ({ signals }) => [
    ...([undefined, null, 5, {}, at(), { kind: 'message' }, { kind: 'other', stepId: 's' }] as never[]).map(
      (position) => signals.park(RUN, position),
    ),
    ...(BAD_NUMBERS as number[]).map((wakeAt) => signals.park(RUN, waitFor('n', { wakeAt }))),
    ...(
      [waitFor(), { kind: 'step' }, { kind: 'delay', stepId: 's' }, {}, 5] as Exclude<Position, { kind: 'message' }>[]
    )
      // The first is a valid position, but not for this call.
      .map((position) => signals.deliver(RUN, 'n', { stepId: 's', position })),
    signals.deliver(RUN, 'n', { stepId: 's', status: 'done' as 'running' }),
    ...([undefined, null, 5, {}] as never[]).map((to) => signals.deliver(RUN, 'n', to)),
  ]),
)

/** Numbers in their range. */
export const badLimits: Case = defineCase('SI-804', 'timers refuse malformed limits', (t) =>
  refused(t, ({ timers, signals }) => [
    ...([0, 10_001, ...BAD_NUMBERS] as number[]).map((limit) => timers.advanceDue({ limit })),
    ...([0, ...BAD_NUMBERS] as number[]).map((limit) => signals.listMessages(RUN, 'n', { limit })),
    ...['', 'x', 'message!m!0000000000000001', 5].map((cursor) =>
      signals.listMessages(RUN, 'n', { cursor: cursor as string }),
    ),
  ]),
)

/** Payloads that cannot be stored. */
export const badPayloads: Case = defineCase('SI-805', 'a payload that cannot be stored is not sent', async (t) => {
  const s = spied(t)
  await begin(s)
  const cycle: unknown[] = []
  cycle.push(cycle)
  await changesNothing(t, async () => {
    const requests = await s.cost(async () => {
      for (const payload of [() => 1, Symbol.iterator, [cycle], { a: '\ud800' }, new Error('x')]) {
        await rejects(s.signals.sendMessage(RUN, 'n', payload), 'SERIALIZATION')
      }
    })
    equal(requests, 0)
  })
})

/** An accepted message can be delivered: it fits into the result of a step, too. */
export const tooLarge: Case = defineCase('SI-811', 'a message too large for a step is not sent', async (t) => {
  const s = spied(t, { limits: { valueBytes: 10_000 } })
  await begin(s)
  await changesNothing(t, async () => {
    const send = s.cost(() => rejects(s.signals.sendMessage(RUN, 'paid', 'x'.repeat(6000)), 'PAYLOAD_TOO_LARGE'))
    equal(await send, 0)
  })
  await s.signals.sendMessage(RUN, 'paid', 'x'.repeat(5800))
  const id = '\u0001'.repeat(256)
  equal(await s.signals.park(RUN, waitFor('paid', { stepId: id })), 'delivered')
  equal((await stepOf(t, id))?.result, 'x'.repeat(5800))
})

/** A value that is not a signal could never abort a call. */
export const notSignals: Case = defineCase('SI-806', 'every method refuses a malformed abort signal', (t) =>
  refused(t, (s) => (NOT_SIGNALS as AbortSignal[]).flatMap((signal) => ALL.map((call) => call(s, { signal })))),
)

/** A value that is not a claim could never fence a write. */
export const notClaims: Case = defineCase('SI-807', 'signals refuse a malformed claim', (t) =>
  refused(t, (s) =>
    ([{}, { id: 'x' }, 'x', 5, { id: 5, at: { part: 'p', key: 'k' } }] as never[]).flatMap((claim) => [
      s.signals.clearSignal(RUN, 'pause', { claim }),
      s.signals.consumeMessage(RUN, 'n', { claim }),
    ]),
  ),
)

/** Every method checks the signal before any I/O. */
export const aborted: Case = defineCase('SI-808', 'with an aborted signal every call is refused', async (t) => {
  const s = spied(t)
  await begin(s)
  await changesNothing(t, async () => {
    const requests = await s.cost(async () => {
      for (const call of ALL)
        equal((await rejects(call(s, { signal: AbortSignal.abort() }), 'ABORTED')).ambiguous, false)
    })
    equal(requests, 0)
  })
})

/** After close, nothing works. */
export const afterClose: Case = defineCase('SI-809', 'after close every call of signals is refused', async (t) => {
  const s = spied(t)
  await begin(s)
  await s.db.close()
  const requests = await s.cost(async () => {
    for (const call of ALL) await rejects(call(s), 'CLOSED')
  })
  equal(requests, 0)
})

/** Malformed tenants are refused when a store is created. */
export const badTenants: Case = defineCase(
  'SI-810',
  'a signal store for a malformed tenant cannot be created',
  async (t) => {
    const db = t.db()
    for (const tenant of BAD_IDS.filter((id) => id !== undefined) as string[]) {
      await rejects((async () => signalStore(db, { tenant }))(), 'INVALID_ARGUMENT')
      await rejects((async () => timerStore(db, { tenant }))(), 'INVALID_ARGUMENT')
    }
  },
)
