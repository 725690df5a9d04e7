// @vitest-environment happy-dom
/** How requests of commits get into the database: handed over whole, judged again where another tab was faster. */
import { afterEach, describe, expect, it, vi } from 'vitest'
import type { Check, Commit, CommitRequest, Driver, Entry, EntryPage, Op, Outcome } from '../../../src/core/driver.ts'
import { idSource } from '../../../src/core/clock.ts'
import { indexedDb } from '../../../src/drivers/indexeddb/driver.ts'
import {
  type Connection,
  type Factory,
  get,
  installFake,
  newFactory,
  openRaw,
  put,
  rowsOf,
  spiedFactory,
} from './support.ts'

installFake()

const NAME = 'app'
const newId = idSource()
const at = (key: string) => ({ part: 'p', key })
const request = (...commits: { checks?: readonly Check[]; ops: readonly Op[] }[]): CommitRequest => ({
  id: newId(),
  commits: commits.map(({ checks = [], ops }): Commit => ({ id: newId(), checks, ops, durability: 'relaxed' })),
})
const append = (value: string): Op => ({ append: at('log!'), value })
const commit = async (driver: Driver, checks: readonly Check[], ...ops: Op[]): Promise<Outcome> =>
  (await driver.commit(request({ checks, ops }))).outcomes[0]!
const page = async (driver: Driver, limit = 1000, reverse = false): Promise<EntryPage> => {
  const range = { part: 'p', start: ' ', end: '~', limit, reverse }
  return (await driver.read([{ range }])).answers[0] as EntryPage
}
const valuesOf = async (driver: Driver): Promise<unknown[]> => (await page(driver)).entries.map(({ value }) => value)

async function setUp() {
  const spied = spiedFactory()
  const open = async (): Promise<Driver> => {
    const driver = indexedDb({ name: NAME, indexedDB: spied.factory })
    await driver.open()
    return driver
  }
  return { ...spied, open, driver: await open() }
}

/** Watches the transactions of a connection. */
function transactionsOf(db: Connection) {
  const begun: { mode: string; stores: readonly string[]; isWhole: boolean }[] = []
  const begin = db.transaction.bind(db)
  db.transaction = ((stores: string[], mode: string, options: never) => {
    const tx = begin(stores, mode, options)
    const mine = { mode, stores, isWhole: false }
    begun.push(mine)
    // What is asked for later would wait for the page.
    let isLater = false
    queueMicrotask(() => (isLater = true))
    const over = tx.commit.bind(tx)
    tx.commit = () => {
      mine.isWhole = !isLater
      over()
    }
    return tx
  }) as never
  return begun
}

/** Has somebody else write right before the transactions of a connection that ask for some store, as often as wanted. */
function interfere(db: Connection, mode: string, store: string, times: number, write: () => void): () => number {
  const begin = db.transaction.bind(db)
  let left = times
  db.transaction = ((stores: string[], kind: string, options: never) => {
    if (kind === mode && stores.includes(store) && left > 0) {
      left--
      write()
    }
    return begin(stores, kind, options)
  }) as never
  return () => times - left
}

/** Writes rows past any driver, as another tab would: the transaction is asked for when this returns. */
function writeRaw(db: Connection, rows: Readonly<Record<string, object>>): void {
  const tx = db.transaction(['entries', 'values', 'commits'], 'readwrite')
  tx.objectStore('commits').put({})
  for (const [store, row] of Object.entries(rows)) tx.objectStore(store).put(row)
}

afterEach(() => {
  vi.restoreAllMocks()
  vi.unstubAllGlobals()
})

describe('a transaction', () => {
  it('is handed over whole, whatever is asked', async () => {
    const { driver, connections } = await setUp()
    const begun = transactionsOf(connections[0])
    await put(driver, 'k', 'v')
    await put(driver, 'bytes', new Uint8Array(100_000), [{ at: at('bytes'), version: null }])
    for (let n = 0; n < 3; n++) await commit(driver, [{ log: at('log!'), last: n }], append(`${n}`))
    expect((await commit(driver, [{ log: at('log!'), last: 7 }], append('never'))).ok).toBe(false)
    await commit(driver, [], { put: at('expires'), value: 'v', expires: { in: 60_000 } })
    await commit(driver, [], { trim: at('log!'), through: 2 })
    await commit(driver, [], { deleteRange: { part: 'p', start: 'log!', end: 'log"' } }, append('first'))
    await commit(driver, [], { delete: at('bytes') })
    await page(driver, 2)
    await page(driver, 2, true)
    await get(driver, 'bytes')
    await driver.read([])
    await driver.read([{ parts: { start: ' ', end: '~', limit: 5 } }, { get: at('k') }])
    await commit(driver, [], { deletePart: 'p' })
    expect(begun.length).toBeGreaterThan(16)
    expect(begun.filter(({ isWhole }) => !isWhole)).toEqual([])
  })

  it('is the only one of a commit that builds on what this tab has seen or written', async () => {
    const { driver, connections } = await setUp()
    await commit(
      driver,
      [
        { log: at('log!'), last: 0 },
        { at: at('run'), version: null },
      ],
      append('0'),
    )
    const begun = transactionsOf(connections[0])
    for (let n = 1; n < 10; n++) {
      await commit(
        driver,
        [
          { log: at('log!'), last: n },
          { at: at('run'), version: null },
        ],
        append(`${n}`),
      )
    }
    await put(driver, 'k', 'v')
    await put(driver, 'k', 'w')
    expect(begun.map(({ mode }) => mode)).toEqual(Array(11).fill('readwrite'))
  })
})

