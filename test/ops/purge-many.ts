/**
 * Purges 100 000 runs that have ended among 100 000 that go on, in a heap too small to hold them, by a process that is
 * killed half-way and by another that goes on: run by `npm run test:purge`, which takes minutes. A smaller slice is in
 * purge.test.ts.
 *
 * Usage: node --expose-gc --import tsx test/ops/purge-many.ts [how many of each]
 */
import { ok, strictEqual } from 'node:assert'
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { join } from 'node:path'
import { partName } from '../../src/core/keys.ts'
import { sqlite } from '../../src/drivers/sqlite/better-sqlite3.ts'
import { type Holdfast, createHoldfast } from '../../src/holdfast.ts'
import { purge, verify } from '../../src/ops/index.ts'
import { scan } from '../../src/ops/scan.ts'
import { withDirectory } from '../support/engines.ts'
import { manyRuns } from './seed.ts'

const MOST_MEMORY = 64 * 2 ** 20
const OPTIONS = { completedBefore: 8e15, durability: 'relaxed' } as const

const open = (path: string): Holdfast => createHoldfast({ driver: sqlite({ path }), durability: 'relaxed' })
const idOf = (i: number) => ({ runId: `r${i}`, ends: i % 2 === 0 })

/** A checksum of everything of the runs that go on. */
async function living({ db }: Holdfast): Promise<string> {
  const hash = createHash('sha256')
  for await (const slices of scan(db)) {
    for (const { part, entries } of slices) {
      const isLiving = partName(part)?.family === 'run' && Number(part.slice(part.lastIndexOf('r') + 1)) % 2 === 1
      if (isLiving)
        for (const { key, version, value } of entries) hash.update(`${part} ${key} ${version} `).update(value)
    }
  }
  return hash.digest('hex')
}

/** Purges until so many runs are gone, and is killed in the middle of the next batch. */
async function purgeAndDie(path: string, after: number): Promise<void> {
  const { db } = open(path)
  const onProgress = ({ done }: { readonly done: number }): void => {
    if (done >= after) setImmediate(() => process.kill(process.pid, 'SIGKILL'))
  }
  await purge(db, { ...OPTIONS, onProgress })
}

async function main(each: number): Promise<void> {
  await withDirectory(async (directory) => {
    const path = join(directory, 'a.db')
    const holdfast = open(path)
    await manyRuns(holdfast, 2 * each, idOf)
    const before = await living(holdfast)
    await holdfast.close()

    const args = ['--import', 'tsx', import.meta.filename, path, String(Math.floor(each / 2))]
    const [, signal] = (await once(spawn(process.execPath, args, { stdio: 'inherit' }), 'exit')) as unknown[]
    strictEqual(signal, 'SIGKILL')
    const next = open(path)
    const half = await verify(next.db)
    strictEqual(half.problems, 0)
    ok(half.runs < 2 * each && half.runs > each)
    console.log(`killed when ${2 * each - half.runs} runs were gone: ${half.runs} whole ones are left, 0 problems`)

    globalThis.gc?.()
    const { heapUsed, rss } = process.memoryUsage()
    let heap = 0
    let resident = 0
    const start = performance.now()
    const { runs } = await purge(next.db, {
      ...OPTIONS,
      onProgress() {
        const now = process.memoryUsage()
        heap = Math.max(heap, now.heapUsed - heapUsed)
        resident = Math.max(resident, now.rss - rss)
      },
    })
    const seconds = (performance.now() - start) / 1000
    strictEqual(runs, half.runs - each)
    const mib = (bytes: number): string => `${Math.round(bytes / 2 ** 20)} MiB`
    console.log(`${runs} runs purged in ${seconds.toFixed(1)} s, ${Math.round(runs / seconds)} runs/s`)
    console.log(`memory above the start: at most ${mib(heap)} of heap, ${mib(resident)} resident`)
    ok(heap <= MOST_MEMORY && resident <= MOST_MEMORY)

    const report = await verify(next.db)
    strictEqual(report.problems, 0)
    strictEqual(report.runs, each)
    strictEqual(await living(next), before)
    await next.close()
    console.log(`${each} live runs are as they were, by checksum; indexes are clean`)
  })
}

const [first, after] = process.argv.slice(2)
if (after) await purgeAndDie(first!, Number(after))
else await main(Number(first ?? 100_000))
