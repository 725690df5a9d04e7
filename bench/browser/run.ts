/**
 * The benchmarks in browsers: holdfast, IndexedDB by hand and the peers side by side, in one run of each browser.
 *
 *     npm run bench:browser -- [--json] [--quick] [--only TEXT]… [--engine NAME]…
 */
import { tmpdir } from 'node:os'
import { parseArgs } from 'node:util'
import { CHROMIUM, FIREFOX } from '../../test/browsers/engines.ts'
import { gather } from '../../test/browsers/session.ts'
import { machineAt } from '../machine.ts'
import { isAmong } from '../options.ts'
import { progress, rowParts, targetParts } from '../report.ts'
import type { Row } from '../scenarios/row.ts'
import type { BenchReport } from './program.ts'
import type { BrowserReport, EngineReport } from './report.ts'
import { ROWS } from './rows.ts'
import { judge } from './targets.ts'

const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    quick: { type: 'boolean', default: false },
    only: { type: 'string', multiple: true, default: [] },
    engine: { type: 'string', multiple: true, default: [] },
  },
})

const race = values.quick ? { rounds: 3, roundMs: 60 } : { rounds: 9, roundMs: 200 }
const engines = [CHROMIUM, FIREFOX].filter(({ name }) => isAmong(values.engine, name))
const wanted = ROWS.map(({ name }) => name).filter((name) => isAmong(values.only, name))
/** Milliseconds that one browser may take for everything, on a machine that has other things to do. */
const PATIENCE = 1_800_000

// Browsers end with this process.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))

if (engines.length === 0 || wanted.length === 0) {
  console.error('bench: nothing is called so')
  process.exit(2)
}

const query = new URLSearchParams([
  ['rounds', String(race.rounds)],
  ['roundMs', String(race.roundMs)],
  ...wanted.map((name): [string, string] => ['row', name]),
])
const bar = progress(engines.length * wanted.length)
const found: EngineReport[] = []
try {
  for (const engine of engines) {
    const rows: Row[] = []
    const [last] = await gather<BenchReport>(engine, new URL('program.ts', import.meta.url), {
      reports: 1,
      query: [`?${query.toString()}`],
      patience: PATIENCE,
      // What is written strictly has to reach a disk.
      place: tmpdir(),
      async answer(report) {
        if ('begins' in report) bar.begin(`${engine.name}: ${report.begins}`)
        if ('rows' in report) rows.push(...report.rows)
        return 'ends' in report || 'fails' in report
      },
    })
    if ('fails' in last!) throw new Error(`${engine.name}: ${last.fails}`)
    const version = /(?:Chrome|Firefox)\/(\d+)/.exec((last as { ends: string }).ends)![1]!
    found.push({ name: engine.name, version, rows, targets: judge(rows) })
  }
} finally {
  bar.stop()
}

const report: BrowserReport = { machine: machineAt(tmpdir()), settings: race, engines: found }
if (values.json) console.log(JSON.stringify(report, null, 2))
else {
  for (const { name, version, rows, targets } of found) {
    console.log(`\n${name} ${version}`)
    for (const part of [...rowParts(rows), ...targetParts(targets)]) console.log(part)
  }
}
