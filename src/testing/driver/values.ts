/** Values: text stays text, bytes stay bytes. @module */
import type { Value } from '../../core/driver.ts'
import { equal, ok } from '../assert.ts'
import { absent, at, pairs, put, upTo } from '../build.ts'
import { type Case, type Context, defineCase } from '../case.ts'

const TEXTS: readonly string[] = [
  '',
  ' ',
  'null',
  'undefined',
  'true',
  '0',
  '-0',
  '123',
  '1e5',
  '0123',
  '9007199254740993',
  '""',
  '"text"',
  '{"a":1}',
  '[1,2]',
  '{"a":"\\u0000"}',
  "it's; drop table x; --",
  '\\',
  '\\n',
  '%s ${x} $1 {{x}}',
  '\uFEFFbyte order mark',
  'end \uFEFF',
  'one\r\ntwo\rthree\nfour\n',
  '\t\u0001\u001f\u007f\u0085',
  '\u2028\u2029',
  'é e\u0301',
  '\u{1F600}\u{1F468}\u200D\u{1F469}',
  '\uFFFD\uFFFE\uFFFF\uE000\u{10FFFF}',
  'AAEC/w==',
  'base64:AAEC',
  '\\xdeadbeef',
  ' trailing and leading ',
]

const BYTES: readonly Uint8Array[] = [
  new Uint8Array(0),
  new Uint8Array([0]),
  new Uint8Array(256).map((_, i) => i),
  new Uint8Array([0xff, 0xfe, 0x41, 0x00]),
  new Uint8Array([0xef, 0xbb, 0xbf, 0x41]),
  new Uint8Array([0xc3, 0x28, 0xed, 0xa0, 0x80, 0xf8]),
  new TextEncoder().encode('plain text as bytes'),
  new TextEncoder().encode('null'),
]

/** Puts the values under `k0`, `k1`, …, and asserts that gets, a range and failed checks return them. */
async function roundTrip(t: Context, values: readonly Value[]): Promise<void> {
  await t.writeAll(values.map((value, i) => put(`k${i + 100}`, value)))
  equal(
    pairs(await t.all()),
    values.map((value, i) => [`k${i + 100}`, value]),
  )
  for (const [i, value] of values.entries()) {
    const key = `k${i + 100}`
    const entry = await t.get(at(key))
    equal(entry?.value, value)
    equal(await t.commit({ checks: [absent(key)] }), { ok: false, failed: [{ check: 0, current: entry }] })
  }
}

/** Text is not parsed, trimmed, normalised or guessed at. */
export const texts: Case = defineCase('DR-701', 'text of every kind comes back unchanged', (t) => roundTrip(t, TEXTS))

/** Bytes are not text, even if they could be. */
export const bytes: Case = defineCase('DR-702', 'bytes of every value come back as the same bytes', (t) =>
  roundTrip(t, BYTES),
)

/** Text or bytes: the kind belongs to the value. */
export const kinds: Case = defineCase('DR-703', 'text and bytes with the same content keep their kind', async (t) => {
  const encoder = new TextEncoder()
  await roundTrip(t, ['same', encoder.encode('same'), '', encoder.encode(''), '1', encoder.encode('1')])
  await t.write(put('k', 'text'))
  await t.write(put('k', encoder.encode('text')))
  equal((await t.get(at('k')))?.value, encoder.encode('text'))
  await t.write(put('k', 'text'))
  equal((await t.get(at('k')))?.value, 'text')
})

/** One megabyte, or the most that the driver accepts. */
export const large: Case = defineCase('DR-704', 'values of a megabyte come back whole', async (t) => {
  const size = Math.min(1_000_000, t.limits.valueBytes, t.limits.requestBytes - 1024)
  const text = 'é😀x\n'.repeat(size / 8)
  const raw = new Uint8Array(size).map((_, i) => (i * 31 + (i >> 8)) & 255)
  await t.write(put('text', text))
  await t.write(put('raw', raw))
  ok((await t.get(at('text')))?.value === text, 'The text is the same')
  equal((await t.get(at('raw')))?.value, raw)
})

