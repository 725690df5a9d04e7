/** Appends: seqs, batches, conditions. @module */
import type { NewEvent } from '../../runs/events.ts'
import { equal, ok, rejects } from '../assert.ts'
import { upTo } from '../build.ts'
import { type Case, defineCase } from '../case.ts'
import { changesNothing, event, first, RUN, spied, stores, structured, WORKFLOW } from '../stores.ts'

const HOUR = 3_600_000

/** Two appends, then load. */
export const appendAndLoad: Case = defineCase('PE-101', 'appended events are loaded in order', async (t) => {
  const { log } = stores(t)
  equal(await log.append(event('enter')), { seq: 1, duplicate: false })
  equal(await log.append(event('next')), { seq: 2, duplicate: false })
  const trace = (await log.load(RUN))!
  equal([trace.runId, trace.workflow, trace.completion], [RUN, WORKFLOW, undefined])
  equal(
    trace.events.map(({ seq, kind }) => [seq, kind]),
    [
      [1, 'enter'],
      [2, 'next'],
    ],
  )
  equal([trace.interventions, trace.resumedFromSeq, trace.completedAt], [[], undefined, undefined])
})

/** Everything that an event can hold, and nothing else. */
export const roundTrip: Case = defineCase('PE-102', 'an event comes back as it was appended', async (t) => {
  const { log } = stores(t)
  const full: NewEvent = {
    ...event('step.completed'),
    stepId: 'charge',
    definitionVersion: 'v1',
    at: 1_234_567,
    payload: { amount: 42n },
    payloadHash: 'sha256:00',
    idempotencyKey: 'charge-1',
  }
  await log.append(full)
  await log.append(event('bare', { at: 0, stepId: undefined, payload: undefined, idempotencyKey: undefined }))
  const bare = { runId: RUN, workflow: WORKFLOW, seq: 2, kind: 'bare', at: 0 }
  equal((await log.load(RUN))?.events, [{ ...full, seq: 1 }, bare])
  equal((await log.loadEvents(RUN)).items, [{ ...full, seq: 1 }, bare])
})

/** From 1, one by one, for each run. */
export const numbers: Case = defineCase('PE-103', 'seqs begin at 1 and leave no gaps, in every run', async (t) => {
  const { log } = stores(t)
  for (const n of upTo(5)) {
    for (const runId of ['a', 'a:b', 'aa']) equal((await log.append(event('e', { runId }))).seq, n)
  }
})

/** Consecutive seqs, and the last one is returned. */
export const batches: Case = defineCase('PE-104', 'a batch is contiguous and returns its last seq', async (t) => {
  const { log } = stores(t)
  equal(await log.appendBatch(upTo(3).map((n) => event(`a${n}`))), { seq: 3, duplicate: false })
  equal(await log.append(event('b')), { seq: 4, duplicate: false })
  equal(await log.appendBatch([event('c')]), { seq: 5, duplicate: false })
  equal(
    (await log.loadEvents(RUN)).items.map(({ kind }) => kind),
    ['a1', 'a2', 'a3', 'b', 'c'],
  )
})

export const allOrNothing: Case = defineCase('PE-105', 'a batch with one bad event changes nothing', async (t) => {
  const { log } = spied(t, { limits: { valueBytes: 1000 } })
  await log.append(event('first', { idempotencyKey: 'first' }))
  const batch = (bad: Partial<NewEvent>): NewEvent[] => [event('a'), event('b', bad), event('c')]
  await changesNothing(t, async () => {
    await rejects(log.appendBatch(batch({ kind: '' })), 'INVALID_ARGUMENT')
    await rejects(log.appendBatch(batch({ payload: () => 1 })), 'SERIALIZATION')
    await rejects(log.appendBatch(batch({ payload: 'x'.repeat(1000) })), 'PAYLOAD_TOO_LARGE')
    await rejects(log.appendBatch(batch({ idempotencyKey: 'first' })), 'CONFLICT')
    await rejects(log.appendBatch(batch({ runId: 'other' })), 'INVALID_ARGUMENT')
    await rejects(log.appendBatch(batch({ workflow: 'other' })), 'INVALID_ARGUMENT')
    await rejects(log.appendBatch(batch({}), { expectedSeq: 0 }), 'CONFLICT')
    await rejects(log.appendBatch([event('a', { runId: 'new' }), event('', { runId: 'new' })]), 'INVALID_ARGUMENT')
  })
  equal(await log.exists('new'), false)
})

/** MongoDB threw an error for it. */
export const emptyBatch: Case = defineCase('PE-106', 'an empty batch does nothing', async (t) => {
  const { log, cost } = spied(t)
  equal(await cost(() => log.appendBatch([])), 0)
  equal(await log.appendBatch([]), { seq: 0, duplicate: false })
  equal(await t.dump(), [])
})

