/** The checkers accept what can be, and nothing else: histories made by hand. */
import { describe, expect, it } from 'vitest'
import { counter, faultsOfLog, isLinearizable, register } from './checker.ts'
import type { CounterAction, LogAction, Operation, RegisterAction } from './history.ts'

/** A call of a client from one moment to another. */
const call = <A>(client: string, from: number, to: number, action: A): Operation<A> => ({
  client,
  from: BigInt(from),
  to: BigInt(to),
  action,
})
const get = (client: string, from: number, to: number, get: string | null) =>
  call<RegisterAction>(client, from, to, { get })
const set = (client: string, from: number, to: number, set: string) => call<RegisterAction>(client, from, to, { set })
const won = (client: string, from: number, to: number, expected: string | null, set: string) =>
  call<RegisterAction>(client, from, to, { expected, set, won: true })
const lost = (client: string, from: number, to: number, expected: string | null, set: string, found: string | null) =>
  call<RegisterAction>(client, from, to, { expected, set, won: false, found })

const POSSIBLE: Record<string, Operation<RegisterAction>[]> = {
  'nothing at all': [],
  'a read of what was set before': [set('a', 0, 1, 'x'), get('b', 2, 3, 'x')],
  'a read during a set, of the new content': [set('a', 0, 9, 'x'), get('b', 1, 2, 'x')],
  'a read during a set, of the old content': [set('a', 0, 9, 'x'), get('b', 1, 2, null)],
  'the old and then the new content during a set': [set('a', 0, 9, 'x'), get('b', 1, 2, null), get('b', 3, 4, 'x')],
  'two sets at once, in the order that the reads need': [
    set('a', 0, 9, 'x'),
    set('b', 0, 9, 'y'),
    get('c', 10, 11, 'x'),
    get('d', 12, 13, 'x'),
  ],
  'a read that takes longer than two sets': [
    set('a', 0, 1, 'x'),
    get('b', 2, 9, 'x'),
    set('a', 3, 4, 'y'),
    set('a', 5, 6, 'z'),
  ],
  'one winner of two': [won('a', 0, 5, null, 'x'), lost('b', 0, 5, null, 'y', 'x'), get('a', 6, 7, 'x')],
  'calls that touch in one moment, in either order': [set('a', 0, 5, 'x'), get('b', 5, 6, null)],
}

const IMPOSSIBLE: Record<string, Operation<RegisterAction>[]> = {
  'a stale read': [set('a', 0, 1, 'x'), get('b', 2, 3, null)],
  'a read of what nobody set': [set('a', 0, 1, 'x'), get('b', 2, 3, 'y')],
  'a read of what is set later': [get('b', 0, 1, 'x'), set('a', 2, 3, 'x')],
  'the new and then the old content during a set': [set('a', 0, 9, 'x'), get('b', 1, 2, 'x'), get('c', 3, 4, null)],
  'two readers that see two sets in different orders': [
    set('a', 0, 9, 'x'),
    set('b', 0, 9, 'y'),
    get('c', 1, 2, 'x'),
    get('c', 3, 4, 'y'),
    get('d', 1, 2, 'y'),
    get('d', 3, 4, 'x'),
  ],
  'two winners': [won('a', 0, 5, null, 'x'), won('b', 0, 5, null, 'y')],
  'a loser that had no reason to lose': [lost('a', 0, 1, null, 'x', null), get('b', 2, 3, null)],
  'a loser that was told what was not there': [set('a', 0, 1, 'x'), lost('b', 2, 3, null, 'y', 'z')],
  'a lost update': [set('a', 0, 1, 'x'), won('b', 2, 3, 'x', 'y'), get('c', 4, 5, 'x')],
}

describe('the checker of registers', () => {
  it.each(Object.keys(POSSIBLE))('accepts %s', (name) => {
    expect(isLinearizable(POSSIBLE[name]!, register)).toBe(true)
  })

  it.each(Object.keys(IMPOSSIBLE))('refuses %s', (name) => {
    expect(isLinearizable(IMPOSSIBLE[name]!, register)).toBe(false)
  })

  it('comes to an end where 8 clients always overlap', () => {
    const history = Array.from({ length: 200 }, (_, i) => set(`c${i % 8}`, i * 10, i * 10 + 75, `v${i}`))
    const last = get('c', 2100, 2101, 'v195')
    expect(isLinearizable([...history, last], register)).toBe(true)
    expect(isLinearizable([...history, { ...last, action: { get: 'v3' } }], register)).toBe(false)
  })

  it('refuses to judge a client that makes two calls at once', () => {
    expect(() => isLinearizable([set('a', 0, 5, 'x'), set('a', 3, 9, 'y')], register)).toThrow('two calls')
  })
})

const add = (client: string, from: number, to: number, by: number, sum: number) =>
  call<CounterAction>(client, from, to, { by, sum })

describe('the checker of counters', () => {
  it('accepts sums at once in any order', () => {
    const history = [add('a', 0, 9, 1, 3), add('b', 0, 9, 2, 2), add('c', 10, 11, -1, 2)]
    expect(isLinearizable(history, counter)).toBe(true)
  })

  it('refuses sums that were made from the same state', () => {
    expect(isLinearizable([add('a', 0, 9, 1, 1), add('b', 0, 9, 1, 1)], counter)).toBe(false)
  })
})

const append = (client: string, from: number, to: number, append: string, ...seqs: number[]) =>
  call<LogAction>(client, from, to, { append, seqs })
const read = (client: string, from: number, to: number, ...entries: string[]) =>
  call<LogAction>(client, from, to, { entries })

describe('the checker of logs', () => {
  it('accepts appends at once in any order, and reads during them', () => {
    const history = [
      append('a', 0, 5, 'x', 2),
      append('b', 0, 5, 'y', 1),
      read('c', 1, 2),
      read('c', 3, 4, 'y.0'),
      append('b', 6, 9, 'z', 3, 4),
      read('c', 10, 11, 'y.0', 'x.0', 'z.0', 'z.1'),
    ]
    expect(faultsOfLog(history)).toEqual([])
  })

  it.each([
    ['a gap', [append('a', 0, 1, 'x', 1), append('a', 2, 3, 'y', 3)]],
    ['a number given twice', [append('a', 0, 1, 'x', 1), append('b', 2, 3, 'y', 1)]],
    ['numbers that go back', [append('a', 0, 1, 'x', 2), append('b', 2, 3, 'y', 1)]],
    ['a batch that was torn', [append('a', 0, 9, 'x', 1, 3), append('b', 0, 9, 'y', 2)]],
    ['a stale read', [append('a', 0, 1, 'x', 1), read('b', 2, 3)]],
    ['a read of what is appended later', [read('b', 0, 1, 'x.0'), append('a', 2, 3, 'x', 1)]],
    ['a read of half a batch', [append('a', 0, 9, 'x', 1, 2), read('b', 2, 3, 'x.0')]],
    ['a read of other content', [append('a', 0, 1, 'x', 1), read('b', 2, 3, 'y.0')]],
    ['a read of a batch in the wrong order', [append('a', 0, 1, 'x', 1, 2), read('b', 2, 3, 'x.1', 'x.0')]],
  ])('refuses %s', (_, history) => {
    expect(faultsOfLog(history)).not.toEqual([])
  })
})
