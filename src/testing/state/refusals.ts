/** Refused before any I/O: malformed arguments, aborted signals, calls after close. @module */
import type { CallOptions } from '../../core/driver.ts'
import type { SetOptions, StateStore } from '../../stores/state/store.ts'
import { stateStore } from '../../stores/state/store.ts'
import { equal, ok, rejects } from '../assert.ts'
import { type Case, type Context, defineCase } from '../case.ts'
import {
  BAD_IDS,
  BAD_NUMBERS,
  changesNothing,
  collect,
  NOT_SIGNALS,
  RUN,
  type SpiedStores,
  spied,
  stores,
} from '../stores.ts'

/** Every method that takes a key, with its other arguments well-formed. */
const BY_KEY: readonly ((s: StateStore, key: string, options?: SetOptions) => Promise<unknown>)[] = [
  (s, key, o) => s.set(key, 'v', o),
  (s, key, o) => s.setJson(key, 1, o),
  (s, key, o) => s.describe(key, o),
  (s, key, o) => s.setIfAbsent(key, 'v', o),
  (s, key, o) => s.increment(key, o),
  (s, key, o) => s.get(key, o),
  (s, key, o) => s.getJson(key, o),
  (s, key, o) => s.getMany(['k', key], o),
  (s, key, o) => s.exists(key, o),
  (s, key, o) => s.delete(key, o),
  (s, key, o) => s.getAndDelete(key, o),
]

/** Every method that takes a run id. */
const BY_RUN: readonly ((s: StateStore, runId: string, options?: CallOptions) => Promise<unknown>)[] = [
  (s, runId, o) => s.saveSnapshot({ runId, state: 1 }, o),
  (s, runId, o) => s.loadSnapshot(runId, o),
  (s, runId, o) => s.deleteSnapshot(runId, o),
  (s, runId, o) => s.deleteExecutionState(runId, o),
]

/** Every list. */
const LISTS: readonly ((s: StateStore, options?: object) => Promise<unknown>)[] = [
  (s, o) => s.listKeys(o),
  (s, o) => s.listKeys({ runId: RUN, ...o }),
  (s, o) => collect(s.keys(o)),
  (s, o) => s.listSnapshots(o),
  (s, o) => collect(s.snapshots(o)),
]

const ALL: readonly ((s: StateStore, options?: CallOptions) => Promise<unknown>)[] = [
  ...BY_KEY.map((call) => (s: StateStore, o?: CallOptions) => call(s, 'k', o)),
  ...BY_RUN.map((call) => (s: StateStore, o?: CallOptions) => call(s, RUN, o)),
  ...LISTS,
  (s, o) => s.getMany([], o),
]

/** Asserts that all calls are refused without a request and without a change. */
async function refused(t: Context, calls: (stores: SpiedStores) => Iterable<Promise<unknown>>): Promise<void> {
  const it = spied(t)
  await it.state.set('k', '1')
  await it.state.saveSnapshot({ runId: RUN, state: 1 })
  await changesNothing(t, async () => {
    const cost = await it.cost(() => Promise.all([...calls(it)].map((call) => rejects(call, 'INVALID_ARGUMENT'))))
    equal(cost, 0, 'Requests')
  })
}

/** A key is text of 1 to 256 bytes. No object can slip in as an operator. */
export const badKeys: Case = defineCase('ST-701', 'malformed keys are refused', (t) =>
  refused(t, ({ state }) => BAD_IDS.flatMap((id) => BY_KEY.map((call) => call(state, id as string)))),
)

/** Only a missing run id means the tenant; an empty one is malformed. */
export const badRuns: Case = defineCase('ST-702', 'values and snapshots refuse malformed run ids', (t) =>
  refused(t, ({ state }) =>
    (BAD_IDS as readonly string[]).flatMap((runId) => [
      ...BY_RUN.map((call) => call(state, runId)),
      ...(runId === undefined ? [] : BY_KEY.map((call) => call(state, 'k', { runId }))),
      ...(runId === undefined ? [] : [state.listKeys({ runId }), collect(state.keys({ runId }))]),
    ]),
  ),
)

/** A prefix may be empty. */
export const badPrefixes: Case = defineCase('ST-703', 'malformed prefixes are refused', (t) =>
  refused(t, ({ state }) =>
    (BAD_IDS as readonly string[])
      .filter((prefix) => prefix !== '' && prefix !== undefined)
      .flatMap((prefix) => [state.listKeys({ prefix }), state.listKeys({ prefix, runId: RUN })]),
  ),
)

/** A time to live is a whole number of milliseconds, at least one. */
export const badTtls: Case = defineCase('ST-704', 'malformed times to live are refused', (t) =>
  refused(t, ({ state }) =>
    ([0, -0, ...BAD_NUMBERS] as number[]).flatMap((ttl) => [
      state.set('k', 'v', { ttl }),
      state.setJson('k', 1, { ttl }),
      state.setIfAbsent('k', 'v', { ttl }),
      state.setIfAbsent('new', 'v', { ttl }),
      state.increment('k', { ttl }),
      state.increment('new', { ttl }),
    ]),
  ),
)