/** A run belongs to one workflow. */
export const otherWorkflow: Case = defineCase('PE-107', 'an event of another workflow changes nothing', async (t) => {
  const [one, two] = [stores(t).log, stores(t).log]
  await one.append(event('a', { definitionVersion: 'v1' }))
  await changesNothing(t, async () => {
    for (const log of [one, two, two]) {
      const other = event('b', { workflow: 'other', definitionVersion: 'v2' })
      equal((await rejects(log.append(other), 'WORKFLOW_MISMATCH')).details?.workflow, WORKFLOW)
      await rejects(log.appendBatch([other, other]), 'WORKFLOW_MISMATCH')
    }
  })
  equal(await one.append(event('b')), { seq: 2, duplicate: false })
})

/** Two programs advance one run: the second gets a conflict. */
export const expectedSeq: Case = defineCase(
  'PE-108',
  'an append succeeds only if the log ends as expected',
  async (t) => {
    const [one, two] = [stores(t).log, stores(t).log]
    await changesNothing(t, () => rejects(one.append(event('a'), { expectedSeq: 1 }), 'CONFLICT'))
    equal((await one.append(event('a'), { expectedSeq: 0 })).seq, 1)
    equal((await two.appendBatch([event('b'), event('c')], { expectedSeq: 1 })).seq, 3)
    await changesNothing(t, async () => {
      for (const expectedSeq of [0, 1, 2, 4]) {
        for (const log of [one, two]) {
          equal((await rejects(log.append(event('d'), { expectedSeq }), 'CONFLICT')).details?.latestSeq, 3)
        }
      }
    })
    equal((await one.append(event('d'), { expectedSeq: 3 })).seq, 4)
  },
)

/** Import: the caller knows the seqs. */
export const givenSeq: Case = defineCase('PE-109', 'a given seq is accepted only if it is the next one', async (t) => {
  const { log } = stores(t)
  await changesNothing(t, () => rejects(log.append(event('a', { seq: 2 })), 'CONFLICT'))
  equal(await log.append(event('a', { seq: 1 })), { seq: 1, duplicate: false })
  equal(await log.appendBatch([event('b', { seq: 2 }), event('c', { seq: 3 })]), { seq: 3, duplicate: false })
  await changesNothing(t, async () => {
    for (const seq of [1, 2, 3, 5, 6, Number.MAX_SAFE_INTEGER]) {
      await rejects(log.append(event('x', { seq })), 'CONFLICT')
    }
    await rejects(log.appendBatch([event('x', { seq: 3 }), event('y', { seq: 4 })]), 'CONFLICT')
    await rejects(log.append(event('x', { seq: 4 }), { expectedSeq: 2 }), 'CONFLICT')
  })
  equal((await log.append(event('d', { seq: 4 }), { expectedSeq: 3 })).seq, 4)
  equal((await log.append(event('e'))).seq, 5)
})

/** A log can be copied into another database, seq by seq. */
export const copies: Case = defineCase('PE-110', 'loaded events can be appended elsewhere unchanged', async (t) => {
  const { log } = stores(t)
  await log.append(event('a', { payload: structured(), idempotencyKey: 'k' }))
  await log.appendBatch([event('b'), event('c', { definitionVersion: 'v2' })])
  const trace = (await log.load(RUN))!
  const copy = stores(t, {}, 'copy').log
  equal(await copy.appendBatch(trace.events), { seq: 3, duplicate: false })
  equal((await copy.load(RUN))?.events, trace.events)
  equal(await copy.appendBatch(trace.events), { seq: 3, duplicate: true })
})

/** The definition version of the last event that names one. */
export const definitionVersion: Case = defineCase(
  'PE-111',
  'a run has the definition version of its last events',
  async (t) => {
    const { log } = stores(t)
    const versionOf = async (): Promise<string | undefined> => (await log.load(RUN))?.definitionVersion
    await log.append(event('a'))
    equal(await versionOf(), undefined)
    for (const version of ['v1', 'v2', 'v2', 'v1']) {
      await log.append(event('b', { definitionVersion: version }))
      equal(await versionOf(), version)
    }
    await log.append(event('c'))
    equal(await versionOf(), 'v1')
    await log.appendBatch([event('d', { definitionVersion: 'v3' }), event('e', { definitionVersion: 'v4' })])
    equal(await versionOf(), 'v4')
  },
)

/** In a batch as one by one. */
export const definitionVersionOfBatch: Case = defineCase(
  'PE-112',
  'a batch sets the definition version as its events one by one would',
  async (t) => {
    const { log } = stores(t)
    await log.append(event('a', { definitionVersion: 'v1' }))
    await log.appendBatch([event('b', { definitionVersion: 'v2' }), event('c')])
    equal((await log.load(RUN))?.definitionVersion, 'v2')
  },
)

