/** A slice of `npm run test:copy`: between all kinds of stores, with few runs, and a ring of copies by killed processes. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createDatabase } from '../../src/core/database.ts'
import { backup, restore } from '../../src/ops/index.ts'
import { type Kind, type Store, startBackends } from './backends.ts'
import { type Cut, MOMENTS } from './cut.ts'
import { type Content, carry, contentOf, filled, original } from './matrix.ts'

const KINDS = ['memory', 'sqlite', 'indexeddb', 'unstorage', 'remote', 'postgres', 'upstash'] as const
const RUNS = 60

describe('what a copy carries, cut off at one of ten places', () => {
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

  /** At one place of ten after the other, at one moment of three after the other. */
  const cutNumber = (i: number): Cut => ({
    after: Math.floor((wanted.entries * ((i % 10) + 1)) / 11),
    when: MOMENTS[i % MOMENTS.length]!,
    batch: 200,
  })
  let pair = 0

  for (const from of KINDS) {
    for (const to of KINDS.filter((name) => name !== from)) {
      it(`from ${from} to ${to} is the same`, async ({ skip }) => {
        const [source, kind] = [sources.get(from), kinds.get(to)]
        skip(!source || !kind, 'A part of this machine is missing')
        expect(wanted.entries).toBeGreaterThan(RUNS * 5)
        const { faults } = await carry(source!, kind!, { wanted, cuts: [cutNumber(pair++)], kill: false })
        expect(faults).toEqual([])
      })
    }
  }

  it('has nothing that a backup does not carry, from each kind to the next', async () => {
    const there = KINDS.filter((name) => kinds.has(name))
    for (const [i, from] of there.entries()) {
      const to = there[(i + 1) % there.length]!
      const source = createDatabase({ driver: await sources.get(from)!.open() })
      const chunks: string[] = []
      for await (const chunk of backup(source)) chunks.push(chunk)
      await source.close()
      const store = await kinds.get(to)!.make()
      const target = createDatabase({ driver: await store.open() })
      expect(await restore(target, () => chunks)).toMatchObject({ written: wanted.entries, consistent: true })
      expect({ from, to, content: await contentOf(target) }).toEqual({ from, to, content: wanted })
      await target.close()
      await store.dispose()
    }
  })

  it('is the same where the process was killed', async ({ skip }) => {
    const ring = ['sqlite', 'postgres', 'upstash', 'unstorage', 'remote', 'sqlite']
    skip(!ring.every((name) => kinds.has(name)), 'A part of this machine is missing')
    for (const [i, to] of ring.slice(1).entries()) {
      const { faults, kills } = await carry(sources.get(ring[i]!)!, kinds.get(to)!, {
        wanted,
        cuts: [cutNumber(2 * i + 1)],
        kill: true,
      })
      expect({ to, kills, faults }).toEqual({ to, kills: 1, faults: [] })
    }
  })
})
