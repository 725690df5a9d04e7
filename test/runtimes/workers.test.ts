/** The same runs in every runtime that has processes: two workers on one file, of which one is killed. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { expectAsIfNobodyDied } from '../runner/everywhere/judge.ts'
import { FIRST, SECOND } from '../runner/everywhere/stage.ts'
import { withDirectory } from '../support/engines.ts'
import { BUN, DENO, NODE22, NODE24, type Runtime } from './binaries.ts'
import { serveStage } from './stage.ts'
import type { WorkerOrder } from './workers/worker.ts'

const HERE: Runtime = { name: 'the Node at hand', binary: process.execPath, flags: ['--import', 'tsx'] }

describe.each([
  { ...HERE, program: 'better-sqlite3.ts' },
  { ...NODE22, program: 'node-sqlite.ts' },
  { ...NODE24, program: 'node-sqlite.ts' },
  { ...DENO, program: 'node-sqlite.ts' },
  { ...BUN, program: 'bun-sqlite.ts' },
])('$name: runs', ({ binary, flags, program }) => {
  test.skipIf(!binary)('end as if nobody had died when one of two workers is killed', () =>
    withDirectory(async (directory) => {
      const { url, isReady, play, close } = await serveStage()
      const begin = (worker: string): ChildProcess => {
        const order: WorkerOrder = { worker, url, path: join(directory, 'data.db') }
        const args = [...flags, join(import.meta.dirname, 'workers', program), JSON.stringify(order)]
        const child = spawn(binary!, args, { stdio: ['ignore', 'inherit', 'inherit'] })
        // Even if the test is given up.
        onTestFinished(() => void child.kill('SIGKILL'))
        return child
      }
      const [first, second] = [begin(FIRST), begin(SECOND)]
      const [died, ended] = [once(first, 'exit'), once(second, 'exit')]
      try {
        await Promise.race([isReady, died, ended])
        first.kill('SIGKILL')
        expect(await died).toEqual([null, 'SIGKILL'])
        // By itself: nothing of the runner keeps a process alive.
        expect(await ended).toEqual([0, null])
        await expectAsIfNobodyDied(await play)
      } finally {
        await close()
      }
    }),
  )
})
