/** What a call costs in a large database: two of them, one small and one large, side by side. */
import { createHoldfast } from 'holdfast'
import { startPostgres, startRedis } from 'holdfast/dev'
import { postgres } from 'holdfast/postgres'
import { upstash } from 'holdfast/upstash'
import pg from 'pg'
import { createClient } from 'redis'
import type { Driver } from 'holdfast'
import { part } from '../../scripts/parts.ts'
import { RUN, documentOf, eventOf } from '../data.ts'
import { type RaceOptions, figure, race, speed } from '../measure.ts'
import type { Cost } from './report.ts'

const FEW = 1000

/** Clones the first event of the run's log, until it has this many. */
type Fill = (database: string, events: number) => Promise<void>

async function measure(open: (database: string) => Promise<Driver>, fill: Fill, many: number, options: RaceOptions) {
  const sides = []
  for (const entries of [FEW, many]) {
    const database = `entries${entries}`
    const { state, persistence, claims, db } = createHoldfast({ driver: await open(database), durability: 'relaxed' })
    const append = (n: number) => persistence.append({ runId: RUN, workflow: 'order', ...eventOf(n) })
    await append(0)
    await fill(database, entries)
    const latest = await persistence.getLatestSeq(RUN)
    if (latest !== entries) throw new Error(`The log has ${latest} events`)
    sides.push({
      db,
      append,
      set: (n: number) => state.setJson(`name ${n % 100}`, documentOf(n)),
      claim: (n: number) => claims.claimTask({ runId: RUN, stepId: `s${n}`, workerId: 'w', ttl: 60_000 }),
      'load the last 100': () => persistence.loadEventsAfter(RUN, entries - 100, { limit: 100 }),
    })
  }
  const costs: Cost[] = []
  for (const call of ['append', 'set', 'claim', 'load the last 100'] as const) {
    const [few, large] = await race(
      sides.map((side, i) => {
        let n = 1
        return {
          name: String(i),
          async time(ops) {
            const start = performance.now()
            for (let i = 0; i < ops; i++) await side[call](n++)
            return performance.now() - start
          },
        }
      }),
      options,
    )
    const microseconds = (rounds: readonly number[]) => figure(rounds.map((nanoseconds) => nanoseconds / 1000))
    costs.push({
      call,
      entries: many,
      few: microseconds(few!.rounds),
      many: microseconds(large!.rounds),
      ratio: speed(few!, large!),
    })
  }
  for (const { db } of sides) await db.close()
  return costs
}

/** Measures on PostgreSQL. */
export async function costOfPostgres(many: number, options: RaceOptions): Promise<readonly Cost[]> {
  const server = await startPostgres({ bin: part('postgres')!, fsync: false, settings: { max_wal_size: '4GB' } })
  const admin = new pg.Pool({ connectionString: server.url, max: 1 })
  const pools = new Map<string, pg.Pool>()
  try {
    const open = async (database: string): Promise<Driver> => {
      await admin.query(`CREATE DATABASE ${database}`)
      pools.set(database, new pg.Pool({ connectionString: server.url.replace(/postgres$/, database), max: 2 }))
      return postgres({ db: pools.get(database)! })
    }
    const fill: Fill = async (database, events) => {
      await pools.get(database)!.query(
        `INSERT INTO holdfast_entries (part, key, version, text)
         SELECT part, left(key, -16) || lpad(n::text, 16, '0'), version || n, text
         FROM holdfast_entries, generate_series(2, $1::int) AS n WHERE key LIKE 'event!%'`,
        [events],
      )
      await pools.get(database)!.query('VACUUM ANALYZE holdfast_entries')
    }
    return await measure(open, fill, many, options)
  } finally {
    await Promise.all([admin, ...pools.values()].map((pool) => pool.end()))
    await server.stop()
  }
}

const CLONE = `local packed = redis.call('HGET', KEYS[1], 'event!0000000000000001')
for n = tonumber(ARGV[1]), tonumber(ARGV[2]) do
  local key = 'event!' .. string.format('%016.0f', n)
  redis.call('HSET', KEYS[1], key, packed)
  redis.call('ZADD', KEYS[2], 0, key)
end`
const CHUNK = 20_000

/** Measures on Redis. */
export async function costOfRedis(many: number, options: RaceOptions): Promise<readonly Cost[]> {
  const server = await startRedis()
  const client = await createClient({ url: server.url }).connect()
  try {
    const open = async (namespace: string): Promise<Driver> =>
      upstash({ redis: { send: (command) => client.sendCommand(command) }, namespace })
    const fill: Fill = async (namespace, events) => {
      const part = `default!run!${RUN}`
      for (let from = 2; from <= events; from += CHUNK) {
        const to = Math.min(from + CHUNK - 1, events)
        const keys = [`{${namespace}}:e:${part}`, `{${namespace}}:k:${part}`]
        await client.eval(CLONE, { keys, arguments: [String(from), String(to)] })
      }
    }
    return await measure(open, fill, many, options)
  } finally {
    client.destroy()
    await server.stop()
  }
}
