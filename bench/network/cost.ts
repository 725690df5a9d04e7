/** What a call costs as a database grows: databases of several sizes, side by side, and the work that servers count. */
import { createHoldfast } from 'holdfast'
import { startPostgres, startRedis } from 'holdfast/dev'
import { postgres } from 'holdfast/postgres'
import { upstash } from 'holdfast/upstash'
import pg from 'pg'
import { createClient } from 'redis'
import type { Driver } from 'holdfast'
import { part } from '../../scripts/parts.ts'
import { RUN, documentOf, eventOf } from '../data.ts'
import { type RaceOptions, race, speed, timeOf } from '../measure.ts'
import type { Cost } from './report.ts'

/** How often a call is made while the server's work is counted. */
const COUNTED = 50

/** A kind of server that counts what it does. */
interface Ground {
  /** What work is counted in. */
  readonly unit: string
  /** A driver on an empty database. */
  open(database: string): Promise<Driver>
  /** Clones the first event of the run's log, until it has this many. */
  fill(database: string, events: number): Promise<void>
  /** The server's work for each of so many calls. */
  count(calls: number, work: () => Promise<void>): Promise<number>
}

/** A call that costs the same in a large database as in a small one, if all is well. */
type Call = (n: number) => Promise<unknown>

async function openSide({ open, fill }: Ground, entries: number) {
  const database = `entries${entries}`
  const { state, persistence, claims, db } = createHoldfast({ driver: await open(database), durability: 'relaxed' })
  const append: Call = (n) => persistence.append({ runId: RUN, workflow: 'order', ...eventOf(n) })
  await append(0)
  await fill(database, entries)
  const latest = await persistence.getLatestSeq(RUN)
  if (latest !== entries) throw new Error(`The log has ${latest} events`)
  const calls: Record<string, Call> = {
    append,
    set: (n) => state.setJson(`name ${n % 100}`, documentOf(n)),
    claim: (n) => claims.claimTask({ runId: RUN, stepId: `s${n}`, workerId: 'w', ttl: 60_000 }),
    'load the last 100': () => persistence.loadEventsAfter(RUN, entries - 100, { limit: 100 }),
  }
  let n = 1
  return {
    entries,
    db,
    names: Object.keys(calls),
    async run(call: string, ops: number): Promise<void> {
      for (let i = 0; i < ops; i++) await calls[call]!(n++)
    },
  }
}

async function measure(ground: Ground, sizes: readonly number[], options: RaceOptions): Promise<readonly Cost[]> {
  const sides = []
  for (const entries of sizes) sides.push(await openSide(ground, entries))
  const costs: Cost[] = []
  for (const call of sides[0]!.names) {
    const timings = await race(
      sides.map((side) => ({
        name: String(side.entries),
        async time(ops) {
          const start = performance.now()
          await side.run(call, ops)
          return performance.now() - start
        },
      })),
      options,
    )
    const found = []
    for (const [i, side] of sides.entries()) {
      found.push({
        entries: side.entries,
        microseconds: timeOf(timings[i]!, 1000),
        work: await ground.count(COUNTED, () => side.run(call, COUNTED)),
      })
    }
    costs.push({ call, unit: ground.unit, sizes: found, ratio: speed(timings[0]!, timings.at(-1)!) })
  }
  for (const { db } of sides) await db.close()
  return costs
}

interface Plan {
  readonly Plan: { readonly 'Shared Hit Blocks': number; readonly 'Shared Read Blocks': number }
}

/** Measures on PostgreSQL: the pages that a call touches. */
export async function costOfPostgres(sizes: readonly number[], options: RaceOptions): Promise<readonly Cost[]> {
  const server = await startPostgres({ bin: part('postgres')!, fsync: false, settings: { max_wal_size: '4GB' } })
  const admin = new pg.Pool({ connectionString: server.url, max: 1 })
  const pools = new Map<string, pg.Pool>()
  let pages: number | undefined

  /** Tried out first and undone, so that the same statement does the same once more. */
  async function explain(pool: pg.Pool, text: string, params: string[]): Promise<number> {
    const client = await pool.connect()
    try {
      await client.query('BEGIN')
      const { rows } = await client.query<{ 'QUERY PLAN': [Plan] }>(
        `EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ${text}`,
        params,
      )
      const [{ Plan: plan }] = rows[0]!['QUERY PLAN']
      return plan['Shared Hit Blocks'] + plan['Shared Read Blocks']
    } finally {
      await client.query('ROLLBACK')
      client.release()
    }
  }

  try {
    return await measure(
      {
        unit: 'pages touched',
        async open(database) {
          await admin.query(`CREATE DATABASE ${database}`)
          const pool = new pg.Pool({ connectionString: server.url.replace(/postgres$/, database), max: 2 })
          pools.set(database, pool)
          return postgres({
            async db(text, params) {
              if (pages !== undefined) pages += await explain(pool, text, params)
              return (await pool.query({ text, values: params, rowMode: 'array' })).rows
            },
          })
        },
        async fill(database, events) {
          await pools.get(database)!.query(
            `INSERT INTO holdfast_entries (part, key, version, text)
             SELECT part, left(key, -16) || lpad(n::text, 16, '0'), version || n, text
             FROM holdfast_entries, generate_series(2, $1::int) AS n WHERE key LIKE 'event!%'`,
            [events],
          )
          await pools.get(database)!.query('VACUUM ANALYZE holdfast_entries')
        },
        async count(calls, work) {
          pages = 0
          await work()
          const counted = pages
          pages = undefined
          return counted / calls
        },
      },
      sizes,
      options,
    )
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

/** Measures on Redis: the time that the server itself counts for the script. */
export async function costOfRedis(sizes: readonly number[], options: RaceOptions): Promise<readonly Cost[]> {
  const server = await startRedis()
  const client = await createClient({ url: server.url }).connect()
  try {
    return await measure(
      {
        unit: 'µs in the server',
        open: async (namespace) => upstash({ redis: { send: (command) => client.sendCommand(command) }, namespace }),
        async fill(namespace, events) {
          const name = `default!run!${RUN}`
          for (let from = 2; from <= events; from += CHUNK) {
            const to = Math.min(from + CHUNK - 1, events)
            const keys = [`{${namespace}}:e:${name}`, `{${namespace}}:k:${name}`]
            await client.eval(CLONE, { keys, arguments: [String(from), String(to)] })
          }
        },
        async count(calls, work) {
          await client.sendCommand(['CONFIG', 'RESETSTAT'])
          await work()
          const stats = await client.info('commandstats')
          return Number(/^cmdstat_evalsha:.*?usec=(\d+)/m.exec(stats)![1]) / calls
        },
      },
      sizes,
      options,
    )
  } finally {
    client.destroy()
    await server.stop()
  }
}
