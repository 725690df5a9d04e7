/** Servers for the tests of one file. */
import pg from 'pg'
import { createClient } from 'redis'
import { startPostgres } from '../../src/dev/postgres-server.ts'
import { startRedis } from '../../src/dev/redis-server.ts'
import { part } from '../support/parts.ts'

/** What is to be ended after the file, the last first. */
export type Endings = (() => Promise<unknown>)[]

/** A pool of a PostgreSQL of its own. */
export async function postgresPool(endings: Endings): Promise<pg.Pool> {
  const server = await startPostgres({ bin: part('postgres')!, fsync: false })
  const pool = new pg.Pool({ connectionString: server.url, max: 8 })
  endings.push(
    () => server.stop(),
    () => pool.end(),
  )
  return pool
}

/** A client of a Redis of its own. */
export async function redisClient(endings: Endings) {
  const server = await startRedis()
  const client = await createClient({ url: server.url }).connect()
  endings.push(
    () => server.stop(),
    async () => client.destroy(),
  )
  return client
}
