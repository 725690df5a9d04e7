/** Retention: whole runs that have ended, and no others. */
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { Driver } from '../../src/core/driver.ts'
import { memory } from '../../src/drivers/memory.ts'
import { type Holdfast, createHoldfast } from '../../src/holdfast.ts'
import { purge, stats, verify } from '../../src/ops/index.ts'
import { engines, withDirectory } from '../support/engines.ts'
import { contentOf, manyRuns } from './seed.ts'

const FAR = 8e15

async function idsOf({ workflows }: Holdfast): Promise<string[]> {
  const ids: string[] = []
  for await (const { runId } of workflows.runs()) ids.push(runId)
  return ids
}

describe('purge', () => {
  for (const engine of engines) {
    it(`${engine.name}: many completed runs among live ones, killed half-way, leaves whole runs only`, () =>
      withDirectory(async (directory) => {
        const driver = await engine.make(join(directory, 'a.db'))
        const holdfast = createHoldfast({ driver })
        await manyRuns(holdfast, 300, (i) => ({ runId: `r${i}`, ends: i % 3 === 0 }))
        let commits = 0
        const killed: Driver = {
          ...driver,
          commit: async (request) => (++commits > 4 ? Promise.reject(new Error('Killed')) : driver.commit(request)),
        }
        await expect(
          purge(createHoldfast({ driver: killed }).db, { completedBefore: FAR, batch: 20 }),
        ).rejects.toMatchObject({ code: 'BACKEND' })
        const half = (await idsOf(holdfast)).length
        expect(half).toBeLessThan(300)
        expect(half).toBeGreaterThan(200)
        expect(await verify(holdfast.db)).toMatchObject({ problems: 0, runs: half })

        const options = { completedBefore: FAR, batch: 20 }
        const left = half - 200
        expect(await purge(holdfast.db, { ...options, dryRun: true })).toEqual({
          runs: left,
          byStatus: { completed: left },
        })
        expect((await idsOf(holdfast)).length).toBe(half)
        const seen: number[] = []
        await purge(holdfast.db, { ...options, onProgress: ({ done }) => void seen.push(done) })
        expect(seen.at(-1)).toBe(left)
        expect((await idsOf(holdfast)).toSorted()).toEqual(
          Array.from({ length: 300 }, (_, i) => `r${i}`)
            .filter((_, i) => i % 3 !== 0)
            .toSorted(),
        )
        expect(await verify(holdfast.db)).toMatchObject({ problems: 0, runs: 200 })
        expect((await stats(holdfast.db)).tenants['default']).toMatchObject({ events: 200, steps: 200 })
        await holdfast.close()
      }))
  }

  /** Five runs that ended one second after the other, of two statuses, and one that goes on. */
  async function five(): Promise<Holdfast> {
    let time = 0
    const clock = () => time
    const holdfast = createHoldfast({ driver: memory({ clock }), clock })
    for (let i = 1; i <= 6; i++) {
      time = i * 1000
      await holdfast.persistence.append({ runId: `r${i}`, workflow: 'order', kind: 'begun' })
      if (i < 6) await holdfast.persistence.complete(`r${i}`, i === 2 ? 'failed' : 'completed')
    }
    return holdfast
  }

  it('goes by the time of the end, exclusively, and by status', async () => {
    const holdfast = await five()
    expect(await purge(holdfast.db, { status: 'completed', completedBefore: 3000 })).toMatchObject({ runs: 1 })
    expect(await idsOf(holdfast)).toEqual(['r2', 'r3', 'r4', 'r5', 'r6'])
    const both = await purge(holdfast.db, { status: ['completed', 'failed'], completedBefore: 3001 })
    expect(both).toEqual({ runs: 2, byStatus: { completed: 1, failed: 1 } })
    expect(await idsOf(holdfast)).toEqual(['r4', 'r5', 'r6'])
  })

  it('keeps the last ones of each status', async () => {
    for (const [keepLast, left] of [
      [0, ['r6']],
      [1, ['r2', 'r5', 'r6']],
      [3, ['r2', 'r3', 'r4', 'r5', 'r6']],
      [4, ['r1', 'r2', 'r3', 'r4', 'r5', 'r6']],
      [99, ['r1', 'r2', 'r3', 'r4', 'r5', 'r6']],
    ] as const) {
      const holdfast = await five()
      await purge(holdfast.db, { keepLast, batch: 1 })
      expect(await idsOf(holdfast)).toEqual(left)
    }
  })

  it('leaves a run that was started over meanwhile', async () => {
    const driver = memory()
    const holdfast = createHoldfast({ driver })
    await holdfast.persistence.append({ runId: 'r1', workflow: 'order', kind: 'begun' })
    await holdfast.persistence.complete('r1', 'completed')
    let isStarted = false
    const late: Driver = {
      ...driver,
      async commit(request) {
        if (!isStarted) {
          isStarted = true
          await holdfast.workflows.prepareRun({ runId: 'r1', workflow: 'order', policy: 'terminateExisting' })
        }
        return driver.commit(request)
      },
    }
    expect(await purge(createHoldfast({ driver: late }).db, { keepLast: 0 })).toMatchObject({ runs: 0 })
    expect((await holdfast.workflows.getRun('r1'))?.status).toBe('pending')
    expect(await verify(holdfast.db)).toMatchObject({ problems: 0, runs: 1 })
  })

  it('is of one tenant', async () => {
    const holdfast = createHoldfast({ driver: memory() })
    for (const it of [holdfast, holdfast.forTenant('acme')]) {
      await it.persistence.append({ runId: 'r1', workflow: 'order', kind: 'begun' })
      await it.persistence.complete('r1', 'failed')
    }
    expect(await purge(holdfast.db, { tenant: 'acme', keepLast: 0 })).toMatchObject({ runs: 1 })
    expect(await idsOf(holdfast)).toEqual(['r1'])
    expect((await contentOf(holdfast.db)).every(({ part }) => part.startsWith('default!'))).toBe(true)
  })

  it('stops by its signal, between two batches', async () => {
    const holdfast = createHoldfast({ driver: memory() })
    await manyRuns(holdfast, 30, (i) => ({ runId: `r${i}`, ends: true }))
    const stop = new AbortController()
    const options = { keepLast: 0, batch: 10, signal: stop.signal, onProgress: () => stop.abort() }
    await expect(purge(holdfast.db, options)).rejects.toMatchObject({ code: 'ABORTED' })
    expect(await verify(holdfast.db)).toMatchObject({ runs: 20, problems: 0 })
  })

  it('refuses what is malformed, and runs that go on', async () => {
    const { db } = createHoldfast({ driver: memory() })
    for (const options of [
      {},
      { keepLast: 1, completedBefore: 1 },
      { keepLast: -1 },
      { completedBefore: 0.5 },
      { keepLast: 0, status: 'running' as never },
      { keepLast: 0, batch: 0 },
      { keepLast: 0, tenant: '' },
    ]) {
      await expect(purge(db, options)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    }
  })
})
