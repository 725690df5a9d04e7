/** Answers are bounded, whatever is asked; what was put off comes with the next requests, from one view. */
import { describe, expect, it } from 'vitest'
import type { Driver, Entry, EntryPage, PartPage, Read } from '../../../src/core/driver.ts'
import { memory } from '../../../src/drivers/memory.ts'
import { type HandlerOptions, createHandler } from '../../../src/served/http/index.ts'
import { replay } from '../../../src/wrappers/replay.ts'
import { authorize, caller, fetchFrom, post } from './support.ts'

const MIB = 2 ** 20
const at = (n: number) => ({ part: 'p', key: `k${String(n).padStart(4, '0')}` })
const all = { part: 'p', start: 'k', end: 'l', limit: 1000 }
const bytesOf = (entries: readonly Entry[]): number => entries.reduce((sum, { value }) => sum + value.length, 0)
/** To compare a mebibyte byte by byte takes a test runner a while. */
const firstAndLength = ({ value }: Entry): unknown[] => [value[0], value.length]

/** Values of 1 MiB but for the given ones, behind a handler; `seen` has the most that came of the driver at once. */
async function filled(n: number, { size = MIB, ...options }: Partial<HandlerOptions> & { size?: number } = {}) {
  const inner = replay(memory())
  const seen = { most: 0, all: 0, requests: 0 }
  const driver: Driver = {
    ...inner,
    async read(reads, its) {
      const found = await inner.read(reads, its)
      const entries = found.answers.flatMap((it) =>
        it && 'entries' in it ? it.entries : it && 'value' in it ? [it] : [],
      )
      seen.most = Math.max(seen.most, bytesOf(entries))
      seen.all += bytesOf(entries)
      return found
    },
  }
  const handler = createHandler(driver, { authorize, ...options })
  const client = caller({
    fetch: (url, init) => {
      seen.requests++
      return fetchFrom(handler)(url, init)
    },
  })
  const put = (i: number, value: string | Uint8Array, id = `c${i}`) =>
    client.commit({
      id,
      commits: [{ id, checks: [], ops: [{ put: at(i), value }], durability: 'relaxed' }],
    })
  for (let i = 0; i < n; i++) await put(i, new Uint8Array(size).fill(i))
  seen.requests = 0
  return { handler, client, seen, put }
}

describe('an answer', () => {
  it.each<[string, Read[]]>([
    ['gets of one key', Array.from({ length: 200 }, () => ({ get: at(0) }))],
    ['gets of many keys', Array.from({ length: 200 }, (_, i) => ({ get: at(i % 24) }))],
    ['ranges', Array.from({ length: 200 }, () => ({ range: all }))],
    ['ranges from the end', Array.from({ length: 200 }, () => ({ range: { ...all, reverse: true } }))],
  ])('is not larger than it may be for %s, nor is what is loaded for it', async (_, reads) => {
    const { handler, seen } = await filled(24)
    const response = await handler(post(JSON.stringify({ version: 1, reads })))
    expect(response.status).toBe(200)
    expect((await response.arrayBuffer()).byteLength).toBeLessThan(5 * MIB)
    // A few entries that do not fit are there before their size is known.
    expect(seen.most).toBeLessThanOrEqual(16 * MIB)
    expect(seen.all).toBeLessThanOrEqual(24 * MIB)
  })

  it('holds at least one entry of any size', async () => {
    const { client } = await filled(3, { maxAnswerBytes: 2 ** 17 })
    const { answers } = await client.read([{ range: all }])
    const { entries, more } = answers[0] as EntryPage
    expect([entries.map(({ value }) => value.length), more]).toEqual([[MIB], true])
    const [entry] = (await client.read([{ get: at(2) }])).answers
    expect(firstAndLength(entry as Entry)).toEqual([2, MIB])
  })

  it('wants a size that can be', () => {
    expect(() => createHandler(replay(memory()), { authorize, maxAnswerBytes: 5 })).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    )
  })
})

/** What came as an answer, byte by byte. */
const sizeOf = async (response: Response): Promise<number> => (await response.arrayBuffer()).byteLength

