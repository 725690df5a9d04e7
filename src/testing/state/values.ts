/** Text and bytes under a name. @module */
import { equal, ok, rejects } from '../assert.ts'
import { atOnce, upTo, isNear } from '../build.ts'
import { type Case, defineCase } from '../case.ts'
import { changesNothing, RUN, spied, stores } from '../stores.ts'

export const setAndGet: Case = defineCase('ST-101', 'a set value can be read', async (t) => {
  const { state } = stores(t)
  await state.set('k', 'one')
  equal([await state.get('k'), await state.exists('k')], ['one', true])
  await state.set('k', 'two')
  equal(await state.get('k'), 'two', 'Replaced')
  await state.set('k', new Uint8Array([3]))
  equal(await state.get('k'), new Uint8Array([3]), 'Replaced by bytes')
})

export const deletes: Case = defineCase('ST-102', 'a deleted value is gone, and delete says so', async (t) => {
  const { state } = stores(t)
  await state.set('k', 'v')
  await state.set('other', 'v')
  equal(await state.delete('k'), true)
  equal([await state.get('k'), await state.exists('k'), await state.delete('k')], [undefined, false, false])
  equal(await state.get('other'), 'v')
  await state.set('k', 'again')
  equal(await state.get('k'), 'again')
})

/** A missing value is `undefined` everywhere. */
export const missing: Case = defineCase('ST-103', 'a key without a value reads as undefined', async (t) => {
  const { state } = stores(t)
  for (const options of [{}, { runId: 'r' }]) {
    equal(await state.get('k', options), undefined)
    equal(await state.getJson('k', options), undefined)
    equal(await state.getAndDelete('k', options), undefined)
    equal(await state.exists('k', options), false)
    equal(await state.delete('k', options), false)
    equal(await state.getMany(['k', 'l'], options), new Map())
    equal(await state.listKeys(options), { items: [] })
  }
})

/** All 256 byte values, and empty bytes. */
export const bytes: Case = defineCase('ST-104', 'bytes of every value survive, and so do empty bytes', async (t) => {
  const { state } = stores(t)
  const all = Uint8Array.from({ length: 256 }, (_, i) => i)
  const values = [all, all.toReversed(), new Uint8Array(), ...upTo(256).map((n) => new Uint8Array([n - 1, 0, 1]))]
  await Promise.all(values.map((value, i) => state.set(`k${i}`, value)))
  for (const [i, value] of values.entries()) {
    const found = await state.get(`k${i}`)
    ok(found instanceof Uint8Array, 'Bytes come back as bytes')
    equal(found, value)
  }
})

/** Text that looks like something else stays text. */
export const texts: Case = defineCase('ST-105', 'text comes back unchanged, whatever it looks like', async (t) => {
  const { state } = stores(t)
  const values = ['', '0', '123', '1e3', 'true', 'null', 'undefined', '{"a":1}', '[]', '"', "'", '\\', '%', '\n\r\n']
  values.push('\0', 'a\0b', '\ufeffb', 'é', 'e\u0301', '\uffff', '😀', '{"$1":"Date","value":"x"}', 'x'.repeat(70_000))
  await Promise.all(values.map((value, i) => state.set(`k${i}`, value)))
  for (const [i, value] of values.entries()) equal(await state.get(`k${i}`), value)
})

/** A view of a larger buffer is only its window. */
export const bytesOfView: Case = defineCase('ST-106', 'of a view, only its window is stored', async (t) => {
  const { state } = stores(t)
  const buffer = Uint8Array.from({ length: 10 }, (_, i) => i)
  await state.set('k', buffer.subarray(3, 6))
  equal(await state.get('k'), new Uint8Array([3, 4, 5]))
})

/** Returned bytes belong to the caller. */
export const ownBytes: Case = defineCase('ST-107', 'returned bytes can be changed without effect', async (t) => {
  const { state } = stores(t)
  await state.set('k', new Uint8Array([1, 2, 3]))
  const found = (await state.get('k')) as Uint8Array
  found.fill(0)
  const [many] = (await state.getMany(['k'])).values()
  equal(many, new Uint8Array([1, 2, 3]))
  equal(await state.get('k'), new Uint8Array([1, 2, 3]))
})

/** Only text and bytes are raw values, and text must be well-formed. */
export const notRaw: Case = defineCase('ST-108', 'a raw value that is neither text nor bytes is refused', async (t) => {
  const { state } = stores(t)
  await state.set('k', 'v')
  const values = ['\ud800', 'a\udc00b', 1, null, undefined, {}, [1], new ArrayBuffer(1), new Date(0)] as string[]
  await changesNothing(t, async () => {
    for (const value of values) {
      await rejects(state.set('k', value), 'SERIALIZATION')
      await rejects(state.setIfAbsent('new', value), 'SERIALIZATION')
    }
  })
})

