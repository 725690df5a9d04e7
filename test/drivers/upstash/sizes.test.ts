/** Whatever its characters, what is within the declared limits fits into a request and an answer of the service. */
import { describe, expect, it } from 'vitest'
import type {
  Check,
  Commit,
  Current,
  Driver,
  Entry,
  EntryPage,
  EntryKey,
  Limits,
  Op,
  PartPage,
  Read,
} from '../../../src/core/driver.ts'
import { validateCommits } from '../../../src/core/validate.ts'
import { createHoldfast } from '../../../src/holdfast.ts'
import { failureOf } from '../../support/failure.ts'
import { PART, hasRedis, namespace, opened, put, request, upstashForFile, vendor } from './support.ts'

const own = upstashForFile()
/** What the service takes and gives, in bytes of JSON. */
const MOST_BYTES = 10_000_000
const open = (): Promise<Driver> => opened({ redis: vendor(own.rest), namespace: namespace().padEnd(64, '.') })

/** Texts that are repeated: each JSON makes more of than it was, or no text encoder likes. */
const TEXTS: Record<string, string> = {
  'colours of a terminal': '\u001b[32m\u2713\u001b[39m ok\r\n',
  'JSON in JSON': JSON.stringify(JSON.stringify({ a: { b: '"' } })),
  'control characters': '\u0001\u001f\u0008',
  HTML: '<&>',
  'as long as Base64, nearly': '"abc',
  'four bytes each': '\u{1f600}',
}
const filled = (unit: string, bytes: number): string => {
  const size = new TextEncoder().encode(unit).length
  return unit.repeat(Math.floor(bytes / size)).padEnd(Math.floor(bytes / size) * unit.length + (bytes % size), '!')
}

/** As many commits as one request may hold. */
function full(limits: Limits, opsOf: (n: number) => Op[], checksOf: (ops: Op[]) => Check[] = () => []): Commit[] {
  const commits: Commit[] = []
  for (let [n, bytes] = [0, 0]; n < limits.requestCommits; n++) {
    const ops = opsOf(n)
    const { commits: next } = request(ops, { checks: checksOf(ops) })
    bytes += validateCommits(next, limits)
    if (bytes > limits.requestBytes) break
    commits.push(...next)
  }
  validateCommits(commits, limits)
  return commits
}

function expectWithin(): void {
  const { largestRequest, largestAnswer } = own.rest.traffic()
  expect(Math.max(largestRequest, largestAnswer)).toBeLessThan(MOST_BYTES)
}

