/** Backups, restores and copies of a whole database, beside what SQLite and PostgreSQL bring for that. @module */
import { execFileSync } from 'node:child_process'
import { createReadStream, createWriteStream, rmSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { type Driver, createHoldfast } from 'holdfast'
import { sqlite } from 'holdfast/better-sqlite3'
import { backup, copy, restore, stats } from 'holdfast/ops'
import { postgres } from 'holdfast/postgres'
import pg from 'pg'
import { startPostgres } from '../../src/dev/postgres-server.ts'
import { part } from '../../scripts/parts.ts'
import { figure } from '../measure.ts'
import type { CarryRow, OpsReport } from './report.ts'

/** A way to carry a database; it leaves nothing behind. */
interface Way {
  readonly what: string
  readonly by: string
  prepare?(): Promise<unknown>
  carry(): Promise<void> | void
}

/** Uses a driver and closes it. */
async function within<T>(
  driver: Driver,
  work: (db: ReturnType<typeof createHoldfast>['db']) => Promise<T>,
): Promise<T> {
  const { db, close } = createHoldfast({ driver, durability: 'relaxed' })
  try {
    return await work(db)
  } finally {
    await close()
  }
}

/** Runs as programs have them: five events and a result each. */
async function fill(driver: Driver, runs: number): Promise<void> {
  const { persistence, workflows, close } = createHoldfast({ driver, durability: 'relaxed' })
  for (let from = 0; from < runs; from += 200) {
    await Promise.all(
      Array.from({ length: Math.min(200, runs - from) }, async (_, i) => {
        const runId = `order-${from + i}`
        const event = { runId, workflow: 'order', kind: 'step' }
        const events = Array.from({ length: 5 }, (__, n) => ({
          ...event,
          payload: { n, note: 'kelp and limpets '.repeat(10) },
        }))
        await persistence.appendBatch(events)
        await workflows.saveTaskResult(runId, 'charge', { id: `ch_${i}` })
      }),
    )
  }
  await close()
}

/**
 * @param directory - for files
 * @param runs - how many
 * @param rounds - in each, all ways have their turn
 */
export async function measureCarrying(
  directory: string,
  runs: number,
  rounds: number,
): Promise<Pick<OpsReport, 'runs' | 'entries' | 'bytes' | 'carried'>> {
  const at = (name: string): string => join(directory, name)
  const [db, lines, sql] = [at('a.db'), at('a.ndjson'), at('a.sql')]
  const toFile = (driver: Driver, file: string) =>
    within(driver, (store) => pipeline(Readable.from(backup(store)), createWriteStream(file)))
  const transfer = async (from: Driver, to: Driver): Promise<void> =>
    void (await within(from, (source) => within(to, (target) => copy(source, target))))
  const fromFile = async (driver: Driver, file: string): Promise<void> =>
    void (await within(driver, (store) => restore(store, () => createReadStream(file))))
  const shell = (script: string): void =>
    void execFileSync('bash', ['-c', script], { stdio: ['ignore', 'ignore', 'inherit'] })
  const without = (name: string) => async () => {
    for (const end of ['', '-wal', '-shm']) rmSync(at(name) + end, { force: true })
  }

  await fill(sqlite({ path: db }), runs)
  const { entries, tenants } = await within(sqlite({ path: db }), (store) => stats(store, { sizes: true }))
  const bytes = Object.values(tenants).reduce((sum, tenant) => sum + tenant.bytes!, 0)
  const ways: Way[] = [
    { what: 'back SQLite up', by: 'holdfast backup', carry: () => toFile(sqlite({ path: db }), lines) },
    { what: 'back SQLite up', by: 'sqlite3 .dump', carry: () => shell(`sqlite3 '${db}' .dump > '${sql}'`) },
    {
      what: 'restore SQLite',
      by: 'holdfast restore',
      prepare: without('r.db'),
      carry: () => fromFile(sqlite({ path: at('r.db') }), lines),
    },
    {
      what: 'restore SQLite',
      by: 'sqlite3 < dump',
      prepare: without('d.db'),
      carry: () => shell(`sqlite3 '${at('d.db')}' < '${sql}'`),
    },
    {
      what: 'copy SQLite',
      by: 'holdfast copy, compared',
      prepare: without('c.db'),
      carry: () => transfer(sqlite({ path: db }), sqlite({ path: at('c.db') })),
    },
    {
      what: 'copy SQLite',
      by: 'VACUUM INTO',
      prepare: without('v.db'),
      carry: () => shell(`sqlite3 '${db}' "VACUUM INTO '${at('v.db')}'"`),
    },
  ]

  const bin = part('postgres')
  const server = bin ? await startPostgres({ bin, fsync: false }) : undefined
  const url = (name: string): string => server!.url.replace(/postgres$/, name)
  const open = (name: string): Driver => {
    const pool = new pg.Pool({ connectionString: url(name), max: 4 })
    const driver = postgres({ db: pool })
    return { ...driver, close: async () => (await driver.close(), pool.end()) }
  }
  const empty = (name: string) => async () =>
    shell(`psql -q '${server!.url}' -c 'DROP DATABASE IF EXISTS ${name} WITH (FORCE)' -c 'CREATE DATABASE ${name}'`)
  try {
    if (server) {
      await empty('a')()
      await within(sqlite({ path: db }), (from) => within(open('a'), (to) => copy(from, to, { verify: false })))
      const [plines, psql] = [at('p.ndjson'), at('p.sql')]
      ways.push(
        { what: 'back PostgreSQL up', by: 'holdfast backup', carry: () => toFile(open('a'), plines) },
        { what: 'back PostgreSQL up', by: 'pg_dump', carry: () => shell(`pg_dump '${url('a')}' > '${psql}'`) },
        {
          what: 'restore PostgreSQL',
          by: 'holdfast restore',
          prepare: empty('r'),
          carry: () => fromFile(open('r'), plines),
        },
        {
          what: 'restore PostgreSQL',
          by: 'psql < dump',
          prepare: empty('d'),
          carry: () => shell(`psql -q '${url('d')}' < '${psql}'`),
        },
        {
          what: 'SQLite to PostgreSQL',
          by: 'holdfast copy, compared',
          prepare: empty('c'),
          carry: () => transfer(sqlite({ path: db }), open('c')),
        },
      )
    }
    const times = new Map<Way, number[]>(ways.map((way) => [way, []]))
    for (let round = 0; round < rounds; round++) {
      for (const way of ways) {
        await way.prepare?.()
        const start = performance.now()
        await way.carry()
        times.get(way)!.push((performance.now() - start) / 1000)
      }
    }
    const carried = [...times].map(([{ what, by }, taken]): CarryRow => {
      const seconds = figure(taken)
      return {
        what,
        by,
        seconds,
        megabytesPerSecond: bytes / 1e6 / seconds.median,
        recordsPerSecond: Math.round(entries / seconds.median),
      }
    })
    return { runs, entries, bytes, carried }
  } finally {
    await server?.stop()
  }
}
