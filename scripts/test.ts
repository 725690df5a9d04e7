/**
 * The tests. With `CI=true` everything: the parts are installed, all gates run before, nothing may be missing. Without it
 * what this machine has: nothing is installed, secondary set-ups go through a slice of the suite, what takes long is left
 * out, and what was skipped is listed.
 *
 * Usage: tsx scripts/test.ts
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join, relative } from 'node:path'
import { pathToFileURL } from 'node:url'
import { environment } from './environment.ts'
import { part, reportMissing } from './parts.ts'

/** A run of vitest. */
interface Run {
  readonly name: string
  readonly node: string
  readonly env: Readonly<Record<string, string>>
}

interface Report {
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly testResults: readonly {
    readonly name: string
    readonly status: string
    readonly assertionResults: readonly {
      readonly status: string
      readonly title: string
      readonly ancestorTitles: readonly string[]
    }[]
  }[]
}

const isCi = process.env['CI'] === 'true'
/** What a quick run leaves out: each starts browsers, other runtimes or whole programs, and takes up to minutes. */
const LONG = [
  'test/browsers/**',
  'test/cli/servers.test.ts',
  'test/crash/crash.test.ts',
  'test/docs/examples.test.ts',
  'test/examples/**',
  'test/network/**',
  'test/ops/matrix.test.ts',
  'test/processes/**',
  'test/runtimes/**',
  'test/served/http/fuzz.test.ts',
  'test/testing/mutants.test.ts',
]
const count = { passed: 0, failed: 0 }
/** Run, file and suite -> how many tests in it were skipped. */
const skipped = new Map<string, number>()

rmSync('build/vitest', { recursive: true, force: true })
mkdirSync('build', { recursive: true })

// Tests import what is built; in CI the gates build it.
const before = isCi ? ['parts.ts', 'check.ts'] : ['check.ts build']
const passed =
  before.every((script) => {
    const [file = '', ...args] = script.split(' ')
    return start('tsx', [join(import.meta.dirname, file), ...args])
  }) && [{ name: 'test', node: process.execPath, env: {} }, ...node24()].every(runs)

for (const line of reportMissing()) console.log(line)
for (const [suite, tests] of skipped) console.log(`skipped ${suite}: ${tests} tests`)
if (!isCi) {
  for (const files of LONG) console.log(`left out of a quick run: ${files}`)
  console.log('A quick run: some suites went through a slice of their cases. CI=true npm test runs everything')
}
console.log(`${count.passed} passed, ${count.failed} failed`)
if (!passed) process.exitCode = 1

/** The SQLite suites once more, with `node:sqlite` and with the better-sqlite3 that newer Nodes take. */
function node24(): Run[] {
  const node = part('node24')
  const betterSqlite3 = part('betterSqlite13')
  if (!node || !betterSqlite3) return []
  const url = pathToFileURL(createRequire(import.meta.url).resolve(betterSqlite3)).href
  return [{ name: 'test-node24', node, env: { HOLDFAST_SQLITE: 'node24', HOLDFAST_BETTER_SQLITE3: url } }]
}

function start(command: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): boolean {
  return spawnSync(command, args, { env: environment(env), stdio: ['ignore', 'inherit', 'inherit'] }).status === 0
}

/** Whether all tests of a run passed, and there were some. */
function runs({ name, node, env }: Run): boolean {
  const report = `build/vitest/${name}.json`
  const program = join(import.meta.dirname, '../node_modules/vitest/vitest.mjs')
  const reporters = [
    '--reporter=json',
    `--outputFile.json=${report}`,
    `--reporter=${join(import.meta.dirname, 'reporter.ts')}`,
  ]
  const exclusions = isCi ? [] : LONG.map((files) => `--exclude=${files}`)
  const isWell = start(node, [program, 'run', ...reporters, ...exclusions], env)
  return countTests(name, report) && isWell
}

/** Adds a report to the count; false when it is missing or nothing in it passed. */
function countTests(run: string, path: string): boolean {
  let report: Report
  try {
    report = JSON.parse(readFileSync(path, 'utf8')) as Report
  } catch {
    return false
  }
  // A file that does not load has no failed test of its own.
  const broken = report.testResults.filter(
    (file) => file.status === 'failed' && !file.assertionResults.some((test) => test.status === 'failed'),
  )
  count.passed += report.numPassedTests
  count.failed += report.numFailedTests + broken.length
  for (const file of report.testResults) {
    for (const test of file.assertionResults) {
      if (test.status === 'passed' || test.status === 'failed') continue
      const suite = `${run} ${relative('.', file.name)} > ${test.ancestorTitles[0] ?? test.title}`
      skipped.set(suite, (skipped.get(suite) ?? 0) + 1)
    }
  }
  return report.numPassedTests > 0
}
