/** What fits the declared limits fits the wire, and the driver behind it, whatever it is made of. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Check, Commit, CommitRequest, Driver, Limits, Op } from '../../../src/core/driver.ts'
import { MAX_TIME } from '../../../src/core/arguments.ts'
import { NETWORK_LIMITS } from '../../../src/core/limits.ts'
import { validateCommits, validateReads } from '../../../src/core/validate.ts'
import { memory } from '../../../src/drivers/memory.ts'
import { createHoldfast } from '../../../src/holdfast.ts'
import { type RemoteOptions, createHandler } from '../../../src/served/http/index.ts'
import { prefix } from '../../../src/wrappers/prefix.ts'
import { replay } from '../../../src/wrappers/replay.ts'
import { authorize, caller, fetchFrom } from './support.ts'

/** A driver that does nothing but hold what comes to its limits. */
function strict(limits: Limits): { readonly driver: Driver; readonly seen: { bytes: number } } {
  const seen = { bytes: 0 }
  const inner = replay(memory())
  const driver: Driver = {
    ...inner,
    capabilities: { ...inner.capabilities, limits },
    async commit({ commits }) {
      seen.bytes = validateCommits(commits, limits)
      return { now: 1, outcomes: commits.map(() => ({ ok: true, seqs: [] })) }
    },
  }
  return { driver, seen }
}

/** As many of these commits as a request of these limits takes; begun again where they do not fill it. */
function fill(commits: readonly Commit[], limits: Limits): Commit[] {
  const most = { ...limits, requestBytes: Infinity }
  const full: Commit[] = []
  let left = limits.requestBytes
  for (let i = 0; full.length < limits.requestCommits; i++) {
    const commit = commits[i % commits.length]!
    left -= validateCommits([commit], most)
    if (left < 0) break
    full.push(commit)
  }
  return full
}

const CHARS = Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i))
/** The shortest names there are, each pair once. */
const shortest = (n: number) => ({ part: CHARS[Math.floor(n / 95) % 95]!, key: CHARS[n % 95]! })
const many = (n: number, op: (i: number) => Op): Op[] => Array.from({ length: n }, (_, i) => op(i))
const commitOf = (ops: readonly Op[], checks: readonly Check[] = [], id = '"'): Commit => ({
  id,
  checks,
  ops,
  durability: 'relaxed',
})
const log = { part: '"', key: '!' }

const WORST: readonly (readonly [string, Commit])[] = [
  ['nothing', commitOf([])],
  ['an id of quotation marks', commitOf([], [], '"'.repeat(256))],
  ['one delete', commitOf([{ delete: shortest(0) }])],
  ['a thousand deletes of the shortest keys', commitOf(many(1000, (i) => ({ delete: shortest(i) })))],
  ['deletes of parts', commitOf(many(1000, (i) => ({ deletePart: CHARS[i % 95]! })))],
  ['deletes of ranges', commitOf(many(1000, () => ({ deleteRange: { part: '\\', start: '"', end: '\\' } })))],
  [
    'trims',
    commitOf(
      many(1000, (i) => ({
        trim: { part: CHARS[i % 95]!, key: `${CHARS[Math.floor(i / 95)]}!` },
        through: Number.MAX_SAFE_INTEGER,
      })),
    ),
  ],
  ['appends of nothing', commitOf(many(1000, () => ({ append: log, value: '' })))],
  ['appends with references', commitOf(many(1000, (i) => ({ append: log, value: new Uint8Array(), ref: `\\${i}` })))],
  [
    'puts of no bytes that expire',
    commitOf(many(1000, (i) => ({ put: shortest(i), value: new Uint8Array(), expires: { at: -Math.PI * 1e-300 } }))),
  ],
  [
    'puts of control characters',
    commitOf(many(1000, (i) => ({ put: shortest(i), value: '\u0001'.repeat(i % 300), expires: { in: MAX_TIME } }))),
  ],
  [
    'checks of nothing',
    commitOf(
      [],
      Array.from({ length: 1000 }, (_, i) => ({ at: shortest(i), version: null })),
    ),
  ],
  [
    'checks of logs',
    commitOf(
      [],
      Array.from({ length: 1000 }, (_, i) => ({
        log: { part: CHARS[i % 95]!, key: `${CHARS[Math.floor(i / 95)]}!` },
        last: Number.MAX_SAFE_INTEGER,
      })),
    ),
  ],
  [
    'checks of quotation marks',
    commitOf(
      [],
      Array.from({ length: 300 }, (_, i) => ({
        at: { part: '"'.repeat(4000), key: `"${i}` },
        version: '\\'.repeat(256),
      })),
    ),
  ],
  ['keys of backslashes', commitOf(many(500, (i) => ({ delete: { part: '\\'.repeat(4000), key: `\\${i}` } })))],
]

