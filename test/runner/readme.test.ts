/** The first program of the README, as it is written there: killed, and started again. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { transformSync } from 'esbuild'
import { expect, test } from 'vitest'
import { betterSqlite3 } from '../support/parts.ts'

const ROOT = resolve(import.meta.dirname, '../..')

/** Kills the process when it says the first thing, in the middle of a step. */
const KILLER = `data:text/javascript,${encodeURIComponent(`
  console.log = () => process.kill(process.pid, 'SIGKILL')
`)}`

/** Runs it where its file is to be, to its end; tells what it has said, and what has ended it. */
async function begin(program: string, cwd: string, ...flags: readonly string[]): Promise<readonly [string, unknown]> {
  const child = spawn(process.execPath, [...flags, program], { cwd, stdio: ['ignore', 'pipe', 'inherit'] })
  let said = ''
  child.stdout.on('data', (chunk: Buffer) => (said += String(chunk)))
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null]
  return [said, signal ?? code]
}

// It takes the better-sqlite3 that is installed, which is made for one Node.
test.skipIf(betterSqlite3 !== 'better-sqlite3')(
  "6: the README's program goes on when it is killed and started again, as it is written",
  { timeout: 180_000 },
  async () => {
    const [, code] = /```ts\n(.*?)```/s.exec(readFileSync(join(ROOT, 'README.md'), 'utf8'))!
    const home = join(ROOT, 'build/readme')
    mkdirSync(home, { recursive: true })
    const program = join(home, 'program.mjs')
    writeFileSync(program, transformSync(code!, { loader: 'ts', format: 'esm' }).code)
    const cwd = mkdtempSync(join(tmpdir(), 'holdfast-readme-'))
    try {
      expect((await begin(program, cwd, '--import', KILLER))[1]).toBe('SIGKILL')
      const [said, code] = await begin(program, cwd)
      expect(code).toBe(0)
      expect(said).toContain("status: 'completed'")
    } finally {
      rmSync(cwd, { recursive: true, force: true })
    }
  },
)
