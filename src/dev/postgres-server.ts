/** A real PostgreSQL in a temporary directory, on a free loopback port. It can be killed and restarted. @module */
import { type ChildProcess, execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { spawnGuarded } from './guard.ts'
import { freePort } from './ports.ts'

/** Options of {@link startPostgres}. */
export interface PostgresServerOptions {
  /** The directory that contains `initdb` and `postgres`. */
  readonly bin: string
  /** Whether commits are synced to disk; `true` by default. Even without it, killing the process loses nothing. */
  readonly fsync?: boolean
  /** Further settings, by name. */
  readonly settings?: Readonly<Record<string, string | number>>
}

/** A running server. */
export interface PostgresServer {
  readonly port: number
  /** `postgres://postgres@127.0.0.1:PORT/postgres`. Anybody may connect. */
  readonly url: string
  /** Kills all of its processes at once, without cleanup. Resolves when they are gone. */
  kill(): Promise<void>
  /** Starts it again on the same data and port. Resolves when it accepts connections. */
  restart(): Promise<void>
  /** Stops it and removes its data. Idempotent. */
  stop(): Promise<void>
}

const START_TIMEOUT = 30_000

/**
 * Starts a server.
 *
 * PostgreSQL refuses to run as root. In that case it runs as the user `postgres`, which its packages create.
 *
 * @throws if it does not start within 30 seconds; no process or directory is left then
 */
export async function startPostgres(options: PostgresServerOptions): Promise<PostgresServer> {
  const { bin } = options
  const user = process.getuid?.() === 0 ? idsOf('postgres') : undefined
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-postgres-'))
  const data = join(directory, 'data')
  const as = { ...user, cwd: directory }
  let child: ChildProcess | undefined

  function initialise(): void {
    if (user !== undefined) chownSync(directory, user.uid, user.gid)
    execFileSync(
      join(bin, 'initdb'),
      ['-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync'],
      { ...as, stdio: 'pipe' },
    )
  }

  async function start(port: number): Promise<void> {
    const command = [join(bin, 'postgres'), '-D', data, ...flagsOf(port, options)]
    const deadline = Date.now() + START_TIMEOUT
    while (!(await answers(port))) {
      if (Date.now() > deadline) throw new Error('PostgreSQL did not start within 30 seconds')
      if (child === undefined || hasEnded(child)) {
        // In its own process group, so that an interrupt of this program does not reach the server. It does not start
        // while processes that were killed are still ending, so it is tried again.
        child = spawnGuarded(command, directory, { ...as, detached: true })
      }
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }

  async function end(signal: 'SIGKILL' | 'SIGQUIT'): Promise<void> {
    const running = child
    child = undefined
    if (running?.pid === undefined || hasEnded(running)) return
    const gone = once(running, 'exit')
    const pids = signal === 'SIGKILL' ? [running.pid, ...childrenOf(running.pid)] : [running.pid]
    for (const pid of pids) kill(pid, signal)
    await gone
  }

  async function stop(): Promise<void> {
    await end('SIGQUIT')
    rmSync(directory, { recursive: true, force: true, maxRetries: 5 })
  }

  try {
    initialise()
    const port = await freePort()
    await start(port)
    return {
      port,
      url: `postgres://postgres@127.0.0.1:${port}/postgres`,
      kill: () => end('SIGKILL'),
      restart: () => start(port),
      stop,
    }
  } catch (cause) {
    await stop()
    throw cause
  }
}

const flagsOf = (port: number, { fsync = true, settings = {} }: PostgresServerOptions): string[] =>
  Object.entries({
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    port,
    fsync: fsync ? 'on' : 'off',
    ...settings,
  }).flatMap(([name, value]) => ['-c', `${name}=${value}`])

const hasEnded = ({ exitCode, signalCode }: ChildProcess): boolean => exitCode !== null || signalCode !== null

/** The server's sessions have process groups of their own. */
function childrenOf(parent: number): number[] {
  const processes = execFileSync('ps', ['-A', '-o', 'pid=,ppid='], { encoding: 'utf8' }).trim().split('\n')
  const pairs = processes.map((line) => line.trim().split(/\s+/).map(Number))
  return pairs.flatMap(([pid, of]) => (of === parent ? pid! : []))
}

/** Ignores processes that have ended already. */
function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ESRCH') throw cause
  }
}

function idsOf(name: string): { uid: number; gid: number } {
  const id = (flag: string): number => Number(execFileSync('id', [flag, name], { encoding: 'utf8' }))
  return { uid: id('-u'), gid: id('-g') }
}

/** Whether it accepts connections. A request for TLS would not tell: the server denies it even while it recovers. */
function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    const done = (result: boolean): void => {
      socket.destroy()
      resolve(result)
    }
    socket.once('error', () => done(false)).once('close', () => done(false))
    // A start-up message of protocol 3. The answer is an error (`E`) while it starts, a request to authenticate (`R`)
    // when ready.
    socket.once('connect', () => socket.write(startup('postgres')))
    socket.once('data', (bytes) => done(bytes[0] === 0x52))
  })
}

function startup(user: string): Buffer {
  const body = Buffer.from(`\0\x03\0\0user\0${user}\0database\0postgres\0\0`, 'latin1')
  const length = Buffer.alloc(4)
  length.writeInt32BE(body.length + 4)
  return Buffer.concat([length, body])
}
