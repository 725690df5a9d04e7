/** Keys: any text, in lists, of runs and of tenants. @module */
import type { StateStore } from '../../stores/state/store.ts'
import { equal, ok, rejects } from '../assert.ts'
import { upTo } from '../build.ts'
import { type Case, type Context, defineCase } from '../case.ts'
import { byCodePoint, byPage, changesNothing, collect, event, mentions, ODD_IDS, RUN, stores } from '../stores.ts'

/** Stores a value under each key, its own name. */
const fill = (state: StateStore, keys: readonly string[], runId?: string): Promise<unknown> =>
  Promise.all(keys.map((key) => state.set(key, `v ${key}`, runId === undefined ? {} : { runId })))

const sorted = (keys: Iterable<string>): string[] => [...keys].toSorted(byCodePoint)

/** Separators are plain characters. */
export const separators: Case = defineCase('ST-501', 'keys that differ only in separators are different', async (t) => {
  const { state } = stores(t)
  const keys = ['a:b', 'a/b', 'a_b', 'a.b', 'a!b', 'a b', 'ab', 'a', 'b', 'A:B', 'a::b', 'a:b:']
  await fill(state, keys)
  for (const key of keys) equal(await state.get(key), `v ${key}`)
  await state.delete('a:b')
  equal(await state.listKeys(), { items: sorted(keys.slice(1)) })
})

/** Any well-formed text of 1 to 256 bytes is a key. */
export const oddKeys: Case = defineCase('ST-502', 'keys of any characters are kept apart and listed', async (t) => {
  const { state } = stores(t)
  for (const options of [{}, { runId: RUN }]) {
    await fill(state, ODD_IDS, options.runId)
    const found = await state.getMany(ODD_IDS, options)
    equal([...found.entries()], [...ODD_IDS.map((key) => [key, `v ${key}`] as const)])
    equal(await byPage((page) => state.listKeys({ ...page, ...options }), 50), sorted(ODD_IDS))
    for (const key of ODD_IDS.slice(0, 20)) equal(await state.delete(key, options), true)
    equal((await collect(state.keys(options))).length, ODD_IDS.length - 20)
  }
})

/** Measured in bytes, not characters. */
export const longestKey: Case = defineCase('ST-503', 'a key has at most 256 bytes', async (t) => {
  const { state } = stores(t)
  for (const key of ['x'.repeat(256), 'é'.repeat(128), '€'.repeat(85), '😀'.repeat(64), '\0'.repeat(256)]) {
    await state.set(key, 'v', { runId: key })
    equal(await state.get(key, { runId: key }), 'v')
    equal(await state.listKeys({ runId: key, prefix: key }), { items: [key] })
    await rejects(state.set(`${key}ab`, 'v'), 'INVALID_ARGUMENT')
  }
})

/** A prefix is plain text: wildcards of the backend mean nothing. */
export const prefixes: Case = defineCase(
  'ST-504',
  'a list by prefix has exactly the keys that begin with it',
  async (t) => {
    const { state } = stores(t)
    for (const options of [{}, { runId: RUN }]) {
      await fill(state, ODD_IDS, options.runId)
      for (const prefix of [
        'a',
        'a:',
        'a_',
        '%',
        '_',
        '*',
        '?',
        '[',
        '\\',
        '~',
        '#',
        '#0',
        '$',
        '\0',
        'é',
        '😀',
        '__',
        '',
      ]) {
        const expected = sorted(ODD_IDS.filter((key) => key.startsWith(prefix)))
        equal(await byPage((page) => state.listKeys({ ...page, ...options, prefix }), 20), expected, prefix)
      }
      equal(await state.listKeys({ ...options, prefix: 'nothing' }), { items: [] })
    }
  },
)

/** Page by page, without gaps or repeats. */
export const pages: Case = defineCase('ST-505', 'pages of any size add up to the list', async (t) => {
  const { state } = stores(t)
  const keys = upTo(23).map((n) => `k${n}`)
  await fill(state, keys)
  for (const limit of [1, 2, 5, 22, 23, 24, 1000, 1e9]) equal(await byPage(state.listKeys, limit), sorted(keys))
  equal((await state.listKeys({ limit: 23 })).cursor, undefined, 'Nothing follows')
  equal(await collect(state.keys({ limit: 4 })), sorted(keys))
  for await (const key of state.keys({ limit: 4 })) if (key === 'k11') break
})

