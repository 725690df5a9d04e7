/** The places where the edge example runs: each as a process that can be killed and started again on the same data. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { join, resolve } from 'node:path'
import { part } from '../../support/parts.ts'

const ROOT = resolve(import.meta.dirname, '../../..')
const EXAMPLE = join(ROOT, 'examples/edge')

/** A place to run. */
export interface Host {
  readonly name: string
  /** The command that serves what is kept in a directory, and its variables beside `PORT` and those of the example. */
  command(data: string): { readonly line: readonly string[]; readonly env: Readonly<Record<string, string>> }
}

const WORKERD: Host = {
  name: 'workerd',
  command: (data) => ({
    line: [process.execPath, '--import', 'tsx', join(EXAMPLE, 'local/serve.ts'), data],
    env: { STORE: 'durable-object' },
  }),
}

const deno = (binary: string): Host => ({
  name: 'Deno',
  command: (data) => ({
    line: [
      binary,
      'run',
      ...['--allow-net', '--allow-env', '--allow-read', '--allow-write', '--no-lock'],
      join(EXAMPLE, 'src/deno.ts'),
    ],
    env: { DATA: join(data, 'intake.db') },
  }),
})

/** Those that this machine has. */
export const hosts: readonly Host[] = [WORKERD, ...(part('deno') ? [deno(part('deno')!)] : [])]

/** The application, served. */
export interface Served {
  readonly url: string
  /** Kills it and all of its processes without a warning, and waits until they are gone. */
  kill(): Promise<void>
  /** Starts it again. */
  start(): Promise<void>
}

/** Starts it on a free port of 127.0.0.1. */
export async function serve(host: Host, data: string, vars: Readonly<Record<string, string>>): Promise<Served> {
  const port = await freePort()
  const { line, env } = host.command(data)
  const [command = '', ...args] = line
  let child: ChildProcess | undefined

  async function start(): Promise<void> {
    // A group of its own, so that nothing of it outlives the kill.
    child = spawn(command, args, {
      cwd: ROOT,
      detached: true,
      env: { ...process.env, NO_COLOR: '1', PORT: String(port), ...env, ...vars },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let said = ''
    let isListening = false
    const listening = new Promise<void>((done, failed) => {
      const hear = (text: Buffer): void => {
        if (isListening) return
        said += text.toString()
        if (!said.includes('Listening on')) return
        isListening = true
        done()
      }
      child!.stdout!.on('data', hear)
      child!.stderr!.on('data', hear)
      child!.once('exit', () => failed(new Error(`It ended before it listened:\n${said}`)))
    })
    await listening
  }

  await start()
  return {
    url: `http://127.0.0.1:${port}`,
    start,
    async kill() {
      const gone = once(child!, 'exit')
      process.kill(-child!.pid!, 'SIGKILL')
      await gone
    },
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { readonly port: number }
  server.close()
  await once(server, 'close')
  return port
}
