/** What unstorage's driver makes of writes that fail, are cut off or land late. */
import { describe, expect, test } from 'vitest'
import type { Driver, Entry, EntryPage, Op } from '../../src/core/driver.ts'
import { type UnstorageStorage, unstorage } from '../../src/drivers/unstorage/driver.ts'

const PART = 'default!run!Run/1?x'
const put = (key: string, value: string): Op => ({ put: { part: PART, key }, value })
const commitOf = (id: string, ...ops: Op[]) => ({
  id,
  commits: [{ id, checks: [], ops, durability: 'relaxed' as const }],
})

/** A storage whose writes can be interfered with: `before` is asked ahead of each, and fails it by throwing. */
function faulty() {
  const items = new Map<string, string>()
  const faults = {
    before: (_item: string, _value: string | null): void => {},
    /** Ahead of each read and listing. */
    beforeRead: (): void => {},
  }
  const reading = async <T>(read: () => T): Promise<T> => {
    await Promise.resolve()
    faults.beforeRead()
    return read()
  }
  const storage: UnstorageStorage = {
    getItem: (item) => reading(() => items.get(item) ?? null),
    getKeys: (base) => reading(() => [...items.keys()].filter((item) => item.startsWith(base))),
    async setItem(item, value) {
      faults.before(item, value)
      await Promise.resolve()
      items.set(item, value)
    },
    async removeItem(item) {
      faults.before(item, null)
      await Promise.resolve()
      items.delete(item)
    },
  }
  return { items, faults, storage }
}

async function opened(storage: UnstorageStorage, clock = () => 0): Promise<Driver> {
  const driver = unstorage({ storage, singleWriter: true, clock })
  await driver.open()
  return driver
}

async function content(driver: Driver): Promise<readonly Entry[]> {
  const { answers } = await driver.read([{ range: { part: PART, start: ' ', end: '\x7f', limit: 1000 } }])
  return (answers[0] as EntryPage).entries
}

const valuesOf = async (driver: Driver) => (await content(driver)).map(({ key, value }) => `${key}=${String(value)}`)
const isNote = (item: string): boolean => item.startsWith('holdfast:note')
const DOWN = 'The storage is down'

describe('a note that was given up and lands late undoes nothing', () => {
  async function givenUp() {
    const { items, faults, storage } = faulty()
    const driver = await opened(storage)
    await driver.commit(commitOf('c1', put('a', 'first'), put('b', 'first')))
    const late: (() => void)[] = []
    faults.before = (item, value) => {
      if (!isNote(item) || value === null || late.length > 0) return
      late.push(() => items.set(item, value))
      throw new Error(DOWN)
    }
    await expect(driver.commit(commitOf('old', put('a', 'old'), put('b', 'old')))).rejects.toMatchObject({
      code: 'BACKEND',
      ambiguous: true,
    })
    return { driver, faults, storage, items, land: () => late.forEach((it) => it()) }
  }
  const NEW = commitOf('new', put('a', 'new'))

  test('after the next commit', async () => {
    const { driver, storage, items, land } = await givenUp()
    await driver.commit(NEW)
    land()
    expect(await valuesOf(await opened(storage))).toEqual(['a=new', 'b=first'])
    expect([...items.keys()].filter(isNote)).toEqual([])
  })

  test('after it was found undone', async () => {
    const { driver, storage, land } = await givenUp()
    expect(await valuesOf(driver)).toEqual(['a=first', 'b=first'])
    land()
    expect(await valuesOf(await opened(storage))).toEqual(['a=first', 'b=first'])
  })

  test('after the next process has begun', async () => {
    const { storage, land } = await givenUp()
    const next = await opened(storage)
    await next.commit(NEW)
    land()
    expect(await valuesOf(await opened(storage))).toEqual(['a=new', 'b=first'])
  })

  test('in the middle of the next commit, which is then cut off', async () => {
    const { driver, faults, storage, land } = await givenUp()
    faults.before = (item) => {
      if (!item.startsWith('holdfast:p')) return
      land()
      throw new Error(DOWN)
    }
    await expect(driver.commit(NEW)).rejects.toMatchObject({ code: 'BACKEND', ambiguous: true })
    faults.before = () => {}
    expect(await valuesOf(await opened(storage))).toEqual(['a=new', 'b=first'])
  })
})

test('a note of the time when notes had no number is completed, and void once there is a fence', async () => {
  const { items, storage } = faulty()
  const noted = 'holdfast1 [["default!run!Run/1?x\\na",["a","c1",null,"noted"]]]'
  items.set('holdfast:note', noted)
  const driver = await opened(storage)
  expect(await valuesOf(driver)).toEqual(['a=noted'])
  await driver.commit(commitOf('c2', put('a', 'later')))
  items.set('holdfast:note', noted)
  expect(await valuesOf(await opened(storage))).toEqual(['a=later'])
})

describe('a commit of which nothing was sent is not ambiguous', () => {
  const DOWN_AND_CLEAR = { code: 'BACKEND', ambiguous: false }

  test('the first, while the storage is down', async () => {
    const { faults, storage } = faulty()
    faults.beforeRead = () => {
      throw new Error(DOWN)
    }
    const driver = unstorage({ storage, singleWriter: true })
    await expect(driver.open()).rejects.toMatchObject(DOWN_AND_CLEAR)
    await expect(driver.commit(commitOf('c1', put('a', '1')))).rejects.toMatchObject(DOWN_AND_CLEAR)
  })

  test('one behind another that was left in the middle', async () => {
    const { faults, storage } = faulty()
    const driver = await opened(storage)
    faults.before = () => {
      throw new Error(DOWN)
    }
    await expect(driver.commit(commitOf('c1', put('a', '1')))).rejects.toMatchObject({ ambiguous: true })
    await expect(driver.commit(commitOf('c2', put('a', '2')))).rejects.toMatchObject(DOWN_AND_CLEAR)
  })

  test('one whose checks could not be read', async () => {
    const { faults, storage } = faulty()
    const driver = await opened(storage)
    await driver.commit(commitOf('c1', put('a', '1')))
    faults.beforeRead = () => {
      throw new Error(DOWN)
    }
    const checks = [{ at: { part: PART, key: 'a' }, version: 'c1' }]
    const request = { id: 'c2', commits: [{ ...commitOf('', put('a', '2')).commits[0]!, id: 'c2', checks }] }
    await expect(driver.commit(request)).rejects.toMatchObject(DOWN_AND_CLEAR)
  })
})
