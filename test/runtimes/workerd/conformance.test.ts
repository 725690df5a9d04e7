/** The whole suite inside of workerd: over D1, and over the SQLite of Durable Objects. */
import type { Miniflare } from 'miniflare'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { cases } from '../../../src/testing/index.ts'
import { startWorker } from './workerd.ts'

/** Cases at once; each lane has databases of its own. */
const LANES = 8

let worker: Miniflare
beforeAll(async () => {
  worker = await startWorker({
    d1Databases: Array.from({ length: LANES * 3 }, (_, i) => `DB${i}`),
    durableObjects: { OBJECT: { className: 'SuiteObject', useSQLite: true } },
  })
  await worker.ready
})
afterAll(() => worker.dispose())

/** Lanes that are free, and who waits for one. */
const lanes = Array.from({ length: LANES }, (_, i) => i)

async function run(path: string, id: string): Promise<string | undefined> {
  const lane = lanes.pop()!
  try {
    const response = await worker.dispatchFetch(`http://worker/${path}&case=${id}&lane=${lane}`)
    return ((await response.json()) as { error?: string }).error
  } finally {
    lanes.push(lane)
  }
}

/** What repeats are is the driver's affair alone. */
const ofTheDriver = cases.filter(({ group }) => group === 'driver')

describe.each([
  ['D1', 'd1?', cases],
  ['a Durable Object', 'object?replayWindow=0', cases],
  ['a Durable Object that recognises repeats', 'object?replayWindow=60000', ofTheDriver],
] as const)('holdfast conformance of %s', (_, path, which) => {
  for (const { id, name } of which) {
    it.concurrent(`${id} ${name}`, async () => {
      expect(await run(path, id)).toBeUndefined()
    })
  }
})
