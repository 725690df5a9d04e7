/** The first program of the README, as it is written there: killed, and started again. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { transformSync } from 'esbuild'
import { expect, test } from 'vitest'
import { sqlite } from '../../src/drivers/sqlite/better-sqlite3.ts'
import { createHoldfast } from '../../src/holdfast.ts'
import { pause } from './setting.ts'

const ROOT = resolve(import.meta.dirname, '../..')

/** Starts it where its file is to be. */
function begin(program: string, cwd: string): { readonly child: ChildProcess; said(): string } {
  const child = spawn(process.execPath, [program], { cwd, stdio: ['ignore', 'pipe', 'inherit'] })
  let said = ''
  child.stdout.on('data', (chunk: Buffer) => (said += String(chunk)))
  return { child, said: () => said }
}

/** Kills it while the run sleeps, when the first step is recorded; tells whether it came in time. */
async function killInTheMiddle(program: string, cwd: string): Promise<boolean> {
  const { child } = begin(program, cwd)
  const ended = once(child, 'exit')
  const path = join(cwd, 'orders.db')
  while (!existsSync(path) && child.exitCode === null) await pause(1)
  const holdfast = createHoldfast({ driver: sqlite({ path }), tenant: 'acme' })
  while (child.exitCode === null) {
    const seq = await holdfast.persistence.getLatestSeq('order-17').catch(() => undefined)
    if (seq !== undefined) break
    await pause(1)
  }
  child.kill('SIGKILL')
  await ended
  const status = (await holdfast.workflows.getRun('order-17'))?.status
  await holdfast.close()
  return status === 'running'
}

test(
  "6: the README's program goes on when it is killed and started again, as it is written",
  { timeout: 180_000 },
  async () => {
    const [, code] = /```ts\n(.*?)```/s.exec(readFileSync(join(ROOT, 'README.md'), 'utf8'))!
    const home = join(ROOT, 'build/readme')
    mkdirSync(home, { recursive: true })
    const program = join(home, 'program.mjs')
    writeFileSync(program, transformSync(code!, { loader: 'ts', format: 'esm' }).code)
    let cwd: string
    do cwd = mkdtempSync(join(tmpdir(), 'holdfast-readme-'))
    while (!(await killInTheMiddle(program, cwd)))
    try {
      const { child, said } = begin(program, cwd)
      expect(await once(child, 'exit')).toEqual([0, null])
      expect(said()).toContain("{ status: 'completed', result: 4200n }")
      expect(said().match(/step\.completed charge/g)).toHaveLength(1)
    } finally {
      rmSync(cwd, { recursive: true, force: true })
    }
  },
)
