/** Refused before any I/O: malformed arguments, aborted signals, calls after close. @module */
import { workflowStore } from '../../stores/workflows/store.ts'
import { equal, rejects } from '../assert.ts'
import { type Case, type Context, defineCase } from '../case.ts'
import {
  BAD_IDS,
  BAD_NUMBERS,
  changesNothing,
  NOT_SIGNALS,
  ODD_IDS,
  RUN,
  type SpiedStores,
  spied,
  stores,
} from '../stores.ts'
import { CALLS, create, newRun, READS, runOf, STARTS, waiting, WRITES } from './runs.ts'

/** Asserts that all calls are refused without a request and without a change. */
async function refused(t: Context, calls: (s: SpiedStores) => Iterable<Promise<unknown>>): Promise<void> {
  const s = spied(t)
  await waiting(s)
  await changesNothing(t, async () => {
    const requests = await s.cost(() => Promise.all(Array.from(calls(s), (call) => rejects(call, 'INVALID_ARGUMENT'))))
    equal(requests, 0, 'Requests')
  })
}

/** An empty text is not an id. */
export const badRuns: Case = defineCase('WF-901', 'workflows refuse malformed run ids', (t) =>
  refused(t, (s) =>
    (BAD_IDS as string[]).flatMap((id) =>
      Object.values({ ...READS, ...WRITES, ...STARTS })
        // An undefined id is replaced by a default.
        .filter(() => id !== undefined)
        .map((call) => call(s, id)),
    ),
  ),
)

/** The longest ids, and all others. */
export const goodIds: Case = defineCase('WF-902', 'ids of up to 256 bytes are accepted everywhere', async (t) => {
  const s = stores(t)
  for (const id of ['é'.repeat(128), 'x'.repeat(256), ...ODD_IDS.slice(0, 12)]) {
    await s.workflows.deleteRun(id)
    await create(s, { workflow: id, definitionHash: id, definitionVersion: id, status: 'running' }, id)
    await s.workflows.upsertStep(id, { stepId: id, waitId: id })
    await s.workflows.failTask(id, id, { error: id, workerId: id })
    const { workflow, definitionHash, definitionVersion, retries } = await runOf(stores(t), id)
    equal([workflow, definitionHash, definitionVersion, Object.keys(retries!)], [id, id, id, [id]])
    equal((await s.workflows.findStepByWaitId(id))?.runId, id)
  }
})

/** All other names are ids, too. */
export const badNames: Case = defineCase('WF-903', 'workflows refuse malformed names', (t) =>
  refused(t, ({ workflows }) =>
    (BAD_IDS as string[]).flatMap((id) => [
      workflows.createRun({ ...newRun(), workflow: id }),
      workflows.upsertStep(RUN, { stepId: id }),
      workflows.patchStep(RUN, id, {}),
      workflows.getStep(RUN, id),
      workflows.saveTaskResult(RUN, id, 1),
      workflows.loadTaskResult(RUN, id),
      workflows.failTask(RUN, id, { error: 'E' }),
      workflows.findStepByWaitId(id),
      workflows.completeWait(id),
      ...(id === undefined
        ? []
        : [
            workflows.createRun(newRun({ definitionVersion: id })),
            workflows.prepareRun(newRun({ definitionHash: id })),
            workflows.createRun(newRun({ traceParent: id })),
            workflows.createRun(newRun({ tags: [id] })),
            workflows.upsertStep(RUN, { stepId: 'a', waitId: id }),
            workflows.patchStep(RUN, 'a', { waitId: id }),
            workflows.failTask(RUN, 'a', { error: 'E', workerId: id }),
            workflows.updateRun(RUN, { workflow: id }),
            workflows.listRuns({ workflow: id }),
            workflows.listRuns({ tag: id }),
          ]),
    ]),
  ),
)

