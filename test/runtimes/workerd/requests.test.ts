/** What holds between requests on Workers, and of a Durable Object's answers and alarms. */
import { join } from 'node:path'
import type { Miniflare } from 'miniflare'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { expectAsIfNobodyDied } from '../../runner/everywhere/judge.ts'
import { type ServedStage, serveStage } from '../stage.ts'
import { startWorkers, workerOf } from './workerd.ts'

const WAITING = { timeout: 60_000, interval: 100 }

const CLASSES = ['AlarmObject', 'RunObject', 'OwnedObject']

const start = async (compatibilityFlags: string[] = []): Promise<Miniflare> =>
  startWorkers([
    await workerOf(join(import.meta.dirname, 'requests.ts'), CLASSES, {
      compatibilityFlags,
      d1Databases: ['DB'],
      bindings: { STAGE: stage.url },
      durableObjects: {
        ALARM: { className: 'AlarmObject', useSQLite: true },
        RUN: { className: 'RunObject', useSQLite: true },
        OWNED: { className: 'OwnedObject', useSQLite: true },
      },
    }),
  ])

let stage: ServedStage
let worker: Miniflare
beforeAll(async () => {
  stage = await serveStage()
  worker = await start()
})
afterAll(async () => {
  await worker?.dispose()
  await stage?.close()
})

async function ask<T>(path: string, of: Miniflare = worker): Promise<T> {
  const response = await of.dispatchFetch(`http://worker/${path}`)
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

describe('runs in an object', () => {
  test('end as if it had not died, when it has died inside steps', async () => {
    expect(await ask('orders?object=RUN')).not.toBeNull()
    await expectAsIfNobodyDied(await stage.play)
    expect(await ask('alarm?object=RUN')).toBeNull()
  })

  test('of a workflow that the object does not know wake nobody', async () => {
    expect(await ask('unknown?object=RUN&name=other')).toBeNull()
  })
})

describe('the owner of an object', () => {
  test('may roll back the transaction of the first call', async () => {
    expect(await ask('rolled-back?object=OWNED&name=a')).toEqual(['rolled back', 1])
  })

  test('may delete everything', async () => {
    expect(await ask('delete-all?object=OWNED&name=b')).toEqual([null, 1])
  })

  test.each([
    ['alone', [], '', 3001],
    ['beside others', [], '&before', 6001],
    ['beside others, in the style of Node', ['nodejs_compat'], '&before', 6001],
  ])('may have it let nothing in while there are thousands of calls %s', async (name, flags, before, count) => {
    const own = await start(flags)
    try {
      expect(await ask(`block?object=OWNED&name=${name}&calls=3000${before}`, own)).toBe(count)
    } finally {
      await own.dispose()
    }
  })
})
