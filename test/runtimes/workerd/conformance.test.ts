/** The suite inside of workerd: all of it over D1 and the SQLite of Durable Objects, slices over what is reached from there. */
import { join } from 'node:path'
import type { Miniflare } from 'miniflare'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { inTime } from '../../../src/core/abort.ts'
import { costly, driverSlice, thinSlice } from '../../support/slice.ts'
import { hasServers, startServers } from '../servers.ts'
import { DATABASES_PER_LANE } from './harnesses.ts'
import { startWorkers, workerOf } from './workerd.ts'

/** Cases at once. Each lane is a process: in one that all share, timers would fire only when every case waits. */
const LANES = 8
/** A case that takes longer is given up. */
const MOST_MS = 300_000

/** Lanes that are free. */
let lanes: { readonly worker: Miniflare; readonly lane: number }[] = []
/** Each stops something that was started. */
const stops: (() => Promise<unknown>)[] = []
beforeAll(async () => {
  const servers = hasServers ? await startServers(LANES * DATABASES_PER_LANE) : undefined
  if (servers) stops.push(servers.stop)
  const workers = [
    await workerOf(join(import.meta.dirname, 'worker.ts'), ['SuiteObject'], {
      name: 'suite',
      d1Databases: Array.from({ length: DATABASES_PER_LANE }, (_, i) => `DB${i}`),
      durableObjects: { OBJECT: { className: 'SuiteObject', useSQLite: true } },
      kvNamespaces: ['KV'],
      serviceBindings: { OTHER: 'other' },
      ...(servers && { bindings: { SERVERS: JSON.parse(JSON.stringify(servers)) } }),
    }),
    await workerOf(join(import.meta.dirname, 'other.ts'), ['ServedObject'], {
      name: 'other',
      durableObjects: { SERVED: { className: 'ServedObject', useSQLite: true } },
    }),
  ]
  const starting = Array.from({ length: LANES }, async (_, lane) => {
    const worker = await startWorkers(workers)
    stops.unshift(() => worker.dispose())
    return { worker, lane }
  })
  lanes = await Promise.all(starting)
})
afterAll(async () => {
  for (const stop of stops) await stop()
})

async function run(path: string, id: string): Promise<string | undefined> {
  const free = lanes.pop()
  if (!free) throw new Error('Earlier cases are stuck')
  const { worker, lane } = free
  const answer = worker
    .dispatchFetch(`http://worker/${path}&case=${id}&lane=${lane}`)
    .then(async (response) => ((await response.json()) as { error?: string }).error)
  // A case that is given up goes on: its lane serves no other one.
  const error = await inTime(answer, MOST_MS)
  lanes.push(free)
  return error
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
      2 * MOST_MS,
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
      2 * MOST_MS,
    )
  }
})
