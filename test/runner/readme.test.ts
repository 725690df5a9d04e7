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

/** A module that kills the process when it is about to say its n-th thing, in the middle of a step. */
const killerAt = (n: number): string =>
  `data:text/javascript,${encodeURIComponent(`
    let left = ${n}
    const { log } = console
    console.log = (...args) => --left === 0 ? process.kill(process.pid, 'SIGKILL') : log(...args)
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
  "the README's program continues when it is killed and started again, and says what is written there",
  { timeout: 180_000 },
  async () => {
    const readme = readFileSync(join(ROOT, 'README.md'), 'utf8')
    const [, code] = /```ts\n(.*?)```/s.exec(readme)!
    const [, first, second] = /```\n\$ npx tsx \S+\n(.*?)\^C\n\$ npx tsx \S+\n(.*?)```/s.exec(readme)!
    const home = join(ROOT, 'build/readme')
    mkdirSync(home, { recursive: true })
    const program = join(home, 'program.mjs')
    writeFileSync(program, transformSync(code!, { loader: 'ts', format: 'esm' }).code)
    const cwd = mkdtempSync(join(tmpdir(), 'holdfast-readme-'))
    try {
      // Once in the middle of the first step, which runs again, and once in the middle of the second.
      expect(await begin(program, cwd, '--import', killerAt(1))).toEqual(['', 'SIGKILL'])
      expect(await begin(program, cwd, '--import', killerAt(2))).toEqual([first, 'SIGKILL'])
      expect(await begin(program, cwd)).toEqual([second, 0])
    } finally {
      rmSync(cwd, { recursive: true, force: true })
    }
  },
)
