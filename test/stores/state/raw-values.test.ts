import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { pack, unpack } from '../../../src/stores/state/raw-values.ts'

const text = fc
  .array(fc.oneof(fc.constantFrom('\0', '\ufeff', 'õ', '😀', '"'), fc.string({ unit: 'binary', maxLength: 3 })))
  .map((parts) => parts.join(''))
  .filter((it) => it.isWellFormed())
const bytes = fc.oneof(
  fc.uint8Array(),
  fc.uint8Array().map((rest) => new Uint8Array([0xf5, ...rest])),
  fc.uint8Array().map((rest) => new Uint8Array([0xf5, 0, ...rest])),
)

describe('pack', () => {
  it('comes back, text as text and bytes as bytes', () => {
    fc.assert(
      fc.property(fc.oneof(text, bytes), (value) => {
        expect(unpack(pack(value))).toStrictEqual(value)
      }),
    )
  })

  it('makes no two values the same', () => {
    fc.assert(
      fc.property(fc.oneof(text, bytes), fc.oneof(text, bytes), (a, b) => {
        const same = (x: unknown, y: unknown): boolean => JSON.stringify(tell(x)) === JSON.stringify(tell(y))
        expect(same(pack(a), pack(b))).toBe(same(a, b))
      }),
    )
  })

  it('leaves no NUL in text, and text and bytes without one alone', () => {
    fc.assert(
      fc.property(text, (value) => {
        const packed = pack(value)
        if (value.includes('\0')) expect(packed).toBeInstanceOf(Uint8Array)
        else expect(packed).toBe(value)
      }),
    )
    expect(pack(new Uint8Array([1, 2]))).toEqual(new Uint8Array([1, 2]))
  })

  it.each(['\ud800', 'a\udc00', 1, null, undefined, {}, [1], new ArrayBuffer(1), new Uint16Array(1)])(
    'refuses %o',
    (bad) => {
      expect(() => pack(bad as string)).toThrow(expect.objectContaining({ code: 'SERIALIZATION' }))
    },
  )
})

const tell = (value: unknown): unknown => (typeof value === 'string' ? value : [...(value as Uint8Array)])
