/**
 * Everything that CI checks, one gate after the other, stopping at the first that fails.
 *
 * Usage: tsx scripts/check.ts [gate…]    (without names: all of them)
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join, relative } from 'node:path'
import { pathToFileURL } from 'node:url'
import { entries, manifest } from './entries.ts'
import { reportMissing, part } from './parts.ts'

interface Gate {
  readonly name: string
  readonly commands: readonly (readonly [command: string, ...args: string[]])[]
  readonly env?: Record<string, string>
  /** Its output is shown as it comes, and its results are counted from this report of vitest's. */
  readonly report?: string
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

const TARBALL = `build/${manifest.name}-${manifest.version}.tgz`

const GATES: readonly Gate[] = [
  gate('format', ['oxfmt', '--check']),
  // Early: examples import the package by name, which leads to dist.
  gate('build', ['tsdown']),
  gate('lint', ['oxlint']),
  gate('import-law', ['depcruise', '--config', '.dependency-cruiser.mjs', 'src', 'examples']),
  gate(
    'types',
    ...[
      'tsconfig.src.json',
      'tsconfig.node.json',
      'tsconfig.test.json',
      'examples/browser/tsconfig.page.json',
      'examples/browser/tsconfig.worker.json',
      'examples/browser/tsconfig.test.json',
      'examples/edge/tsconfig.worker.json',
      'examples/edge/tsconfig.pages.json',
    ].map((file) => ['tsc', '-p', file] as const),
  ),
  gate('pack', ['npm', 'pack', '--silent', '--ignore-scripts', '--pack-destination', 'build']),
  gate('publint', ['publint', TARBALL, '--strict']),
  gate('attw', ['attw', TARBALL, '--profile', 'esm-only', '--no-emoji', '--no-color']),
  gate('closure', ['tsx', 'scripts/closure.ts', TARBALL]),
  gate('installed', ['tsx', 'scripts/installed.ts', TARBALL]),
  gate('deno', ['tsx', 'scripts/deno.ts', TARBALL]),
  gate('knip', ['knip']),
  gate('size', ['tsx', 'scripts/bundles.ts', '--check']),
  gate('api-docs', ['typedoc', ...entries.map((entry) => entry.source)]),
  vitest('test'),
  ...node24(),
]

function gate(name: string, ...commands: Gate['commands'][number][]): Gate {
  return { name, commands }
}

function vitest(name: string, node = process.execPath, env: Record<string, string> = {}): Gate {
  const report = `build/vitest/${name}.json`
  const program = join(import.meta.dirname, '../node_modules/vitest/vitest.mjs')
  const command = [
    node,
    program,
    'run',
    '--reporter=json',
    `--outputFile.json=${report}`,
    `--reporter=${join(import.meta.dirname, 'reporter.ts')}`,
  ] as const
  return { name, commands: [command], env, report }
}

/** The SQLite suites once more, with `node:sqlite` and with the better-sqlite3 that newer Nodes take. */
function node24(): Gate[] {
  const node = part('node24')
  const betterSqlite3 = part('betterSqlite13')
  if (!node || !betterSqlite3) return []
  const url = pathToFileURL(createRequire(import.meta.url).resolve(betterSqlite3)).href
  return [vitest('test-node24', node, { HOLDFAST_SQLITE: 'node24', HOLDFAST_BETTER_SQLITE3: url })]
}

/** Whether it passed; what a gate says is shown only when it fails. */
function passes(it: Gate): boolean {
  const env = {
    ...process.env,
    ...it.env,
    PATH: `${join(import.meta.dirname, '../node_modules/.bin')}:${process.env['PATH']}`,
  }
  if (!process.stdout.isTTY) Object.assign(env, { NO_COLOR: '1' })
  return it.commands.every(([command, ...args]) => {
    const result = spawnSync(command, args, {
      env,
      encoding: 'utf8',
      stdio: it.report ? ['ignore', 'inherit', 'inherit'] : ['ignore', 'pipe', 'pipe'],
    })
    const passed = result.status === 0
    if (!passed && !it.report) console.log(`${result.stdout}${result.stderr}${result.error ?? ''}`)
    return passed
  })
}

const wanted = process.argv.slice(2)
for (const name of wanted) if (!GATES.some((it) => it.name === name)) throw new Error(`No gate named ${name}`)

rmSync('build/vitest', { recursive: true, force: true })
mkdirSync('build', { recursive: true })
const summary: string[] = []
const count = { passed: 0, failed: 0, runs: 0 }
/** Run, file and suite -> how many tests in it were skipped. */
const skipped = new Map<string, number>()

for (const it of GATES) {
  if (wanted.length && !wanted.includes(it.name)) continue
  const start = performance.now()
  let passed = passes(it)
  if (it.report && !countTests(it.name, it.report)) passed = false
  const line = `${passed ? 'ok    ' : 'FAILED'} ${it.name.padEnd(12)} ${((performance.now() - start) / 1000).toFixed(1).padStart(6)} s`
  console.log(line)
  summary.push(line)
  if (passed) continue
  process.exitCode = 1
  break
}

if (count.runs) {
  console.log(['', ...summary].join('\n'))
  for (const line of reportMissing()) console.log(line)
  for (const [suite, tests] of skipped) console.log(`skipped ${suite}: ${tests} tests`)
  console.log(`${count.passed} passed, ${count.failed} failed`)
}

/** Adds a report to the count; false when it is missing or nothing in it passed. */
function countTests(run: string, path: string): boolean {
  count.runs++
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
