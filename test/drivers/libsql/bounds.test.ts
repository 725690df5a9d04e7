/** How much the database answers with, counted in what its client gives. */
import { type Client, createClient } from '@libsql/client'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { Driver, Entry, EntryPage, Op, Read } from '../../../src/core/driver.ts'
import { libsql } from '../../../src/drivers/sqlite/libsql.ts'

const PART = 'p'
const at = (key: string) => ({ part: PART, key })
const key = (n: number): string => `k${String(n).padStart(4, '0')}`

const bytesOf = (value: unknown): number =>
  typeof value === 'string' ? value.length : value instanceof ArrayBuffer ? value.byteLength : 8

/** A driver, and the size of each answer of the database. */
async function counting(): Promise<{ driver: Driver; sizes: number[]; limit: number }> {
  const client: Client = createClient({ url: ':memory:' })
  onTestFinished(() => client.close())
  const sizes: number[] = []
  const driver = libsql({
    db: {
      protocol: 'file',
      async batch(...asked) {
        const results = await client.batch(...asked)
        const rows = results.flatMap((result) => result.rows)
        sizes.push(rows.reduce((sum, row) => sum + Object.values(row).reduce<number>((n, it) => n + bytesOf(it), 0), 0))
        return results
      },
    },
  })
  await driver.open()
  return { driver, sizes, limit: driver.capabilities.limits.answerBytes }
}

/** 40 MB, as text or bytes, in entries of 1 MB. */
async function fill(driver: Driver, isText: boolean): Promise<void> {
  for (let n = 0; n < 40; n++) {
    const op: Op = { put: at(key(n)), value: isText ? 'x'.repeat(1_000_000) : new Uint8Array(1_000_000).fill(n) }
    await driver.commit({ id: key(n), commits: [{ id: key(n), checks: [], ops: [op], durability: 'strict' }] })
  }
}

/** Bytes come as hex, two characters each; and what stands around an entry is not much. */
const mostOf = (limit: number, isText: boolean, entries: number): number => limit * (isText ? 1 : 2) + entries * 400

describe.each([
  ['text', true],
  ['bytes', false],
])('of 40 MB of %s', (_, isText) => {
  test('an answer holds as much as it may, whatever is asked', async () => {
    const { driver, sizes, limit } = await counting()
    await fill(driver, isText)
    sizes.length = 0
    const range: Read = { range: { part: PART, start: ' ', end: '~', limit: 1000 } }
    const [page] = (await driver.read([range])).answers as [EntryPage]
    expect([page.entries.length, page.more]).toEqual([4, true])
    expect(sizes).toHaveLength(1)
    expect(sizes[0]).toBeLessThan(mostOf(limit, isText, 5))

    sizes.length = 0
    const checks = Array.from({ length: 40 }, (_, i) => ({ at: at(key(i)), version: null }))
    const commits = Array.from({ length: 10 }, (_, i) => ({
      id: `no-${i}`,
      checks,
      ops: [],
      durability: 'strict' as const,
    }))
    const refused = async (): Promise<unknown[]> =>
      (await driver.commit({ id: 'no', commits })).outcomes.flatMap((it) =>
        it.ok ? [] : it.failed.map(({ check, current }) => [check, (current as Entry | null)?.value?.length]),
      )
    const told = await refused()
    expect(told).toHaveLength(400)
    expect(told).toEqual(told.map((_, i) => [i % 40, i < 4 ? 1_000_000 : undefined]))
    expect(sizes[0]).toBeLessThan(mostOf(limit, isText, 1000))
    // A repeat is no way around it.
    expect(await refused()).toEqual(told)
    expect(sizes[1]).toBeLessThan(mostOf(limit, isText, 1000))
  })

  test('many gets are answered in pieces, each of them bounded', async () => {
    const { driver, sizes, limit } = await counting()
    await fill(driver, isText)
    sizes.length = 0
    const gets: Read[] = Array.from({ length: 30 }, (_, i) => ({ get: at(key(i)) }))
    const { answers } = await driver.read(gets)
    expect(answers.map((entry) => (entry as { key: string; value: string | Uint8Array }).value.length)).toEqual(
      gets.map(() => 1_000_000),
    )
    expect(sizes).toHaveLength(8)
    for (const size of sizes) expect(size).toBeLessThan(mostOf(limit, isText, 60))
  })
})

test('many long questions are answered from one view', async () => {
  const { driver } = await counting()
  const long = 'x'.repeat(1500)
  const ops: Op[] = Array.from({ length: 200 }, (_, i) => ({ put: { part: long, key: long + key(i) }, value: `${i}` }))
  await driver.commit({ id: 'long', commits: [{ id: 'long', checks: [], ops, durability: 'strict' }] })
  const reads: Read[] = Array.from({ length: 1000 }, (_, i) => ({ get: { part: long, key: long + key(i) } }))
  const { answers } = await driver.read(reads)
  expect(answers.map((entry) => (entry as { value: string } | null)?.value)).toEqual(
    reads.map((_, i) => (i < 200 ? `${i}` : undefined)),
  )
})

test('a request that something on the way does not accept for its size says so, and is certain', async () => {
  const client: Client = createClient({ url: ':memory:' })
  onTestFinished(() => client.close())
  let isFull = false
  const driver = libsql({
    db: {
      protocol: 'http',
      async batch(...asked) {
        if (isFull) throw new Error('SERVER_ERROR: Server returned HTTP status 413')
        return client.batch(...asked)
      },
    },
  })
  await driver.open()
  isFull = true
  await expect(driver.commit({ id: 'r', commits: [] })).rejects.toMatchObject({
    code: 'PAYLOAD_TOO_LARGE',
    ambiguous: false,
    retryable: false,
  })
})
