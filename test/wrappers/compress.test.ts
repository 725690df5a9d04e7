import { deflateSync, inflateSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import type { CommitRequest, Current, Driver, Entry, EntryPage } from '../../src/core/driver.ts'
import { digestOf } from '../../src/core/request-records.ts'
import { memory } from '../../src/drivers/memory.ts'
import { compress } from '../../src/wrappers/compress.ts'
import { randomFrom } from '../support/random.ts'
import { slice } from '../support/slice.ts'
import { PART, append, at, conformanceOver, entriesOf, errorOf, get, put, request } from './support.ts'

conformanceOver('memory, compressed', (driver) => compress(driver))
conformanceOver('memory, everything compressed', (driver) => compress(driver, { threshold: 0 }), { cases: slice })

const LONG = 'Ein längerer Text. '.repeat(200)
const noise = (size: number): Uint8Array => {
  const random = randomFrom(1)
  return new Uint8Array(size).map(() => random() * 256)
}

async function stored(value: string | Uint8Array, threshold?: number): Promise<string | Uint8Array> {
  const inner = memory()
  const driver = compress(inner, threshold === undefined ? {} : { threshold })
  await driver.commit(request(put('k', value)))
  expect((await get(driver, 'k'))?.value).toEqual(value)
  return (await get(inner, 'k'))!.value
}

describe('what is stored', () => {
  test('large text and bytes, compressed so that zlib reads them', async () => {
    const text = (await stored(LONG)) as Uint8Array
    expect([...text.subarray(0, 2)]).toEqual([0xf6, 1])
    expect(inflateSync(text.subarray(2)).toString()).toBe(LONG)
    const bytes = (await stored(new TextEncoder().encode(LONG))) as Uint8Array
    expect([...bytes.subarray(0, 2)]).toEqual([0xf6, 2])
    expect(bytes.length).toBeLessThan(LONG.length / 10)
  })

  test('small values as they are, by their bytes and not their characters', async () => {
    expect(await stored('x'.repeat(1023))).toBe('x'.repeat(1023))
    expect(await stored('x'.repeat(1024))).toBeInstanceOf(Uint8Array)
    expect(await stored('é'.repeat(512))).toBeInstanceOf(Uint8Array)
  })

  test('what would not become smaller as it is', async () => {
    expect(await stored(noise(5000))).toEqual(noise(5000))
    expect(await stored('', 0)).toBe('')
  })

  test('bytes that look as if they were compressed, escaped', async () => {
    for (const kind of [0, 1, 2, 3]) {
      const value = new Uint8Array([0xf6, kind, 7])
      expect(await stored(value)).toEqual(new Uint8Array([0xf6, 0, 0xf6, kind, 7]))
    }
    expect(await stored(new Uint8Array([0xf6]))).toEqual(new Uint8Array([0xf6, 0, 0xf6]))
  })

  test('text with a byte order mark, which comes back', async () => {
    expect(await stored(`\uFEFF${LONG}`)).toBeInstanceOf(Uint8Array)
  })

  test('values from before stay readable, and logs and refusals are read, too', async () => {
    const inner = memory()
    await inner.commit(request(put('old', LONG)))
    const driver = compress(inner)
    expect((await get(driver, 'old'))?.value).toBe(LONG)
    await driver.commit(request(append(LONG, 'ref')))
    expect((await entriesOf(driver)).map(({ value }) => value)).toEqual([LONG, LONG, '1'])
    const it = request(put('k', 'v'))
    const key = { part: 'default!values', key: 'log!0000000000000001' }
    const refused = { ...it, commits: [{ ...it.commits[0]!, checks: [{ at: key, version: null }] }] }
    expect((await driver.commit(refused)).outcomes).toMatchObject([{ failed: [{ current: { value: LONG } }] }])
  })
})

test('a repeat is the same, byte for byte', async () => {
  const it = request(put('text', LONG), put('bytes', new Uint8Array(5000)), append(LONG))
  const sent: CommitRequest[] = []
  const inner = memory()
  const commit: Driver['commit'] = (sending) => {
    sent.push(sending)
    return inner.commit(sending)
  }
  for (let n = 0; n < 3; n++) await compress({ ...inner, commit }).commit(structuredClone(it))
  expect(sent[1]).toEqual(sent[0])
  expect(sent.map(digestOf)).toEqual(Array.from({ length: 3 }, () => digestOf(sent[0]!)))
})

describe('what an answer holds', () => {
  /** Each is small as it is stored. */
  const VALUE = 'x'.repeat(10_000)
  const keys = Array.from({ length: 20 }, (_, i) => `k${String(i).padStart(2, '0')}`)

  /** An answer has room for three of them, and some. */
  async function setting(): Promise<Driver> {
    const inner = memory()
    const limits = { ...inner.capabilities.limits, answerBytes: 35_000 }
    const driver = compress({ ...inner, capabilities: { ...inner.capabilities, limits } })
    await driver.commit(request(...keys.map((key) => put(key, VALUE))))
    return driver
  }

  test('is bounded by what is decompressed, and pages go on', async () => {
    const driver = await setting()
    const range = { part: PART, start: ' ', end: '~~', limit: 100 }
    const { answers } = await driver.read([
      { range },
      { range: { ...range, reverse: true } },
      { range: { ...range, keysOnly: true } },
    ])
    const [first, second, names] = answers as readonly EntryPage[]
    expect([first!.entries.map(({ key }) => key), first!.more]).toEqual([keys.slice(0, 3), true])
    expect([second!.entries.map(({ key }) => key), second!.more]).toEqual([['k19'], true])
    expect([names!.entries.length, names!.more]).toEqual([20, false])
    const seen: string[] = []
    for (let { start } = range; ;) {
      const [page] = (await driver.read([{ range: { ...range, start } }])).answers as readonly EntryPage[]
      seen.push(...page!.entries.map(({ key }) => key))
      if (!page!.more) break
      start = `${seen.at(-1)} `
    }
    expect(seen).toEqual(keys)
  })

  test('has every value that was asked for by its name', async () => {
    const { answers } = await (await setting()).read(keys.map((key) => ({ get: at(key) })))
    expect(answers.map((entry) => (entry as Entry).value)).toEqual(keys.map(() => VALUE))
  })

  test('has as many values of failed checks as fit, and all versions', async () => {
    const it = request(put('never', 'v'))
    const checks = keys.map((key) => ({ at: at(key), version: null }))
    const commits = [
      { ...it.commits[0]!, checks },
      { ...it.commits[0]!, id: 'another', checks: checks.slice(5) },
    ]
    const { outcomes } = await (await setting()).commit({ ...it, commits })
    const current = outcomes
      .flatMap((outcome) => (outcome.ok ? [] : outcome.failed))
      .map((failed) => failed.current as Current)
    expect(current.map(({ key }) => key)).toEqual([...keys, ...keys.slice(5)])
    expect(new Set(current.map(({ version }) => version)).size).toBe(1)
    expect(current.flatMap(({ key, value }) => (value === undefined ? [] : [[key, value]]))).toEqual(
      keys.slice(0, 3).map((key) => [key, VALUE]),
    )
  })
})

test('what became of a commit is told, though what is there cannot be read', async () => {
  const inner = memory()
  await inner.commit(request(put('k', new Uint8Array([0xf6, 1, 1, 2, 3]))))
  const [write, fail] = [request(put('written', LONG)), request(put('never', 'v'))]
  const commits = [...write.commits, { ...fail.commits[0]!, checks: [{ at: at('k'), version: null }] }]
  const { outcomes } = await compress(inner).commit({ id: 'both', commits })
  expect(outcomes).toEqual([
    { ok: true, seqs: [] },
    { ok: false, failed: [{ check: 0, current: { key: 'k', version: expect.any(String), expiresAt: null } }] },
  ])
})

describe('what is damaged', () => {
  const over = async (value: Uint8Array): Promise<Driver> => {
    const inner = memory()
    await inner.commit(request(put('k', value)))
    return compress(inner)
  }

  test.each([
    ['cut short', new Uint8Array([0xf6, 1, ...deflateSync(LONG).subarray(0, 20)])],
    ['changed', new Uint8Array([0xf6, 1, ...deflateSync(LONG).fill(7, 10, 12)])],
    ['nothing', new Uint8Array([0xf6, 1])],
    ['of another kind', new Uint8Array([0xf6, 9, 1])],
    ['no more than a mark', new Uint8Array([0xf6])],
  ])('is refused: %s', async (_, value) => {
    expect((await errorOf(get(await over(value), 'k'))).code).toBe('SERIALIZATION')
  })

  test('a bomb is refused before it has grown', async () => {
    const bomb = deflateSync(new Uint8Array(2 ** 27), { level: 9 })
    expect(bomb.length).toBeLessThan(200_000)
    expect((await errorOf(get(await over(new Uint8Array([0xf6, 2, ...bomb])), 'k'))).code).toBe('SERIALIZATION')
  })
})

test('limits shrink by what an escape adds', () => {
  const inner = memory()
  const { valueBytes, valueOverhead } = compress(inner).capabilities.limits
  expect([valueBytes, valueOverhead]).toEqual([inner.capabilities.limits.valueBytes - 2, 2])
})

test('a malformed threshold is refused', () => {
  for (const threshold of [-1, 1.5, Number.NaN]) {
    expect(() => compress(memory(), { threshold })).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
  }
})
