/** The suite inside of workerd: all of it over D1 and the SQLite of Durable Objects, slices over what is reached from there. */
import { join } from 'node:path'
import type { Miniflare } from 'miniflare'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { costly, driverSlice, thinSlice } from '../../support/slice.ts'
import { hasServers, startServers } from '../servers.ts'
import { DATABASES_PER_LANE } from './harnesses.ts'
import { startWorkers, workerOf } from './workerd.ts'

/** Cases at once; each lane has databases of its own. */
const LANES = 8
/** A case that is given up goes on in its lane, so none is given up that is only slow. */
const MOST_MS = 600_000

let worker: Miniflare
let servers: Awaited<ReturnType<typeof startServers>> | undefined
beforeAll(async () => {
  if (hasServers) servers = await startServers(LANES * DATABASES_PER_LANE)
  worker = await startWorkers([
    await workerOf(join(import.meta.dirname, 'worker.ts'), ['SuiteObject'], {
      name: 'suite',
      d1Databases: Array.from({ length: LANES * DATABASES_PER_LANE }, (_, i) => `DB${i}`),
      durableObjects: { OBJECT: { className: 'SuiteObject', useSQLite: true } },
      kvNamespaces: ['KV'],
      serviceBindings: { OTHER: 'other' },
      ...(servers && { bindings: { SERVERS: JSON.parse(JSON.stringify(servers)) } }),
    }),
    await workerOf(join(import.meta.dirname, 'other.ts'), ['ServedObject'], {
      name: 'other',
      durableObjects: { SERVED: { className: 'ServedObject', useSQLite: true } },
    }),
  ])
})
afterAll(async () => {
  await worker?.dispose()
  await servers?.stop()
})

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

describe.each([
  ['D1', 'd1?', costly],
  ['a Durable Object', 'object?replayWindow=0', costly],
  // What repeats are is the driver's affair alone.
  ['a Durable Object that recognises repeats', 'object?replayWindow=60000', driverSlice],
  ['unstorage over a KV binding', 'kv?', thinSlice],
  ['http to another Worker', 'binding?', thinSlice],
] as const)('holdfast conformance of %s', (_, path, which) => {
  for (const { id, name } of which) {
    it.concurrent(
      `${id} ${name}`,
      async () => {
        expect(await run(path, id)).toBeUndefined()
      },
      MOST_MS,
    )
  }
})

describe.skipIf(!hasServers).each([
  ['upstash over fetch', 'upstash?'],
  ['postgres over fetch', 'postgres?'],
] as const)('holdfast conformance of %s', (_, path) => {
  for (const { id, name } of thinSlice) {
    it.concurrent(
      `${id} ${name}`,
      async () => {
        expect(await run(path, id)).toBeUndefined()
      },
      MOST_MS,
    )
  }
})