const key = fc.tuple(
  fc.string({ unit: fc.constantFrom('"', '\\', 'a', '!', '~'), minLength: 1, maxLength: 40 }),
  fc.string({ unit: fc.constantFrom('"', '\\', 'b', ' '), minLength: 1, maxLength: 40 }),
)
const value = fc.oneof(
  fc.string({ unit: fc.constantFrom('\u0001', '"', '\\', 'é', '😀', '\u2028', 'x'), maxLength: 400 }),
  fc.uint8Array({ maxLength: 400 }),
)
const expires = fc.option(
  fc.double({ min: -MAX_TIME, max: MAX_TIME, noNaN: true }).map((at) => ({ at })),
  { nil: undefined },
)
const op: fc.Arbitrary<(i: number) => Op> = fc.oneof(
  fc.tuple(key, value, expires).map(([[part, name], it, time]) => (i: number): Op => ({
    put: { part, key: `${i}${name}` },
    value: it,
    ...(time && { expires: time }),
  })),
  fc.tuple(key, value).map(([[part, name], it]) => (i: number): Op => ({
    append: { part, key: `${name}!` },
    value: it,
    ref: `r${i}`,
  })),
  key.map(([part, name]) => (i: number): Op => ({ delete: { part, key: `${i}${name}` } })),
  key.map(([part]) => (): Op => ({ deletePart: part })),
)
const commits = fc.array(fc.array(op, { minLength: 1, maxLength: 30 }), { minLength: 1, maxLength: 5 }).map((all) =>
  all.map((ops, n) =>
    commitOf(
      ops.map((it, i) => it(i)),
      [],
      `c${n}`,
    ),
  ),
)

/** Through the caller and the handler, from a tenant to a driver that has no room to spare. */
function over(tenant: string, inner: Limits, options: Partial<RemoteOptions> = {}) {
  const { driver, seen } = strict(inner)
  const handler = createHandler(driver, {
    authorize: (request) => decodeURIComponent(request.headers.get('authorization')!),
  })
  const client = caller({
    headers: { authorization: encodeURIComponent(tenant) },
    fetch: fetchFrom(handler),
    ...options,
  })
  return { client, seen }
}

/** Sends as much as fits by the limits that the caller declares. */
async function sendFull(client: Driver, some: readonly Commit[]): Promise<void> {
  const full = fill(some, client.capabilities.limits)
  expect(full.length).toBeGreaterThan(0)
  const request: CommitRequest = { id: '"'.repeat(256), commits: full, deadline: MAX_TIME }
  const { outcomes } = await client.commit(request)
  expect(outcomes).toHaveLength(full.length)
}

