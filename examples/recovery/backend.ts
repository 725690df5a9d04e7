/** Starts, kills and restarts the backend of the scenarios. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A backend in its own process. */
export interface Backend {
  readonly url: string
  /** Kills the process: connections break, and requests fail. */
  kill(): Promise<void>
  /** Restarts the process with the same file and the same port. */
  start(): Promise<void>
  /** Kills the process and removes its file. */
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
