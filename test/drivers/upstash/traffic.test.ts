/** What travels: round trips, bytes, and the commands that Redis runs for them. */
import { describe, expect, it } from 'vitest'
import { createHoldfast } from '../../../src/holdfast.ts'
import { upstash } from '../../../src/drivers/upstash/driver.ts'
import type { EntryPage } from '../../../src/core/driver.ts'
import { PART, append, hasRedis, namespace, opened, put, request, upstashForFile, valuesOf, vendor } from './support.ts'

const own = upstashForFile()

/** How many requests the server gets while this is done. */
async function requestsOf(work: () => Promise<unknown>): Promise<number> {
  own.rest.resetTraffic()
  await work()
  return own.rest.traffic().requests
}

const holdfast = () => createHoldfast({ driver: upstash({ redis: vendor(own.rest), namespace: namespace() }) })

describe.skipIf(!hasRedis)('upstash traffic', () => {
  it('takes one round trip per call, the first of a process included', async () => {
    const { state, persistence } = holdfast()
    await own.client.sendCommand(['SCRIPT', 'FLUSH'])
    expect(await requestsOf(() => state.set('first', 'x'))).toBe(1)
    const calls: [string, () => Promise<unknown>][] = [
      ['set', () => state.set('k', 'v')],
      ['get', () => state.get('k')],
      ['delete', () => state.delete('k')],
      ['append', () => persistence.append({ runId: 'r1', workflow: 'w', kind: 'k', payload: 1 })],
    ]
    for (const [name, call] of calls) expect([name, await requestsOf(call)]).toEqual([name, 1])
  })

  it('sends a hundred appends made at once as one EVALSHA', async () => {
    const driver = await opened({ redis: vendor(own.rest) })
    const { persistence } = createHoldfast({ driver })
    const add = (i: number) => persistence.append({ runId: 'r1', workflow: 'w', kind: 'k', payload: i })
    await add(0)
    const bodies: string[] = []
    own.rest.setFaults((seen) => (bodies.push(seen.body.slice(0, 12)), undefined))
    expect(await requestsOf(() => Promise.all(Array.from({ length: 100 }, (_, i) => add(i + 1))))).toBe(1)
    own.rest.setFaults(undefined)
    expect(bodies).toEqual(['["EVALSHA","'])
  })

  it('reads any number of questions in one round trip', async () => {
    const driver = await opened({ redis: vendor(own.rest) })
    await driver.commit(request([put('a'), put('b'), append('x')]))
    const asked = await requestsOf(() =>
      driver.read([
        ...['a', 'b', 'c'].map((key) => ({ get: { part: PART, key } })),
        { range: { part: PART, start: ' ', end: '~~', limit: 10 } },
        { parts: { start: ' ', end: '~~', limit: 10 } },
      ]),
    )
    expect(asked).toBe(1)
  })

  it('never lets Redis look through its keys', async () => {
    await own.client.sendCommand(['CONFIG', 'RESETSTAT'])
    const driver = await opened({ redis: vendor(own.rest) })
    await driver.commit(
      request([put('a'), append('x'), { put: { part: PART, key: 'e' }, value: 'v', expires: { in: 1 } }]),
    )
    await driver.commit(request([{ deleteRange: { part: PART, start: 'a', end: 'b' } }, put('c')]))
    await driver.read([{ parts: { start: ' ', end: '~~', limit: 10 } }])
    await driver.commit(request([{ deletePart: PART }]))
    const stats = await own.client.info('commandstats')
    expect(stats).toContain('cmdstat_zrange:')
    expect(stats).not.toMatch(/cmdstat_(keys|scan|hscan|zscan|hgetall|hkeys):/)
  })

  it('stores text as text, and bytes marked', async () => {
    const own2 = namespace()
    const driver = await opened({ redis: vendor(own.rest), namespace: own2 })
    await driver.commit(request([put('text', 'é "quoted" \n'), put('bytes', new Uint8Array([0, 255]))]))
    const entries = await own.client.hGetAll(`{${own2}}:e:${PART}`)
    expect(entries['text']).toMatch(/\n[^\n]+\nté "quoted" \n$/)
    expect(entries['bytes']).toMatch(/\n[^\n]+\nbAP8=$/)
  })

  it('keeps answers under 10 MB: long pages are cut, and many large values come in several, all of one moment', async () => {
    const driver = await opened({ redis: vendor(own.rest) })
    const value = (i: number): string => String.fromCharCode(97 + i).repeat(3_000_000)
    for (let i = 0; i < 4; i++) await driver.commit(request([put(`k${i}`, value(i))]))
    own.rest.resetTraffic()
    const { answers } = await driver.read([{ range: { part: PART, start: ' ', end: '~~', limit: 10 } }])
    const page = answers[0] as EntryPage
    expect([page.entries.length, page.more]).toEqual([2, true])
    expect((await valuesOf(driver)).map((it) => it.length)).toEqual([3e6, 3e6, 3e6, 3e6])
    const gets = [0, 1, 2, 3, 9].map((i) => ({ get: { part: PART, key: `k${i}` } }))
    const found = (await driver.read(gets)).answers as ({ value: string } | null)[]
    expect(found.map((entry, i) => entry?.value === (i < 4 ? value(i) : undefined))).toEqual([
      true,
      true,
      true,
      true,
      true,
    ])
    expect(own.rest.traffic().largestAnswer).toBeLessThan(10_000_000)
  })

  it('sweeps what expired in steps, and leaves parts that expire as a whole to Redis', async () => {
    const space = namespace()
    const driver = await opened({ redis: vendor(own.rest), namespace: space })
    const soon = (key: string, part: string) => ({ put: { part, key }, value: 'v', expires: { in: 150 } })
    await driver.commit(
      request([...Array.from({ length: 40 }, (_, i) => soon(`k${i}`, 'mixed')), put('stays', 'v', 'mixed')]),
    )
    await driver.commit(request([soon('a', 'whole'), soon('b', 'whole')]))
    expect(await own.client.pTTL(`{${space}}:e:whole`)).toBeGreaterThan(0)
    expect(await own.client.pTTL(`{${space}}:e:mixed`)).toBe(-1)
    await new Promise((resolve) => setTimeout(resolve, 250))
    expect(await own.client.keys(`{${space}}:[ekx]:whole`)).toEqual([])
    await driver.commit(request([put('k', 'v', 'mixed')]))
    expect(await own.client.hLen(`{${space}}:e:mixed`)).toBe(2)
    expect(await own.client.zCard(`{${space}}:x:mixed`)).toBe(0)
    await driver.commit(request([put('k', 'v', 'whole'), soon('c', 'whole')]))
    expect(await own.client.pTTL(`{${space}}:e:whole`)).toBe(-1)
    await new Promise((resolve) => setTimeout(resolve, 250))
    expect(await valuesOf(driver, 'whole')).toEqual(['v'])
  })
})
