import { describe, expect, it } from 'vitest'
import { createDatabase } from '../../src/core/database.ts'
import { eachItem, type Page, type PageOptions, pageRange, toPage, PAGE } from '../../src/core/pages.ts'
import { memory } from '../../src/drivers/memory.ts'

const db = createDatabase({ driver: memory() })
const bounds = { start: 'b', end: 'd' }
const entry = (key: string) => ({ key, version: 'v', value: '', expiresAt: null })

describe('pageRange', () => {
  it('begins at the start, or after the cursor', () => {
    expect(pageRange(db, 'p', bounds, {})).toEqual({ part: 'p', start: 'b', end: 'd', limit: 100 })
    expect(pageRange(db, 'p', bounds, { cursor: 'c', limit: 3 })).toEqual({
      part: 'p',
      start: 'c ',
      end: 'd',
      limit: 3,
    })
  })

  it('asks for no more than the backend gives at once', () => {
    const { rangeEntries } = db.driver.capabilities.limits
    expect(pageRange(db, 'p', bounds, { limit: Number.MAX_SAFE_INTEGER }).limit).toBe(rangeEntries)
  })

  it.each(['', ' ', 'c c', 'é', '\0', 'c\n', 'c'.repeat(2049), 5, null])('refuses the cursor %j', (cursor) => {
    expect(() => pageRange(db, 'p', bounds, { cursor: cursor as string })).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    )
  })

  it.each(['a', 'd', 'zzz', '!'])('refuses the cursor %j, which is of no key of the list', (cursor) => {
    expect(() => pageRange(db, 'p', bounds, { cursor })).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
  })

  it.each([0, -1, 1.5, Number.NaN, Infinity, '1', null])('refuses the limit %j', (limit) => {
    expect(() => pageRange(db, 'p', bounds, { limit: limit as number })).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    )
  })
})

describe('toPage', () => {
  it('has a cursor where more follows', () => {
    const entries = [entry('b'), entry('c')]
    expect(toPage(entries, true, ({ key }) => key)).toEqual({ items: ['b', 'c'], cursor: 'c' })
    expect(toPage(entries, false, ({ key }) => key)).toEqual({ items: ['b', 'c'] })
    expect(toPage([], false, ({ key }) => key)).toEqual({ items: [] })
  })
})

describe('eachItem', () => {
  const list: Record<string, Page<number>> = {
    start: { items: [1, 2], cursor: 'x' },
    x: { items: [], cursor: 'y' },
    y: { items: [3] },
  }

  it('goes through all pages, reading each when it is needed', async () => {
    const asked: (string | undefined)[] = []
    const items = eachItem({}, PAGE, async ({ cursor }: PageOptions) => (asked.push(cursor), list[cursor ?? 'start']!))
    expect(asked).toEqual([])
    expect((await items.next()).value).toBe(1)
    expect((await items.next()).value).toBe(2)
    expect(asked).toEqual([undefined])
    expect((await items.next()).value).toBe(3)
    expect(asked).toEqual([undefined, 'x', 'y'])
    expect((await items.next()).done).toBe(true)
  })
})
