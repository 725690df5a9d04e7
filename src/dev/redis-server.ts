/**
 * A real redis-server on a free loopback port, in a directory of its own. Tests start, kill and restart it.
 *
 * @module
 */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { spawnGuarded } from './guard.ts'
import { freePort } from './ports.ts'

/** Options of {@link startRedis}. */
export interface RedisOptions {
  /** The program; `redis-server` on the path by default. */
  readonly binary?: string
  /** Whether every write is on disk before it is answered. By default `false`: nothing survives the process. */
  readonly durable?: boolean
  /** Further command line arguments: `['--maxmemory', '10mb']`. */
  readonly args?: readonly string[]
}

/** A running redis-server. */
export interface RedisServer {
  /** `redis://127.0.0.1:PORT` */
  readonly url: string
  readonly port: number
  /** Kills it at once, as a crash would. Resolves when it is gone. */
  kill(): Promise<void>
  /** Starts it again on the same data and port. Resolves when it accepts commands. */
  restart(): Promise<void>
  /** Stops it and removes its directory. Idempotent. */
  stop(): Promise<void>
}

const PATIENCE = 10_000

/**
 * Starts a redis-server.
 *
 * @param options - the program, durability and further arguments
 * @returns the server, once it accepts commands
 */
export async function startRedis(options: RedisOptions = {}): Promise<RedisServer> {
  const { binary = 'redis-server', durable = false, args = [] } = options
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-redis-'))
  const port = await freePort()
  const persistence = durable ? ['--appendonly', 'yes', '--appendfsync', 'always'] : ['--appendonly', 'no']
  const settings = ['--port', String(port), '--bind', '127.0.0.1', '--dir', directory, '--save', '', ...persistence]
  let child: ChildProcess | undefined

  async function start(): Promise<void> {
    child = spawnGuarded([binary, ...settings, ...args], directory, { output: 'pipe' })
    let said = ''
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (data) => (said = `${said}${data}`.slice(-2000)))
    const failed = once(child, 'error').then(([error]) => Promise.reject(error as Error))
    await Promise.race([
      failed,
      ready(
        port,
        () => child?.exitCode ?? null,
        () => said,
      ),
    ])
    failed.catch(() => {})
  }

  async function kill(): Promise<void> {
    const dying = child
    child = undefined
    if (dying === undefined || dying.exitCode !== null || dying.signalCode !== null) return
    const gone = once(dying, 'exit')
    dying.kill('SIGKILL')
    await gone
  }

  async function stop(): Promise<void> {
    await kill()
    rmSync(directory, { recursive: true, force: true })
  }

  try {
    await start()
  } catch (cause) {
    await stop()
    throw cause
  }
  return { url: `redis://127.0.0.1:${port}`, port, kill, restart: start, stop }
}

/** Waits until PING is answered with PONG, which is not the case while data is being loaded. */
async function ready(port: number, exitCode: () => number | null, said: () => string): Promise<void> {
  const deadline = performance.now() + PATIENCE
  while (!(await answersPing(port))) {
    if (exitCode() !== null || performance.now() > deadline) throw new Error(`redis-server did not start: ${said()}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

function answersPing(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write('PING\r\n'))
    const done = (answer: boolean) => (socket.destroy(), resolve(answer))
    socket.once('data', (data) => done(data.toString().startsWith('+PONG')))
    socket.once('error', () => done(false))
    socket.setTimeout(1000, () => done(false))
  })
}