/** Several values in one call; missing ones are left out. */
export const getMany: Case = defineCase(
  'ST-109',
  'getMany returns the existing values, and leaves out missing keys',
  async (t) => {
    const { state } = stores(t)
    await Promise.all([state.set('a', '1'), state.set('b', new Uint8Array([2])), state.set('c', '')])
    const found = await state.getMany(['c', 'nothing', 'a', 'b', 'a'])
    equal(
      [...found],
      [
        ['c', ''],
        ['a', '1'],
        ['b', new Uint8Array([2])],
      ],
    )
  },
)

/** No keys, no values. */
export const getNone: Case = defineCase('ST-110', 'getMany of no keys is an empty map', async (t) => {
  equal(await stores(t).state.getMany([]), new Map())
})

/** `a` is always raised before `b`, so a view with `b` ahead is inconsistent. */
export const getManyView: Case = defineCase('ST-111', 'getMany is one consistent view', async (t) => {
  const [writer, reader] = [stores(t).state, stores(t).state]
  const writing = (async () => {
    for (const _ of upTo(30)) {
      await writer.increment('a')
      await writer.increment('b')
    }
    return true
  })()
  for (let done = false; !done;) {
    done = await Promise.race([writing, reader.exists('a').then(() => false)])
    const found = await reader.getMany(['a', 'b'])
    const [a, b] = [Number(found.get('a') ?? 0), Number(found.get('b') ?? 0)]
    ok(a === b || a === b + 1, `One view: ${a}, ${b}`)
  }
})

/** Large values are stored whole, and too large ones refused. */
export const sizes: Case = defineCase('ST-112', 'a large value is stored; one over the limit is refused', async (t) => {
  const most = Math.min(t.limits.valueBytes - 16, 2 ** 20)
  const { state } = stores(t)
  const large = Uint8Array.from({ length: most }, (_, i) => i % 251)
  await state.set('bytes', large)
  await state.set('text', 'é'.repeat(most / 2))
  equal(await state.get('bytes'), large)
  equal(await state.get('text'), 'é'.repeat(most / 2))

  const small = spied(t, { limits: { valueBytes: 1000 } }).state
  await changesNothing(t, async () => {
    for (const key of ['bytes', 'new']) await rejects(small.set(key, 'é'.repeat(501)), 'PAYLOAD_TOO_LARGE')
    await rejects(small.setIfAbsent('new', new Uint8Array(1001)), 'PAYLOAD_TOO_LARGE')
    await rejects(small.setJson('new', 'x'.repeat(1000)), 'PAYLOAD_TOO_LARGE')
  })
})

/** Calls take effect in their order, even if none is awaited. */
export const lastWins: Case = defineCase('ST-113', 'of calls made without waiting, the last wins', async (t) => {
  const { state } = stores(t)
  await atOnce(30, (i) => state.set('k', String(i)))
  equal(await state.get('k'), '29')
  const results = await Promise.all([
    state.delete('k'),
    state.setIfAbsent('k', '1'),
    state.setIfAbsent('k', '2'),
    state.delete('k'),
    state.delete('k'),
    state.set('k', '3'),
    state.setIfAbsent('k', '4'),
  ])
  equal(results, [true, true, false, true, false, undefined, false])
  equal(await state.get('k'), '3')
})

/** Read your writes: an answered write is visible to all. */
export const seenByOthers: Case = defineCase('ST-114', 'other stores see a value that was set', async (t) => {
  const [one, two] = [stores(t).state, stores(t).state]
  for (const n of upTo(10)) {
    await one.set('k', String(n))
    equal(await two.get('k'), String(n))
    await two.delete('k')
    equal(await one.get('k'), undefined)
  }
})

/** Node's Buffer is such a class. */
class View extends Uint8Array {
  override slice(start?: number, end?: number): Uint8Array<ArrayBuffer> {
    return this.subarray(start, end)
  }
}

/** A store must not keep a view of the caller's memory. */
export const copiedBytes: Case = defineCase(
  'ST-115',
  'bytes are copied, even if their class overrides slice',
  async (t) => {
    const { state } = stores(t)
    const mine = View.from([1, 2, 3])
    const stored = Promise.all([state.set('k', mine), state.setJson('j', mine)])
    mine.fill(0)
    await stored
    equal(new Uint8Array((await state.get('k')) as Uint8Array), new Uint8Array([1, 2, 3]))
    equal(new Uint8Array((await state.getJson('j')) as Uint8Array), new Uint8Array([1, 2, 3]))
  },
)

/** Read without the content. */
export const described: Case = defineCase('ST-116', 'describe returns size, version and expiry', async (t) => {
  const { state, db } = stores(t)
  equal(await state.describe('k'), undefined)
  const before = db.now()
  for (const scope of [{}, { runId: RUN }]) {
    await state.set('k', 'h\u00e9\0', scope)
    const first = await state.describe('k', scope)
    equal(first, { size: 4, version: first!.version })
    await state.set('k', new Uint8Array(5), { ttl: 600_000, ...scope })
    const second = await state.describe('k', scope)
    equal(second?.size, 5)
    ok(isNear(second!.expiresAt!, before + 600_000), 'In ten minutes')
    ok(second!.version !== first!.version, 'Another version')
    equal(await state.describe('k', scope), second)
  }
})