describe('a commit of somebody else that comes first', () => {
  it.each(['readonly', 'readwrite'])('is noticed before each %s transaction, however often', async (mode) => {
    for (const times of [1, 2, 5, 20]) {
      const { driver, connections, factory } = await setUp()
      const other = await openRaw(factory, NAME)
      let length = 0
      const theirs = (): void => {
        const id = `p\nlog!${String(++length).padStart(16, '0')}`
        writeRaw(other, { entries: { id, version: newId(), value: 'theirs' } })
      }
      const count = interfere(connections[0], mode, 'commits', times, theirs)
      for (let n = 0; n < 8; n++) {
        const outcome = await commit(driver, [{ at: at('k'), version: null }], append(`mine ${n}`))
        expect(outcome).toEqual({ ok: true, seqs: [++length] })
        expect((await valuesOf(driver)).at(-1)).toBe(`mine ${n}`)
      }
      expect(count()).toBeGreaterThan(0)
      expect((await valuesOf(driver)).filter((it) => it === 'theirs')).toHaveLength(count())
    }
  })

  it('is never overwritten, also where nothing was checked but read before', async () => {
    const { driver, open } = await setUp()
    const other = await open()
    await put(driver, 'k', 'mine')
    const { version } = (await page(driver)).entries[0]!
    await put(other, 'k', 'theirs')
    const outcome = await commit(driver, [{ at: at('k'), version }], { put: at('k'), value: 'lost' })
    expect(outcome).toMatchObject({ ok: false, failed: [{ current: { value: 'theirs' } }] })
    expect(await get(driver, 'k')).toBe('theirs')
  })

  it('is seen by a check that was right before, and by one that was wrong before', async () => {
    const { driver, open } = await setUp()
    const other = await open()
    const absent: Check = { at: at('k'), version: null }
    expect((await commit(driver, [absent], { put: at('a'), value: '1' })).ok).toBe(true)
    await put(other, 'k', 'v')
    expect((await commit(driver, [absent], { put: at('a'), value: '2' })).ok).toBe(false)
    await commit(other, [], { delete: at('k') })
    expect((await commit(driver, [absent], { put: at('a'), value: '3' })).ok).toBe(true)
  })

  it('is seen by a refusal for what is no log any more', async () => {
    const { driver, open } = await setUp()
    const other = await open()
    await commit(driver, [], append('a'))
    await put(driver, 'log!x', 'foreign')
    await expect(commit(driver, [], append('b'))).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    await commit(other, [], { delete: at('log!x') })
    expect(await commit(driver, [], append('b'))).toEqual({ ok: true, seqs: [2] })
  })

  it('keeps what it has just written from being swept away as expired', async () => {
    const factory = newFactory()
    let time = 1000
    const open = async (): Promise<Driver> => {
      const driver = indexedDb({ name: NAME, indexedDB: factory, clock: () => time })
      await driver.open()
      return driver
    }
    const [driver, other] = [await open(), await open()]
    await put(driver, 'k', 'old', [], { in: 10 })
    time += 5000
    // Both sweep now; one of them puts it anew.
    await Promise.all([put(driver, 'mine', 'v'), put(other, 'k', 'new')])
    expect(await get(driver, 'k')).toBe('new')
  })
})

