import { describe, expect, it } from 'vitest'
import type { Commit, Limits, Op } from '../../src/core/driver.ts'
import { validateCommits, validateReads } from '../../src/core/validate.ts'

const LIMITS: Limits = {
  valueBytes: 100,
  requestBytes: 1000,
  commitKeys: 4,
  requestCommits: 3,
  requestReads: 2,
  answerBytes: 1000,
  rangeEntries: 10,
}
const at = (key: string) => ({ part: 'p', key })
const put = (key: string, value: string | Uint8Array = ''): Op => ({ put: at(key), value })
const commit = (...ops: Op[]): Commit => ({ id: 'c', checks: [], ops, durability: 'strict' })
const check = (...ops: Op[]) => validateCommits([commit(...ops)], LIMITS)
const refusal = (limit: keyof Limits, size: number) =>
  expect.objectContaining({ code: 'PAYLOAD_TOO_LARGE', details: { limit, most: LIMITS[limit], size } })

describe('validateCommits', () => {
  it('measures values in UTF-8, up to the limit and not above', () => {
    for (const value of ['x'.repeat(100), 'é'.repeat(50), '😀'.repeat(25), new Uint8Array(100)]) check(put('k', value))
    expect(() => check(put('k', 'é'.repeat(51)))).toThrow(refusal('valueBytes', 102))
    expect(() => check({ append: at('log!'), value: new Uint8Array(101) })).toThrow(refusal('valueBytes', 101))
  })

  it('counts commits, and checks and ops of one commit together', () => {
    const four = ['a', 'b', 'c', 'd'].map((key) => put(key))
    check(...four)
    expect(() => check(...four, put('e'))).toThrow(refusal('commitKeys', 5))
    const checks = [{ at: at('a'), version: null }]
    expect(() => validateCommits([{ ...commit(...four), checks }], LIMITS)).toThrow(refusal('commitKeys', 5))
    validateCommits([commit(), commit(), commit()], LIMITS)
    expect(() => validateCommits([commit(), commit(), commit(), commit()], LIMITS)).toThrow(
      refusal('requestCommits', 4),
    )
  })

  it('tells at least the size of all values, and refuses more than a request holds', () => {
    expect(check(put('a', 'x'.repeat(90)), put('b', 'é'.repeat(45)))).toBeGreaterThanOrEqual(180)
    const full = commit(...['a', 'b', 'c', 'd'].map((key) => put(key, 'x'.repeat(90))))
    validateCommits([full, full], LIMITS)
    expect(() => validateCommits([full, full, full], LIMITS)).toThrow(
      expect.objectContaining({ code: 'PAYLOAD_TOO_LARGE' }),
    )
  })

  it('refuses malformed keys, also of deletes and references', () => {
    const bad: readonly Op[] = [
      put('é'),
      put(''),
      { delete: at('tab\t') },
      { append: at('log!'), value: '', ref: '\n' },
      { deletePart: 'é' },
      { deleteRange: { part: 'p', start: '', end: '~' } },
      put('k'.repeat(4097)),
    ]
    for (const op of bad) expect(() => check(op)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
    check({ deletePart: 'p'.repeat(500) }, put('k'.repeat(400)))
  })

  it('refuses a log whose key does not end in !', () => {
    const refused = expect.objectContaining({ code: 'INVALID_ARGUMENT' })
    for (const key of ['log', '!log', 'log! ', '0']) {
      expect(() => check({ append: at(key), value: '' })).toThrow(refused)
      expect(() => validateCommits([{ ...commit(), checks: [{ log: at(key), last: 0 }] }], LIMITS)).toThrow(refused)
    }
    validateCommits([{ ...commit({ append: at('!'), value: '' }), checks: [{ log: at('log!'), last: 0 }] }], LIMITS)
  })

  it('refuses a key touched twice by name, in any way', () => {
    const twice = (...ops: Op[]) =>
      expect(() => check(...ops)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
    twice(put('a'), put('a'))
    twice(put('a'), { delete: at('a') })
    twice(put('a'), { append: at('log!'), value: '', ref: 'a' })
    check(put('a'), { put: { part: 'q', key: 'a' }, value: '' })
    check({ append: at('log!'), value: '' }, { append: at('log!'), value: '' })
    check({ deletePart: 'p' }, put('a'), { deleteRange: { part: 'p', start: 'a', end: 'b' } })
  })
})

describe('validateReads', () => {
  const range = (limit: number) => ({ range: { part: 'p', start: 'a', end: 'b', limit } })

  it('counts questions, and holds pages to the length there is', () => {
    validateReads([{ get: at('a') }, range(10)], LIMITS)
    expect(() => validateReads([range(1), range(1), range(1)], LIMITS)).toThrow(refusal('requestReads', 3))
    for (const limit of [0, 11, -1, 1.5, Number.NaN]) {
      const parts = { parts: { start: 'a', end: 'b', limit } }
      for (const read of [range(limit), parts]) {
        expect(() => validateReads([read], LIMITS)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
      }
    }
  })
})