/** Inserts and deletes between pages do not shift the others. */
export const stablePages: Case = defineCase('ST-506', 'pages are stable under inserts and deletes', async (t) => {
  const { state } = stores(t)
  await fill(state, ['b', 'd', 'f', 'h'])
  const one = await state.listKeys({ limit: 2 })
  equal(one.items, ['b', 'd'])
  await fill(state, ['a', 'c', 'd!', 'e', 'i'])
  await state.delete('d')
  await state.delete('f')
  const two = await state.listKeys({ limit: 2, cursor: one.cursor })
  equal(two.items, ['d!', 'e'])
  equal((await state.listKeys({ cursor: two.cursor })).items, ['h', 'i'])
})

/** An iterator can start at the end of a page. */
export const iterateOn: Case = defineCase('ST-507', 'an iterator can start at a cursor', async (t) => {
  const { state } = stores(t)
  await fill(state, ['a', 'b', 'c', 'd'])
  const { cursor } = await state.listKeys({ limit: 2 })
  equal(await collect(state.keys({ cursor, limit: 1 })), ['c', 'd'])
})

/** A cursor belongs to its list, and must not lead out of it. */
export const foreignCursor: Case = defineCase(
  'ST-508',
  'a cursor of another list gives no foreign values',
  async (t) => {
    const { state, log } = stores(t)
    await fill(state, ['a', 'b', 'x1', 'x2', 'z'])
    await fill(state, ['a', 'b', 'x1', 'z'], RUN)
    await log.append(event('started'))
    await state.saveSnapshot({ runId: RUN, state: {} })
    const { cursor: ofTenant } = await state.listKeys({ limit: 1 })
    const { cursor: ofRun } = await state.listKeys({ limit: 1, runId: RUN })
    ok(ofTenant !== undefined && ofRun !== undefined, 'There are cursors')
    for (const cursor of [ofTenant, 'a', 'event!', 'zzz', '!']) {
      await rejects(state.listKeys({ runId: RUN, cursor }), 'INVALID_ARGUMENT')
      await rejects(state.listKeys({ runId: RUN, prefix: 'x', cursor }), 'INVALID_ARGUMENT')
      await rejects(state.listKeys({ prefix: 'x', cursor }), 'INVALID_ARGUMENT')
    }
    await rejects(state.listKeys({ runId: RUN, prefix: 'x', cursor: ofRun }), 'INVALID_ARGUMENT')
  },
)

/** A value belongs to the tenant, or to one run. */
export const scopes: Case = defineCase('ST-509', 'values of the tenant and of its runs do not mix', async (t) => {
  const { state } = stores(t)
  const runs = ['a', 'a:b', 'aa', 'A', 'run', '%', '*', 'values']
  await state.set('k', 'tenant')
  for (const runId of runs) await state.set('k', runId, { runId })
  equal(await state.get('k'), 'tenant')
  for (const runId of runs) {
    equal(await state.get('k', { runId }), runId)
    equal(await state.listKeys({ runId }), { items: ['k'] })
  }
  equal(await state.listKeys(), { items: ['k'] })
  equal(await state.delete('k', { runId: 'a' }), true)
  equal(await state.get('k', { runId: 'a' }), undefined)
  for (const runId of runs.slice(1)) equal(await state.exists('k', { runId }), true)
  equal(await state.exists('k'), true)
})

/** A key that the driver uses itself is an ordinary key. */
export const ourNames: Case = defineCase('ST-510', 'keys that look like internal keys harm nothing', async (t) => {
  const { state, log, workflows } = stores(t)
  const keys = ['run', 'snapshot', 'consumed', 'event!0000000000000001', 'event!', 'idempotency!i', 'value!', '!']
  await log.append(event('started', { idempotencyKey: 'i' }))
  await state.saveSnapshot({ runId: RUN, state: { a: 1 } })
  await fill(state, keys, RUN)
  await fill(state, [...keys, RUN])
  equal(
    (await log.load(RUN))?.events.map(({ kind }) => kind),
    ['started'],
  )
  equal((await state.loadSnapshot(RUN))?.state, { a: 1 })
  equal((await state.listKeys({ runId: RUN })).items, sorted(keys))
  equal((await workflows.listRuns()).items.length, 1)
})