describe('what a tab knows', () => {
  /** Moves both clocks that its age is told by. */
  function clocks() {
    let ahead = 0
    const [wall, steady] = [Date.now.bind(Date), performance.now.bind(performance)]
    vi.spyOn(Date, 'now').mockImplementation(() => wall() + ahead)
    vi.spyOn(performance, 'now').mockImplementation(() => steady() + ahead)
    return { pass: (ms: number) => void (ahead += ms) }
  }
  const numbersOf = async (factory: Factory): Promise<number> => (await rowsOf(factory, NAME, 'commits')).length

  it('is not counted on when it is old: the numbers that it would be tried by are gone', async () => {
    const { pass } = clocks()
    const { driver, open, factory } = await setUp()
    const other = await open()
    await commit(driver, [], append('mine'))
    for (let n = 0; n < 3; n++) {
      for (let k = 0; k < 10; k++) await commit(other, [], append('theirs'))
      pass(61_000)
    }
    await commit(other, [], append('theirs'))
    const absent: Check = { log: at('log!'), last: 1 }
    expect(await commit(driver, [absent], append('late'))).toMatchObject({
      ok: false,
      failed: [{ current: { last: 32 } }],
    })
    expect(await commit(driver, [], append('mine'))).toEqual({ ok: true, seqs: [33] })
    expect(await numbersOf(factory)).toBeLessThan(30)
  })

  it('is dropped where the code was halted between its judgement and its transaction', async () => {
    const { pass } = clocks()
    const { driver, connections, factory } = await setUp()
    const other = await openRaw(factory, NAME)
    await commit(driver, [], append('1'))
    interfere(connections[0], 'readwrite', 'commits', 1, () => {
      pass(3_600_000)
      const tx = other.transaction(['entries', 'commits'], 'readwrite')
      tx.objectStore('entries').put({ id: 'p\nlog!0000000000000002', version: newId(), value: '2' })
      // The number that this commit has taken is gone again.
      tx.objectStore('commits').put({ n: 1000 })
    })
    expect(await commit(driver, [], append('3'))).toEqual({ ok: true, seqs: [3] })
    expect(await valuesOf(driver)).toEqual(['1', '2', '3'])
  })

  it('leaves few numbers of commits behind, in short sessions as well', async () => {
    const { pass } = clocks()
    const factory = newFactory()
    for (let session = 0; session < 20; session++) {
      const driver = indexedDb({ name: NAME, indexedDB: factory })
      await driver.open()
      for (let n = 0; n < 20; n++) await put(driver, `k${n}`, 'v')
      await driver.close()
      pass(30_000)
    }
    expect(await numbersOf(factory)).toBeLessThan(100)
  })
})

describe('long values', () => {
  const LONG = 'x'.repeat(20_000)
  const apart = async (factory: Factory): Promise<unknown[]> =>
    ((await rowsOf(factory, NAME, 'values')) as { id: string }[]).map(({ id }) => id)

  it('are stored apart, and go with their entries', async () => {
    const { driver, factory, open } = await setUp()
    const other = await open()
    for (const key of ['a', 'b', 'c', 'd']) await put(driver, key, LONG)
    expect(await apart(factory)).toEqual(['p\na', 'p\nb', 'p\nc', 'p\nd'])
    await put(driver, 'a', 'short')
    await commit(other, [], { delete: at('b') })
    expect(await apart(factory)).toEqual(['p\nc', 'p\nd'])
    await commit(other, [], { deleteRange: { part: 'p', start: 'd', end: 'e' } })
    await commit(driver, [], { deletePart: 'p' })
    expect(await apart(factory)).toEqual([])
    await put(driver, 'c', 'short')
    expect(await get(other, 'c')).toBe('short')
  })

  it('are read with the version that belongs to them, or read again', async () => {
    const { driver, connections, factory } = await setUp()
    const other = await openRaw(factory, NAME)
    await put(driver, 'k', `${LONG}1`)
    let writes = 1
    interfere(connections[0], 'readonly', 'values', 3, () => {
      const version = newId()
      const id = 'p\nk'
      writeRaw(other, {
        entries: { id, version, apart: LONG.length + 1 },
        values: { id, version, value: `${LONG}${++writes}` },
      })
    })
    const { answers } = await driver.read([{ get: at('k') }, { range: { part: 'p', start: ' ', end: '~', limit: 9 } }])
    const entry = answers[0] as Entry
    expect([entry.value.length, entry.value.at(-1)]).toEqual([LONG.length + 1, '4'])
    const { entries } = answers[1] as EntryPage
    expect(entries.map(({ version, value }) => [version, value.at(-1)])).toEqual([[entry.version, '4']])
  })

  it('that do not fit into an answer are not read', async () => {
    const { driver, connections } = await setUp()
    const value = 'x'.repeat(3 * 2 ** 20)
    for (let n = 0; n < 6; n++) await put(driver, `k${n}`, value)
    let read = 0
    const begin = connections[0].transaction.bind(connections[0])
    connections[0].transaction = ((...args: never[]) => {
      const tx = begin(...(args as [never]))
      const storeOf = tx.objectStore.bind(tx)
      tx.objectStore = (name: string) => {
        const store = storeOf(name)
        if (name === 'values' && !Object.hasOwn(store, 'get')) {
          const get = store.get.bind(store)
          store.get = (key: unknown) => (read++, get(key))
        }
        return store
      }
      return tx
    }) as never
    expect((await page(driver)).entries).toHaveLength(2)
    expect(read).toBe(2)
    const checks = [0, 1, 2, 3, 4, 5].map((n): Check => ({ at: at(`k${n}`), version: null }))
    const outcome = await commit(driver, checks, append('never'))
    expect(outcome.ok).toBe(false)
    expect(read).toBe(4)
    const range = { part: 'p', start: ' ', end: '~', limit: 9, keysOnly: true }
    expect(((await driver.read([{ range }])).answers[0] as EntryPage).entries).toHaveLength(6)
    expect(read).toBe(4)
  })
})
