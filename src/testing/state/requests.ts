/** The cost of calls: one request, or two if nothing is cached. Failures change nothing. @module */
import { HoldfastError } from '../../core/errors.ts'
import { equal, ok, rejects } from '../assert.ts'
import { atOnce, upTo } from '../build.ts'
import { type Case, defineCase } from '../case.ts'
import { changesNothing, losing, RUN, spied, stores } from '../stores.ts'

/** Nothing needs to be cached. */
export const blindWrites: Case = defineCase('ST-801', 'every write of a value is one request', async (t) => {
  const { state, db, cost } = spied(t)
  await db.open()
  equal(await cost(() => state.set('k', 'v')), 1)
  equal(await cost(() => state.setJson('k', 1, { ttl: 600_000 })), 1)
  equal(await cost(() => state.setIfAbsent('k', 'v')), 1)
  equal(await cost(() => state.setIfAbsent('new', 'v')), 1)
  equal(await cost(() => state.delete('k')), 1)
  equal(await cost(() => state.delete('k')), 1)
  equal(await cost(() => state.deleteSnapshot(RUN)), 1)
  // One more request finds out whether there was anything.
  equal(await cost(() => state.deleteExecutionState(RUN)), 2)
})

/** Warm: the value is cached. Cold costs one more. */
export const readAndWrite: Case = defineCase('ST-802', 'increment is one request, at most two when cold', async (t) => {
  await stores(t).state.increment('n', { by: 5 })
  const { state, cost } = spied(t)
  ok((await cost(() => state.increment('n'))) <= 2, 'Cold')
  for (const _ of upTo(3)) equal(await cost(() => state.increment('n')), 1, 'Warm')
  equal(await cost(() => state.increment('new')), 1, 'Nothing there')
  await stores(t).state.set('n', '7')
  ok((await cost(() => state.increment('n'))) <= 2, 'Changed elsewhere')
  equal(await state.get('n'), '8')
  equal(await cost(() => state.getAndDelete('n')), 1, 'Known')
  equal(await cost(() => state.getAndDelete('n')), 1, 'Known to be gone')
  await state.set('k', 'v')
  ok((await cost(() => state.getAndDelete('k'))) <= 2, 'Unknown')
})

/** Group commit: the hundred share their round trip, and build on each other. */
export const hundredIncrements: Case = defineCase('ST-803', 'concurrent increments are one request', async (t) => {
  const n = Math.min(100, t.limits.requestCommits)
  const { state, db, cost } = spied(t)
  await db.open()
  equal(await cost(() => atOnce(n, () => state.increment('n'))), 1, 'Nothing there')
  equal(await cost(() => atOnce(n, () => state.increment('n'))), 1, 'Warm')
  const cold = spied(t)
  ok((await cold.cost(() => atOnce(n, () => cold.state.increment('n')))) <= 2, 'Cold')
  equal(await state.get('n'), String(3 * n))
  equal(await cost(() => atOnce(n, (i) => state.set(`k${i}`, 'v'))), 1, 'Writes')
})

/** One request, with the index. */
export const snapshots: Case = defineCase(
  'ST-804',
  'saving a snapshot is one request, at most two when cold',
  async (t) => {
    const { state, db, cost } = spied(t)
    await db.open()
    equal(await cost(() => state.saveSnapshot({ runId: RUN, state: 1 })), 1)
    equal(await cost(() => state.saveSnapshot({ runId: RUN, state: 2, throughSeq: 3 }, { expectedVersion: 1 })), 1)
    equal(await cost(() => atOnce(20, (i) => state.saveSnapshot({ runId: `r${i}`, state: i }))), 1)
    const cold = spied(t)
    ok((await cold.cost(() => cold.state.saveSnapshot({ runId: RUN, state: 4, throughSeq: 5 }))) <= 2, 'Cold')
    equal(await cold.cost(() => cold.state.saveSnapshot({ runId: RUN, state: 6, throughSeq: 7 })), 1, 'Warm')
  },
)