describe('an answer without values', () => {
  /** Many keys of some length, in one part each. */
  async function keys(length: number, part: (n: number) => string = () => 'p') {
    const { handler, client } = await filled(0)
    for (let n = 0; n < 4; n++) {
      const ops = Array.from({ length: 500 }, (_, i) => ({
        put: { part: part(500 * n + i), key: at(500 * n + i).key.padEnd(length, '\\') },
        value: '',
      }))
      await client.commit({ id: `r${n}`, commits: [{ id: `c${n}`, checks: [], ops, durability: 'relaxed' }] })
    }
    return { handler, client }
  }

  it.each<[string, number, (i: number) => string, Read]>([
    ['pages of keys', 4000, () => 'p', { range: { part: 'p', start: ' ', end: '~', limit: 1000, keysOnly: true } }],
    [
      'lists of parts',
      5,
      (i: number) => `p${String(i).padEnd(4000, '"')}`,
      { parts: { start: ' ', end: '~', limit: 1000 } },
    ],
  ])('is bounded, too: %s', async (_, length, part, read) => {
    const { handler, client } = await keys(length, part)
    const reads = Array.from({ length: 1000 }, () => read)
    for (const known of [0, 1]) {
      const response = await handler(post(JSON.stringify({ version: 1, reads, known })))
      expect([200, 413]).toContain(response.status)
      expect(await sizeOf(response)).toBeLessThan(5 * MIB)
    }
    // All of one question comes, in as many pages as it takes.
    const [first] = (await client.read([read])).answers as [EntryPage | PartPage]
    expect([first.more, ('parts' in first ? first.parts : first.entries).length > 500]).toEqual([true, true])
  })

  it('that is known already leaves room for one more, or is refused', async () => {
    const { handler } = await keys(4000)
    const range = { range: { part: 'p', start: ' ', end: '~', limit: 1000 } }
    const get = { get: { part: 'p', key: at(0).key.padEnd(4000, '\\') } }
    const ask = async (reads: unknown[], known: number) => {
      const response = await handler(post(JSON.stringify({ version: 1, reads, known })))
      const { answers, error } = JSON.parse((await response.text()).split('\n')[0]!) as {
        answers?: unknown[]
        error?: { code: string }
      }
      return [response.status, answers?.length ?? error?.code]
    }
    const gets = Array.from({ length: 450 }, () => get)
    expect(await ask([...gets, range, range], 450)).toEqual([200, 451])
    expect(await ask([range, range, get], 2)).toEqual([413, 'PAYLOAD_TOO_LARGE'])
  })
})

describe('a failed check', () => {
  it('is told without its value where there is no room, also where the driver knows no bound', async () => {
    const inner = replay(memory())
    const big = 'x'.repeat(MIB)
    const careless: Driver = {
      ...inner,
      commit: async ({ commits }) => ({
        now: 1,
        outcomes: commits.map(({ checks }) => ({
          ok: false,
          failed: checks.map((_, check) => ({
            check,
            current: check % 2 ? { last: 1 } : { key: 'k', version: 'v', value: big, expiresAt: null },
          })),
        })),
      }),
    }
    const handler = createHandler(careless, { authorize, maxAnswerBytes: 2 ** 22 })
    const checks = Array.from({ length: 100 }, (_, i) => ({ at: at(i), version: null }))
    const request = { id: 'r', commits: [{ id: 'c', checks, ops: [], durability: 'strict' as const }] }
    const { outcomes } = await caller({
      fetch: fetchFrom(handler),
      capabilities: { durability: 'none', limits: { answerBytes: 2 ** 22 } },
    }).commit(request)
    const failed = outcomes[0]!.ok ? [] : outcomes[0]!.failed
    expect(failed).toHaveLength(100)
    expect(failed.filter(({ current }) => current && 'value' in current && current.value !== undefined)).toHaveLength(3)
    expect(failed[98]).toEqual({ check: 98, current: { key: 'k', version: 'v', expiresAt: null } })
    expect(await sizeOf(await handler(post(JSON.stringify({ version: 1, ...request, id: 'again' }))))).toBeLessThan(
      4 * MIB,
    )
  })
})

