// @vitest-environment happy-dom
/** What becomes of calls when the browser does not play along. */
import { forceCloseDatabase } from 'fake-indexeddb'
import { afterEach, describe, expect, it, vi } from 'vitest'
import type { HoldfastError } from '../../../src/core/errors.ts'
import { type IndexedDbOptions, indexedDb } from '../../../src/drivers/indexeddb/driver.ts'
import { type Connection, deleteDatabase, dump, get, installFake, openRaw, put, spiedFactory } from './support.ts'

installFake()

const NAME = 'app'

async function setUp(options: Partial<IndexedDbOptions> = {}) {
  const spied = spiedFactory()
  const driver = indexedDb({ name: NAME, indexedDB: spied.factory, ...options })
  await driver.open()
  return { ...spied, driver }
}

/** The error that a call must end with. */
const errorOf = (call: Promise<unknown>): Promise<HoldfastError> =>
  call.then(
    () => expect.fail('It did not fail'),
    (error: HoldfastError) => error,
  )

/** What the fake calls the browser's own reasons to end a transaction. */
const ABORT = '_abort'
type Abortable = Record<typeof ABORT, (error: string | null) => void>

/** Ends a transaction of a connection at the first call of a method of a store of its, as a browser would. */
function breakAt(db: Connection, method: 'get' | 'getAll' | 'put' | 'add', error: string | null): void {
  const begin = db.transaction.bind(db)
  db.transaction = (...args: unknown[]) => {
    const tx = begin(...args)
    const storeOf = tx.objectStore.bind(tx)
    tx.objectStore = (name: string) => {
      const store = storeOf(name)
      const call = store[method].bind(store) as () => never
      store[method] = (...args: unknown[]) => {
        db.transaction = begin
        queueMicrotask(() => (tx as unknown as Abortable)[ABORT](error))
        return call(...(args as []))
      }
      return store
    }
    return tx
  }
}

afterEach(() => void vi.unstubAllGlobals())

describe('a connection that is gone', () => {
  it('is opened again after the browser has closed it', async () => {
    const { driver, connections } = await setUp()
    await put(driver, 'k', 'v')
    forceCloseDatabase(connections[0])
    expect(await get(driver, 'k')).toBe('v')
    expect(connections).toHaveLength(2)
  })

  it.each(['InvalidStateError', 'UnknownError', 'AbortError'])(
    'is told by %s where no event has come, and closed',
    async (name) => {
      const { driver, factory, connections } = await setUp()
      connections[0]!.transaction = () => {
        throw new DOMException('The database connection is closing', name)
      }
      await put(driver, 'k', 'v')
      expect(await get(driver, 'k')).toBe('v')
      expect(connections).toHaveLength(2)
      // It would wait for ever for one that is still open.
      await driver.close()
      await deleteDatabase(factory, NAME)
    },
  )

  it('costs nothing where a commit has not written yet: that is begun again', async () => {
    const { driver, connections } = await setUp()
    breakAt(connections[0], 'get', 'UnknownError')
    await put(driver, 'k', 'v', [{ at: { part: 'p', key: 'k' }, version: null }])
    expect(await get(driver, 'k')).toBe('v')
  })

  it('costs a read nothing', async () => {
    const { driver, connections } = await setUp()
    await put(driver, 'k', 'v')
    breakAt(connections[0], 'get', null)
    expect(await get(driver, 'k')).toBe('v')
  })

  it.each(['UnknownError', null])('leaves open what became of a commit that was written (%s)', async (error) => {
    const { driver, connections } = await setUp()
    breakAt(connections[0], 'put', error)
    expect(await errorOf(put(driver, 'k', 'v'))).toMatchObject({
      code: 'UNAVAILABLE',
      retryable: true,
      ambiguous: true,
    })
    expect(await get(driver, 'k')).toBeUndefined()
  })

  it('is given up after three in a row', async () => {
    const { driver, connections, onConnection } = await setUp()
    const die = (db: Connection): void => {
      db.transaction = () => {
        throw new DOMException('Connection to Indexed Database server lost', 'UnknownError')
      }
    }
    die(connections[0])
    onConnection(die)
    expect(await errorOf(put(driver, 'k', 'v'))).toMatchObject({
      code: 'UNAVAILABLE',
      retryable: true,
      ambiguous: false,
    })
    expect(connections).toHaveLength(3)
    onConnection(() => {})
    await put(driver, 'k', 'v')
    expect(await get(driver, 'k')).toBe('v')
  })
})

