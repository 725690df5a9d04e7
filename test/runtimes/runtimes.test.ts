/** The whole suite in the other runtimes: each runs it by itself, and what it reports becomes tests here. */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Case } from '../../src/testing/index.ts'
import { withDirectory } from '../support/engines.ts'
import { costly, slice, thinSlice } from '../support/slice.ts'
import { BUN, DENO, NODE22, NODE24, type Runtime } from './binaries.ts'
import { NETWORK } from './network.ts'
import type { Result } from './run.ts'
import { hasServers, startServers } from './servers.ts'

/** A runtime with an engine for JavaScript that no other suite runs on. */
const OTHER = { memory: slice, unstorage: thinSlice, http: thinSlice }
/** One with the engine of the tests themselves. */
const SAME = { memory: thinSlice, unstorage: thinSlice, http: thinSlice }
const idsOf = (some: readonly Case[]): string[] => some.map(({ id }) => id)
/** Cases at once are four, see run.ts, and each may want three databases. */
const DATABASES = 12

interface Suite extends Runtime {
  readonly program: string
  /** The cases for each driver, see run.ts. */
  readonly suites: Readonly<Record<string, readonly Case[]>>
  /** Drivers over servers. */
  readonly network?: readonly string[]
}

let servers: Awaited<ReturnType<typeof startServers>> | undefined
beforeAll(async () => {
  if (hasServers) servers = await startServers(DATABASES)
})
afterAll(() => servers?.stop())

describe.each<Suite>([
  { ...NODE22, program: 'node.ts', suites: { ...SAME, 'node:sqlite': slice } },
  // The second run of scripts/test.ts takes the whole suite through its `node:sqlite`.
  { ...NODE24, program: 'node.ts', suites: { ...SAME, 'node:sqlite': thinSlice } },
  { ...DENO, program: 'deno.ts', suites: { ...SAME, 'node:sqlite': costly }, network: NETWORK },
  { ...BUN, program: 'bun.ts', suites: { ...OTHER, 'bun:sqlite': costly }, network: NETWORK },
])('$name', ({ name, binary, flags, program, suites, network = [] }) => {
  const results = new Map<string, Result>()

  beforeAll(async () => {
    if (!binary) return
    await withDirectory(async (directory) => {
      const wanted = Object.fromEntries(Object.entries(suites).map(([harness, some]) => [harness, idsOf(some)]))
      const args = [...flags, join(import.meta.dirname, program), directory, JSON.stringify(wanted)]
      if (servers) args.push(JSON.stringify({ ...servers, slice: idsOf(thinSlice) }))
      const { stdout } = await promisify(execFile)(binary, args, { maxBuffer: 2 ** 26 })
      for (const line of stdout.trim().split('\n')) {
        const result = JSON.parse(line) as Result
        results.set(`${result.harness} ${result.id}`, result)
      }
    })
  }, 600_000)
  afterAll(() => results.clear())

  for (const [harness, some] of Object.entries(suites)) {
    describe(`holdfast conformance of ${harness} in ${name}`, () => {
      for (const { id, name } of some) {
        it.skipIf(!binary)(`${id} ${name}`, () => {
          expect(results.get(`${harness} ${id}`)).toEqual({ harness, id })
        })
      }
    })
  }

  for (const harness of network) {
    describe(`holdfast conformance of ${harness} in ${name}`, () => {
      for (const { id, name } of thinSlice) {
        it.skipIf(!binary || !hasServers)(`${id} ${name}`, () => {
          expect(results.get(`${harness} ${id}`)).toEqual({ harness, id })
        })
      }
    })
  }
})
