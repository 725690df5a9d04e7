/** Copies between any two drivers, cut off anywhere, equal in the end. */
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { createDatabase } from '../../src/core/database.ts'
import type { Driver } from '../../src/core/driver.ts'
import { memory } from '../../src/drivers/memory.ts'
import { createHoldfast } from '../../src/holdfast.ts'
import { copy, verify } from '../../src/ops/index.ts'
import { scan } from '../../src/ops/scan.ts'
import { engines, withDirectory } from '../support/engines.ts'
import { ODD, contentOf, manyRuns, seed } from './seed.ts'

/** Fails for good at the n-th commit request: before it takes effect, or after. */
function failing(driver: Driver, n: number, late: boolean): Driver {
  let count = 0
  return {
    ...driver,
    async commit(request) {
      if (++count < n) return driver.commit(request)
      if (count === n && late) await driver.commit(request)
      throw new Error('Killed')
    },
  }
}

describe('copy', () => {
  for (const from of engines) {
    for (const to of engines) {
      it(`${from.name} to ${to.name}: cut off at ten places, and resumed`, () =>
        withDirectory(async (directory) => {
          const source = await seed(await from.make(join(directory, 'from.db')))
          await manyRuns(source, 40, (i) => ({ runId: `r${i}`, ends: i % 2 === 0 }))
          const content = await contentOf(source.db)
          const backend = await to.make(join(directory, 'to.db'))
          let before = 0
          for (let i = 0; i < 10; i++) {
            const target = createDatabase({ driver: failing(backend, 2 + (i % 3), i % 2 === 0) })
            await expect(copy(source.db, target, { batch: 8 })).rejects.toMatchObject({ code: 'BACKEND' })
            const there = (await contentOf(target)).length
            expect(there).toBeGreaterThan(before)
            expect(there).toBeLessThan(content.length)
            before = there
          }
          const target = createHoldfast({ driver: backend })
          const result = await copy(source.db, target.db, { batch: 8 })
          const written = content.length - before
          expect(result).toEqual({ written, present: before, removed: 0, expired: 0, differing: 0 })
          expect(await contentOf(target.db)).toEqual(content)
          expect(await verify(target.db)).toMatchObject({ problems: 0 })
          expect(await copy(source.db, target.db)).toMatchObject({ written: 0, present: content.length })
          await source.close()
          await target.close()
        }))
    }
  }

  it('writes nothing where the target holds something else, and mirrors where allowed', async () => {
    const source = await seed(memory())
    const target = createHoldfast({ driver: memory() })
    await target.state.set('text', 'another')
    await target.forTenant('0').state.set('before', 'all')
    await target.forTenant('zz').state.set('behind', 'all')
    for (let i = 0; i < 30; i++) await target.forTenant(`m${i}`).state.set('between', 'some')
    const before = await contentOf(target.db)
    await expect(copy(source.db, target.db)).rejects.toMatchObject({ code: 'CONFLICT', details: { key: 'before' } })
    expect(await contentOf(target.db)).toEqual(before)
    expect(await copy(source.db, target.db, { overwrite: true, batch: 3 })).toMatchObject({ removed: 32, differing: 0 })
    expect(await contentOf(target.db)).toEqual(await contentOf(source.db))
  })

  it('leaves other tenants alone', async () => {
    const source = await seed(memory())
    const target = createHoldfast({ driver: memory() })
    await target.state.set('text', 'stays')
    await copy(source.db, target.db, { tenant: ODD, overwrite: true })
    expect(await target.state.get('text')).toBe('stays')
    expect(await target.forTenant(ODD).state.get('text')).toBe('of the other tenant')
  })

  it('tells in how much the stores differ where the source was written to', async () => {
    const source = await seed(memory())
    const target = createDatabase({ driver: memory() })
    let isFirst = true
    const onProgress = () => {
      if (isFirst) void source.state.set('text', 'newer')
      isFirst = false
    }
    const { differing } = await copy(source.db, target, { batch: 1, onProgress })
    expect(differing).toBeLessThanOrEqual(1)
    await source.state.set('text', 'newest')
    await expect(copy(source.db, target)).rejects.toMatchObject({ code: 'CONFLICT' })
    expect(await copy(source.db, target, { overwrite: true })).toMatchObject({ written: 1, differing: 0 })
  })

  it('goes on where a write of an earlier attempt comes late, and with half of what is written together', async () => {
    const source = createHoldfast({ driver: memory() })
    const event = { runId: 'r', workflow: 'order', kind: 'step' }
    await source.persistence.appendBatch(Array.from({ length: 6 }, () => event))
    const driver = memory()
    const target = createDatabase({ driver })
    const part = 'default!run!r'
    const [{ entries }] = await source.db.read([{ range: { part, start: 'event!', end: 'event"', limit: 3 } }])
    let isLate = true
    const late: Driver = {
      ...driver,
      async commit(request, options) {
        if (isLate) {
          isLate = false
          const ops = entries.map(({ key, value }) => ({ put: { part, key }, value }))
          await target.commit({ id: entries[0]!.version, ops })
        }
        return driver.commit(request, options)
      },
    }
    expect(await copy(source.db, createDatabase({ driver: late }))).toMatchObject({ differing: 0 })
    expect(await contentOf(target)).toEqual(await contentOf(source.db))
  })

  it('writes together what was written together', async () => {
    const source = createHoldfast({ driver: memory() })
    const event = { runId: 'r', workflow: 'order', kind: 'step' }
    await source.persistence.appendBatch(Array.from({ length: 100 }, () => event))
    const driver = memory()
    const sizes: number[] = []
    const counted: Driver = {
      ...driver,
      commit: (request, options) => {
        sizes.push(...request.commits.map(({ ops }) => ops.length))
        return driver.commit(request, options)
      },
    }
    const { written } = await copy(source.db, createDatabase({ driver: counted }))
    expect(sizes).toEqual([written])
  })

  it('sees values that a target has changed', async () => {
    const source = await seed(memory())
    const driver = memory()
    const mangling: Driver = {
      ...driver,
      commit: (request) =>
        driver.commit({
          ...request,
          commits: request.commits.map((commit) => ({
            ...commit,
            ops: commit.ops.map((op) => ('put' in op && op.put.key === 'text' ? { ...op, value: 'mangled' } : op)),
          })),
        }),
    }
    expect(await copy(source.db, createDatabase({ driver: mangling }))).toMatchObject({ differing: 2 })
    const unlooked = await copy(source.db, createDatabase({ driver: memory() }), { verify: false })
    expect(unlooked.differing).toBeUndefined()
  })

  it('refuses entries that do not fit', async () => {
    const source = await seed(memory())
    const driver = memory()
    const limits = { ...driver.capabilities.limits, valueBytes: 100 }
    const target = createDatabase({ driver: { ...driver, capabilities: { ...driver.capabilities, limits } } })
    await expect(copy(source.db, target)).rejects.toMatchObject({ code: 'PAYLOAD_TOO_LARGE' })
  })

  it('asks few times for much', async () => {
    const driver = memory()
    await manyRuns(createHoldfast({ driver }), 1000, (i) => ({ runId: `r${i}`, ends: i % 2 === 0 }))
    let requests = 0
    const counted = (driver: Driver): Driver => ({
      ...driver,
      read: (reads, options) => (requests++, driver.read(reads, options)),
      commit: (request, options) => (requests++, driver.commit(request, options)),
    })
    const from = createDatabase({ driver: counted(driver) })
    const { written } = await copy(from, createDatabase({ driver: counted(memory()) }), { verify: false })
    expect((requests / written) * 1000).toBeLessThan(25)
  })

  it('reads a run once that is longer than others', async () => {
    const inner = memory()
    const source = createHoldfast({ driver: inner })
    for (let i = 0; i < 50; i++) {
      const event = { runId: `r${i}`, workflow: 'order', kind: 'step' }
      await source.persistence.appendBatch(Array.from({ length: i % 5 === 0 ? 100 : 3 }, () => event))
    }
    const [expected, found] = [await contentOf(source.db), [] as string[]]
    let read = 0
    const driver: Driver = {
      ...inner,
      async read(reads, options) {
        const answer = await inner.read(reads, options)
        for (const it of answer.answers) if (it && 'entries' in it) read += it.entries.length
        return answer
      },
    }
    for await (const slices of scan(createDatabase({ driver }))) {
      for (const { part, entries } of slices) found.push(...entries.map(({ key }) => `${part} ${key}`))
    }
    expect(found).toEqual(expected.map(({ part, key }) => `${part} ${key}`))
    expect(read).toBe(expected.length)
  })

  it('works within small limits of both sides', async () => {
    const source = await seed(memory())
    const driver = memory()
    const limits = { ...driver.capabilities.limits, requestReads: 2, rangeEntries: 3, requestCommits: 2, commitKeys: 2 }
    const small = createDatabase({ driver: { ...driver, capabilities: { ...driver.capabilities, limits } } })
    expect(await copy(source.db, small)).toMatchObject({ differing: 0 })
    const back = createDatabase({ driver: memory() })
    expect(await copy(small, back)).toMatchObject({ differing: 0 })
    expect(await contentOf(back)).toEqual(await contentOf(source.db))
    expect(await verify(small)).toMatchObject({ problems: 0 })
  })
})
