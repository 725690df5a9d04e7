/** Structured values. @module */
import { equal, ok, rejects } from '../assert.ts'
import { type Case, defineCase } from '../case.ts'
import { changesNothing, stores, structured } from '../stores.ts'

export const nullIsThere: Case = defineCase('ST-201', 'null is a value, different from a missing one', async (t) => {
  const { state } = stores(t)
  await state.setJson('k', null)
  equal([await state.getJson('k'), await state.exists('k')], [null, true])
  equal([await state.getJson('nothing'), await state.exists('nothing')], [undefined, false])
  await state.setJson('u', undefined)
  equal([await state.getJson('u'), await state.exists('u')], [undefined, true])
})

/** Mastra #12575: all JSON values; empty lists and objects are neither lost nor confused. */
export const json: Case = defineCase('ST-202', 'JSON values come back unchanged', async (t) => {
  const { state } = stores(t)
  const values = [true, false, 0, 1.5, -1e300, '', 'text', '{}', [], {}, [[], {}], { a: { b: [null, { c: '' }] } }]
  for (const value of values) {
    await state.setJson('k', value)
    equal(await state.getJson('k'), value)
  }
})

/** Values that JSON lacks, anywhere in a value. */
export const beyondJson: Case = defineCase('ST-203', 'values that JSON lacks come back unchanged', async (t) => {
  const { state } = stores(t)
  await state.setJson('k', structured())
  equal(await state.getJson('k'), structured())
})

/** And by themselves. */
export const beyondJsonAlone: Case = defineCase('ST-204', 'such values also work alone', async (t) => {
  const { state } = stores(t)
  const bytes = new Uint8Array([0xf5, 0, 1])
  const values = [undefined, Number.NaN, -0, Infinity, 7n, new Date(5), new Map([[1, 2]]), new Set([1n]), bytes]
  for (const value of [...values, bytes.buffer, [undefined], ['\ud83d\ude00']]) {
    await state.setJson('k', value)
    equal(await state.getJson('k'), value)
  }
})

/** A value that could not be read back is not stored; the error has its path. */
export const unserialisable: Case = defineCase(
  'ST-205',
  'a value that cannot be stored is refused, with its path',
  async (t) => {
    const { state } = stores(t)
    await state.setJson('k', 1)
    class Money {
      amount = 1
    }
    const cycle: unknown[] = []
    cycle.push(cycle)
    const values: readonly unknown[] = [() => 1, Symbol('s'), new Money(), '\ud800', cycle, new WeakMap(), /x/]
    await changesNothing(t, async () => {
      for (const value of values) {
        for (const key of ['k', 'new']) {
          const error = await rejects(state.setJson(key, { a: { b: [0, value] } }), 'SERIALIZATION')
          ok(String(error.details?.path).startsWith('$.a.b[1]'), `The path is ${String(error.details?.path)}`)
        }
      }
      await rejects(state.setJson('k', { ['\ud800']: 1 }), 'SERIALIZATION')
      await rejects(state.setJson('k', { toJSON: () => 1 }), 'SERIALIZATION')
    })
  },
)

/** A wrong read is an error, not a guess. */
export const notJson: Case = defineCase('ST-206', 'getJson refuses what setJson did not store', async (t) => {
  const { state } = stores(t)
  for (const text of ['', 'text', '{"a":', "{'a':1}", '{"$9":"Date","value":1}', '{"$1":"Nothing"}']) {
    await state.set('k', text)
    await rejects(state.getJson('k'), 'SERIALIZATION')
    equal(await state.get('k'), text)
  }
})

/** A value is stored as it was at the time of the call. */
export const asOfTheCall: Case = defineCase('ST-207', 'a value is stored as it was at the call', async (t) => {
  const { state } = stores(t)
  const cart = { items: ['kelp'], at: new Date(1) }
  const saving = state.setJson('k', cart)
  cart.items.push('salt')
  cart.at.setTime(2)
  await saving
  equal(await state.getJson('k'), { items: ['kelp'], at: new Date(1) })
  const found = (await state.getJson<typeof cart>('k'))!
  found.items.push('more')
  equal(await state.getJson('k'), { items: ['kelp'], at: new Date(1) })
})

/** Documents are sometimes large. */
export const largeDocument: Case = defineCase('ST-208', 'a large document comes back unchanged', async (t) => {
  const { state } = stores(t)
  const most = Math.min(t.limits.valueBytes / 40, 20_000)
  const document = Array.from({ length: most }, (_, i) => ({ i, at: i % 100 ? null : new Date(i) }))
  await state.setJson('k', document)
  equal((await state.getJson<unknown[]>('k'))?.length, document.length)
  equal(JSON.stringify(await state.getJson('k')), JSON.stringify(document))
})

/** Depth must not overflow the stack. */
export const deep: Case = defineCase(
  'ST-209',
  'a value nested too deeply is refused, and one nested deeply is not',
  async (t) => {
    const { state } = stores(t)
    const nested = (depth: number): unknown => Array.from({ length: depth }).reduce((inner) => [inner], 0)
    await state.setJson('k', nested(200))
    equal(JSON.stringify(await state.getJson('k')), JSON.stringify(nested(200)))
    await rejects(state.setJson('k', nested(100_000)), 'SERIALIZATION')
  },
)
