/** Refused before any I/O: malformed arguments, aborted signals, calls after close. @module */
import type { CallOptions } from '../../core/driver.ts'
import type { NewEvent } from '../../runs/events.ts'
import { type PersistenceStore, persistenceStore } from '../../stores/persistence/store.ts'
import { equal, rejects } from '../assert.ts'
import { type Case, type Context, defineCase } from '../case.ts'
import { BAD_IDS, BAD_NUMBERS, changesNothing, collect, event, NOT_SIGNALS, RUN, spied } from '../stores.ts'

/** Every method that takes a run id. */
const BY_RUN: readonly ((log: PersistenceStore, runId: string, options?: CallOptions) => Promise<unknown>)[] = [
  (log, runId, o) => log.append(event('b', { runId }), o),
  (log, runId, o) => log.appendBatch([event('b', { runId }), event('c', { runId })], o),
  (log, runId, o) => log.load(runId, o),
  (log, runId, o) => log.loadEvents(runId, o),
  (log, runId, o) => log.loadEventsAfter(runId, 0, o),
  (log, runId, o) => collect(log.events(runId, o)),
  (log, runId, o) => log.getLatestSeq(runId, o),
  (log, runId, o) => log.exists(runId, o),
  (log, runId, o) => log.resume(runId, 0, o),
  (log, runId, o) => log.saveIntervention(runId, { targetStep: 's' }, o),
  (log, runId, o) => log.consumeIntervention(runId, o),
  (log, runId, o) => log.complete(runId, 'completed', o),
]

const LISTS: readonly ((log: PersistenceStore, options?: object) => Promise<unknown>)[] = [
  (log, o) => log.loadEvents(RUN, o),
  (log, o) => log.loadEventsAfter(RUN, 0, o),
  (log, o) => collect(log.events(RUN, o)),
]

const ALL = BY_RUN.map((call) => (log: PersistenceStore, o?: CallOptions) => call(log, RUN, o))

/** Asserts that all calls are refused without a request and without a change. */
async function refused(t: Context, calls: (log: PersistenceStore) => Iterable<Promise<unknown>>): Promise<void> {
  const { log, cost } = spied(t)
  await log.append(event('a'))
  await changesNothing(t, async () => {
    const requests = await cost(() => Promise.all([...calls(log)].map((call) => rejects(call, 'INVALID_ARGUMENT'))))
    equal(requests, 0, 'Requests')
  })
}

/** dbos-py #759: an empty text is not an id. */
export const badRuns: Case = defineCase('PE-801', 'logs refuse malformed run ids', (t) =>
  refused(t, (log) => BAD_IDS.flatMap((id) => BY_RUN.map((call) => call(log, id as string)))),
)

/** Every name in an event is an id. */
export const badNames: Case = defineCase('PE-802', 'malformed names in events are refused', (t) =>
  refused(t, (log) =>
    (BAD_IDS as readonly string[]).flatMap((id) => [
      log.append(event(id)),
      log.append(event('b', { workflow: id })),
      log.complete(RUN, 'completed', { event: { kind: id } }),
      ...(['stepId', 'definitionVersion', 'payloadHash', 'idempotencyKey'] as const)
        .filter(() => id !== undefined)
        .flatMap((name) => [
          log.append(event('b', { [name]: id })),
          log.append(event('b', { runId: 'new', [name]: id })),
          log.appendBatch([event('b'), event('c', { [name]: id })]),
          log.complete(RUN, 'completed', { event: { kind: 'done', [name]: id } }),
        ]),
    ]),
  ),
)

/** Numbers are safe integers. */
export const badNumbers: Case = defineCase('PE-803', 'malformed numbers are refused', (t) =>
  refused(t, (log) => [
    log.append(event('b', { seq: 0 })),
    log.append(event('b', { seq: -0 })),
    ...(BAD_NUMBERS as number[]).flatMap((n) => [
      log.append(event('b', { seq: n })),
      log.append(event('b', { at: n })),
      log.append(event('b'), { expectedSeq: n }),
      log.appendBatch([event('b'), event('c')], { expectedSeq: n }),
      log.loadEventsAfter(RUN, n),
      collect(log.events(RUN, { after: n })),
      log.resume(RUN, n),
      log.complete(RUN, 'completed', { event: { kind: 'done', seq: n } }),
    ]),
  ]),
)

