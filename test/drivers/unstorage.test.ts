/** The suite over drivers of unstorage, and what a crash leaves between any two writes. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:http'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it, test } from 'vitest'
import { type Driver as Backing, createStorage } from 'unstorage'
import fs from 'unstorage/drivers/fs'
import fsLite from 'unstorage/drivers/fs-lite'
import http from 'unstorage/drivers/http'
import lruCache from 'unstorage/drivers/lru-cache'
import memory from 'unstorage/drivers/memory'
import redis from 'unstorage/drivers/redis'
import { createStorageServer } from 'unstorage/server'
import type { Op } from '../../src/core/driver.ts'
import { type UnstorageStorage, unstorage } from '../../src/drivers/unstorage/driver.ts'
import { type RedisServer, startRedis } from '../../src/dev/redis-server.ts'
import type { Harness } from '../../src/testing/index.ts'
import { register } from '../../src/testing/suite.ts'
import { part } from '../support/parts.ts'
import { costly, slice, thinSlice } from '../support/slice.ts'

const harness = (
  name: string,
  isDurable: boolean,
  make: (directory: string) => Backing | Promise<Backing>,
): Harness => ({
  name,
  async create() {
    const directory = mkdtempSync(join(tmpdir(), 'holdfast-unstorage-'))
    const backing = await make(directory)
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
      async dispose() {
        await backing.dispose?.()
        rmSync(directory, { recursive: true })
      },
      ...(isDurable && { reopen: async () => open() }),
    }
  },
})

register(costly, { harness: harness('unstorage over memory', false, () => memory()), describe, it })
register(slice, { harness: harness('unstorage over fs-lite', true, (base) => fsLite({ base })), describe, it })

register(thinSlice, { harness: harness('unstorage over fs', true, (base) => fs({ base })), describe, it })
register(thinSlice, {
  harness: harness('unstorage over lru-cache', false, () => lruCache({ max: 10_000 })),
  describe,
  it,
})

describe.skipIf(!part('redis'))('over a real redis-server', () => {
  let server: RedisServer
  let admin: Redis
  beforeAll(async () => {
    server = await startRedis()
    admin = new Redis(server.port, '127.0.0.1')
  })
  afterAll(async () => {
    admin.disconnect()
    await server.stop()
  })
  // The directory is nobody else's, and so is its name.
  const over = (directory: string) =>
    redis({ base: directory.replaceAll(/\W/g, ''), port: server.port, host: '127.0.0.1' })
  register(thinSlice, { harness: harness('unstorage over Redis', true, over), describe, it })
  it('has kept its items there', async () => expect(await admin.dbsize()).toBeGreaterThan(0))
})

describe('over the server of unstorage', () => {
  let requests = 0
  async function over(): Promise<Backing> {
    const server = createServer(createStorageServer(createStorage()).handle).on('request', () => requests++)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const client = http({ base: `http://127.0.0.1:${(server.address() as AddressInfo).port}` })
    return { ...client, dispose: () => server.close().closeAllConnections() }
  }
  register(thinSlice, { harness: harness('unstorage over HTTP', true, over), describe, it })
  it('has kept its items there', () => expect(requests).toBeGreaterThan(0))
})

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
  expect((await storage.getKeys()).toSorted()).toEqual(['holdfast:fence1', 'users:1'])
})

test('a name that is too long for some is a hash, and is found again', async () => {
  const storage = createStorage()
  const first = unstorage({ storage, singleWriter: true })
  await first.open()
  const long = (n: number): string => `Run/${'É'.repeat(20)}${n}`.replaceAll(/[^ -~]/g, '#00').repeat(8)
  const keys = [1, 2, 3].map(long)
  await first.commit(commitOf('c1', ...keys.map((key) => put(key, key)), put('short', 'v')))
  await first.close()
  for (const name of await storage.getKeys()) expect(name.length).toBeLessThanOrEqual(384)
  const next = unstorage({ storage, singleWriter: true })
  await next.open()
  const everything = { range: { ...all.range, end: '\x7f' } }
  const { answers } = await next.read([everything])
  expect(answers[0]).toMatchObject({ entries: [...keys, 'short'].map((key) => ({ key })) })
  await next.commit(commitOf('c2', ...keys.map((key): Op => ({ delete: { part: PART, key } }))))
  // What is short, and a fence.
  expect(await storage.getKeys()).toHaveLength(2)
})

test('no page loads many more values than fit into what is left of the answer', async () => {
  const storage = createStorage()
  const loaded: string[] = []
  const getItem = async (key: string): Promise<unknown> => {
    loaded.push(key)
    return storage.getItem(key)
  }
  const driver = unstorage({ storage: { ...storage, getItem }, singleWriter: true })
  const value = 'v'.repeat(2 ** 20)
  const keys = Array.from({ length: 10 }, (_, i) => `k${i}`)
  await driver.open()
  for (const key of keys) await driver.commit(commitOf(key, put(key, value)))
  loaded.length = 0
  const { answers } = await driver.read(Array.from({ length: 12 }, () => all))
  // 8 MiB hold seven of them and their keys. All further pages have the entry that each must have.
  expect(answers.map((answer) => (answer as unknown as { entries: unknown[] }).entries.length)).toEqual([
    7,
    ...Array.from({ length: 11 }, () => 1),
  ])
  expect(loaded.length).toBeLessThanOrEqual(keys.length + 11 * 2)
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
    const marks = (await storage.getKeys()).filter((item) => /^holdfast:(note|fence)/.test(item))
    expect(marks).toEqual([expect.stringMatching(/fence\d+$/)])
  })
})