describe('a transaction that is aborted', () => {
  it('for want of room, is told with what there is of it, and has changed nothing', async () => {
    vi.stubGlobal('navigator', { storage: { estimate: async () => ({ usage: 9, quota: 10 }) } })
    const { driver, connections } = await setUp()
    await put(driver, 'before', 'v')
    breakAt(connections[0], 'put', 'QuotaExceededError')
    const error = await errorOf(put(driver, 'k', 'secret'))
    expect(error).toMatchObject({ code: 'QUOTA_EXCEEDED', ambiguous: false, details: { usage: 9, quota: 10 } })
    expect(error.message).not.toContain('secret')
    expect(await get(driver, 'k')).toBeUndefined()
    expect(await get(driver, 'before')).toBe('v')
    expect(connections).toHaveLength(1)
  })

  it('for want of room at its end, has changed nothing of all of its commits', async () => {
    const { driver, connections } = await setUp()
    breakAt(connections[0], 'add', 'QuotaExceededError')
    const commits = ['a', 'b', 'c'].map((key) => ({
      id: key,
      checks: [{ at: { part: 'p', key }, version: null }],
      ops: [{ put: { part: 'p', key }, value: 'v' }],
      durability: 'strict' as const,
    }))
    expect(await errorOf(driver.commit({ id: 'r', commits }))).toMatchObject({
      code: 'QUOTA_EXCEEDED',
      retryable: false,
      ambiguous: false,
    })
    expect(await Promise.all(['a', 'b', 'c'].map((key) => get(driver, key)))).toEqual(Array(3).fill(undefined))
    expect((await driver.commit({ id: 'r', commits })).outcomes).toEqual(commits.map(() => ({ ok: true, seqs: [] })))
    expect(connections).toHaveLength(1)
  })

  it('for any other reason, is told with that as cause', async () => {
    const { driver, connections } = await setUp()
    breakAt(connections[0], 'put', 'DataError')
    const error = await errorOf(put(driver, 'k', 'v'))
    expect(error).toMatchObject({ code: 'BACKEND', ambiguous: false, cause: { name: 'DataError' } })
    breakAt(connections[0], 'get', 'NotReadableError')
    expect(await errorOf(get(driver, 'k'))).toMatchObject({ code: 'BACKEND' })
  })
})

/** Has a connection complete transactions of which a request but the last has failed, once `commit()` was called. */
function tearApart(db: Connection): { mode: string; isWhole: boolean }[] {
  const begun: { mode: string; isWhole: boolean }[] = []
  const begin = db.transaction.bind(db)
  db.transaction = (...args: unknown[]) => {
    const tx = begin(...args)
    const mine = { mode: String(args[1]), isWhole: false }
    begun.push(mine)
    const requests: unknown[] = []
    const storeOf = tx.objectStore.bind(tx)
    const over = tx.commit.bind(tx)
    tx.commit = () => {
      mine.isWhole = true
      over()
    }
    tx.objectStore = (name: string) => {
      const store = storeOf(name)
      for (const method of ['put', 'add', 'delete'] as const) {
        if (Object.hasOwn(store, method)) continue
        const call = store[method].bind(store) as (...args: unknown[]) => EventTarget
        store[method] = ((...args: unknown[]) => {
          const request = call(...args)
          requests.push(request)
          request.addEventListener('error', (event) => {
            if (mine.isWhole && request !== requests.at(-1)) event.preventDefault()
          })
          return request
        }) as never
      }
      return store
    }
    return tx
  }
  return begun
}