/** A value may have megabytes. */
export const withoutValues: Case = defineCase('ST-809', 'exists and watch read no values', async (t) => {
  const { state, spy } = spied(t)
  await state.set('k', 'v')
  const before = spy.reads.length
  equal(await state.exists('k'), true)
  equal(await state.exists('k!'), false)
  const changes = state.watch(['k', 'none'])[Symbol.asyncIterator]()
  equal((await changes.next()).value, ['k'])
  await changes.return!()
  const asked = spy.reads.slice(before).flat()
  equal(asked.length, 4)
  ok(
    asked.every((read) => 'range' in read && read.range.keysOnly === true),
    'Keys only',
  )
})

/** Reads are one request, whatever they ask for. */
export const reads: Case = defineCase('ST-805', 'every read is one request', async (t) => {
  const { state, cost } = spied(t)
  await Promise.all(upTo(8).map((n) => state.set(`k${n}`, String(n))))
  await state.saveSnapshot({ runId: RUN, state: 1 })
  equal(await cost(() => state.get('k1')), 1)
  equal(await cost(() => state.getJson('k1')), 1)
  equal(await cost(() => state.exists('k1')), 1)
  equal(await cost(() => state.describe('k1')), 1)
  equal(await cost(() => state.getMany(upTo(8).map((n) => `k${n}`))), 1)
  equal(await cost(() => state.listKeys({ limit: 3 })), 1)
  equal(await cost(() => state.listSnapshots()), 1)
  equal(await cost(() => state.loadSnapshot(RUN)), 1)
  equal(await cost(() => atOnce(8, (i) => state.get(`k${i}`))), 1, 'Together')
})

/** An iterator reads a page only when it needs one. */
export const lazyPages: Case = defineCase('ST-806', 'an iterator reads page by page, on demand', async (t) => {
  const { state, cost } = spied(t)
  await Promise.all(upTo(10).map((n) => state.set(`k${n}`, 'v')))
  const keys = state.keys({ limit: 2 })[Symbol.asyncIterator]()
  equal(await cost(() => keys.next()), 1)
  equal(await cost(() => keys.next()), 0)
  equal(await cost(() => keys.next()), 1)
  await keys.return?.()
})

/** A failure leaves the data and the cache correct. */
export const failed: Case = defineCase('ST-807', 'after a failed request the next call works', async (t) => {
  const { state, spy } = spied(t)
  await state.increment('n', { by: 5 })
  await state.saveSnapshot({ runId: RUN, state: 1 })
  await changesNothing(t, async () => {
    spy.fail('commit', new HoldfastError('UNAVAILABLE', 'Locked', { retryable: true }), new Error('Cut'))
    const calls = [state.increment('n'), state.increment('n'), state.saveSnapshot({ runId: RUN, state: 2 })]
    await Promise.all(calls.map((call) => rejects(call, 'UNAVAILABLE')))
    await rejects(state.getAndDelete('n'), 'BACKEND')
  })
  equal(await state.increment('n'), 6)
  equal((await state.saveSnapshot({ runId: RUN, state: 2 })).version, 2)
})

/** The outcome is unknown, so the next call reads the entry. */
export const lost: Case = defineCase('ST-808', 'after a lost answer the store does not guess', async (t) => {
  const line = losing(t.driver)
  const { state } = stores(t, { driver: line.driver })
  await state.increment('n', { by: 5 })
  line.lose()
  equal((await rejects(state.increment('n'), 'UNAVAILABLE')).ambiguous, true)
  equal(await state.increment('n'), 7)
  line.lose()
  await rejects(state.saveSnapshot({ runId: RUN, state: 1 }, { expectedVersion: 0 }), 'UNAVAILABLE')
  const again = await rejects(state.saveSnapshot({ runId: RUN, state: 1 }, { expectedVersion: 0 }), 'CONFLICT')
  equal(again.details?.version, 1, 'The repetition tells that the first was stored')
  line.lose()
  await rejects(state.getAndDelete('n'), 'UNAVAILABLE')
  equal(await state.getAndDelete('n'), undefined)
})
