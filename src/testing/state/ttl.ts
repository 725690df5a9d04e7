/** Values that expire by the backend's clock. @module */
import { equal, rejects } from '../assert.ts'
import { type Case, type Context, defineCase } from '../case.ts'
import { soon, stores } from '../stores.ts'

const LIFE = 1000
const LONG = 600_000
const HOUR = 3_600_000

/** Lets a value that lives {@link LIFE} expire. */
const outlive = (t: Context): Promise<void> => t.sleep(LIFE + 50)

const SCOPES = [{}, { runId: 'r' }]

export const expires: Case = defineCase('ST-301', 'a value exists for its time to live, and not after', async (t) => {
  const { state } = stores(t)
  for (const scope of SCOPES) {
    await state.set('long', 'v', { ttl: LONG, ...scope })
    await state.set('short', 'v', { ttl: LIFE, ...scope })
    await state.setJson('json', 1, { ttl: LIFE, ...scope })
  }
  await outlive(t)
  for (const scope of SCOPES) {
    equal([await state.get('long', scope), await state.exists('long', scope)], ['v', true])
    equal([await state.get('short', scope), await state.exists('short', scope)], [undefined, false])
    equal(await state.getJson('json', scope), undefined)
  }
})

export const cleared: Case = defineCase('ST-302', 'setting again without a time to live keeps the value', async (t) => {
  const { state } = stores(t)
  await state.set('k', 'v', { ttl: LIFE })
  await state.set('k', 'w')
  await state.set('u', 'v', { ttl: LIFE })
  await state.set('u', 'w', { ttl: undefined })
  await outlive(t)
  equal([await state.get('k'), await state.get('u')], ['w', 'w'])
})

export const restarted: Case = defineCase('ST-303', 'setting again restarts the time to live', async (t) => {
  const { state } = stores(t)
  await state.set('longer', 'v', { ttl: LIFE })
  await state.set('longer', 'v', { ttl: LONG })
  await state.set('shorter', 'v', { ttl: LONG })
  await state.set('shorter', 'v', { ttl: LIFE })
  await outlive(t)
  equal([await state.get('longer'), await state.get('shorter')], ['v', undefined])
})

/** An expired value is absent in every read. */
export const absentEverywhere: Case = defineCase('ST-304', 'an expired value is absent in every method', async (t) => {
  const { state } = stores(t)
  for (const key of ['a', 'c', 'd']) await state.set(key, 'v', { ttl: LIFE })
  await state.set('b', 'v')
  await state.increment('n', { by: 5, ttl: LIFE })
  await outlive(t)
  equal([...(await state.getMany(['a', 'b', 'n'])).keys()], ['b'])
  equal(await state.listKeys(), { items: ['b'] })
  equal(await state.listKeys({ limit: 1 }), { items: ['b'] })
  equal(await state.describe('a'), undefined)
  equal(await state.delete('a'), false)
  equal(await state.getAndDelete('c'), undefined)
  equal(await state.setIfAbsent('d', 'new'), true)
  equal(await state.increment('n'), 1)
})

/** A key can be reserved for a while. */
export const absentAgain: Case = defineCase('ST-305', 'setIfAbsent works again after expiry', async (t) => {
  const { state } = stores(t)
  equal(await state.setIfAbsent('leader', 'me', { ttl: LIFE }), true)
  await state.set('stays', 'v', { ttl: LONG })
  equal(await state.setIfAbsent('stays', 'w', { ttl: LIFE }), false)
  await outlive(t)
  equal(await state.get('stays'), 'v', 'A refused call leaves the time to live')
  equal(await state.setIfAbsent('leader', 'you'), true)
  equal(await state.setIfAbsent('leader', 'they'), false)
  equal(await state.get('leader'), 'you')
})

/** `ttl` applies when the call creates the value: the window does not move. */
export const incrementKeeps: Case = defineCase('ST-306', 'incrementing keeps the expiry', async (t) => {
  const [state, other] = [stores(t).state, stores(t).state]
  equal(await state.increment('hits', { ttl: LIFE }), 1)
  equal(await soon(state.increment('hits', { ttl: LONG })), 2)
  equal(await soon(other.increment('hits')), 3)
  await state.set('stays', '1')
  equal(await soon(state.increment('stays', { ttl: LIFE })), 2)
  await outlive(t)
  equal([await state.get('hits'), await state.get('stays')], [undefined, '2'])
})

/** Every window is new. */
export const incrementAgain: Case = defineCase('ST-307', 'a counter begins anew after its expiry', async (t) => {
  const { state } = stores(t)
  equal(await state.increment('hits', { ttl: LIFE }), 1)
  await outlive(t)
  equal(await soon(state.increment('hits', { ttl: LIFE })), 1)
  await outlive(t)
  equal(await soon(state.increment('hits')), 1)
  await outlive(t)
  equal(await soon(state.increment('hits')), 2, 'Created without one, it stays')
})

/** For the first call as for later ones. */
export const incrementManyWithTtl: Case = defineCase(
  'ST-308',
  'concurrent increments with a time to live all count',
  async (t) => {
    const [one, two] = [stores(t).state, stores(t).state]
    const calls = Array.from({ length: 20 }, (_, i) => (i % 2 ? one : two).increment('hits', { ttl: LONG }))
    const sums = await soon(Promise.all(calls))
    equal(new Set(sums).size, 20)
    equal(Math.max(...sums), 20)
  },
)

/** The caller's clock does not matter. */
export const skewed: Case = defineCase('ST-309', "a time to live runs by the backend's clock", async (t) => {
  for (const skew of [-HOUR, HOUR]) {
    const { state } = stores(t, { clock: () => Date.now() + skew })
    const scope = { runId: String(skew) }
    await state.set('long', 'v', { ttl: LONG, ...scope })
    await state.set('short', 'v', { ttl: LIFE, ...scope })
    await state.increment('n', { ttl: LIFE, ...scope })
    await state.increment('kept', { ttl: LONG, ...scope })
    await soon(state.increment('kept', scope))
    await outlive(t)
    equal(await state.getMany(['long', 'short', 'n', 'kept'], scope), new Map().set('long', 'v').set('kept', '2'))
  }
})

/** No backend gets a time that its clock cannot represent. */
export const longest: Case = defineCase('ST-310', 'a time to live has an upper limit', async (t) => {
  const { state } = stores(t)
  await state.set('k', 'v', { ttl: 8.64e15 })
  equal(await state.get('k'), 'v')
  await rejects(state.set('k', 'w', { ttl: 8.64e15 + 2 }), 'INVALID_ARGUMENT')
  await rejects(state.increment('n', { ttl: Number.MAX_SAFE_INTEGER }), 'INVALID_ARGUMENT')
  equal([await state.get('k'), await state.get('n')], ['v', undefined])
})

/** The longest time to live exceeds the last possible date, and an increment keeps it like any other. */
export const longestKept: Case = defineCase('ST-311', 'a counter keeps the longest time to live', async (t) => {
  const { state } = stores(t)
  await state.set('k', '1', { ttl: 8.64e15 })
  equal([await state.increment('k'), await stores(t).state.increment('k')], [2, 3])
})
