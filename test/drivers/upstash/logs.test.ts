/** Logs that hold what is no entry: Redis undoes nothing, so that has to be found before the first change. */
import { describe, expect, it } from 'vitest'
import type { Commit, Driver, Op } from '../../../src/core/driver.ts'
import { failureOf } from '../../support/failure.ts'
import { PART, append, hasRedis, opened, put, request, upstashForFile, valuesOf, vendor } from './support.ts'

const own = upstashForFile()

describe.skipIf(!hasRedis)('logs of upstash that hold something else', () => {
  const numbered = (n: number): string => `event!${String(n).padStart(16, '0')}`
  const log = { part: PART, key: 'event!' }
  const at = (key: string) => ({ part: PART, key })

  /** A driver whose log ends in a number or in another key. */
  async function withLog(...further: Op[]): Promise<Driver> {
    const driver = await opened({ redis: vendor(own.rest) })
    await driver.commit(request([append('a'), put('there'), ...further]))
    return driver
  }
  const commits = (...all: Partial<Commit>[]) => ({
    id: request([]).id,
    commits: all.map((more) => request([], more).commits[0]!),
  })

  it.each<[string, Op[], Partial<Commit>[]]>([
    ['a key of an earlier commit', [], [{ ops: [put('event!x')] }, { ops: [append('b')] }]],
    ['a key of an earlier op', [], [{ ops: [put('event!x'), append('b')] }]],
    ['a name for an entry', [], [{ ops: [{ append: log, value: 'b', ref: 'event!x' }] }, { ops: [append('c')] }]],
    ['a key of an earlier commit, checked', [], [{ ops: [put('event!x')] }, { checks: [{ log, last: 1 }] }]],
    ['a key of an earlier commit, trimmed', [], [{ ops: [put('event!x')] }, { ops: [{ trim: log, through: 1 }] }]],
    [
      'a key that an earlier commit takes away',
      [put('event!x')],
      [{ ops: [{ delete: at('event!x') }] }, { ops: [append('b')] }],
    ],
    [
      'a key after the numbers, by a commit that fails',
      [put('event!x')],
      [{ checks: [{ at: at('there'), version: null }], ops: [append('b')] }],
    ],
    ['a mark that is no number', [put(numbered(0), 'junk'), { delete: at(numbered(1)) }], [{ ops: [append('b')] }]],
  ])('refuses the whole request for %s, before anything changes', async (_, before, all) => {
    const driver = await withLog(...before)
    const found = await valuesOf(driver)
    const error = await failureOf(driver.commit(commits({ ops: [put('other')] }, ...all)))
    expect([error.code, error.retryable, error.ambiguous]).toEqual(['INVALID_ARGUMENT', false, false])
    expect(await valuesOf(driver)).toEqual(found)
  })

  it.each<[string, Op]>([
    ['its part', { deletePart: PART }],
    ['all of the log', { deleteRange: { part: PART, start: 'event!', end: 'event"' } }],
  ])('begins anew where a commit that appends removes %s', async (_, removal) => {
    const driver = await withLog(put('event!x'))
    const { outcomes } = await driver.commit(request([removal, append('b')]))
    expect(outcomes).toEqual([{ ok: true, seqs: [1] }])
  })

  it('continues after the last number if a removal uncovers another key', async () => {
    const driver = await withLog(append('b'), put(`${numbered(1)}x`))
    const all = [{ ops: [{ delete: at(numbered(2)) }] }, { checks: [{ log, last: 1 }], ops: [append('c')] }]
    const { outcomes } = await driver.commit(commits(...all))
    expect(outcomes).toEqual([
      { ok: true, seqs: [] },
      { ok: true, seqs: [2] },
    ])
    expect((await driver.commit(request([append('d')]))).outcomes).toEqual([{ ok: true, seqs: [3] }])
  })

  it('tells the verdict of a repeat though the log cannot go on since', async () => {
    const driver = await withLog()
    const it = request([append('b')], { checks: [{ log, last: 7 }] })
    await driver.commit(it)
    await driver.commit(request([put('event!x')]))
    expect((await driver.commit(it)).outcomes).toEqual([{ ok: false, failed: [{ check: 0, current: { last: 1 } }] }])
  })
})
