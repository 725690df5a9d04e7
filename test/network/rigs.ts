/** The drivers of hosted services as the network tests use them: over HTTP and over TCP, on a real server that can be killed. */
import pg from 'pg'
import type { Driver } from '../../src/core/driver.ts'
import { startRedis } from '../../src/dev/redis-server.ts'
import type { LocalServer } from '../../src/dev/server.ts'
import { startUpstash } from '../../src/dev/upstash.ts'
import { startPostgres } from '../../src/dev/postgres-server.ts'
import { postgres } from '../../src/drivers/postgres/driver.ts'
import { upstash } from '../../src/drivers/upstash/driver.ts'
import { bin, neonOver } from '../drivers/postgres/support.ts'
import { quiet } from '../support/quiet.ts'
import { connected, hasRedis, vendor } from '../drivers/upstash/support.ts'

/** A server, the protocol of a hosted service in front of it, and drivers on its one database. */
export interface Rig {
  /** The real server. */
  readonly server: { kill(): Promise<void>; restart(): Promise<void> }
  /** What speaks the service's protocol. */
  readonly http: LocalServer
  /** Another driver, through the vendor's client. */
  overHttp(): Driver
  /** Another driver, through a client that speaks to the server itself. */
  overTcp(): Driver
  end(): Promise<void>
}

/** A kind of rig. */
export interface RigKind {
  readonly name: 'redis' | 'postgres'
  readonly isHere: boolean
  /** Starts one whose answered commits are on disk. */
  start(): Promise<Rig>
}

/** How often Redis is asked again: for as long as a server may need to come back. */
const RETRIES = 30

const redis: RigKind = {
  name: 'redis',
  isHere: hasRedis,
  async start() {
    const server = await startRedis({ durable: true })
    const http = await startUpstash({ redis: server.url })
    const client = await connected(server.url)
    const handle = { send: (command: string[]) => client.sendCommand(command) }
    return {
      server,
      http,
      overHttp: () => upstash({ redis: vendor(http), retries: RETRIES }),
      overTcp: () => upstash({ redis: handle, durability: 'strict', retries: RETRIES }),
      async end() {
        client.destroy()
        await http.close()
        await server.stop()
      },
    }
  },
}

const postgreSql: RigKind = {
  name: 'postgres',
  isHere: bin !== undefined,
  async start() {
    const server = await startPostgres({ bin: bin! })
    const neon = await neonOver(server)
    const pool = quiet(new pg.Pool({ connectionString: server.url, max: 4 }))
    return {
      server,
      http: neon.http,
      overHttp: () => postgres({ db: neon.open('postgres') }),
      overTcp: () => postgres({ db: pool }),
      async end() {
        await pool.end()
        await neon.end()
        await server.stop()
      },
    }
  },
}

export const RIGS: readonly RigKind[] = [redis, postgreSql]

/** The kind of this name. */
export function rigNamed(name: string | undefined): RigKind {
  const found = RIGS.find((kind) => kind.name === name)
  if (found === undefined) throw new Error(`Name one of ${RIGS.map((kind) => kind.name).join(' and ')}`)
  return found
}
