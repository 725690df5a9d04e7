/**
 * Local servers for development and tests, without an account: Upstash's REST protocol over a real redis-server, and
 * Neon's SQL over HTTP over PostgreSQL or an embedded PGlite. They listen only on 127.0.0.1, count requests, and inject
 * faults on request. `holdfast dev` starts them.
 *
 * @module
 */
export {
  type EmbeddedLike,
  type NeonBackend,
  type NeonField,
  type NeonResult,
  type NeonSession,
  type PoolLike,
  overEmbedded,
  overPools,
  startNeon,
  withPassword,
} from './neon.ts'
export { type PostgresServer, type PostgresServerOptions, startPostgres } from './postgres-server.ts'
export { type RedisOptions, type RedisServer, startRedis } from './redis-server.ts'
export type { Fault, LocalServer, RequestSeen, Traffic } from './server.ts'
export { type UpstashServer, type UpstashServerOptions, startUpstash } from './upstash.ts'