/** `Entry.value`: owned by the caller. */
export const ownedByCaller: Case = defineCase(
  'DR-705',
  'changing returned bytes does not change the store',
  async (t) => {
    await t.write(put('k', new Uint8Array([1, 2, 3])))
    const found = [await t.get(at('k')), ...(await t.all()), ...(await t.read({ get: at('k') }, { get: at('k') }))]
    const failed = await t.commit({ checks: [absent('k')] })
    if (!failed.ok) found.push(failed.failed[0]?.current as (typeof found)[number])
    equal(found.length, 5)
    for (const entry of found) {
      equal(entry?.value, new Uint8Array([1, 2, 3]), 'No answer shares its bytes with another')
      if (entry?.value instanceof Uint8Array) entry.value.fill(9)
    }
    equal((await t.get(at('k')))?.value, new Uint8Array([1, 2, 3]))
  },
)

/** Passed bytes belong to the caller again once the call has returned. */
export const givenBytes: Case = defineCase(
  'DR-706',
  'changing given bytes after the call does not change the store',
  async (t) => {
    const value = new Uint8Array([1, 2, 3])
    await t.write(put('a', value), put('b', value), { append: at('log!'), value })
    value.fill(9)
    equal(
      (await t.all()).map((entry) => entry.value),
      upTo(3).map(() => new Uint8Array([1, 2, 3])),
    )
  },
)

/** A view is its window, not the buffer under it. */
export const views: Case = defineCase(
  'DR-707',
  'of a view into a larger buffer, only the window is stored',
  async (t) => {
    const buffer = new Uint8Array(64).map((_, i) => i)
    await t.write(put('a', buffer.subarray(10, 14)), put('b', buffer.subarray(64)))
    equal((await t.get(at('a')))?.value, new Uint8Array([10, 11, 12, 13]))
    equal((await t.get(at('b')))?.value, new Uint8Array(0))
  },
)

/** A value does not depend on the size and kind of its neighbours. */
export const mixed: Case = defineCase('DR-708', 'one commit writes values of different kinds and sizes', async (t) => {
  const values: Value[] = [
    '',
    'x'.repeat(5000),
    new Uint8Array(0),
    new Uint8Array(5000).fill(7),
    'null',
    'é'.repeat(300),
  ]
  const { version } = await t.write(...values.map((value, i) => put(`k${i}`, value)))
  equal(
    await t.all(),
    values.map((value, i) => ({ key: `k${i}`, version, value, expiresAt: null })),
  )
})

/** Drivers may store short and long values differently. */
export const lengths: Case = defineCase(
  'DR-709',
  'a value can be replaced by one of any other length and kind',
  async (t) => {
    // One request writes four of them.
    const most = Math.min(50_000, t.limits.valueBytes, Math.floor((t.limits.requestBytes - 4096) / 4))
    const lengths = [0, 800, 950, 1100, 1900, 2100, 5000, 9000, 20_000, most].filter((length) => length <= most)
    const values = lengths.flatMap((length): Value[] => [
      'x'.repeat(length),
      'é'.repeat(length / 2),
      new Uint8Array(length).fill(7),
    ])
    const orders = [values, values.toReversed(), values.filter((_, i) => i % 3 < 2), [...values.slice(10), ...values]]
    for (let n = 0; n < values.length; n++) {
      const ops = orders.map((order, i) => put(`k${i}`, order[n % order.length]!))
      const { version } = await t.write(...ops)
      equal(
        await t.all(),
        orders.map((order, i) => ({ key: `k${i}`, version, value: order[n % order.length], expiresAt: null })),
      )
      const failed = await t.commit({ checks: [absent('k3')] })
      equal(failed, { ok: false, failed: [{ check: 0, current: await t.get(at('k3')) }] })
    }
    await t.write({ delete: at('k0') })
    await t.write(put('k0', values.at(-1)!))
    equal((await t.get(at('k0')))?.value, values.at(-1))
  },
)
