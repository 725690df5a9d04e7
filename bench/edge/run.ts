/**
 * The benchmarks of the edge: cold imports, Durable Objects and D1 in workerd, handlers, and holdfasts made per request.
 *
 *     npm run bench:edge -- [--json] [--quick]
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { machineAt } from '../machine.ts'
import { progress, targetParts } from '../report.ts'
import { measureHandler } from './handler.ts'
import { measureImports } from './imports.ts'
import { measureMaking } from './making.ts'
import { type EdgeReport, judge } from './report.ts'
import { measureWorkerd } from './workerd.ts'

const { values } = parseArgs({
  options: { json: { type: 'boolean', default: false }, quick: { type: 'boolean', default: false } },
})
const options = values.quick ? { rounds: 3, roundMs: 50 } : { rounds: 9, roundMs: 300 }

const bar = progress(4)
const directory = mkdtempSync(join(tmpdir(), 'holdfast-bench-'))
try {
  bar.begin('Workers and Durable Objects')
  const { making, ...workerd } = await measureWorkerd(directory, options)
  bar.begin('handlers')
  const handler = await measureHandler(options)
  bar.begin('making a holdfast')
  const measured = { ...workerd, handler, making: [...(await measureMaking(options)), making] }
  bar.begin('cold imports')
  const imports = await measureImports(options.rounds)
  const report: EdgeReport = {
    machine: machineAt(directory),
    settings: options,
    imports,
    ...measured,
    targets: judge(measured),
  }
  bar.stop()
  if (values.json) console.log(JSON.stringify(report, null, 2))
  else {
    const { machine: _, settings: __, targets, ...tables } = report
    for (const [name, rows] of Object.entries(tables)) {
      console.log(`\n${name}`)
      for (const row of rows) console.log(JSON.stringify(row))
    }
    for (const it of targetParts(targets)) console.log(it)
  }
} finally {
  bar.stop()
  rmSync(directory, { recursive: true })
}
