/** How often the other tabs are told. */
import { afterEach, expect, it, vi } from 'vitest'
import { announcements } from '../../../src/drivers/indexeddb/announcements.ts'

afterEach(() => {
  vi.useRealTimers()
  vi.unstubAllGlobals()
})

it('tells of a change at once, of those that follow together a little later, and of all before the close', () => {
  vi.useFakeTimers()
  const told: unknown[] = []
  const channel = {
    postMessage: ({ parts }: { parts: unknown }) => void told.push(parts),
    addEventListener: () => {},
    close: () => void told.push('closed'),
  }
  vi.stubGlobal('BroadcastChannel', function () {
    return channel
  })
  const { announce, open, close } = announcements('app')
  announce(['before it was open'])
  open()
  announce(['a'])
  for (const parts of [['b'], ['c', 'b'], []]) announce(parts)
  expect(told).toEqual([['a']])
  vi.advanceTimersByTime(10)
  expect(told).toEqual([['a'], ['b', 'c']])
  vi.advanceTimersByTime(100)
  announce(['d'])
  announce(['e'])
  expect(told.slice(2)).toEqual([['d']])
  close()
  expect(told.slice(3)).toEqual([['e'], 'closed'])
  vi.advanceTimersByTime(100)
  announce(['after the close'])
  expect(told).toHaveLength(5)
})