/** Payloads are structured values. `null` is a payload; a missing payload stays missing. */
export const payloads: Case = defineCase('PE-113', 'payloads of every kind come back as they were', async (t) => {
  const { log } = stores(t)
  const payloads: unknown[] = [structured(), null, '', 0, -0, Number.NaN, false, [], {}, new Map(), 1n, new Date(1)]
  payloads.push(new Uint8Array(), new Uint8Array([0, 0xf5]), '\0', { toString: 1 }, [undefined], [[], {}])
  await log.appendBatch(payloads.map((payload) => event('e', { payload })))
  const found = (await log.load(RUN))!.events
  equal(
    found.map(({ payload }) => payload),
    payloads,
  )
  ok(
    found.every((it) => Object.hasOwn(it, 'payload')),
    'All are there',
  )
  await log.append(event('none'))
  const none = first((await log.loadEventsAfter(RUN, payloads.length)).items)
  equal([none.kind, Object.hasOwn(none, 'payload')], ['none', false])
})

/** A payload that could not be read back is not stored. */
export const unserialisable: Case = defineCase(
  'PE-114',
  'a payload that cannot be stored is refused, with its path',
  async (t) => {
    const { log, cost } = spied(t)
    await log.append(event('a'))
    class Secret {
      word = 'xyzzy'
    }
    await changesNothing(t, async () => {
      for (const payload of [() => 1, Symbol('s'), new Secret(), '\udc00', new WeakSet()]) {
        for (const runId of [RUN, 'new']) {
          const requests = await cost(async () => {
            const error = await rejects(
              log.append(event('b', { runId, payload: { list: [payload] } })),
              'SERIALIZATION',
            )
            ok(String(error.details?.path).endsWith('.list[0]'), `The path is ${String(error.details?.path)}`)
          })
          equal(requests, 0)
        }
      }
    })
  },
)

/** Large events. */
export const large: Case = defineCase(
  'PE-115',
  'a large payload is stored; one over the limit is refused',
  async (t) => {
    const { log } = stores(t)
    const payload = Uint8Array.from({ length: Math.min(t.limits.valueBytes / 2, 2 ** 20) }, (_, i) => i % 251)
    await log.append(event('large', { payload }))
    equal(first((await log.loadEvents(RUN)).items).payload, payload)
    const small = spied(t, { limits: { valueBytes: 2000 } }).log
    await changesNothing(t, async () => {
      await rejects(small.append(event('b', { payload: 'é'.repeat(1000) })), 'PAYLOAD_TOO_LARGE')
      await rejects(small.append(event('b', { runId: 'new', payload: 'é'.repeat(1000) })), 'PAYLOAD_TOO_LARGE')
    })
  },
)

/** Events are dated by the backend's clock, unless the caller says when. */
export const dated: Case = defineCase('PE-116', "events and runs are dated by the backend's clock", async (t) => {
  const { now } = await t.driver.read([])
  for (const skew of [-HOUR, HOUR]) {
    const { db, log } = stores(t, { clock: () => Date.now() + skew })
    await db.health()
    const runId = `r${skew}`
    await log.appendBatch([event('a', { runId }), event('b', { runId, at: 5 })])
    const trace = (await log.load(runId))!
    equal(trace.events[1]?.at, 5)
    for (const at of [trace.events[0]!.at, trace.createdAt]) ok(Math.abs(at - now) < HOUR / 2, `${at} is near ${now}`)
  }
})

/** A backend may count in fractions; we do not. */
export const wholeMilliseconds: Case = defineCase('PE-117', 'dates are whole milliseconds', async (t) => {
  const { log, state } = stores(t, { driver: spied(t, { ahead: 0.25 }).spy.driver })
  await log.append(event('a'))
  await log.append(event('b'))
  await log.saveIntervention(RUN, { targetStep: 's' })
  const { updatedAt } = await state.saveSnapshot({ runId: RUN, state: 1 })
  const { completedAt } = await log.complete(RUN, 'completed')
  const trace = (await log.load(RUN))!
  const dates = [...trace.events, ...trace.interventions].map(({ at }) => at)
  for (const date of [...dates, updatedAt, completedAt]) ok(Number.isSafeInteger(date), `${date} is whole`)
})

/** The order is by seq: a clock that goes backwards changes nothing. */
export const backwards: Case = defineCase(
  'PE-118',
  'a clock that goes backwards does not disturb the order',
  async (t) => {
    const { log } = stores(t)
    for (const n of upTo(10)) await log.append(event(`e${n}`, { at: 1000 - n }))
    equal(
      (await log.loadEvents(RUN)).items.map(({ seq, kind }) => [seq, kind]),
      upTo(10).map((n) => [n, `e${n}`]),
    )
  },
)

