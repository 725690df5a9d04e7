/**
 * The drivers of hosted services as engines of the model: through the vendors' clients, on real servers whose clock is
 * ours. The driver knows no clock but the server's, so it is the script and the functions that are told another time.
 */
import type { Redis } from '@upstash/redis'
import pg from 'pg'
import type { Clock } from '../../src/core/clock.ts'
import type { Driver } from '../../src/core/driver.ts'
import { startPostgres } from '../../src/dev/postgres-server.ts'
import { startRedis } from '../../src/dev/redis-server.ts'
import { startUpstash } from '../../src/dev/upstash.ts'
import { postgres } from '../../src/drivers/postgres/driver.ts'
import { upstash } from '../../src/drivers/upstash/driver.ts'
import { EMPTY } from '../drivers/postgres/empty.ts'
import { bin, neonOver, replaceClock } from '../drivers/postgres/support.ts'
import { clockEditor, hasRedis, namespace, vendor } from '../drivers/upstash/support.ts'
import type { Engine } from '../support/engines.ts'

/** An engine over servers of its own. */
export interface HostedEngine extends Engine {
  end(): Promise<void>
}

/** A kind of them. */
export interface HostedKind {
  readonly name: 'redis' | 'postgres'
  readonly isHere: boolean
  start(): Promise<HostedEngine>
}

/** Has every script that the client sends take its time from this clock. */
function withClock(redis: Redis, clock: Clock): Redis {
  const { client } = redis as unknown as { client: { request(request: { body: string[] }): Promise<unknown> } }
  const { request } = client
  const edit = clockEditor(clock)
  client.request = function ({ body, ...rest }) {
    return request.call(this, { ...rest, body: edit(body) })
  }
  return redis
}

const redis: HostedKind = {
  name: 'redis',
  isHere: hasRedis,
  async start() {
    const server = await startRedis()
    const http = await startUpstash({ redis: server.url })
    const namespaces = new Map<string, string>()
    return {
      name: 'upstash over @upstash/redis',
      isFile: true,
      async make(path, clock = Date.now) {
        const own = namespaces.get(path) ?? namespace()
        namespaces.set(path, own)
        return upstash({ redis: withClock(vendor(http), clock), namespace: own })
      },
      async end() {
        await http.close()
        await server.stop()
      },
    }
  },
}

const postgreSql: HostedKind = {
  name: 'postgres',
  isHere: bin !== undefined,
  async start() {
    const server = await startPostgres({ bin: bin!, fsync: false })
    const neon = await neonOver(server)
    const admin = new pg.Pool({ connectionString: server.url, max: 1 })
    await postgres({ db: admin }).open()
    await admin.query('CREATE TABLE model_clock (now bigint NOT NULL)')
    await admin.query('INSERT INTO model_clock VALUES (0)')
    await replaceClock(admin, () => '(SELECT now FROM model_clock)')
    let told = 0
    let telling: Promise<unknown> = Promise.resolve()
    /** Time stands still while calls are under way, so whoever comes second waits for the same answer. */
    function tell(now: number): Promise<unknown> {
      if (now !== told) telling = admin.query('UPDATE model_clock SET now = $1', [(told = now)])
      return telling
    }
    const atTheTimeOf = (clock: Clock, driver: Driver): Driver => ({
      ...driver,
      read: async (...args) => (await tell(clock()), driver.read(...args)),
      commit: async (...args) => (await tell(clock()), driver.commit(...args)),
    })
    let last = ''
    return {
      name: "postgres over Neon's client",
      isFile: true,
      async make(path, clock = Date.now) {
        // One history comes after the other: what the last one left is no longer asked for.
        if (path !== last) await admin.query(EMPTY)
        last = path
        return atTheTimeOf(clock, postgres({ db: neon.open('postgres') }))
      },
      async end() {
        await admin.end()
        await neon.end()
        await server.stop()
      },
    }
  },
}

export const HOSTED: readonly HostedKind[] = [redis, postgreSql]
