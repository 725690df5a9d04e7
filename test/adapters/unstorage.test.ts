/**
 * A state store mounted in unstorage: what its drivers have to do by its documentation and own tests, and what is ours.
 * unstorage does not publish the cases that it tests drivers with, so they are here in words of our own.
 */
import { join } from 'node:path'
import { type Storage, type StorageValue, createStorage, prefixStorage, restoreSnapshot, snapshot } from 'unstorage'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { type UnstorageDriverOptions, unstorageDriver } from '../../src/adapters/unstorage.ts'
import type { Driver } from '../../src/core/driver.ts'
import { memory } from '../../src/drivers/memory.ts'
import { sqlite } from '../../src/drivers/sqlite/better-sqlite3.ts'
import { type Holdfast, createHoldfast } from '../../src/holdfast.ts'
import { withDirectory } from '../support/engines.ts'

const CLOCK = Date.UTC(2026, 0, 1)

describe.each([
  { name: 'memory', make: (_: string, clock: () => number): Driver => memory({ clock }) },
  { name: 'SQLite', make: (path: string, clock: () => number): Driver => sqlite({ path, clock }) },
])('a driver of unstorage over $name', ({ make }) => {
  let time: number
  let holdfast: Holdfast
  let storage: Storage
  let requests: string[]
  let leave: () => void

  /** Another storage on the same state store. */
  const mounted = (options: Partial<UnstorageDriverOptions> = {}): Storage =>
    createStorage({ driver: unstorageDriver({ state: holdfast.state, pollInterval: 20, ...options }) })

  beforeEach(async () => {
    time = CLOCK
    requests = []
    await new Promise<void>((ready, failed) => {
      withDirectory(async (directory) => {
        const driver = make(join(directory, 'test.db'), () => time)
        const counting: Driver = {
          ...driver,
          read: (...args) => (requests.push('read'), driver.read(...args)),
          commit: (...args) => (requests.push('commit'), driver.commit(...args)),
        }
        holdfast = createHoldfast({ driver: counting })
        storage = mounted()
        await new Promise<void>((resolve) => {
          leave = resolve
          ready()
        })
      }).catch(failed)
    })
  })
  afterEach(async () => {
    await storage.dispose()
    await holdfast.close()
    leave()
  })

  describe('as every driver', () => {
    test('holds nothing at first', async () => {
      expect(await storage.hasItem('a:b')).toBe(false)
      expect(await storage.getItem('a:b')).toBeNull()
      expect(await storage.getItemRaw('a:b')).toBeNull()
      expect(await storage.getKeys()).toEqual([])
      await storage.clear()
      expect(await storage.getKeys()).toEqual([])
    })

    test('takes a snapshot in, and gives one', async () => {
      await restoreSnapshot(storage, { 'user:1': 'kelp', 'user:2': { name: 'limpet' } })
      expect(await snapshot(storage, 'user')).toEqual({ '1': 'kelp', '2': { name: 'limpet' } })
    })

    test('keeps items under keys without their query', async () => {
      await storage.setItem('a:x', 'one')
      await storage.setItem('b/x', 'two')
      await storage.setItem('c:x?q=1', 'three')
      expect(await storage.hasItem('a:x')).toBe(true)
      expect(await storage.getItem('a:x')).toBe('one')
      expect(await storage.getItem('b:x')).toBe('two')
      expect(await storage.getItem('c:x?q=2')).toBe('three')
      expect((await storage.getKeys()).toSorted()).toEqual(['a:x', 'b:x', 'c:x'])
      expect(await storage.getKeys('a')).toEqual(['a:x'])
    })

    test('lists keys of a base, down to a depth', async () => {
      const keys = ['top', 'one:a', 'one:b', 'one:two:a', 'one:two:b', 'oneself:a']
      await Promise.all(keys.map((key) => storage.setItem(key, 'v')))
      const listed = async (base?: string, maxDepth?: number) =>
        (await storage.getKeys(base, maxDepth === undefined ? {} : { maxDepth })).toSorted()
      expect(await listed()).toEqual(keys.toSorted())
      expect(await listed('one')).toEqual(['one:a', 'one:b', 'one:two:a', 'one:two:b'])
      expect(await listed('one:two:')).toEqual(['one:two:a', 'one:two:b'])
      expect(await listed(undefined, 0)).toEqual(['top'])
      expect(await listed(undefined, 1)).toEqual(['one:a', 'one:b', 'oneself:a', 'top'])
      expect(await listed('one', 1)).toEqual(['one:a', 'one:b'])
      expect(await listed('one', 2)).toEqual(['one:a', 'one:b', 'one:two:a', 'one:two:b'])
    })

    test.each([
      ['an object', { json: 'works', deep: [1, { two: null }] }],
      ['true', true],
      ['false', false],
      ['zero', 0],
      ['a number', -1.5],
      ['an array', [1, 'two']],
      ['text', 'plain text\nof two lines'],
    ])('gives back %s', async (_, value) => {
      await storage.setItem('data:value.json', value)
      expect(await storage.getItem('data:value.json')).toEqual(value)
    })

    test('takes what an object makes of itself, and refuses what cannot be text', async () => {
      await storage.setItem('one', { toJSON: () => 'itself' })
      class Money {
        toJSON = () => ({ cents: 4200 })
      }
      await storage.setItem('two', new Money() as unknown as object)
      expect(await storage.getItem('one')).toBe('itself')
      expect(await storage.getItem('two')).toEqual({ cents: 4200 })
      await expect(storage.setItem('three', new Map([['a', 1]]))).rejects.toThrow('Cannot stringify')
      expect(await storage.hasItem('three')).toBe(false)
    })

    test('sets and gets several at once, in the order that is asked for', async () => {
      await storage.setItems<StorageValue>([
        { key: 't:1', value: 'one' },
        { key: 't:2', value: { two: 2 } },
        { key: 't:3', value: 'three', options: { ttl: 60 } },
      ])
      expect(await storage.getItems(['t:2', { key: 't:1' }, 'missing', 't:3?q'])).toEqual([
        { key: 't:2', value: { two: 2 } },
        { key: 't:1', value: 'one' },
        { key: 'missing', value: null },
        { key: 't:3', value: 'three' },
      ])
      time += 61_000
      expect(await storage.getKeys()).toEqual(['t:1', 't:2'])
    })

    test('removes items, with their metadata where that is wanted', async () => {
      await storage.setItem('a', 'v')
      await storage.setMeta('a', { owner: 'kelp' })
      await storage.removeItem('a')
      expect(await storage.getItem('a')).toBeNull()
      expect(await storage.getMeta('a')).toEqual({ owner: 'kelp' })
      await storage.removeItem('a', { removeMeta: true })
      expect(await storage.getMeta('a')).toEqual({})
      await storage.removeItem('never there')
    })

    test('clears a base, or everything', async () => {
      for (const key of ['a:1', 'a:b:2', 'ab:3', 'c']) await storage.setItem(key, 'v')
      await storage.getMount().driver.clear?.('a:', {})
      expect(await storage.getKeys()).toEqual(['ab:3', 'c'])
      await storage.clear()
      expect(await storage.getKeys()).toEqual([])
    })

    test('keeps raw bytes, and text as it is', async () => {
      const bytes = Uint8Array.from({ length: 256 }, (_, i) => i)
      await storage.setItemRaw('bytes', bytes)
      expect(await storage.getItemRaw('bytes')).toEqual(bytes)
      await storage.setItemRaw('buffer', bytes.buffer)
      await storage.setItemRaw('view', new DataView(bytes.buffer, 8, 2))
      expect(await storage.getItemRaw('buffer')).toEqual(bytes)
      expect(await storage.getItemRaw('view')).toEqual(new Uint8Array([8, 9]))
      await storage.setItemRaw('text', 'base64:AAEC')
      expect(await storage.getItemRaw('text')).toBe('base64:AAEC')
      await storage.setItemRaw('read as text', new TextEncoder().encode('{"a":1}'))
      expect(await storage.getItem('read as text')).toEqual({ a: 1 })
      await expect(storage.setItemRaw('object', { a: 1 })).rejects.toMatchObject({ code: 'SERIALIZATION' })
    })

    test('is mounted beside others, and looked at through a prefix', async () => {
      const all = createStorage().mount('durable', unstorageDriver({ state: holdfast.state }))
      await all.setItem('durable:a', 'kept')
      await all.setItem('other:a', 'not')
      const users = prefixStorage(all, 'durable')
      expect(await users.getItem('a')).toBe('kept')
      expect(await users.getKeys()).toEqual(['a'])
      expect((await all.getKeys()).toSorted()).toEqual(['durable:a', 'other:a'])
      expect(await holdfast.state.get('unstorage:a')).toBe('kept')
      expect(await holdfast.state.get('unstorage:durable:a')).toBeUndefined()
    })
  })

  describe('as this one', () => {
    test('items live as long as they are told to, in seconds', async () => {
      const short = mounted({ base: 'short', ttl: 10 })
      await storage.setItem('a', 'v', { ttl: 60 })
      await storage.setItemRaw('b', new Uint8Array(1), { ttl: 0.5 })
      await short.setItem('default', 'v')
      await short.setItem('zero', 'v', { ttl: 0 })
      await short.setItem('own', 'v', { ttl: 60 })
      time += 600
      expect(await storage.getKeys()).toEqual(['a'])
      time += 10_000
      expect(await short.getKeys()).toEqual(['own'])
      time += 50_000
      expect([await storage.hasItem('a'), await short.getKeys()]).toEqual([false, []])
      for (const ttl of [-1, 'soon']) {
        await expect(storage.setItem('c', 'v', { ttl })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
      }
    })

    test('the metadata tells size, version and expiry', async () => {
      vi.setSystemTime(CLOCK)
      try {
        await storage.setItem('a', 'h\u00e9')
        const first = await storage.getMeta('a')
        expect(first).toEqual({ size: 3, etag: expect.any(String) as string })
        await storage.setItem('a', 'other', { ttl: 90 })
        expect(await storage.getMeta('a')).toEqual({
          size: 5,
          etag: expect.not.stringMatching(first['etag'] as string) as string,
          expires: new Date(CLOCK + 90_000),
          ttl: 90,
        })
        await storage.setMeta('a', { mtime: new Date(CLOCK) })
        expect(await storage.getMeta('a')).toMatchObject({ size: 5, mtime: new Date(CLOCK) })
        expect(await storage.getMeta('missing')).toEqual({})
      } finally {
        vi.useRealTimers()
      }
    })

    test('nothing but its own prefix is listed or cleared', async () => {
      const { state } = holdfast
      await state.set('mine', 'v')
      await state.set('unstorage', 'v')
      await state.set('unstorage2:a', 'v')
      await mounted({ base: 'other' }).setItem('a', 'v')
      await storage.setItem('a', 'v')
      expect(await storage.getKeys()).toEqual(['a'])
      await storage.clear()
      const { items } = await state.listKeys()
      expect(items).toEqual(['mine', 'other:a', 'unstorage', 'unstorage2:a'])
    })

    test('what is asked for at once is one request', async () => {
      const keys = Array.from({ length: 50 }, (_, i) => `k${i}`)
      await holdfast.db.open()
      requests.length = 0
      await storage.setItems(keys.map((key) => ({ key, value: key })))
      expect(await storage.getItems(keys)).toHaveLength(50)
      await storage.clear()
      expect(requests).toEqual(['commit', 'read', 'read', 'commit'])
    })

    test('more than a page of keys is listed and cleared', async () => {
      const keys = Array.from({ length: 1100 }, (_, i) => `many:${String(i).padStart(4, '0')}`)
      await storage.setItems([...keys, 'few'].map((key) => ({ key, value: 'v' })))
      expect(await storage.getKeys('many')).toEqual(keys)
      await storage.getMount().driver.clear?.('many:', {})
      expect(await storage.getKeys()).toEqual(['few'])
    })

    test('a watch tells of changes by anybody, until it is ended', async () => {
      const told: string[] = []
      await storage.setItem('there', 'v')
      const unwatch = await storage.watch((event, key) => told.push(`${event} ${key}`))
      await mounted().setItem('a:b', 'v')
      await vi.waitFor(() => expect(told).toEqual(['update a:b']))
      await storage.removeItem('there')
      await vi.waitFor(() => expect(told).toEqual(['update a:b', 'remove there']))
      await holdfast.state.set('elsewhere', 'v')
      await storage.setItem('short', 'v', { ttl: 1 })
      await vi.waitFor(() => expect(told.at(-1)).toBe('update short'))
      time += 2000
      await vi.waitFor(() => expect(told.at(-1)).toBe('remove short'))
      await unwatch()
      await storage.setItem('after', 'v')
      await new Promise((resolve) => setTimeout(resolve, 100))
      expect(told).toHaveLength(4)
    })

    test('disposing ends the watch and leaves the state store open', async () => {
      const told: string[] = []
      await storage.watch((_, key) => told.push(key))
      await storage.dispose()
      await holdfast.state.set('unstorage:a', 'v')
      await new Promise((resolve) => setTimeout(resolve, 100))
      expect(told).toEqual([])
      expect(await storage.getItem('a')).toBe('v')
    })

    test('a watch that cannot go on says so', async () => {
      const onWatchError = vi.fn<(error: unknown) => void>()
      const driver = unstorageDriver({ state: holdfast.state, pollInterval: 20, onWatchError })
      await driver.watch(() => {
        throw new Error('The listener failed')
      })
      await driver.setItem('a', 'v')
      await vi.waitFor(() => expect(onWatchError).toHaveBeenCalledWith(new Error('The listener failed')))
    })
  })
})

test('what is malformed is refused before any I/O', async () => {
  const { state } = createHoldfast({ driver: memory() })
  for (const options of [{}, { state: {} }, { state, base: '' }, { state, base: 7 }]) {
    expect(() => unstorageDriver(options as unknown as UnstorageDriverOptions)).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    )
  }
  const driver = unstorageDriver({ state })
  await expect(driver.setItem('k'.repeat(256), 'v')).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
})
