/** `dev`: local servers that speak the protocols of hosted ones. @module */
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

/** What to put into a program's environment. */
type Environment = Readonly<Record<string, string>>

/** How to end what has been started so far, in the order it was started. */
type Endings = (() => Promise<unknown>)[]

/** The host of DATABASE_URL is a name only, so the client has to be told where to go. */
const NEON_NOTE = "Neon's client finds its server by: neonConfig.fetchEndpoint = () => process.env.NEON_FETCH_ENDPOINT"

/** Adds the command that starts local servers. */
export function addDevCommand(program: Command): void {
  program
    .command('dev')
    .description('start local servers that speak the protocols of Upstash and Neon, until Ctrl-C')
    .addOption(new Option('--only <server>', 'start one of them').choices(['upstash', 'neon']))
    .addOption(
      new Option('--postgres <kind>', 'embedded: PGlite, in this process; server: the PostgreSQL of this machine')
        .choices(['embedded', 'server'])
        .default('embedded'),
    )
    .option('--token <text>', 'the token and password that let in', 'local')
    .option('--upstash-port <number>', 'where to listen; a free port by default', '0')
    .option('--neon-port <number>', 'where to listen; a free port by default', '0')
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
    terminal.note('Listening on 127.0.0.1. Everything is forgotten at the end: Ctrl-C')
    if (!signal.aborted) await once(signal, 'abort')
  } finally {
    for (const end of endings.toReversed()) await end()
  }
}

async function startRest(endings: Endings, token: string, port: number): Promise<Environment> {
  await load('redis', () => import('redis'))
  const redis = await found('redis-server', 'Install Redis, or give --only neon', () => startRedis())
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
  const bin = await found('pg_config', 'Install PostgreSQL, or leave out --postgres', async () =>
    execFileSync('pg_config', ['--bindir'], { encoding: 'utf8' }).trim(),
  )
  const server = await startPostgres({ bin })
  endings.push(server.stop)
  const pool = new pg.Pool({ connectionString: server.url })
  pool.on('error', () => {})
  endings.push(() => pool.end())
  return overPools(() => pool)
}

/** Starts a program of the machine. @throws {@link Failure} where it is not installed */
async function found<T>(program: string, advice: string, start: () => Promise<T>): Promise<T> {
  try {
    return await start()
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') throw cause
    throw new Failure(EXIT.notFound, `There is no ${program} on this machine`, advice)
  }
}

function portOf(text: string): number {
  const port = Number(text)
  if (Number.isInteger(port) && port >= 0 && port <= 65_535) return port
  throw new Failure(EXIT.usage, 'A port is a number from 0 to 65535')
}