describe('a browser that tears transactions apart', () => {
  const long = new Uint8Array(600_000)
  const roomFor = (quota: number) =>
    vi.stubGlobal('navigator', { storage: { estimate: async () => ({ usage: 1_000_000, quota }) } })

  it('is asked for room before much is written, and refused without', async () => {
    const { driver, connections } = await setUp()
    const begun = tearApart(connections[0])
    roomFor(2_000_000)
    expect(await errorOf(put(driver, 'k', long))).toMatchObject({ code: 'QUOTA_EXCEEDED', ambiguous: false })
    await put(driver, 'small', 'v')
    expect(await get(driver, 'k')).toBeUndefined()
    expect(await get(driver, 'small')).toBe('v')
    roomFor(4_000_000)
    begun.length = 0
    await put(driver, 'k', long)
    await put(driver, 'small', 'w')
    expect(await get(driver, 'k')).toHaveLength(long.length)
    // Without the word that nothing more comes, it hears of failures before it is too late.
    expect(begun.filter(({ mode }) => mode === 'readwrite').map(({ isWhole }) => isWhole)).toEqual([false, true])
  })

  it('leaves open what became of what was over the quota all the same', async () => {
    const { driver, connections } = await setUp()
    tearApart(connections[0])
    roomFor(4_000_000)
    await put(driver, 'k', long)
    breakAt(connections[0], 'put', 'QuotaExceededError')
    expect(await errorOf(put(driver, 'k', long))).toMatchObject({ code: 'QUOTA_EXCEEDED', ambiguous: true })
    breakAt(connections[0], 'put', 'QuotaExceededError')
    expect(await errorOf(put(driver, 'k', 'v'))).toMatchObject({ code: 'QUOTA_EXCEEDED', ambiguous: false })
  })

  it('is not believed where one of the requests has failed', async () => {
    const { driver, connections } = await setUp()
    tearApart(connections[0])
    const begin = connections[0].transaction.bind(connections[0])
    connections[0].transaction = (...args: unknown[]) => {
      const tx = begin(...args)
      const storeOf = tx.objectStore.bind(tx)
      tx.objectStore = (name: string) => {
        const store = storeOf(name)
        // Fails for the second time.
        if (name === 'entries') store.put = ((row: object) => (store.add(row), store.add(row))) as never
        return store
      }
      return tx
    }
    // What is checked makes the number of the commit the last request.
    const checks = [{ at: { part: 'p', key: 'k' }, version: null }]
    expect(await errorOf(put(driver, 'k', 'v', checks))).toMatchObject({ code: 'BACKEND', ambiguous: true })
  })
})

it('tries again where a browser takes only deletions after one commit was over the quota', async () => {
  const { driver, connections } = await setUp()
  const begin = connections[0].transaction.bind(connections[0])
  connections[0].transaction = (...args: unknown[]) => {
    const tx = begin(...args)
    const storeOf = tx.objectStore.bind(tx)
    tx.objectStore = (name: string) => {
      const store = storeOf(name)
      store.put = () => {
        throw new DOMException('A mutation operation was attempted', 'InvalidStateError')
      }
      return store
    }
    return tx
  }
  await put(driver, 'k', 'v')
  expect(await get(driver, 'k')).toBe('v')
  expect(connections).toHaveLength(2)
})

describe('other tabs', () => {
  it('may upgrade the database at once, which is then of a newer release', async () => {
    const { driver, factory } = await setUp()
    const newer = await openRaw(factory, NAME, 3)
    expect(await errorOf(put(driver, 'k', 'v'))).toMatchObject({ code: 'SCHEMA', retryable: false })
    newer.close()
  })

  it('may delete the database at once: calls fail until the driver is opened again, and then begin a new one', async () => {
    const onEvicted = vi.fn()
    const { driver, factory } = await setUp({ onEvicted })
    await put(driver, 'k', 'v')
    const { epoch } = await driver.durability()
    await deleteDatabase(factory, NAME)
    const calls = [() => get(driver, 'k'), () => put(driver, 'k', 'w'), () => driver.durability()]
    const errors = await Promise.all(calls.map((call) => errorOf(call())))
    for (const error of [...errors, await errorOf(get(driver, 'k'))]) {
      expect(error).toMatchObject({ code: 'CLOSED', retryable: false, ambiguous: false, details: { evicted: true } })
    }
    await driver.open()
    expect(await get(driver, 'k')).toBeUndefined()
    const { epoch: later } = await driver.durability()
    expect(later).not.toBe(epoch)
    expect(errors[0]!.details).toEqual({ evicted: true, epoch: later })
    expect(onEvicted.mock.calls).toEqual([[later]])
    await put(driver, 'k', 'v')
    expect(await get(driver, 'k')).toBe('v')
  })

  it('may delete the database while this one opens it once more: that fails first', async () => {
    const { driver, factory } = await setUp()
    await deleteDatabase(factory, NAME)
    expect(await errorOf(driver.open())).toMatchObject({ code: 'CLOSED', details: { evicted: true } })
    await driver.open()
    await put(driver, 'k', 'v')
    await driver.close()
    await deleteDatabase(factory, NAME)
    // Nothing of it was in use.
    await driver.open()
    expect(await get(driver, 'k')).toBeUndefined()
  })

  it('that keep a connection while the database is to go make opening fail in time', async () => {
    const { driver, factory } = await setUp()
    const stubborn = await openRaw(factory, NAME)
    const deleted = deleteDatabase(factory, NAME)
    const late = indexedDb({ name: NAME, indexedDB: factory, openTimeout: 50 })
    expect(await errorOf(late.open())).toMatchObject({ code: 'UNAVAILABLE', retryable: true, ambiguous: false })
    stubborn.close()
    await deleted
    await late.open()
    await put(late, 'k', 'v')
    await late.close()
    await driver.close()
    // The connection that came too late is not in the way either.
    await deleteDatabase(factory, NAME)
  })

  it('that block an upgrade are told of, and what comes of it later is let go of', async () => {
    const close = vi.fn()
    const request = Object.assign(new EventTarget(), { result: { close } })
    const opening = indexedDb({ name: NAME, indexedDB: { open: () => request } }).open()
    request.dispatchEvent(new Event('blocked'))
    expect(await errorOf(opening)).toMatchObject({ code: 'UNAVAILABLE', retryable: true })
    request.dispatchEvent(new Event('success'))
    expect(close).toHaveBeenCalledOnce()
  })
})

