import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  decodeId,
  decodeNumber,
  encodeId,
  encodeNumber,
  EVERYTHING,
  tenantParts,
  under,
  utf8Bytes,
} from '../../src/core/keys.ts'

/** Ids with many of the characters that the encoding turns on. */
const char = fc.oneof(
  fc.constantFrom('\0', ' ', '!', '"', '#', '$', '%', ':', '}', '~', '\u007f', 'é', '\ud7ff', '\ue000', '\uffff', '😀'),
  fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
)
const id = fc
  .array(char, { minLength: 1, maxLength: 12 })
  .map((chars) => chars.join(''))
  .filter((text) => text.isWellFormed())

const encode = (text: string): string => encodeId(text, 'id')
const points = (text: string): number[] => Array.from(text, (c) => c.codePointAt(0)!)
const sign = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

/** By code point, as the ids are to be sorted. */
function compare(a: string, b: string): number {
  const [x, y] = [points(a), points(b)]
  const at = x.findIndex((point, i) => point !== y[i])
  return Math.sign(at < 0 ? x.length - y.length : x[at]! - (y[at] ?? -1))
}

describe('encodeId', () => {
  it('comes back, as printable ASCII without the characters that separate', () => {
    fc.assert(
      fc.property(id, (a) => {
        expect(encode(a)).toMatch(/^[#-~]+$/)
        expect(decodeId(encode(a))).toBe(a)
        expect(encode(a)).not.toContain('~~')
      }),
    )
  })

  it('keeps the order of code points, also in front of further elements', () => {
    fc.assert(
      fc.property(id, id, id, (a, b, c) => {
        expect(sign(encode(a), encode(b))).toBe(compare(a, b))
        if (a !== b) expect(sign(`${encode(a)}!${encode(c)}`, `${encode(b)}!${encode(c)}`)).toBe(compare(a, b))
      }),
    )
  })

  it('begins as the encoding of whatever the id begins with, and with nothing else', () => {
    fc.assert(
      fc.property(id, id, (a, b) => {
        expect(encode(a + b)).toBe(encode(a) + encode(b))
        expect(encode(b).startsWith(encode(a))).toBe(b.startsWith(a))
      }),
    )
  })

  it('lies in the range of its prefix, and of everything', () => {
    fc.assert(
      fc.property(id, id, (a, b) => {
        const [start, end] = [encode(a), encode(a) + EVERYTHING.end]
        expect(encode(b) >= start && encode(b) < end).toBe(b.startsWith(a))
        expect(encode(b) > EVERYTHING.start && encode(b) < EVERYTHING.end).toBe(true)
      }),
    )
  })

  it('is the id itself where it is plain', () => {
    for (const plain of ['a', 'order-17', 'a:b/c.d_e', "$%&'()*+,-./{|}"]) expect(encode(plain)).toBe(plain)
  })

  it.each([
    '',
    'x'.repeat(257),
    'é'.repeat(129),
    '😀'.repeat(64) + 'a',
    '\ud800',
    'a\udfff',
    7,
    null,
    undefined,
    {},
    [],
  ])('refuses %j', (bad) => {
    expect(() => encode(bad as string)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
  })

  it.each(['x'.repeat(256), 'é'.repeat(128), '😀'.repeat(64), '\0'.repeat(256)])('takes 256 bytes', (longest) => {
    expect(decodeId(encode(longest))).toBe(longest)
  })
})

describe('utf8Bytes', () => {
  it('measures as an encoder does', () => {
    fc.assert(
      fc.property(id, (a) => {
        expect(utf8Bytes(a)).toBe(new TextEncoder().encode(a).length)
      }),
    )
  })
})

describe('encodeNumber', () => {
  it('comes back, and sorts as the number', () => {
    const n = fc.maxSafeNat()
    fc.assert(
      fc.property(n, n, (a, b) => {
        expect(decodeNumber(`event!${encodeNumber(a)}`)).toBe(a)
        expect(sign(encodeNumber(a), encodeNumber(b))).toBe(Math.sign(a - b))
      }),
    )
    expect(encodeNumber(Number.MAX_SAFE_INTEGER)).toHaveLength(16)
  })
})

describe('parts', () => {
  it('of different tenants and runs differ, whatever they are called', () => {
    fc.assert(
      fc.property(id, id, id, id, (t1, r1, t2, r2) => {
        const [a, b] = [tenantParts(t1), tenantParts(t2)]
        expect(a.run(r1) === b.run(r2)).toBe(t1 === t2 && r1 === r2)
        for (const part of [a.values, a.runs, a.snapshots]) expect(part).not.toBe(b.run(r2))
      }),
    )
  })

  it('under a prefix lies what begins with it', () => {
    fc.assert(
      fc.property(id, id, (a, b) => {
        const { start, end } = under(`${encode(a)}!`)
        const key = `${encode(b)}!x`
        expect(key >= start && key < end).toBe(a === b)
      }),
    )
  })
})
