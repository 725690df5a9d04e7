/** Starts the backend of the scenarios, kills it, and starts it again where it was. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A backend in a process of its own. */
export interface Backend {
  readonly url: string
  /** Kills it: connections break, and nobody answers. */
  kill(): Promise<void>
  /** Starts it again, with the same file, at the same port. */
  start(): Promise<void>
  /** Kills it and removes its file. */
  end(): Promise<void>
}

/** Starts a backend with an empty file. */
export async function startBackend(): Promise<Backend> {
  const home = mkdtempSync(join(tmpdir(), 'holdfast-backend-'))
  let child: ChildProcess
  async function start(port: string): Promise<string> {
    const program = join(import.meta.dirname, 'server.ts')
    child = spawn(process.execPath, ['--import', 'tsx', program, join(home, 'state.db'), port], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const [line] = (await once(child.stdout!, 'data')) as [Buffer]
    return String(line).trim()
  }
  async function kill(): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
  const port = await start('0')
  return {
    url: `http://127.0.0.1:${port}/state`,
    kill,
    start: async () => void (await start(port)),
    async end() {
      await kill()
      rmSync(home, { recursive: true })
    },
  }
}