const TENANTS = ['a', 'a:', 'aa', 'A', '%', '_', '*', 'a!run', '😀', 'default']

/** A store reaches only the data of its own tenant. */
export const tenants: Case = defineCase('ST-511', 'tenants see nothing of each other', async (t) => {
  const of = (tenant: string): StateStore => stores(t, {}, tenant).state
  for (const tenant of TENANTS) {
    await of(tenant).set('k', tenant)
    await of(tenant).set('k', `run of ${tenant}`, { runId: RUN })
    await of(tenant).saveSnapshot({ runId: RUN, state: tenant })
  }
  await of('a').deleteExecutionState(RUN)
  await of('a').delete('k')
  for (const tenant of TENANTS.slice(1)) {
    const state = of(tenant)
    equal([await state.get('k'), await state.get('k', { runId: RUN })], [tenant, `run of ${tenant}`])
    equal((await state.loadSnapshot(RUN))?.state, tenant)
    equal([(await state.listKeys()).items, (await state.listSnapshots()).items.length], [['k'], 1])
  }
  equal([await of('a').listKeys(), await of('a').listSnapshots()], [{ items: [] }, { items: [] }])
  equal(await of('nobody').getMany(['k']), new Map())
})

/** Nothing of a run whose id begins with the id of this one. */
export const deleteExecutionState: Case = defineCase(
  'ST-512',
  'deleteExecutionState deletes all state of a run, and nothing else',
  async (t) => {
    const { state, log } = stores(t)
    const runs = ['r', 'r2', 'r:', 'r:1', 'R', 'r%', '*']
    for (const runId of runs) {
      await fill(state, ['a', 'step:1', '~~', '\0', '😀'], runId)
      await state.increment('n', { runId, ttl: 600_000 })
      await state.saveSnapshot({ runId, state: runId })
    }
    await state.set('r', 'of the tenant')
    await log.append(event('started', { runId: 'r' }))
    await state.deleteExecutionState('r')
    await state.deleteExecutionState('r')
    await state.deleteExecutionState('unknown')
    equal([await state.listKeys({ runId: 'r' }), await state.loadSnapshot('r')], [{ items: [] }, undefined])
    equal(
      (await state.listSnapshots()).items.map(({ runId }) => runId),
      sorted(runs.slice(1)),
    )
    for (const runId of runs.slice(1)) {
      equal((await state.listKeys({ runId })).items.length, 6)
      equal((await state.loadSnapshot(runId))?.state, runId)
    }
    equal(await state.get('r'), 'of the tenant')
    equal(await log.getLatestSeq('r'), 1, 'The log stays')
  },
)

/** The store goes on as if the run had never existed. */
export const afterDeletion: Case = defineCase('ST-513', 'a run whose state was deleted begins anew', async (t) => {
  const { state } = stores(t)
  const options = { runId: RUN }
  await state.increment('n', { by: 5, ...options })
  await state.saveSnapshot({ runId: RUN, state: 1, status: 'completed', throughSeq: 9 })
  await state.deleteExecutionState(RUN)
  equal(await state.increment('n', options), 1)
  equal((await state.saveSnapshot({ runId: RUN, state: 2, status: 'running' })).version, 1)
})

/** Deleted means gone: not hidden, and not left in an index. */
export const nothingLeft: Case = defineCase(
  'ST-514',
  'deleted values are gone from the backend',
  async (t: Context) => {
    const { state } = stores(t)
    const [marker, run] = ['Wolframite', 'Tungsten']
    await state.set(marker, marker)
    await state.set(marker, marker, { runId: run })
    await state.setIfAbsent(`${marker}2`, marker, { runId: run, ttl: 600_000 })
    await state.increment(`${marker}3`)
    await state.saveSnapshot({ runId: run, state: { marker } })
    ok((await mentions(t, marker)) && (await mentions(t, run)), 'The dump shows what is there')
    await changesNothing(t, () => state.delete('unknown'))
    await state.delete(marker)
    await state.getAndDelete(`${marker}3`)
    await state.deleteExecutionState(run)
    equal([await mentions(t, marker), await mentions(t, run)], [false, false])
  },
)
