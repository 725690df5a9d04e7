/** The drivers that the random, concurrent and crash tests go through; under Node 24 `node:sqlite` is one of them. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type Sqlite from 'better-sqlite3'
import type { Clock } from '../../src/core/clock.ts'
import type { Driver } from '../../src/core/driver.ts'
import { memory } from '../../src/drivers/memory.ts'
import { betterSqlite3, hasNodeSqlite } from './parts.ts'

/** A driver of one kind. */
export interface Engine {
  readonly name: string
  /** Whether further drivers, of other processes too, can be made on the same file. */
  readonly isFile: boolean
  /** Makes a driver on a file, or on nothing but memory where the kind has no files. */
  make(path: string, clock?: Clock): Promise<Driver>
}

/** A connection past the driver, by the better-sqlite3 that fits this Node. */
export async function openBetterSqlite3(path: string): Promise<Sqlite.Database> {
  const { default: Database } = (await import(betterSqlite3)) as { default: typeof Sqlite }
  return new Database(path)
}

const memoryEngine: Engine = {
  name: 'memory',
  isFile: false,
  make: async (_, clock) => memory({ ...(clock && { clock }) }),
}

/** The better-sqlite3 that fits this Node. */
export const betterSqlite3Engine: Engine = {
  name: 'better-sqlite3',
  isFile: true,
  async make(path, clock) {
    const { sqlite } = await import('../../src/drivers/sqlite/better-sqlite3.ts')
    if (betterSqlite3 === 'better-sqlite3') return sqlite({ path, ...(clock && { clock }) })
    const db = await openBetterSqlite3(path)
    const driver = sqlite({ db, ...(clock && { clock }) })
    return { ...driver, close: async () => (await driver.close(), void db.close()) }
  },
}

const nodeSqliteEngine: Engine = {
  name: 'node:sqlite',
  isFile: true,
  async make(path, clock) {
    const { nodeSqlite } = await import('../../src/drivers/sqlite/node-sqlite.ts')
    return nodeSqlite({ path, ...(clock && { clock }) })
  },
}

export const engines: readonly Engine[] = [
  memoryEngine,
  betterSqlite3Engine,
  ...(hasNodeSqlite ? [nodeSqliteEngine] : []),
]

export const fileEngines: readonly Engine[] = engines.filter((engine) => engine.isFile)

/** The engine of this name: what a child process is told to use. */
export function engineNamed(name: string | undefined): Engine {
  const engine = engines.find((candidate) => candidate.name === name)
  if (engine === undefined) throw new Error(`No engine named ${name} in this Node`)
  return engine
}

/** A directory of one's own, gone when the work is done. */
export async function withDirectory<T>(work: (directory: string) => Promise<T>): Promise<T> {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-'))
  try {
    return await work(directory)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}
