/** The servers that runtimes are to reach by `fetch`, on this machine. */
import { startRedis } from '../../src/dev/redis-server.ts'
import { startUpstash } from '../../src/dev/upstash.ts'
import { memory } from '../../src/drivers/memory.ts'
import { createHandler } from '../../src/served/http/index.ts'
import { replay } from '../../src/wrappers/replay.ts'
import { bin, databases, neonOver, start } from '../drivers/postgres/support.ts'
import { hasRedis } from '../drivers/upstash/support.ts'
import { authorize, listen } from '../served/http/support.ts'
import type { Servers } from './network.ts'

/** Whether they can run here. */
export const hasServers: boolean = hasRedis && bin !== undefined

/** Starts them. @param count - of databases of Postgres */
export async function startServers(count: number): Promise<Servers & { stop(): Promise<void> }> {
  const handler = await listen(createHandler(replay(memory(), { window: 120_000 }), { authorize }))
  const redis = await startRedis()
  const rest = await startUpstash({ redis: redis.url })
  const postgres = await start()
  const pool = databases(postgres)
  const neon = await neonOver(postgres)
  const made: string[] = []
  while (made.length < count) made.push(new URL((await pool.take()).url).pathname.slice(1))
  return {
    upstash: { url: rest.url, token: rest.token },
    neon: { port: neon.http.port, databases: made },
    remote: handler.url,
    async stop() {
      await Promise.all([handler.close(), rest.close(), neon.end(), pool.end()])
      await Promise.all([redis.stop(), postgres.stop()])
    },
  }
}