/** Only safe integers are added. They may be negative. */
export const badIncrements: Case = defineCase('ST-705', 'malformed increments are refused', (t) =>
  refused(t, ({ state }) =>
    ([...BAD_NUMBERS.slice(1), -(2 ** 53)] as number[]).flatMap((by) => [
      state.increment('k', { by }),
      state.increment('new', { by }),
    ]),
  ),
)

/** A page holds at least one item, and a cursor comes from an earlier page. */
export const badPages: Case = defineCase('ST-706', 'values and snapshots refuse malformed limits and cursors', (t) =>
  refused(t, ({ state }) => [
    ...[0, ...BAD_NUMBERS].flatMap((limit) => LISTS.map((list) => list(state, { limit }))),
    ...['', ' ', 'a b', '\0', 'é', '\n', 'x'.repeat(5000), 5, null, {}, ['a']].flatMap((cursor) => [
      state.listKeys({ cursor: cursor as string }),
      state.listKeys({ cursor: cursor as string, runId: RUN }),
      state.listSnapshots({ cursor: cursor as string }),
    ]),
  ]),
)

/** The numbers and the status of a snapshot. */
export const badSnapshots: Case = defineCase('ST-707', 'malformed snapshots are refused', (t) =>
  refused(t, ({ state }) => [
    ...(BAD_NUMBERS as number[]).flatMap((n) => [
      state.saveSnapshot({ runId: RUN, state: 1, throughSeq: n }),
      state.saveSnapshot({ runId: RUN, state: 1 }, { expectedVersion: n }),
    ]),
    ...(['', 'done', 'COMPLETED', 'toString', 0, null, {}] as 'failed'[]).map((status) =>
      state.saveSnapshot({ runId: RUN, state: 1, status }),
    ),
  ]),
)

/** Anything but an object or a list is refused with a code, not by a `TypeError` from inside. */
export const notObjects: Case = defineCase('ST-712', 'malformed snapshots and lists of keys are refused', (t) =>
  refused(t, ({ state }) => [
    ...([undefined, null, 5, 'x', []] as never[]).map((snapshot) => state.saveSnapshot(snapshot)),
    ...([undefined, null, 5, 'x', {}] as never[]).map((keys) => state.getMany(keys)),
  ]),
)

/** A value that is not a signal could never abort a call. */
export const notSignals: Case = defineCase(
  'ST-713',
  'every method of values and snapshots refuses a malformed signal',
  (t) =>
    refused(t, ({ state }) =>
      (NOT_SIGNALS as AbortSignal[]).flatMap((signal) => ALL.map((call) => call(state, { signal }))),
    ),
)

/** Malformed tenants are refused when a store is created. */
export const badTenants: Case = defineCase(
  'ST-708',
  'a state store for a malformed tenant cannot be created',
  async (t) => {
    const db = t.db()
    for (const tenant of BAD_IDS.filter((id) => id !== undefined) as string[]) {
      await rejects((async () => stateStore(db, { tenant }))(), 'INVALID_ARGUMENT')
    }
  },
)

/** After close, nothing works, except closing again. */
export const afterClose: Case = defineCase(
  'ST-709',
  'after close every method of values and snapshots is refused',
  async (t) => {
    const { db, state, spy, cost } = spied(t)
    await state.set('k', '1')
    await Promise.all([db.close(), db.close()])
    await db.close()
    const requests = await cost(async () => {
      for (const call of ALL) await rejects(call(state), 'CLOSED')
      await rejects(db.health(), 'CLOSED')
    })
    equal([requests, spy.closes], [0, 1])
  },
)

/** The driver says whether it needs a network. */
export const health: Case = defineCase(
  'ST-710',
  'an open database is healthy, and says whether it needs a network',
  async (t) => {
    const { db } = stores(t)
    ok((await db.health()).latency >= 0, 'A round trip takes time')
    equal(typeof db.driver.capabilities.network, 'boolean')
  },
)

/** Every method checks the signal before any I/O. */
export const aborted: Case = defineCase(
  'ST-711',
  'with an aborted signal every method of values and snapshots is refused',
  async (t) => {
    const { state, cost } = spied(t)
    await state.set('k', '1')
    await state.saveSnapshot({ runId: RUN, state: 1 })
    const signal = AbortSignal.abort(new Error('Changed my mind'))
    await changesNothing(t, async () => {
      const requests = await cost(async () => {
        for (const call of ALL) equal((await rejects(call(state, { signal }), 'ABORTED')).ambiguous, false)
      })
      equal(requests, 0)
    })
    for (const call of ALL) await call(state, { signal: new AbortController().signal })
  },
)
