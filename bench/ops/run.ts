/**
 * The bench of operations: whole databases carried, and what wrappers add to a call.
 *
 *     npm run bench:ops -- [--runs COUNT] [--rounds COUNT] > results.json && npx tsx bench/markdown.ts results.json
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { machineAt } from '../machine.ts'
import { measureCarrying } from './carry.ts'
import type { OpsReport } from './report.ts'
import { measureWrappers } from './wrappers.ts'

const { values } = parseArgs({
  options: { runs: { type: 'string', default: '5000' }, rounds: { type: 'string', default: '5' } },
})
const rounds = Number(values.rounds)
const directory = mkdtempSync(join(tmpdir(), 'holdfast-bench-'))
try {
  const wrappers = await measureWrappers(2 * rounds)
  const carried = await measureCarrying(directory, Number(values.runs), rounds)
  const report: OpsReport = { machine: machineAt(directory), rounds, ...carried, wrappers }
  console.log(JSON.stringify(report, null, 2))
} finally {
  rmSync(directory, { recursive: true })
}