describe.skipIf(!hasRedis)('sizes of upstash', () => {
  it.each(Object.entries(TEXTS))('take the largest value of %s, tell it and check it', async (_, unit) => {
    const driver = await open()
    const { valueBytes } = driver.capabilities.limits
    const value = filled(unit, valueBytes)
    expect(new TextEncoder().encode(value).length).toBe(valueBytes)
    own.rest.resetTraffic()
    await driver.commit(request([put('k', value)]))
    const at = { part: PART, key: 'k' }
    const { answers } = await driver.read([{ get: at }])
    expect((answers[0] as Entry).value === value).toBe(true)
    const { outcomes } = await driver.commit(request([], { checks: [{ at, version: null }] }))
    const current = outcomes[0]!.ok ? undefined : (outcomes[0]!.failed[0]!.current as Current)
    expect(current?.value === value).toBe(true)
    expectWithin()
  })

  it.each(Object.entries(TEXTS))('take a full batch of writes of 9 to 15 kB of %s', async (_, unit) => {
    const driver = await open()
    const commits = full(driver.capabilities.limits, (n) => [
      put('k', filled(unit, 9000 + ((n * 997) % 6000)), `default!run!${namespace()}`),
    ])
    expect(commits.length).toBeGreaterThan(390)
    own.rest.resetTraffic()
    const { outcomes } = await driver.commit({ id: request([]).id, commits })
    expect(outcomes.every(({ ok }) => ok)).toBe(true)
    expect(own.rest.traffic().requests).toBe(1)
    expectWithin()
  })

  it.each([
    ['small', 20],
    ['empty', 0],
  ])('take a batch of as many commits and keys as there may be, of %s values', async (_, size) => {
    const driver = await open()
    const key = (i: number): string => `step!key-of-some-length-${i}`
    const commits = full(
      driver.capabilities.limits,
      (n) => Array.from({ length: 12 }, (_, i) => put(key(i), '"'.repeat(size), `default!run!run-of-some-length-${n}`)),
      (ops) => ops.map((op) => ({ at: (op as { put: EntryKey }).put, version: null })),
    )
    expect(commits.length).toBeGreaterThan(300)
    own.rest.resetTraffic()
    for (const isOk of [true, false]) {
      const again = commits.map((it) => ({ ...it, id: request([]).id }))
      const { outcomes } = await driver.commit({ id: request([]).id, commits: again })
      expect(outcomes.every(({ ok }) => ok === isOk)).toBe(true)
    }
    expect(own.rest.traffic().requests).toBe(2)
    expectWithin()
  })

  it('take a call of the longest ids there are, of what JSON writes twice', async () => {
    const driver = await open()
    const { persistence } = createHoldfast({ driver, tenant: '\\'.repeat(256) })
    const event = { runId: '\\'.repeat(255), workflow: '\\'.repeat(256), kind: 'k', payload: '\u0001'.repeat(3_000) }
    const events = Array.from({ length: 200 }, (_, i) => ({ ...event, idempotencyKey: `${i}`.padEnd(256, '\\') }))
    own.rest.resetTraffic()
    await persistence.appendBatch(events)
    expect((await persistence.load(event.runId))?.events.length).toBe(200)
    expectWithin()
  })

  it('refuse a batch that does not fit before anything is sent, by a code that says so', async () => {
    const driver = await open()
    own.rest.resetTraffic()
    const key = '\\'.repeat(600_000)
    const ops = Array.from({ length: 9 }, (_, i) => put(`${key}${i}`, 'v'))
    const error = await failureOf(driver.commit(request(ops)))
    expect([error.code, error.ambiguous, own.rest.traffic().requests]).toEqual(['PAYLOAD_TOO_LARGE', false, 0])
  })

  it.each([
    ['', 't'],
    ['"', 't'],
    ['"quoted", and a line\n', 't'],
    ['\u0001', 'u'],
    ['<<<', 'u'],
    ['<p>a paragraph of some length, and of some more words than that</p>', 't'],
    ['<p>a paragraph</p>', 'u'],
    ['a line that is \u001b[31mred\u001b[39m, and long enough', 't'],
    ['\u001b[31mred\u001b[39m', 'u'],
    ['\u001b\u001b\u001b text', 'u'],
    ['"a"bcd', 't'],
    ['"a"b"c', 'u'],
    ['"""""""""', 'u'],
  ])('store %j as what is shorter as JSON, whatever its length', async (value, kind) => {
    const space = namespace()
    const driver = await opened({ redis: vendor(own.rest), namespace: space })
    await driver.commit(request([put('k', value)]))
    const stored = await own.client.hGet(`{${space}}:e:${PART}`, 'k')
    expect(stored?.split('\n')[2]?.[0]).toBe(kind)
    const { answers } = await driver.read([{ get: { part: PART, key: 'k' } }])
    expect((answers[0] as Entry).value).toBe(value)
  })

  it('bound the answer to keys that JSON writes six times as long, and to names of parts', async () => {
    const driver = await open()
    const html = (n: number): string => `${'<&>'.repeat(400)}${1000 + n}`
    for (let m = 0; m < 4; m++) {
      const ops = Array.from({ length: 700 }, (_, i) => put(html(m * 700 + i), 'v'))
      await driver.commit(request(ops))
      await driver.commit(request(Array.from({ length: 60 }, (_, i) => put('k', 'v', html(m * 60 + i)))))
    }
    own.rest.resetTraffic()
    const range: Read = { range: { part: PART, start: ' ', end: '~~', limit: 1000, keysOnly: true } }
    const parts: Read = { parts: { start: ' ', end: '~~', limit: 1000 } }
    const { answers } = await driver.read([range, parts, range, range])
    expect(answers.map((it) => (it as EntryPage | PartPage).more)).toEqual([true, true, true, true])
    const [page, names] = answers as [EntryPage, PartPage]
    expect([page.entries[0]!.key, names.parts[0]]).toEqual([html(0), html(0)])
    expect([page.entries.length, names.parts.length]).toEqual([expect.any(Number), 100])
    expectWithin()
  })

  it('refuse to list so many names of parts at once that no answer holds them', async () => {
    const driver = await open()
    const long = (n: number): string => `${'<&>'.repeat(3000)}${1000 + n}`
    for (let m = 0; m < 3; m++)
      await driver.commit(request(Array.from({ length: 40 }, (_, i) => put('k', 'v', long(m * 40 + i)))))
    const parts: Read = { parts: { start: ' ', end: '~~', limit: 1000 } }
    const error = await failureOf(driver.read([parts, parts, parts]))
    expect([error.code, error.ambiguous]).toEqual(['PAYLOAD_TOO_LARGE', false])
    // One by one they are told.
    const { answers } = await driver.read([{ parts: { start: ' ', end: '~~', limit: 2 } }])
    expect((answers[0] as PartPage).parts).toEqual([long(0), long(1)])
  })
})