/** Either all events have a seq, without gaps, or none has. */
export const badBatchNumbers: Case = defineCase('PE-804', 'a batch with seqs out of order is refused', (t) => {
  const batch = (...seqs: (number | undefined)[]): NewEvent[] => seqs.map((seq, i) => event(`e${i}`, { seq }))
  const last = Number.MAX_SAFE_INTEGER
  return refused(t, (log) => [
    log.appendBatch(batch(2, 2)),
    log.appendBatch(batch(2, 3, 2)),
    log.appendBatch(batch(2, 4)),
    log.appendBatch(batch(3, 2)),
    log.appendBatch(batch(2, undefined)),
    log.appendBatch(batch(undefined, 2)),
    log.appendBatch(batch(2, undefined, 4)),
    log.appendBatch(batch(last, last + 1)),
  ])
})

/** The events of a batch have one run and different keys. */
export const badBatches: Case = defineCase('PE-805', 'a batch of several runs or with a repeated key is refused', (t) =>
  refused(t, (log) => [
    log.appendBatch([event('b'), event('c', { runId: 'other' })]),
    log.appendBatch([event('b', { runId: 'x' }), event('c', { runId: 'y' })]),
    log.appendBatch([event('b'), event('c', { workflow: 'other' })]),
    log.appendBatch([event('b', { idempotencyKey: 'k' }), event('c', { idempotencyKey: 'k' })]),
  ]),
)

/** There are four ways to end. */
export const badCompletions: Case = defineCase('PE-806', 'unknown completions are refused', (t) =>
  refused(t, (log) =>
    (['', 'done', 'running', 'Completed', 'toString', undefined, null, 0, {}] as 'failed'[]).map((completion) =>
      log.complete(RUN, completion),
    ),
  ),
)

/** A page holds at least one item, and a cursor comes from an earlier page. */
export const badPages: Case = defineCase('PE-807', 'logs refuse malformed limits and cursors', (t) =>
  refused(t, (log) => [
    ...[0, ...BAD_NUMBERS].flatMap((limit) => LISTS.map((list) => list(log, { limit }))),
    ...['', ' ', 'a b', '\0', 'é', 'x'.repeat(5000), 5, null, {}, ['a']].flatMap((cursor) =>
      LISTS.map((list) => list(log, { cursor })),
    ),
  ]),
)

/** Anything but an object or a list is refused with a code, not by a `TypeError` from inside. */
export const notObjects: Case = defineCase('PE-812', 'malformed events, batches and interventions are refused', (t) =>
  refused(t, (log) => [
    ...([undefined, null, 5, 'x', []] as never[]).flatMap((it) => [
      log.append(it),
      log.appendBatch([it]),
      log.appendBatch([event('b'), it]),
      log.saveIntervention(RUN, it),
      ...(it === undefined ? [] : [log.complete(RUN, 'completed', { event: it })]),
    ]),
    ...([undefined, null, 5, '', 'x', {}] as never[]).map((events) => log.appendBatch(events)),
  ]),
)

/** A value that is not a signal could never abort a call. */
export const notSignals: Case = defineCase('PE-813', 'every method of logs refuses a malformed signal', (t) =>
  refused(t, (log) => (NOT_SIGNALS as AbortSignal[]).flatMap((signal) => ALL.map((call) => call(log, { signal })))),
)

/** Malformed tenants are refused when a store is created. */
export const badTenants: Case = defineCase(
  'PE-808',
  'a persistence store for a malformed tenant cannot be created',
  async (t) => {
    const db = t.db()
    for (const tenant of BAD_IDS.filter((id) => id !== undefined) as string[]) {
      await rejects((async () => persistenceStore(db, { tenant }))(), 'INVALID_ARGUMENT')
    }
  },
)

export const afterClose: Case = defineCase('PE-809', 'after close every method of logs is refused', async (t) => {
  const { db, log, cost } = spied(t)
  await log.append(event('a'))
  await db.close()
  const requests = await cost(async () => {
    for (const call of ALL) await rejects(call(log), 'CLOSED')
  })
  equal(requests, 0)
})

/** Every method checks the signal before any I/O. */
export const aborted: Case = defineCase(
  'PE-810',
  'with an aborted signal every method of logs is refused',
  async (t) => {
    const { log, cost } = spied(t)
    await log.append(event('a'))
    await log.saveIntervention(RUN, { targetStep: 's' })
    const signal = AbortSignal.abort(new Error('Changed my mind'))
    await changesNothing(t, async () => {
      const requests = await cost(async () => {
        for (const call of ALL) equal((await rejects(call(log, { signal }), 'ABORTED')).ambiguous, false)
      })
      equal(requests, 0)
    })
    for (const call of ALL) await call(log, { signal: new AbortController().signal })
  },
)

/** An empty batch is a call like others. */
export const emptyBatch: Case = defineCase('PE-811', 'an empty batch is refused like other calls', async (t) => {
  const { db, log } = spied(t)
  await rejects(log.appendBatch([], { signal: AbortSignal.abort() }), 'ABORTED')
  await db.close()
  await rejects(log.appendBatch([]), 'CLOSED')
})
