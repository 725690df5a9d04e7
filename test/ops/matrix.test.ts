/** A slice of `npm run test:copy`: between all kinds of stores, with few runs, and a ring of copies by killed processes. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createDatabase } from '../../src/core/database.ts'
import { type Kind, type Store, startBackends } from './backends.ts'
import { type Content, carry, contentOf, filled, original } from './matrix.ts'

const KINDS = ['memory', 'sqlite', 'indexeddb', 'unstorage', 'remote', 'postgres', 'upstash'] as const
const RUNS = 60

describe('a copy that is cut off at three places', () => {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-matrix-'))
  const sources = new Map<string, Store>()
  let wanted: Content
  let kinds: ReadonlyMap<string, Kind>
  let stop: () => Promise<void>

  beforeAll(async () => {
    const backends = await startBackends(directory)
    stop = backends.stop
    kinds = new Map(backends.kinds.map((kind) => [kind.name, kind]))
    const driver = await original(RUNS)
    wanted = await contentOf(createDatabase({ driver }))
    for (const kind of backends.kinds) sources.set(kind.name, await filled(kind, driver))
  })
  afterAll(async () => {
    for (const source of sources.values()) await source.dispose()
    await stop()
    rmSync(directory, { recursive: true })
  })

  for (const from of KINDS) {
    for (const to of KINDS.filter((name) => name !== from)) {
      it(`from ${from} to ${to} ends with the same content`, async ({ skip }) => {
        const [source, kind] = [sources.get(from), kinds.get(to)]
        skip(!source || !kind, 'A part of this machine is missing')
        expect(wanted.entries).toBeGreaterThan(RUNS * 5)
        const { faults } = await carry(source!, kind!, { wanted, cuts: 3, batch: 100, kill: false })
        expect(faults).toEqual([])
      })
    }
  }

  it('is the same where the process was killed', async ({ skip }) => {
    const ring = ['sqlite', 'postgres', 'upstash', 'unstorage', 'remote', 'sqlite']
    skip(!ring.every((name) => kinds.has(name)), 'A part of this machine is missing')
    for (const [i, to] of ring.slice(1).entries()) {
      const { faults, kills } = await carry(sources.get(ring[i]!)!, kinds.get(to)!, {
        wanted,
        cuts: 1,
        batch: 100,
        kill: true,
      })
      expect({ to, kills, faults }).toEqual({ to, kills: 1, faults: [] })
    }
  })
})
