import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { sortedMap } from '../../../src/drivers/shared/sorted.ts'

const key = fc.integer({ min: 0, max: 3000 }).map((n) => n.toString(36))
const step = fc.oneof(
  { weight: 50, arbitrary: fc.record({ do: fc.constant('set' as const), key, value: fc.nat() }) },
  { weight: 20, arbitrary: fc.record({ do: fc.constant('delete' as const), key }) },
  {
    weight: 10,
    arbitrary: fc.record({ do: fc.constant('range' as const), start: key, end: key, reverse: fc.boolean() }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('deleteRange' as const), start: key, end: key }) },
)

describe('sortedMap', () => {
  it('does what a plain array does', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 2000, size: 'max' }), (steps) => {
        const [map, plain] = [sortedMap<number>(), new Map<string, number>()]
        for (const it of steps) {
          if (it.do === 'set') {
            map.set(it.key, it.value)
            plain.set(it.key, it.value)
          } else if (it.do === 'delete') {
            map.delete(it.key)
            plain.delete(it.key)
            expect(map.get(it.key)).toBeUndefined()
          } else {
            const found = [...plain].filter(([k]) => k >= it.start && k < it.end).sort(([a], [b]) => (a < b ? -1 : 1))
            if (it.do === 'range' && it.reverse) found.reverse()
            if (it.do === 'range') expect([...map.range(it.start, it.end, it.reverse)]).toEqual(found)
            else {
              expect(map.deleteRange(it.start, it.end)).toEqual(found)
              for (const [k] of found) plain.delete(k)
            }
          }
        }
        expect([...map.range('', '~')]).toEqual([...plain].sort(([a], [b]) => (a < b ? -1 : 1)))
      }),
      { numRuns: 50 },
    )
  })

  it.each([1, -1])('holds many keys that come in order, in either direction', (direction) => {
    const map = sortedMap<number>()
    const keys = Array.from({ length: 5000 }, (_, i) => String(i).padStart(5, '0'))
    for (const k of direction > 0 ? keys : keys.toReversed()) map.set(k, Number(k))
    expect([...map.range('', '~')].map(([k]) => k)).toEqual(keys)
    expect([...map.range('01000', '01003', true)].map(([, v]) => v)).toEqual([1002, 1001, 1000])
    expect(map.deleteRange('00700', '04100')).toHaveLength(3400)
    for (const k of keys) map.delete(k)
    expect([...map.range('', '~')]).toEqual([])
    expect([...map.range('', '~', true)]).toEqual([])
  })
})
