/** How large requests and answers get, as the server saw them: what SQL over HTTP takes is 10 MiB. */
import { describe, expect, onTestFinished, test } from 'vitest'
import { NETWORK_LIMITS } from '../../../src/core/limits.ts'
import { createDatabase } from '../../../src/core/database.ts'
import type { Check, Driver, Entry, Op, Value } from '../../../src/core/driver.ts'
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

    const checks = [0, 1, 2, 3].map((i) => ({ at: { part: PART, key: `k${i}` }, version: null }))
    const { outcomes } = await commit(driver, 'refused', [], checks)
    const [outcome] = outcomes
    const seen = outcome?.ok ? [] : outcome?.failed.map(({ current }) => (current as { value: string }).value.length)
    expect(seen).toEqual([3e6, 3e6, 3e6, 3e6])
    expectBelow({ request: 3e6, answer: 3e6 })
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