describe('a database', () => {
  it('that is missing or forbidden is told as such', async () => {
    vi.stubGlobal('indexedDB', undefined)
    expect(await errorOf(indexedDb({ name: NAME }).open())).toMatchObject({ code: 'UNSUPPORTED' })
    const forbidden = () => {
      throw new DOMException('The operation is insecure', 'SecurityError')
    }
    const driver = indexedDb({ name: NAME, indexedDB: { open: forbidden } })
    expect(await errorOf(driver.open())).toMatchObject({ code: 'UNSUPPORTED', cause: { name: 'SecurityError' } })
    vi.stubGlobal('indexedDB', undefined)
    Object.defineProperty(globalThis, 'indexedDB', { get: forbidden, configurable: true })
    expect(await errorOf(indexedDb({ name: NAME }).open())).toMatchObject({ cause: { name: 'SecurityError' } })
  })

  it.each([1, 2])('of somebody else is left alone (version %i)', async (version) => {
    const { factory } = spiedFactory()
    ;(await openRaw(factory, NAME, version)).close()
    expect(await errorOf(indexedDb({ name: NAME, indexedDB: factory }).open())).toMatchObject({ code: 'SCHEMA' })
    const untouched = await openRaw(factory, NAME)
    expect([untouched.version, [...untouched.objectStoreNames]]).toEqual([version, []])
    untouched.close()
  })

  it('of the first release, which had one store, is taken over with all that it holds', async () => {
    const { factory } = spiedFactory()
    const request = factory.open(NAME, 1)
    request.addEventListener('upgradeneeded', () => {
      const store = request.result.createObjectStore('entries', { keyPath: 'id' })
      store.createIndex('expiresAt', 'expiresAt')
      for (const [id, value] of [
        ['\n', ''],
        ['p\nk', 'kept'],
        ['p\nlog!0000000000000001', 'x'.repeat(50_000)],
      ]) {
        store.put({ id, version: 'before', value })
      }
    })
    await new Promise((resolve) => request.addEventListener('success', resolve))
    // That tab is still there, and lets go when it is asked to.
    const { result } = request
    result.addEventListener('versionchange', () => result.close())
    const driver = indexedDb({ name: NAME, indexedDB: factory })
    await driver.open()
    expect((await driver.durability()).epoch).toBe('before')
    expect(await get(driver, 'k')).toBe('kept')
    expect(await get(driver, 'log!0000000000000001')).toHaveLength(50_000)
    const ops = [{ append: { part: 'p', key: 'log!' }, value: 'y' }]
    const commits = [{ id: 'c', checks: [], ops, durability: 'strict' as const }]
    expect((await driver.commit({ id: 'r', commits })).outcomes).toEqual([{ ok: true, seqs: [2] }])
  })

  it('that is not the one expected is told of when it is opened', async () => {
    const { driver, factory } = await setUp()
    const { epoch } = await driver.durability()
    const onEvicted = vi.fn()
    await indexedDb({ name: NAME, indexedDB: factory, epoch, onEvicted }).open()
    expect(onEvicted).not.toHaveBeenCalled()
    await indexedDb({ name: NAME, indexedDB: factory, epoch: 'another', onEvicted }).open()
    expect(onEvicted.mock.calls).toEqual([[epoch]])
  })
})

it('refuses malformed options, and calls while it is not open', async () => {
  const invalid = expect.objectContaining({ code: 'INVALID_ARGUMENT' })
  expect(() => indexedDb({ name: '' })).toThrow(invalid)
  expect(() => indexedDb({ name: NAME, openTimeout: 0 })).toThrow(invalid)
  const { driver } = await setUp()
  await driver.close()
  for (const call of [() => put(driver, 'k', 'v'), () => get(driver, 'k'), () => driver.durability()]) {
    expect(await errorOf(call())).toMatchObject({ code: 'CLOSED' })
  }
  const { factory } = spiedFactory()
  expect(await errorOf(get(indexedDb({ name: NAME, indexedDB: factory }), 'k'))).toMatchObject({ code: 'CLOSED' })
})

