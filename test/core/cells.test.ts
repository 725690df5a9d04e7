import { describe, expect, it } from 'vitest'
import { type Cells, cells } from '../../src/core/cells.ts'
import { createDatabase, innerOf } from '../../src/core/database.ts'
import { HoldfastError } from '../../src/core/errors.ts'
import { memory } from '../../src/drivers/memory.ts'
import { spyOn } from '../../src/testing/spy.ts'

const KEY = { part: 'p', key: 'k' }

/** Counters in cells: `tell: false` leaves out what the new content means. */
function counters(capacity = 1000) {
  const driver = memory()
  const spy = spyOn(driver)
  const db = innerOf(createDatabase({ driver: spy.driver }))
  const memoryOf = (): Cells<number> => cells(db, (entry) => Number(entry.value), { capacity })
  const add = (it: Cells<number>, by = 1, { key = KEY.key, tell = true } = {}): Promise<number> =>
    it.change({ ...KEY, key }, (n = 0) => ({
      next: { value: String(n + by), ...(tell && { holds: n + by }) },
      done: () => n + by,
    }))
  const requests = (): number => spy.commits.length + spy.reads.length
  return { spy, db, memoryOf, add, requests, read: async () => (await db.read([{ get: KEY }]))[0]?.value }
}

const many = <T>(n: number, run: () => Promise<T>): Promise<T[]> => Promise.all(Array.from({ length: n }, run))

describe('cells', () => {
  it('builds changes made together on each other: one request', async () => {
    const { memoryOf, add, requests, read } = counters()
    expect(
      await many(
        50,
        (
          (it) => () =>
            add(it)
        )(memoryOf()),
      ),
    ).toEqual(Array.from({ length: 50 }, (_, i) => i + 1))
    expect([requests(), await read()]).toEqual([1, '50'])
  })

  it('learns from a wrong guess: one request more, for all that were built on it', async () => {
    const { memoryOf, add, requests } = counters()
    await add(memoryOf(), 10)
    const [it, before] = [memoryOf(), requests()]
    expect((await many(20, () => add(it))).toSorted((a, b) => a - b)).toEqual(
      Array.from({ length: 20 }, (_, i) => i + 11),
    )
    expect(requests() - before).toBe(2)
  })

  it.each([1, 2, 10])('learns also where it cannot know beforehand what is stored, %i at once', async (n) => {
    const { memoryOf, add, read } = counters()
    await add(memoryOf())
    const it = memoryOf()
    await many(n, () => add(it, 1, { tell: false }))
    await many(n, () => add(it, 1, { tell: false }))
    expect(await read()).toBe(String(1 + 2 * n))
  })

  it('makes progress with more cells than it remembers', async () => {
    const { memoryOf, add } = counters(3)
    const keys = Array.from({ length: 30 }, (_, i) => `k${i}`)
    for (const expected of [1, 2, 3]) {
      const it = memoryOf()
      expect(await Promise.all(keys.map((key) => add(it, 1, { key })))).toEqual(keys.map(() => expected))
    }
  })

  it('remembers many that are small, and few that are large', async () => {
    const driver = memory()
    const spy = spyOn(driver)
    const it = cells(innerOf(createDatabase({ driver: spy.driver })), (entry) => entry.value)
    /** Changes every one of a hundred, twice; tells how many commits the second round took. */
    const secondRound = async (size: number): Promise<number> => {
      let first = 0
      for (const round of [1, 2]) {
        if (round === 2) first = spy.commits.length
        for (let i = 0; i < 100; i++) {
          const value = String(round).repeat(size)
          await it.change({ ...KEY, key: `${size} ${i}` }, () => ({ next: { value, holds: value }, done: () => {} }))
        }
      }
      return spy.commits.length - first
    }
    expect(await secondRound(100)).toBe(100)
    expect(await secondRound(100_000)).toBe(200)
  })

  it('forgets what failed, with all that was built on it', async () => {
    const { spy, memoryOf, add, read } = counters()
    const it = memoryOf()
    await add(it, 5)
    spy.fail('commit', new HoldfastError('UNAVAILABLE', 'Cut'))
    const outcomes = await Promise.allSettled([add(it), add(it)])
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    expect(await add(it)).toBe(6)
    expect(await read()).toBe('6')
  })

  it('goes on right where a batch fails while another is built on it', async () => {
    const { spy, memoryOf, add, read } = counters()
    const it = memoryOf()
    await add(it, 5)
    spy.hold()
    const first = add(it)
    await spy.arrived(2)
    const second = add(it)
    spy.fail('commit', new HoldfastError('UNAVAILABLE', 'Cut'))
    spy.release()
    await expect(first).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    expect(await second).toBe(6)
    expect(await add(it)).toBe(7)
    expect(await read()).toBe('7')
  })

  it('refuses only on what the backend says now', async () => {
    const { memoryOf, add } = counters()
    const [mine, theirs] = [memoryOf(), memoryOf()]
    const takeAll = (it: Cells<number>): Promise<number> =>
      it.change(KEY, (n) => {
        if (n === undefined) throw new HoldfastError('NOT_FOUND', 'Nothing there')
        return { next: null, done: () => n }
      })
    await expect(takeAll(mine)).rejects.toMatchObject({ code: 'NOT_FOUND' })
    await add(theirs, 3)
    expect(await takeAll(mine)).toBe(3)
    await expect(takeAll(theirs)).rejects.toMatchObject({ code: 'NOT_FOUND' })
    await add(theirs, 4)
    expect(await takeAll(mine)).toBe(4)
  })

  it('hands failed checks of the change to it, and proposes again where it does not decide', async () => {
    const { db, memoryOf } = counters()
    const other = { ...KEY, key: 'other' }
    await db.commit({ ops: [{ put: other, value: 'x' }] })
    const seen: boolean[] = []
    const result = await memoryOf().change<string>(KEY, () => ({
      next: { value: '1', holds: 1 },
      checks: [{ at: other, version: null }],
      done: () => 'done',
      async failed([failure], stale) {
        seen.push(stale)
        expect(failure).toMatchObject({ check: 0, current: { value: 'x' } })
        await db.commit({ ops: [{ delete: other }] })
        return undefined
      },
    }))
    expect([result, seen]).toEqual(['done', [false]])
  })

  it('two memories that change one cell under each other lose nothing', async () => {
    const { memoryOf, add, read } = counters()
    const handles = [memoryOf(), memoryOf(), memoryOf()]
    await Promise.all(
      handles.map(async (it) => {
        for (let i = 0; i < 20; i++) await add(it)
      }),
    )
    expect(await read()).toBe('60')
  })
})
