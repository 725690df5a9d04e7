/** What unstorage's driver makes of writes that fail, are cut off or land late. */
import { describe, expect, test } from 'vitest'
import type { Driver, Entry, EntryPage, Op } from '../../src/core/driver.ts'
import { type UnstorageStorage, unstorage } from '../../src/drivers/unstorage/driver.ts'
import { randomFrom } from '../support/random.ts'

const PART = 'default!run!Run/1?x'
const put = (key: string, value: string | Uint8Array, life?: number): Op => ({
  put: { part: PART, key },
  value,
  ...(life !== undefined && { expires: { in: life } }),
})
const remove = (key: string): Op => ({ delete: { part: PART, key } })
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

  test('one after another that was left in the middle', async () => {
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

describe('what is cut off anywhere leaves every commit whole or undone', () => {
  const RUNS = 100
  const COMMITS = 12
  const seed = Number(process.env['HOLDFAST_SEED'] ?? Date.now() % 1e6)
  // Names of each kind: plain, folded by some, of several chunks, hashed; and more of them than are written at once.
  const KEYS = ['a', 'A', 'a/b', 'x'.repeat(250), ...[1, 2, 3].map((n) => 'L'.repeat(390) + n)].concat(
    Array.from({ length: 40 }, (_, i) => `m${i}`),
  )
  interface Kept {
    readonly value: string | Uint8Array
    readonly expiresAt: number | null
  }

  test(`${RUNS} stores, HOLDFAST_SEED=${seed}`, async () => {
    console.log(`unstorage's faults: HOLDFAST_SEED=${seed}`)
    const seen = { answered: 0, completed: 0, undone: 0, late: 0, torn: 0, inRecovery: 0 }
    for (let run = 0; run < RUNS; run++) await history(randomFrom(seed + run), `run ${run}`, seen)
    // Each kind of fault has come about.
    for (const [kind, count] of Object.entries(seen)) expect(count, kind).toBeGreaterThan(0)
  })

  async function history(random: () => number, name: string, seen: Record<string, number>): Promise<void> {
    const upTo = (n: number): number => Math.floor(random() * n)
    const { items, faults, storage } = faulty()
    const onTheWay: (() => void)[] = []
    const land = (): void => {
      if (random() < 0.05) for (const it of onTheWay.splice(0)) it()
    }
    let left = Number.POSITIVE_INFINITY
    faults.beforeRead = land
    faults.before = (item, value) => {
      land()
      if (left-- > 0) return
      const kind = random()
      if (value !== null && kind < 0.3) {
        seen['torn']!++
        items.set(item, value.slice(0, upTo(value.length)))
      } else if (value !== null && kind < 0.5) {
        items.set(item, value)
      } else if (value !== null && /:(note|fence)/.test(item)) {
        onTheWay.push(() => {
          seen['late']!++
          items.set(item, value)
        })
      }
      throw new Error(DOWN)
    }

    let time = 1000
    let driver = await opened(storage, () => time)
    let model: ReadonlyMap<string, Kept> = new Map()
    const live = (of: ReadonlyMap<string, Kept>) =>
      [...of]
        .filter(([, { expiresAt }]) => expiresAt === null || expiresAt > time)
        .map(([key, { value, expiresAt }]) => ({ key, value, expiresAt }))
        .toSorted((a, b) => (a.key < b.key ? -1 : 1))
    const stored = async () => (await content(driver)).map(({ key, value, expiresAt }) => ({ key, value, expiresAt }))

    /** A few changes or many, and what they come to. */
    function changes(): { ops: Op[]; next: Map<string, Kept> } {
      const ops: Op[] = []
      const next = new Map(model)
      if (random() < 0.1) {
        ops.push({ deletePart: PART })
        next.clear()
      }
      const keys = new Set(Array.from({ length: random() < 0.2 ? 40 : 5 }, () => KEYS[upTo(KEYS.length)]!))
      for (const key of keys) {
        if (random() < 0.25) {
          ops.push(remove(key))
          next.delete(key)
          continue
        }
        const value = random() < 0.3 ? Uint8Array.of(1, 255, upTo(256)) : `v${upTo(1e6)}`
        const life = random() < 0.2 ? 1 + upTo(20) : undefined
        ops.push(put(key, value, life))
        next.set(key, { value, expiresAt: life === undefined ? null : time + life })
      }
      return { ops, next }
    }

    for (let step = 0; step < COMMITS; step++) {
      time += upTo(20)
      const { ops, next } = changes()
      if (random() < 0.5) left = upTo(ops.length + 4)
      const error = await driver.commit(commitOf(`c${step}`, ...ops)).then(
        () => undefined,
        (thrown: unknown) => thrown,
      )
      if (error) expect(error).toMatchObject({ code: 'BACKEND', ambiguous: true })
      // The next one is cut off as well, while it looks for what was left.
      if (error && random() < 0.5) {
        left = upTo(4)
        if (random() < 0.5) driver = unstorage({ storage, singleWriter: true, clock: () => time })
        const reopened = await driver.open().then(
          () => true,
          () => false,
        )
        if (!reopened) seen['inRecovery']!++
      }
      left = Number.POSITIVE_INFINITY
      if (error ? random() < 0.5 : random() < 0.1) driver = await opened(storage, () => time)
      else await driver.open()
      const found = await stored()
      const isDone = !error || JSON.stringify(found) === JSON.stringify(live(next))
      seen[error ? (isDone ? 'completed' : 'undone') : 'answered']!++
      if (isDone) model = next
      expect(found, `${name}, commit ${step}`).toEqual(live(model))
    }
  }
})
