/** What holds between requests on Workers, and of a Durable Object's answers and alarms. */
import { join } from 'node:path'
import type { Miniflare } from 'miniflare'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { startWorkers, workerOf } from './workerd.ts'

const WAITING = { timeout: 60_000, interval: 100 }

let worker: Miniflare
beforeAll(async () => {
  worker = await startWorkers([
    await workerOf(join(import.meta.dirname, 'requests.ts'), ['AlarmObject'], {
      d1Databases: ['DB'],
      durableObjects: { ALARM: { className: 'AlarmObject', useSQLite: true } },
    }),
  ])
})
afterAll(() => worker?.dispose())

async function ask<T>(path: string): Promise<T> {
  const response = await worker.dispatchFetch(`http://worker/${path}`)
  return (await response.json()) as T
}

test('group commit joins the calls of a request, and never those of two', async () => {
  const names = Array.from({ length: 6 }, (_, i) => `request-${i}.`)
  const answers = await Promise.all(
    names.map((name) => ask<{ batches: boolean[][]; mostUnderWay: number }>(`work/${name}`)),
  )
  expect(Math.max(...answers.map(({ mostUnderWay }) => mostUnderWay))).toBeGreaterThan(1)
  for (const { batches } of answers) {
    expect(batches.length).toBeGreaterThan(0)
    for (const batch of batches) expect(batch).toEqual([true, true])
  }
})

test('a Durable Object that ends has kept what it answered, and numbers go on without gaps', async () => {
  let answered = 0
  for (let round = 0; round < 4; round++) {
    const outcomes = await Promise.allSettled([
      ...Array.from({ length: 8 }, () => ask<number>('append')),
      ask<number>('append?abort'),
      ...Array.from({ length: 8 }, () => ask<number>('append')),
    ])
    const seqs = outcomes.flatMap((it) => (it.status === 'fulfilled' ? [it.value] : []))
    expect(new Set(seqs).size).toBe(seqs.length)
    expect(outcomes.some(({ status }) => status === 'rejected')).toBe(true)
    const last = await ask<number>('last')
    expect(last).toBeGreaterThanOrEqual(Math.max(answered, ...seqs))
    const next = await ask<number>('append')
    expect(next).toBe(last + 1)
    answered = next
  }
})

describe('an alarm', () => {
  test('is set for what is due first, and moves a run on when nobody asks', async () => {
    expect(await ask('due')).toEqual([null, null])
    const [, late] = await ask<[number, number]>('wait?run=late&in=3600000')
    const [soon, alarm] = await ask<[number, number]>('wait?run=soon&in=300')
    expect(alarm).toBe(soon)
    expect(alarm).toBeLessThan(late)
    await vi.waitFor(async () => expect(await ask('soon')).toBe('completed'), WAITING)
    // It has been set again, for the other run.
    await vi.waitFor(async () => expect(await ask('due')).toEqual([late, late]), WAITING)
    expect(await ask('late')).toBeNull()
  })
})
