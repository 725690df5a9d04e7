/** How large requests and answers get, as the server saw them: what SQL over HTTP takes is 10 MiB. */
import { describe, expect, onTestFinished, test } from 'vitest'
import { NETWORK_LIMITS } from '../../../src/core/limits.ts'
import { createDatabase } from '../../../src/core/database.ts'
import type { Check, Driver, Entry, EntryPage, Op, Value } from '../../../src/core/driver.ts'
import { validateCommits } from '../../../src/core/validate.ts'
import { postgres } from '../../../src/drivers/postgres/driver.ts'
import { bin, overServer } from './support.ts'

const MOST = 10 * 2 ** 20
const PART = 'p'
const put = (key: string, value: Value): Op => ({ put: { part: PART, key }, value })
const get = (key: string) => ({ get: { part: PART, key } })

describe.skipIf(!bin)('over HTTP', () => {
  const real = overServer()

  async function opened(): Promise<Driver> {
    const database = await real.pool.take()
    onTestFinished(() => real.pool.giveBack(database))
    const driver = postgres({ db: real.neon.open(database.url.split('/').at(-1)!) })
    await driver.open()
    real.neon.http.resetTraffic()
    return driver
  }

  /** The largest were large, so the limit was near, and they kept it. */
  function expectBelow(atLeast: { request: number; answer: number }): void {
    const { largestRequest, largestAnswer } = real.neon.http.traffic()
    expect(largestRequest).toBeGreaterThan(atLeast.request)
    expect(largestAnswer).toBeGreaterThan(atLeast.answer)
    expect(Math.max(largestRequest, largestAnswer)).toBeLessThan(MOST)
  }

  const commit = (driver: Driver, id: string, ops: Op[], checks: Check[] = []) =>
    driver.commit({ id, commits: [{ id, checks, ops, durability: 'relaxed' }] })

  test('many large values come in several answers, all of one moment', async () => {
    const driver = await opened()
    const value = (i: number): string => String.fromCharCode(97 + i).repeat(3_000_000)
    for (let i = 0; i < 4; i++) await commit(driver, `c${i}`, [put(`k${i}`, value(i))])

    const { answers } = await driver.read([0, 1, 2, 3, 9].map((i) => get(`k${i}`)))
    const found = answers as ({ value: string } | null)[]
    expect(found.map((entry, i) => entry?.value === (i < 4 ? value(i) : undefined))).not.toContain(false)

    expectBelow({ request: 3e6, answer: 3e6 })
  })

  test('a refusal tells of large values as many as fit, and no call is made for the others', async () => {
    const driver = await opened()
    for (let i = 0; i < 4; i++) await commit(driver, `c${i}`, [put(`k${i}`, 'x'.repeat(1_500_000))])
    const checks = [0, 1, 2, 3].map((i) => ({ at: { part: PART, key: `k${i}` }, version: null }))
    real.neon.http.resetTraffic()
    const { outcomes } = await driver.commit({
      id: 'r',
      commits: [
        { id: 'set', checks: [], ops: [put('beside', 'v')], durability: 'strict' },
        { id: 'refused', checks, ops: [], durability: 'strict' },
        { id: 'append', checks: [], ops: [{ append: { part: PART, key: 'log!' }, value: 'v' }], durability: 'strict' },
      ],
    })
    expect(real.neon.http.traffic().requests).toBe(1)
    expect(outcomes).toMatchObject([{ ok: true }, { ok: false }, { ok: true, seqs: [1] }])
    const failed = outcomes[1]!.ok ? [] : outcomes[1]!.failed
    expect(failed.map(({ current }) => current)).toEqual([
      ...[0, 1].map((i) => ({ key: `k${i}`, version: `c${i}`, expiresAt: null, value: 'x'.repeat(1_500_000) })),
      ...[2, 3].map((i) => ({ key: `k${i}`, version: `c${i}`, expiresAt: null })),
    ])
    expect(real.neon.http.traffic().largestAnswer).toBeLessThan(MOST)
  })

  test('as many refusals as a request can hold fit into an answer', async () => {
    const driver = await opened()
    const { limits } = driver.capabilities
    await commit(driver, 'a-version-as-long-as-ours-are', [put('k', 'x'.repeat(2_000_000))])
    const checks: Check[] = [{ at: { part: PART, key: 'k' }, version: null }]
    const size = checks.length * (2 + limits.keyOverhead!) + 6
    const most = Math.min(limits.requestCommits, Math.floor(limits.requestBytes / size))
    const absent = [...Array(limits.commitKeys - 1).keys()].map((i): Check => ({
      at: { part: PART, key: `${i}` },
      version: 'v',
    }))
    const commits = [...Array(most).keys()].map((i) => ({
      id: `n${i}`,
      checks,
      ops: [],
      durability: 'relaxed' as const,
    }))
    const many = [...Array(Math.floor(limits.requestBytes / (limits.commitKeys * (5 + limits.keyOverhead!)))).keys()]
    for (const request of [
      commits,
      many.map((i) => ({ ...commits[0]!, id: `m${i}`, checks: [...checks, ...absent] })),
    ]) {
      const { outcomes } = await driver.commit({ id: `r${request.length}`, commits: request })
      expect(outcomes.every((outcome) => !outcome.ok && outcome.failed.length === request[0]!.checks.length)).toBe(true)
    }
    expectBelow({ request: 1e6, answer: 2e6 })
  })

  test('the pages of a read share its room also where it comes in several answers', async () => {
    const driver = await opened()
    const { answerBytes } = driver.capabilities.limits
    for (const part of ['p', 'q']) {
      const ops = [...Array(6).keys()].map((i): Op => ({ put: { part, key: `k${i}` }, value: 'x'.repeat(900_000) }))
      await commit(driver, `c-${part}`, ops)
    }
    await commit(driver, 'large', [put('large', 'y'.repeat(NETWORK_LIMITS.valueBytes))])
    real.neon.http.resetTraffic()
    const page = (part: string) => ({ range: { part, start: 'k', end: 'l', limit: 100 } })
    const { answers } = await driver.read([page('p'), get('large'), page('q'), get('large'), page('p')])
    const [p, first, q, second, again] = answers as [EntryPage, Entry, EntryPage, Entry, EntryPage]
    expect([first.value.length, second.value.length]).toEqual([NETWORK_LIMITS.valueBytes, NETWORK_LIMITS.valueBytes])
    expect([p, q, again].map(({ entries, more }) => [entries.length, more])).toEqual([
      [3, true],
      [1, true],
      [1, true],
    ])
    expect(p.entries.reduce((sum, { value }) => sum + value.length, 0)).toBeLessThan(answerBytes)
    expect(real.neon.http.traffic().requests).toBeGreaterThan(1)
    expectBelow({ request: 100, answer: 3e6 })
  })

  /** What JSON, or what is around it, makes more of. */
  const characters: readonly [string, string][] = [
    ['control characters', '\u0001\u001f'],
    ['quotes', '"'],
    ['line breaks and escapes of a terminal', '\n\u001b[31m'],
    ['nested JSON', JSON.stringify({ a: '"' })],
    ['a mixture', 'text \u0007"\\ \u{1f600} \u{10ffff} \u2028 \ufeff'],
  ]
  /** So many UTF-8 bytes, or as many as whole characters allow. */
  const filled = (text: string, bytes: number): string => text.repeat(Math.floor(bytes / Buffer.byteLength(text)))

  test.each(characters)('the largest calls fit, and any number of smaller ones: %s', async (_, text) => {
    const driver = await opened()
    const db = createDatabase({ driver })
    const { valueBytes, requestBytes, keyOverhead } = driver.capabilities.limits
    const largest = filled(text, valueBytes)
    expect(await db.commit({ ops: [put('largest', largest)] })).toMatchObject({ ok: true })
    const half = filled(text, Math.floor(requestBytes / 2) - keyOverhead! - 100)
    expect(await db.commit({ ops: [put('a', half), put('b', half)] })).toMatchObject({ ok: true })
    // As many as the limits allow, past the database, which would cut what is refused.
    const small = filled(text, 12_000)
    const put1 = (n: number) => ({ id: `c${n}`, checks: [], ops: [put(`k${n}`, small)], durability: 'strict' as const })
    const bytes = validateCommits([put1(100)], driver.capabilities.limits)
    const commits = [...Array(Math.floor(requestBytes / bytes)).keys()].map(put1)
    const { outcomes } = await driver.commit({ id: 'many', commits })
    expect(outcomes.every(({ ok }) => ok)).toBe(true)
    const expected = { largest, a: half, b: half, k99: small }
    for (const [key, value] of Object.entries(expected)) {
      const [found] = await db.read([get(key)])
      // Compared so that a difference is not printed in full.
      expect(found?.value === value).toBe(true)
    }
    expectBelow({ request: 4e6, answer: 3e6 })
  })

  test.each<[string, (length: number) => Value]>([
    ['text that would be several times as long as JSON', (length) => '\u0001"'.repeat(length / 2)],
    ['text with as many escapes as are left in it', (length) => '\u0001abcdefgh'.repeat(length / 9)],
    ['bytes', (length) => new Uint8Array(length).fill(0xff)],
  ])('the largest request keeps inside: %s', async (_, make) => {
    const driver = await opened()
    const db = createDatabase({ driver })
    // Two values that together are as much as a request takes; a little is left for their keys.
    const value = make(NETWORK_LIMITS.requestBytes / 2 - 1000)
    expect(await db.commit({ ops: [put('a', value), put('b', value)] })).toMatchObject({ ok: true })
    const found = await db.read([get('a'), get('b')])
    // Byte by byte would take minutes where they differ.
    const same = (entry: Entry | null): boolean => Buffer.from(entry!.value).equals(Buffer.from(value))
    expect(found.map(same)).toEqual([true, true])
    expectBelow({ request: NETWORK_LIMITS.requestBytes - 3000, answer: NETWORK_LIMITS.requestBytes / 2 - 2000 })
  })
})
