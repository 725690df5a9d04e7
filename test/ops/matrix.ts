/** One copy from any kind of store to any other: cut off at ten places, resumed, and equal in the end. */
import { createHash } from 'node:crypto'
import { type Database, createDatabase } from '../../src/core/database.ts'
import type { Driver } from '../../src/core/driver.ts'
import { memory } from '../../src/drivers/memory.ts'
import { copy, verify } from '../../src/ops/index.ts'
import { scan } from '../../src/ops/scan.ts'
import type { Kind, Store } from './backends.ts'
import { type Cut, cutByError, cutByKill } from './cut.ts'
import { manyRuns, seed } from './seed.ts'

const DAY = 86_400_000
/** The most entries in a batch, where nothing else is wanted. */
const LARGE = 2000

/** What must be the same in a copy. */
export interface Content {
  readonly entries: number
  readonly checksum: string
}

/** Everything that is stored, in bounded memory. */
export async function contentOf(db: Database): Promise<Content> {
  const hash = createHash('sha256')
  let entries = 0
  for await (const slices of scan(db, { batch: LARGE })) {
    for (const { part, entries: found } of slices) {
      for (const { key, version, value, expiresAt } of found) {
        hash.update(JSON.stringify([part, key, version, expiresAt, typeof value]))
        hash.update(value)
        entries++
      }
    }
  }
  return { entries, checksum: hash.digest('hex') }
}

/**
 * A database with entries of all families, and so many runs besides. Made a day ahead of time, so that nothing in it
 * expires while it is carried around.
 */
export async function original(runs: number): Promise<Driver> {
  const clock = (): number => Date.now() + DAY
  const driver = memory({ clock })
  const holdfast = await seed(driver, clock)
  await manyRuns(holdfast, runs, (i) => ({ runId: `run ${i}`, ends: i % 2 === 0 }))
  return driver
}

/** A store of a kind that holds the same as the original. */
export async function filled(kind: Kind, from: Driver): Promise<Store> {
  const store = await kind.make()
  const target = createDatabase({ driver: await store.open() })
  await copy(createDatabase({ driver: from }), target, { verify: false, batch: LARGE })
  await target.close()
  return store
}

/** What a copy came to. */
export interface Copied {
  readonly kills: number
  /** Until all was there, cuts and the comparison in the end included. */
  readonly seconds: number
  /** What is wrong; empty where all is well. */
  readonly faults: readonly string[]
}

/** How a copy is made. */
export interface MatrixOptions {
  /** What the source holds. */
  readonly wanted: Content
  /** How it is cut off, one time after the other. */
  readonly cuts: readonly Cut[]
  /** Whether processes are killed where both stores outlive them; if not, and elsewhere, an error cuts it off. */
  readonly kill: boolean
}

/** Copies into a new store of a kind, cut off again and again. */
export async function carry(source: Store, kind: Kind, { wanted, cuts, kill }: MatrixOptions): Promise<Copied> {
  const faults: string[] = []
  const target = await kind.make()
  const start = performance.now()
  let kills = 0
  for (const cut of cuts) {
    if (kill && source.address && target.address) {
      await cutByKill(source.address, target.address, cut)
      kills++
    } else await cutByError(source, target, cut)
  }
  const from = createDatabase({ driver: await source.open() })
  const to = createDatabase({ driver: await target.open() })
  const { present, written, differing } = await copy(from, to, { batch: LARGE })
  const seconds = (performance.now() - start) / 1000
  if (differing !== 0 || written + present !== wanted.entries) {
    faults.push(`${written} written, ${present} present, ${differing} differ of ${wanted.entries}`)
  }
  if ((await contentOf(to)).checksum !== wanted.checksum) faults.push('The checksums differ')
  const { problems, first } = await verify(to, { batch: LARGE })
  if (problems > 0) faults.push(`${problems} problems, the first: ${JSON.stringify(first[0])}`)
  await to.close()
  await from.close()
  await target.dispose()
  return { kills, seconds, faults }
}
