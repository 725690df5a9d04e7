/** The command `dev`: local servers that speak the protocols of hosted ones. @module */
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { type Command, Option } from '../libraries.ts'
import { type NeonBackend, overEmbedded, overPools, startNeon, withPassword } from '../../dev/neon.ts'
import { startPostgres } from '../../dev/postgres-server.ts'
import { startRedis } from '../../dev/redis-server.ts'
import { startUpstash } from '../../dev/upstash.ts'
import { type Context, action, examples } from '../command.ts'
import { EXIT, Failure } from '../failures.ts'
import { load } from '../servers.ts'

interface DevOptions {
  readonly only?: 'upstash' | 'neon'
  readonly postgres: 'embedded' | 'server'
  readonly token: string
  readonly upstashPort: string
  readonly neonPort: string
}

/** Environment variables to set. */
type Environment = Readonly<Record<string, string>>

/** Functions that stop what was started, in the order of starting. */
type Endings = (() => Promise<unknown>)[]

/** The host in DATABASE_URL does not exist, so the client needs to know the address. */
const NEON_NOTE = 'For the Neon client, set: neonConfig.fetchEndpoint = () => process.env.NEON_FETCH_ENDPOINT'

/** Adds the command `dev`. */
export function addDevCommand(program: Command): void {
  program
    .command('dev')
    .description('start local servers that speak the protocols of Upstash and Neon, until Ctrl-C')
    .addOption(new Option('--only <server>', 'start only one of them').choices(['upstash', 'neon']))
    .addOption(
      new Option('--postgres <kind>', 'embedded: PGlite, in this process; server: the PostgreSQL of this machine')
        .choices(['embedded', 'server'])
        .default('embedded'),
    )
    .option('--token <text>', 'the token and password to accept', 'local')
    .option('--upstash-port <number>', 'the port of the Upstash server; 0 picks a free one', '0')
    .option('--neon-port <number>', 'the port of the Neon server; 0 picks a free one', '0')
    .addHelpText('after', examples('dev', 'dev --only neon --neon-port 4444', 'dev > .env.local'))
    .action(action(dev))
}

async function dev({ terminal, signal }: Context, _: readonly string[], options: DevOptions): Promise<void> {
  const { only, token, postgres } = options
  const ports = { upstash: portOf(options.upstashPort), neon: portOf(options.neonPort) }
  const endings: Endings = []
  try {
    const environment = {
      ...(only !== 'neon' && (await startRest(endings, token, ports.upstash))),
      ...(only !== 'upstash' && (await startSql(endings, token, ports.neon, postgres))),
    }
    terminal.result(environment, () =>
      Object.entries(environment)
        .map(([name, value]) => `${name}=${value}`)
        .join('\n'),
    )
    if (only !== 'upstash') terminal.note(NEON_NOTE)
    terminal.note('Listening on 127.0.0.1. Press Ctrl-C to stop; all data is then lost')
    if (!signal.aborted) await once(signal, 'abort')
  } finally {
    for (const end of endings.toReversed()) await end()
  }
}

async function startRest(endings: Endings, token: string, port: number): Promise<Environment> {
  await load('redis', () => import('redis'))
  const redis = await found('redis-server', 'Install Redis, or pass --only neon', () => startRedis())
  endings.push(redis.stop)
  const server = await startUpstash({ redis: redis.url, token, port })
  endings.push(server.close)
  return { UPSTASH_REDIS_REST_URL: server.url, UPSTASH_REDIS_REST_TOKEN: token }
}

async function startSql(
  endings: Endings,
  token: string,
  port: number,
  kind: DevOptions['postgres'],
): Promise<Environment> {
  const backend = await (kind === 'server' ? realServer(endings) : embedded(endings))
  const server = await startNeon(withPassword(token, backend), { port })
  endings.push(server.close)
  return {
    DATABASE_URL: `postgres://postgres:${encodeURIComponent(token)}@db.localtest/postgres`,
    NEON_FETCH_ENDPOINT: `${server.url}/sql`,
  }
}

async function embedded(endings: Endings): Promise<NeonBackend> {
  const { PGlite } = await load('@electric-sql/pglite', () => import('@electric-sql/pglite'))
  const db = new PGlite()
  endings.push(() => db.close())
  await db.waitReady
  return overEmbedded(db)
}

async function realServer(endings: Endings): Promise<NeonBackend> {
  const { default: pg } = await load('pg', () => import('pg'))
  const bin = await found('pg_config', 'Install PostgreSQL, or leave out --postgres server', async () =>
    execFileSync('pg_config', ['--bindir'], { encoding: 'utf8' }).trim(),
  )
  const server = await startPostgres({ bin })
  endings.push(server.stop)
  const pool = new pg.Pool({ connectionString: server.url })
  pool.on('error', () => {})
  endings.push(() => pool.end())
  return overPools(() => pool)
}

/** Starts a program of this machine. @throws {@link Failure} if it is not installed */
async function found<T>(program: string, advice: string, start: () => Promise<T>): Promise<T> {
  try {
    return await start()
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') throw cause
    throw new Failure(EXIT.notFound, `${program} is not installed on this machine`, advice)
  }
}

function portOf(text: string): number {
  const port = Number(text)
  if (Number.isInteger(port) && port >= 0 && port <= 65_535) return port
  throw new Failure(EXIT.usage, `A port must be a number from 0 to 65535, not ${text}`)
}