/** Times, versions, limits. */
export const badNumbers: Case = defineCase('WF-904', 'workflows refuse malformed numbers', (t) =>
  refused(t, ({ workflows }) =>
    (BAD_NUMBERS as number[]).flatMap((n) => [
      workflows.listRuns({ before: n }),
      workflows.listRuns({ limit: n }),
      workflows.listSteps(RUN, { limit: n }),
      workflows.upsertStep(RUN, { stepId: 'a', startedAt: n }),
      workflows.patchStep(RUN, 'a', { completedAt: n }),
      workflows.failTask(RUN, 'a', { error: 'E', retryAt: n }),
      workflows.updateContext(RUN, {}, { expectedVersion: n }),
      workflows.createRun(newRun({ priority: n as 1 })),
      workflows.createRun(newRun({ deadline: { stepId: 'a', at: n } })),
      workflows.updateRun(RUN, { priority: n as 1 }),
      ...[0, 6].map((priority) => workflows.updateRun(RUN, { priority: priority as 1 })),
      workflows.updateRun(RUN, { position: { kind: 'delay', stepId: 'a', wakeAt: n } }),
      workflows.updateRun(RUN, { retries: { a: { attempts: n } } }),
      ...(n === null ? [] : [workflows.updateRun(RUN, { retries: { a: { attempts: 1, nextRetryAt: n } } })]),
      workflows.completeWait('wait', { position: { kind: 'delay', stepId: 'a', wakeAt: n } }),
    ]),
  ),
)

/** Values from fixed sets. */
export const badWords: Case = defineCase('WF-905', 'workflows refuse unknown statuses, policies and cursors', (t) =>
  refused(t, ({ workflows }) =>
    (['', 'done', 'Completed', 'toString', 5, null, {}] as never[]).flatMap((it) => [
      workflows.createRun(newRun({ status: it })),
      workflows.prepareRun({ ...newRun(), policy: it }),
      workflows.updateRun(RUN, { status: it }),
      workflows.updateRun(RUN, {}, { expectedStatus: it }),
      workflows.listRuns({ status: it }),
      workflows.upsertStep(RUN, { stepId: 'a', status: it }),
      workflows.patchStep(RUN, 'a', { status: it }),
      workflows.completeWait('wait', { status: it }),
      workflows.listRuns({ cursor: it, status: 'running' }),
      workflows.listSteps(RUN, { cursor: it }),
    ]),
  ),
)

/** Missing arguments, and arguments of another type. */
export const notObjects: Case = defineCase(
  'WF-906',
  'workflows refuse arguments that are missing or of another type',
  (t) =>
    refused(t, ({ workflows }) => [
      ...([undefined, null, 0, '', false, 5, 'x', []] as never[]).flatMap((it) => [
        workflows.createRun(it),
        workflows.prepareRun(it),
        workflows.upsertStep(RUN, it),
        workflows.failTask(RUN, 'a', it),
        workflows.patchContext(RUN, it),
        ...(it === undefined ? [workflows.updateContext(RUN, it)] : [workflows.completeWait('wait', { context: it })]),
        ...(it ? [] : [workflows.updateRun(RUN, it), workflows.patchStep(RUN, 'a', it)]),
      ]),
      ...([new Map(), new Date(), new Uint8Array(), () => 1, Symbol.iterator] as never[]).map((it) =>
        workflows.patchContext(RUN, it),
      ),
      ...([5, null, {}, '\ud800'] as never[]).flatMap((error) => [
        workflows.upsertStep(RUN, { stepId: 'a', error }),
        workflows.patchStep(RUN, 'a', { error }),
        workflows.failTask(RUN, 'a', { error }),
        workflows.updateRun(RUN, { error }),
        workflows.completeWait('wait', { error }),
        workflows.createRun(newRun({ tags: error === null ? ([null] as never) : error })),
      ]),
    ]),
)