it('tells how safe the data is', async () => {
  const { driver } = await setUp()
  vi.stubGlobal('navigator', {})
  expect(await driver.durability()).toMatchObject({ persisted: false, evictable: true, usage: undefined })
  vi.stubGlobal('navigator', {
    storage: { persisted: async () => true, estimate: async () => ({ usage: 1, quota: 2 }) },
  })
  expect(await driver.durability()).toMatchObject({ persisted: true, evictable: false, usage: 1, quota: 2 })
})

it('writes a request in one transaction, as durable as its most demanding commit', async () => {
  const { driver, connections } = await setUp()
  const begin = vi.spyOn(connections[0], 'transaction')
  const commits = ['relaxed', 'relaxed', 'strict'].map((durability, i) => ({
    id: `c${i}`,
    checks: [],
    ops: [{ put: { part: 'p', key: `k${i}` }, value: 'v' }],
    durability: durability as 'strict' | 'relaxed',
  }))
  await driver.commit({ id: 'r1', commits })
  await driver.commit({ id: 'r2', commits: commits.slice(0, 2) })
  expect((begin.mock.calls as unknown[][]).filter((call) => call[1] === 'readwrite')).toEqual([
    [['entries', 'commits'], 'readwrite', { durability: 'strict' }],
    [['entries', 'commits'], 'readwrite', { durability: 'relaxed' }],
  ])
  begin.mockClear()
  await driver.read([{ get: { part: 'p', key: 'k0' } }, { parts: { start: ' ', end: '~', limit: 9 } }])
  expect(begin.mock.calls).toEqual([[['entries'], 'readonly', { durability: 'default' }]])
})

it('stores the bytes of a view and nothing around them, and takes away what has expired', async () => {
  let time = 1000
  const { driver, factory } = await setUp({ clock: () => time })
  await put(driver, 'bytes', new Uint8Array(1_000_000).subarray(10, 12))
  await put(driver, 'expires', 'v', [], { in: 10 })
  // It is looked for now and then.
  time += 1000
  await put(driver, 'other', 'v')
  const rows = (await dump(factory, NAME)) as { id: string; value: Uint8Array }[]
  expect(rows.map(({ id }) => id)).toEqual(['p\nbytes', 'p\nother'])
  expect(rows[0]!.value.buffer.byteLength).toBe(2)
})

describe('announcements', () => {
  const heardBy = (driver: { watch?: (listener: (parts: readonly string[]) => void) => () => void }) => {
    const heard: string[] = []
    driver.watch!((parts) => heard.push(...parts))
    return heard
  }
  const turn = () => new Promise((resolve) => setTimeout(resolve, 50))

  it('of another driver are heard until the close, what is not ours never', async () => {
    const { driver, factory } = await setUp({ name: 'news' })
    const other = indexedDb({ name: 'news', indexedDB: factory })
    const heard = heardBy(other)
    await other.open()
    const stranger = new BroadcastChannel('holdfast news')
    for (const message of [null, 5, 'x', {}, { holdfast: 2, parts: ['a'] }, { holdfast: 1, parts: 'a' }]) {
      stranger.postMessage(message)
    }
    stranger.postMessage({ holdfast: 1, parts: [5, null, 'b'] })
    await put(driver, 'k', 'v')
    await vi.waitFor(() => expect(heard).toEqual(['b', 'p']))
    await other.close()
    await put(driver, 'k', 'w')
    await turn()
    expect(heard).toEqual(['b', 'p'])
    stranger.close()
    await driver.close()
  })

  it('come after the transaction, and not at all where it fails', async () => {
    const { driver, connections } = await setUp({ name: 'failing' })
    const heard = heardBy(driver)
    breakAt(connections[0], 'put', 'QuotaExceededError')
    expect(await errorOf(put(driver, 'k', 'v'))).toMatchObject({ code: 'QUOTA_EXCEEDED' })
    await turn()
    expect(heard).toEqual([])
    await driver.close()
  })

  it('stay in this driver where the browser has no channels', async () => {
    vi.stubGlobal('BroadcastChannel', undefined)
    const { driver } = await setUp({ name: 'alone' })
    const heard = heardBy(driver)
    await put(driver, 'k', 'v')
    await vi.waitFor(() => expect(heard).toEqual(['p']))
    await driver.close()
  })
})