describe('a value that no request could have brought', () => {
  it('is refused, and its neighbours are not', async () => {
    const driver = replay(memory())
    const large = new Uint8Array(9 * MIB)
    await driver.commit({
      id: 'r',
      commits: [
        {
          id: 'c',
          checks: [],
          ops: [
            { put: { part: 'acme!!p', key: at(1).key }, value: large },
            { put: { part: 'acme!!p', key: at(0).key }, value: 'small' },
          ],
          durability: 'strict',
        },
      ],
    })
    const client = caller({}, driver)
    const refused = { code: 'PAYLOAD_TOO_LARGE', ambiguous: false, details: { limit: 'valueBytes', most: 4 * MIB } }
    await expect(client.read([{ get: at(1) }])).rejects.toMatchObject(refused)
    await expect(client.read([{ range: { ...all, start: at(1).key } }])).rejects.toMatchObject(refused)
    expect((await client.read([{ range: all }])).answers).toMatchObject([{ entries: [{ value: 'small' }], more: true }])
    expect((await client.read([{ range: { ...all, keysOnly: true } }])).answers).toMatchObject([{ entries: [{}, {}] }])
  })
})

describe('a page', () => {
  it.each([false, true])(
    'that is put together has every entry once, and the right end (reverse: %s)',
    async (reverse) => {
      const { client, seen } = await filled(40, { size: 10 })
      for (const limit of [1, 15, 16, 17, 32, 39, 40, 41, 1000]) {
        const { answers } = await client.read([{ range: { ...all, limit, reverse } }, { get: at(7) }])
        const { entries, more } = answers[0] as EntryPage
        const keys = Array.from({ length: 40 }, (_, i) => at(i).key)
        expect(entries.map(({ key }) => key)).toEqual((reverse ? keys.toReversed() : keys).slice(0, limit))
        expect(more).toBe(limit < 40)
        expect(answers[1]).toMatchObject({ key: at(7).key, value: new Uint8Array(10).fill(7) })
      }
      expect(seen.requests).toBe(9)
    },
  )
})

describe('remote', () => {
  const gets: Read[] = [
    ...Array.from({ length: 30 }, (_, i): Read => ({ get: at(i) })),
    { get: at(9999) },
    { range: all },
  ]

  it('asks for what was put off', async () => {
    const { client, seen } = await filled(30)
    const { answers } = await client.read(gets)
    expect(answers).toHaveLength(32)
    for (let i = 0; i < 30; i++) expect(firstAndLength(answers[i] as Entry)).toEqual([i, MIB])
    expect(answers[30]).toBeNull()
    expect(firstAndLength((answers[31] as EntryPage).entries[0]!)).toEqual([0, MIB])
    // Once for every 3 or 4 of them, and never for what is there already.
    expect(seen.requests).toBeLessThanOrEqual(12)
    expect(seen.all).toBeLessThan(120 * MIB)
  })

  it('gives what was there at one moment, though it takes several requests', async () => {
    const { handler, put } = await filled(30)
    let n = 0
    const client = caller({
      fetch: async (url, init) => {
        const response = await fetchFrom(handler)(url, init)
        if (++n !== 2) return response
        // Behind the second piece the first changes, and then what would be in the third.
        await put(0, 'new', 'again 0')
        await put(29, 'new', 'again 29')
        return response
      },
    })
    const { answers } = await client.read(gets)
    expect([answers[0], answers[29]].map((it) => (it as Entry).value.length)).toEqual([3, 3])
    expect(firstAndLength(answers[1] as Entry)).toEqual([1, MIB])
  })
})

describe('a handler', () => {
  it('gives what was there at one moment, though the driver is asked several times', async () => {
    const inner = replay(memory())
    let n = 0
    const write = (value: string) =>
      inner.commit({
        id: `r${value}`,
        commits: [
          {
            id: `c${value}`,
            checks: [],
            ops: Array.from({ length: 40 }, (_, i) => ({ put: { ...at(i), part: 'acme!!p' }, value })),
            durability: 'relaxed',
          },
        ],
      })
    await write('0')
    const changing: Driver = {
      ...inner,
      async read(reads, options) {
        const found = await inner.read(reads, options)
        if (++n <= 4) await write(String(n))
        return found
      },
    }
    const client = caller({ fetch: fetchFrom(createHandler(changing, { authorize })) })
    const gets = Array.from({ length: 40 }, (_, i): Read => ({ get: at(i) }))
    const { answers } = await client.read([{ range: all }, ...gets])
    const values = new Set((answers[0] as EntryPage).entries.map(({ value }) => value))
    for (const answer of answers.slice(1)) values.add((answer as Entry).value)
    expect(values.size).toBe(1)
    expect(n).toBeGreaterThan(4)
  })
})