/** Refused on write, not on read. */
export const unstorable: Case = defineCase(
  'WF-907',
  'a value that cannot be stored is refused before any I/O',
  async (t) => {
    const s = spied(t)
    await waiting(s)
    const { workflows } = s
    await changesNothing(t, async () => {
      const requests = await s.cost(async () => {
        for (const it of [() => 1, { a: Symbol('s') }, { a: '\ud800' }, { a: { toJSON: () => 1 } }] as never[]) {
          for (const call of [
            workflows.createRun(newRun({ input: it }, 'new')),
            workflows.prepareRun(newRun({ definition: it }, 'new')),
            workflows.upsertStep(RUN, { stepId: 'a', result: it }),
            workflows.patchStep(RUN, 'a', { result: it }),
            workflows.saveTaskResult(RUN, 'a', it),
            workflows.completeWait('wait', { result: it }),
            workflows.completeWait('wait', { context: { it } }),
            workflows.createRun(newRun({ context: { it } }, 'new')),
            workflows.updateContext(RUN, { it }),
            workflows.patchContext(RUN, { it }),
          ]) {
            await rejects(call, 'SERIALIZATION')
          }
        }
      })
      equal(requests, 0)
    })
  },
)

/** A value that is not a signal could never abort a call. */
export const notSignals: Case = defineCase('WF-908', 'every method of workflows refuses a malformed signal', (t) =>
  refused(t, (s) => (NOT_SIGNALS as AbortSignal[]).flatMap((signal) => CALLS.map(([, call]) => call(s, { signal })))),
)

/** Every method checks the signal before any I/O. */
export const aborted: Case = defineCase(
  'WF-909',
  'with an aborted signal every method of workflows is refused',
  async (t) => {
    const s = spied(t)
    await waiting(s)
    const signal = AbortSignal.abort(new Error('Changed my mind'))
    await changesNothing(t, async () => {
      const requests = await s.cost(async () => {
        for (const [name, call] of CALLS) {
          const { ambiguous } = await rejects(call(s, { signal }), 'ABORTED')
          equal(ambiguous, false, name)
        }
      })
      equal(requests, 0)
    })
  },
)

export const afterClose: Case = defineCase('WF-910', 'after close every method of workflows is refused', async (t) => {
  const s = spied(t)
  await waiting(s)
  await s.db.close()
  const requests = await s.cost(async () => {
    for (const [, call] of CALLS) await rejects(call(s), 'CLOSED')
  })
  equal(requests, 0)
})

/** Malformed tenants are refused when a store is created. */
export const badTenants: Case = defineCase(
  'WF-911',
  'a workflow store for a malformed tenant cannot be created',
  async (t) => {
    const { db } = stores(t)
    for (const tenant of BAD_IDS.filter((id) => id !== undefined) as string[]) {
      await rejects((async () => workflowStore(db, { tenant }))(), 'INVALID_ARGUMENT')
    }
  },
)

/** A stored run is well-formed, or it could not be read again. */
export const badFields: Case = defineCase('WF-912', 'workflows refuse malformed fields of runs', (t) =>
  refused(t, ({ workflows }) => [
    ...(['', 0, false, 5, 'x', [], {}] as never[]).flatMap((it) => [
      workflows.updateRun(RUN, { position: it }),
      workflows.updateRun(RUN, { deadline: it }),
      workflows.createRun(newRun({ position: it }, 'new')),
      workflows.prepareRun(newRun({ deadline: it }, 'new')),
      workflows.completeWait('wait', { position: it }),
    ]),
    ...([null, '', 0, 5, 'x', [], new Map(), { a: null }, { a: 5 }, { '': { attempts: 1 } }] as never[]).map(
      (retries) => workflows.updateRun(RUN, { retries }),
    ),
    ...([5, null, {}, '\ud800'] as never[]).flatMap((it) => [
      workflows.updateRun(RUN, { retries: { a: { attempts: 1, lastError: it } } }),
      workflows.updateRun(RUN, { retries: { a: { attempts: 1, lastFailedWorker: it } } }),
    ]),
  ]),
)