describe('a request within the declared limits fits into a body', () => {
  const network: Limits = { ...NETWORK_LIMITS, requestBytes: 2 ** 22, keyOverhead: 90, valueOverhead: 20 }
  const tight = { capabilities: { durability: 'none', limits: { answerBytes: 2 ** 22 } } } as const

  it.each(WORST)('of %s', async (_, commit) => {
    const { client } = over('acme', network, tight)
    await client.open()
    await sendFull(client, [commit])
  })

  it('of anything', async () => {
    const small = {
      ...tight,
      capabilities: { durability: 'none', limits: { requestBytes: 2 ** 16, answerBytes: 2 ** 22 } },
    } as const
    const { client } = over('acme', { ...network, requestBytes: 2 ** 16 }, small)
    await fc.assert(
      fc.asyncProperty(commits, (some) => sendFull(client, some)),
      { numRuns: 150 },
    )
  })

  it('of the largest value, and of the most questions', async () => {
    const { client } = over('acme', network, tight)
    const { limits } = client.capabilities
    for (const it of [
      '\u0001'.repeat(limits.valueBytes),
      new Uint8Array(limits.valueBytes),
      '"'.repeat(limits.valueBytes),
    ]) {
      await sendFull(client, [commitOf([{ put: shortest(0), value: it }])])
    }
    const name = '\\'.repeat(1300)
    const reads = Array.from({ length: limits.requestReads }, () => ({
      range: { part: name, start: name, end: name, limit: 1 },
    }))
    validateReads(reads, limits)
    expect((await client.read(reads)).answers).toHaveLength(reads.length)
  })

  it('is refused for nobody: a tenant whose name takes too much is told so when it opens', async () => {
    const tenant = '\u00e9'.repeat(128)
    const { client } = over(tenant, network, tight)
    await expect(client.open()).rejects.toMatchObject({ code: 'UNSUPPORTED', details: { lacking: 'keyOverhead' } })
    const generous = {
      capabilities: { durability: 'none', limits: { ...tight.capabilities.limits, keyOverhead: 800 } },
    } as const
    const told = over(tenant, network, generous).client
    await told.open()
    await sendFull(told, [WORST[3]![1]])
    // A driver that takes many times a body does not mind.
    const roomy = over(tenant, { ...network, requestBytes: 2 ** 28 }, tight).client
    await roomy.open()
    await sendFull(roomy, [WORST[3]![1]])
  })
})

describe('prefix', () => {
  const inner: Limits = { ...NETWORK_LIMITS, requestBytes: 2 ** 16, keyOverhead: 10, valueOverhead: 5 }

  it('counts its own name with every key, also inside of another', async () => {
    const { driver, seen } = strict(inner)
    const view = prefix(prefix(driver, 'outer'), 'é'.repeat(20))
    const names = 'outer!!'.length + 20 * '~204y'.length + 2
    expect(view.capabilities.limits.keyOverhead).toBeLessThanOrEqual(10 + names)
    await fc.assert(
      fc.asyncProperty(commits, async (some) => {
        const full = fill(some, view.capabilities.limits)
        await view.commit({ id: 'r', commits: full })
        expect(seen.bytes).toBeLessThanOrEqual(validateCommits(full, view.capabilities.limits))
      }),
      { numRuns: 150 },
    )
    for (const [, commit] of WORST) {
      const full = fill([commit], view.capabilities.limits)
      await view.commit({ id: 'r', commits: full })
    }
  })
})

describe('calls made together', () => {
  it.each([
    ['control characters', (n: number) => '\u0001'.repeat(15_000 + n)],
    ['colours of a terminal', (n: number) => '\u001b[31m"failed"\u001b[0m\\n'.repeat(700 + n)],
    ['nested JSON', (n: number) => JSON.stringify(JSON.stringify({ text: '"\\"'.repeat(2000 + n) }))],
    ['a megabyte', (n: number) => '\u0001'.repeat(2 ** 20 - 1000 + n)],
  ])('that are each fine all succeed: values of %s', async (_, value) => {
    const driver = replay(memory())
    const handler = createHandler(driver, { authorize })
    const { state } = createHoldfast({ driver: caller({ fetch: fetchFrom(handler) }), tenant: 'x' })
    const count = value(0).length > 100_000 ? 24 : 600
    const results = await Promise.allSettled(Array.from({ length: count }, (_, n) => state.set(`k${n}`, value(n))))
    expect(results.filter(({ status }) => status === 'rejected')).toEqual([])
    expect(await state.get(`k${count - 1}`)).toBe(value(count - 1))
  })
})