/** The event and the new state of the run are one change. */
export const movesRun: Case = defineCase('PE-119', 'an append moves the run in the same commit', async (t) => {
  const [one, two] = [spied(t), spied(t)]
  await one.db.open()
  const step = (stepId: string) => ({ kind: 'step', stepId }) as const
  const nap = { kind: 'delay', stepId: 'nap', wakeAt: 4e12 } as const
  const first = { position: step('a'), priority: 1, tags: ['gpu'], traceParent: 'p' } as const
  equal(await one.cost(() => one.log.append(event('begun'), { run: first })), 1, 'A new run')
  equal(await one.cost(() => one.log.append(event('next'), { run: { position: step('b') } })), 1)
  const run = await two.workflows.getRun(RUN)
  equal([run?.status, run?.position, run?.priority, run?.tags], ['running', step('b'), 1, ['gpu']])
  equal(await two.log.appendBatch([event('c'), event('d')], { run: { position: nap } }), { seq: 4, duplicate: false })
  for (const { workflows } of [one, two]) {
    equal((await workflows.listRuns({ status: 'running' })).items, [])
    equal((await workflows.listRuns({ status: 'waiting' })).items.length, 1)
  }
  equal(await one.log.append(event('done'), { run: { status: 'failed', error: 'E', position: null } }), {
    seq: 5,
    duplicate: false,
  })
  const after = await stores(t).workflows.getRun(RUN)
  equal([after?.completion, after?.error, after?.position, after?.traceParent], ['failed', 'E', undefined, 'p'])
  equal((await stores(t).log.load(RUN))?.events.length, 5)
})

/** Without the event, the run does not change. */
export const staysWithoutEvent: Case = defineCase(
  'PE-120',
  'an append that is refused or repeated does not move the run',
  async (t) => {
    const [one, two] = [stores(t), stores(t)]
    const to = (stepId: string) => ({ run: { position: { kind: 'step', stepId }, tags: [stepId] } }) as const
    const keyed = event('a', { idempotencyKey: 'k' })
    await one.log.append(keyed, to('a'))
    await two.log.append(event('b'), to('b'))
    await changesNothing(t, async () => {
      for (const { log } of [one, two, stores(t)]) {
        equal(await log.append(keyed, to('a')), { seq: 1, duplicate: true })
        await rejects(log.append(event('c', { idempotencyKey: 'k' }), to('c')), 'CONFLICT')
        await rejects(log.append(event('c'), { ...to('c'), expectedSeq: 1 }), 'CONFLICT')
        await rejects(log.append(event('c', { seq: 5 }), to('c')), 'CONFLICT')
        await rejects(log.append(event('c', { workflow: 'other' }), to('c')), 'WORKFLOW_MISMATCH')
        await rejects(log.append(event('c'), { run: { priority: 6 as 5 } }), 'INVALID_ARGUMENT')
        await rejects(log.append(event('c'), { run: { position: { kind: 'step', stepId: '' } } }), 'INVALID_ARGUMENT')
      }
    })
    await one.log.complete(RUN, 'completed')
    await changesNothing(t, async () => {
      for (const { log } of [one, two, stores(t)]) {
        equal(await log.append(keyed, to('a')), { seq: 1, duplicate: true })
        await rejects(log.append(event('c'), { run: { status: 'running' } }), 'ALREADY_COMPLETED')
      }
    })
  },
)

/** A writer learns that it is asked to stop. */
export const tellsSignal: Case = defineCase('PE-121', 'an append returns the pending signal of the run', async (t) => {
  const [worker, operator] = [spied(t), stores(t)]
  const run = { position: { kind: 'step', stepId: 'a' } } as const
  equal(await worker.log.append(event('a'), { run }), { seq: 1, duplicate: false })
  await operator.signals.storeSignal(RUN, 'pause')
  equal(await worker.log.append(event('b')), { seq: 2, duplicate: false, signal: 'pause' })
  equal(await worker.cost(() => worker.log.append(event('c'))), 1)
  await operator.signals.storeSignal(RUN, 'cancel')
  equal(await stores(t).log.appendBatch([event('d'), event('e')], { run }), {
    seq: 5,
    duplicate: false,
    signal: 'cancel',
  })
  await operator.signals.clearSignal(RUN, 'cancel')
  equal((await worker.log.append(event('f'))).signal, 'pause')
  await operator.signals.clearSignal(RUN, 'pause')
  equal(await worker.log.append(event('g')), { seq: 7, duplicate: false })
})
