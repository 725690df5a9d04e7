/** A slice of `npm run test:copy`: between all kinds of stores, with few runs, and a ring of copies by killed processes. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createDatabase } from '../../src/core/database.ts'
import { backup, restore, verify } from '../../src/ops/index.ts'
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

  it.for(['postgres'] as const)('is cut off at all ten places in turn on its way to %s', async (to, { skip }) => {
    const [source, kind] = [sources.get('sqlite')!, kinds.get(to)]
    skip(!kind, 'A part of this machine is missing')
    // Each of the ten goes a little further than the one before.
    const after = Math.floor(wanted.entries / 16)
    const cuts = Array.from({ length: 10 }, (_, i) => ({ ...cutNumber(i), after, batch: Math.ceil(after / 2) }))
    expect(await carry(source, kind!, { wanted, cuts, kill: false })).toMatchObject({ faults: [] })
  })

  it.for(['sqlite', 'postgres', 'upstash'] as const)('comes back from a backup into %s, or not at all', async (to) => {
    const [source, kind] = [sources.get('sqlite')!, kinds.get(to)]
    if (!kind) return
    const from = createDatabase({ driver: await source.open() })
    const chunks: string[] = []
    for await (const chunk of backup(from)) chunks.push(chunk)
    const store = await kind.make()
    const target = createDatabase({ driver: await store.open() })
    const mine = { part: 'zz!values', key: 'mine' }

    const damaged = [...chunks.slice(0, -1), chunks.at(-1)!.replace('"entries":', '"entries":1')]
    await expect(restore(target, () => damaged)).rejects.toMatchObject({ code: 'SERIALIZATION' })
    expect((await contentOf(target)).entries).toBe(0)
    await target.commit({ ops: [{ put: mine, value: 'mine' }] })
    await expect(restore(target, () => chunks)).rejects.toMatchObject({ code: 'CONFLICT' })
    expect((await contentOf(target)).entries).toBe(1)
    await target.commit({ ops: [{ delete: mine }] })

    const stop = new AbortController()
    const cut = { batch: 20, signal: stop.signal, onProgress: () => stop.abort() }
    await expect(restore(target, () => chunks, cut)).rejects.toMatchObject({ code: 'ABORTED' })
    const { entries } = await contentOf(target)
    expect(entries).toBeGreaterThan(0)
    expect(await restore(target, () => chunks)).toMatchObject({ present: entries, written: wanted.entries - entries })
    expect(await contentOf(target)).toEqual(wanted)

    await target.commit({ ops: [{ deletePart: 'default!status' }, { deletePart: 'default!due' }] })
    const { problems } = await verify(target)
    expect(problems).toBeGreaterThan(RUNS)
    expect(await verify(target, { repair: true })).toMatchObject({ problems, repaired: problems })
    expect(await verify(target)).toMatchObject({ problems: 0, entries: wanted.entries })
    await target.close()
    await from.close()
    await store.dispose()
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
