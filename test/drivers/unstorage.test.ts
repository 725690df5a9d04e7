/** The suite over drivers of unstorage, and what a crash leaves between any two writes. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, test } from 'vitest'
import { type Driver as Backing, createStorage } from 'unstorage'
import fsLite from 'unstorage/drivers/fs-lite'
import memory from 'unstorage/drivers/memory'
import type { Op } from '../../src/core/driver.ts'
import { type UnstorageStorage, unstorage } from '../../src/drivers/unstorage/driver.ts'
import { type Harness, conformance } from '../../src/testing/index.ts'

const harness = (name: string, isDurable: boolean, make: (directory: string) => Backing): Harness => ({
  name,
  async create() {
    const directory = mkdtempSync(join(tmpdir(), 'holdfast-unstorage-'))
    const backing = make(directory)
    let time = Date.UTC(2026, 0, 1)
    const open = () =>
      unstorage({
        storage: createStorage({ driver: backing }),
        singleWriter: true,
        durability: isDurable ? 'relaxed' : 'none',
        clock: () => time,
      })
    return {
      driver: open(),
      advance: (ms) => void (time += ms),
      dispose: async () => rmSync(directory, { recursive: true }),
      ...(isDurable && { reopen: async () => open() }),
    }
  },
})

conformance({ harness: harness('unstorage over memory', false, () => memory()), describe, it })
conformance({ harness: harness('unstorage over fs-lite', true, (base) => fsLite({ base })), describe, it })

const PART = 'default!run!Run/1?x'
const put = (key: string, value: string): Op => ({ put: { part: PART, key }, value })
const commitOf = (id: string, ...ops: Op[]) => ({
  id,
  commits: [{ id, checks: [], ops, durability: 'relaxed' as const }],
})
const all = { range: { part: PART, start: ' ', end: '~~', limit: 100 } }

test('without the word that nobody else writes there is no driver', () => {
  const options = { storage: createStorage() } as unknown as Parameters<typeof unstorage>[0]
  expect(() => unstorage(options)).toThrow(expect.objectContaining({ code: 'UNSUPPORTED' }))
})

test('no key is folded into another, no text changes its type, and others keep their items', async () => {
  const storage = createStorage()
  await storage.setItem('users:1', 'theirs')
  const driver = unstorage({ storage, singleWriter: true })
  await driver.open()
  const keys = ['a/b', 'a:b', 'a', 'a?x', 'a?y', 'A', 'a$']
  await driver.commit(commitOf('c1', ...keys.map((key) => put(key, 'null'))))
  const { answers } = await driver.read([all])
  expect(answers[0]).toMatchObject({ entries: keys.toSorted().map((key) => ({ key, value: 'null' })) })
  await driver.commit(commitOf('c2', { deletePart: PART }))
  expect(await storage.getKeys()).toEqual(['users:1'])
})

describe('a crash after any number of writes', () => {
  const first = commitOf('c1', put('a', '1'), put('b', '1'), put('gone', '1'))
  const second = commitOf('c2', put('a', '2'), put('b', '2'), { delete: { part: PART, key: 'gone' } }, put('new', '2'))

  test.each([0, 1, 2, 3, 4, 5, 6])('%i leaves the commit whole or undone', async (allowed) => {
    const storage = createStorage()
    let left = Number.POSITIVE_INFINITY
    const failing =
      <T>(write: (...args: T[]) => Promise<void>) =>
      async (...args: T[]) => {
        if (left-- <= 0) throw new Error('The power is gone')
        await write(...args)
      }
    const breaking: UnstorageStorage = {
      getItem: (key) => storage.getItem(key),
      getKeys: (base) => storage.getKeys(base),
      setItem: failing<string>((key, value) => storage.setItem(key, value)),
      removeItem: failing<string>((key) => storage.removeItem(key)),
    }
    const driver = unstorage({ storage: breaking, singleWriter: true })
    await driver.open()
    await driver.commit(first)
    left = allowed
    const ended = await driver.commit(second).then(
      () => 'answered',
      (error: { code: string; ambiguous: boolean }) => `${error.code} ${error.ambiguous}`,
    )
    expect(ended).toBe(allowed === 6 ? 'answered' : 'BACKEND true')
    left = Number.POSITIVE_INFINITY
    const content = async (of: typeof driver) => {
      const [page] = (await of.read([all])).answers as unknown as [{ entries: { key: string; value: string }[] }]
      return page.entries.map(({ key, value }) => `${key}${value}`).join(' ')
    }
    const expected = allowed === 0 ? 'a1 b1 gone1' : 'a2 b2 new2'
    const next = unstorage({ storage, singleWriter: true })
    await next.open()
    expect(await content(next)).toBe(expected)
    expect(await content(driver)).toBe(expected)
    expect(await storage.getItem('holdfast:note')).toBeNull()
  })
})
