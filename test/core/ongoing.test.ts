import { describe, expect, it } from 'vitest'
import type { Read } from '../../src/core/driver.ts'
import { ongoing } from '../../src/core/ongoing.ts'

const get = (key: string, part = 'p'): Read => ({ get: { part, key } })
const range = (part = 'p'): Read => ({ range: { part, start: 'a', end: 'z', limit: 1 } })
const parts = (start: string, end: string): Read => ({ parts: { start, end, limit: 1 } })

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** Tells whether a wait is over, after the microtasks of now. */
async function isOver(wait: Promise<unknown> | undefined): Promise<boolean> {
  let over = wait === undefined
  void wait?.then(() => (over = true))
  await turn()
  return over
}

describe('changes under way', () => {
  it('hold up the reads that they concern, and no others', async () => {
    const changes = ongoing()
    const one = changes.begin(() => [{ part: 'p', key: 'k' }])
    const whole = changes.begin(() => [{ part: 'q' }, { part: 'r' }])
    for (const concerned of [get('k'), range(), get('any', 'q'), range('r'), parts('q', 'r'), parts('a', 'z')]) {
      expect(changes.settled([concerned])).toBeDefined()
    }
    for (const other of [get('l'), get('k', 's'), range('s'), parts('a', 'p'), parts('s', 'z')]) {
      expect(changes.settled([other])).toBeUndefined()
    }
    for (const change of [one, whole]) changes.end(change)
    await turn()
    expect(changes.settled([get('k'), range('q'), parts('a', 'z')])).toBeUndefined()
  })

  it.each([
    [0, 1, 2],
    [2, 1, 0],
    [1, 2, 0],
    [1, 0, 2],
  ])('hold up a read until all that were there before it have ended, in any order: %i %i %i', async (...order) => {
    const changes = ongoing()
    const begun = [0, 1, 2].map(() => changes.begin(() => [{ part: 'p' }, { part: 'p' }]))
    const waits = [changes.settled([get('k')]), changes.settled([range(), parts('a', 'z')])]
    const later = changes.begin(() => [{ part: 'p' }])
    for (const [n, i] of order.entries()) {
      expect(await isOver(waits[n % 2])).toBe(false)
      changes.end(begun[i]!)
    }
    for (const wait of waits) expect(await isOver(wait)).toBe(true)
    expect(await isOver(changes.settled([get('k')]))).toBe(false)
    changes.end(later)
    await turn()
    expect(changes.settled([get('k')])).toBeUndefined()
  })

  it('hold up each read for those before it only', async () => {
    const changes = ongoing()
    const first = changes.begin(() => [{ part: 'p', key: 'k' }])
    const before = changes.settled([get('k')])
    const second = changes.begin(() => [{ part: 'p', key: 'k' }])
    const after = changes.settled([get('k')])
    changes.end(first)
    expect([await isOver(before), await isOver(after)]).toEqual([true, false])
    changes.end(second)
    expect(await isOver(after)).toBe(true)
  })

  it('are forgotten if they end before anybody asks', async () => {
    const changes = ongoing()
    const begun = Array.from({ length: 100 }, (_, i) => changes.begin(() => [{ part: 'p', key: `${i}` }]))
    for (const change of begun.slice(0, 99)) changes.end(change)
    expect(changes.settled([get('0')])).toBeUndefined()
    expect(changes.settled([get('99')])).toBeDefined()
    changes.end(begun[99]!)
    await turn()
    expect(changes.settled([range()])).toBeUndefined()
  })
})
