/**
 * Purges 100 000 runs that have ended among 100 000 that go on, in a heap too small to hold them: run by
 * `npm run test:purge`, which takes minutes. A smaller slice is in purge.test.ts.
 *
 * Usage: tsx test/ops/purge-many.ts [how many of each]
 */
import { join } from 'node:path'
import { strictEqual } from 'node:assert'
import { createHoldfast } from '../../src/holdfast.ts'
import { purge, verify } from '../../src/ops/index.ts'
import { sqlite } from '../../src/drivers/sqlite/better-sqlite3.ts'
import { withDirectory } from '../support/engines.ts'
import { manyRuns } from './seed.ts'

const each = Number(process.argv[2] ?? 100_000)

await withDirectory(async (directory) => {
  const holdfast = createHoldfast({ driver: sqlite({ path: join(directory, 'a.db') }), durability: 'relaxed' })
  await manyRuns(holdfast, 2 * each, (i) => ({ runId: `r${i}`, ends: i % 2 === 0 }))
  let peak = 0
  const start = performance.now()
  const { runs } = await purge(holdfast.db, {
    completedBefore: 8e15,
    durability: 'relaxed',
    onProgress: () => void (peak = Math.max(peak, process.memoryUsage().heapUsed)),
  })
  const seconds = (performance.now() - start) / 1000
  strictEqual(runs, each)
  const report = await verify(holdfast.db)
  strictEqual(report.problems, 0)
  strictEqual(report.runs, each)
  await holdfast.close()
  console.log(`${runs} runs purged in ${seconds.toFixed(1)} s, at most ${Math.round(peak / 2 ** 20)} MiB of heap`)
})
