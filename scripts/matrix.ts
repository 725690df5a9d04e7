/**
 * How many cases of the conformance suite each driver passes in each runtime, from the reports of the last `CI=true npm test`,
 * written into the table of docs/tested.md.
 *
 * Usage: tsx scripts/matrix.ts
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { relative } from 'node:path'

interface Report {
  readonly testResults: readonly {
    readonly name: string
    readonly assertionResults: readonly {
      readonly status: string
      readonly title: string
      readonly ancestorTitles: readonly string[]
    }[]
  }[]
}

/** Drivers by what the titles of their suites say; the first that fits. */
const DRIVERS: readonly (readonly [name: string, title: RegExp])[] = [
  ['a port', / over a port|in another thread/],
  ['HTTP', /^http\b| over HTTP (by a socket|in process)/],
  ['memory', /^memory/],
  ['better-sqlite3', /^better-sqlite3/],
  ['`node:sqlite`', /^node:sqlite/],
  ['`bun:sqlite`', /^bun:sqlite/],
  ['Durable Object', /^a Durable Object/],
  ['D1', /^D1/],
  ['libSQL', /^libsql/i],
  ['IndexedDB', /^indexeddb/],
  ['Postgres', /^postgres/],
  ['Upstash, Redis', /^upstash/],
  ['unstorage', /^unstorage/],
]
const OWN = `Node ${process.versions.node.split('.')[0]}`
const RUNTIMES = [...new Set([OWN, 'Node 22', 'Node 24']), 'Deno', 'Bun', 'workerd', 'Chromium', 'Firefox', 'WebKit']
/** Where else than in the Node at hand a file runs what it tests. */
const PLACES: readonly (readonly [file: RegExp, runtime: string])[] = [
  [/^test\/runtimes\/workerd\//, 'workerd'],
  [/^test\/browsers\/chromium/, 'Chromium'],
  [/^test\/browsers\/firefox/, 'Firefox'],
  [/^test\/browsers\/webkit/, 'WebKit'],
]
const REPORTS: readonly (readonly [name: string, runtime: string])[] = [
  ['test', OWN],
  ['test-node24', 'Node 24'],
]
const CASE = /^[A-Z]{2}-\d+\b/
const SUITE = /holdfast conformance of (?<harness>.+?)(?: in (?<runtime>Node \d+|Deno|Bun))?$/
const IN_BROWSER = /^\w+: conformance (?<realm>.+)$/

/** The cases that passed, by driver and runtime. */
const passed = new Map<string, Set<string>>()
for (const [name, runtime] of REPORTS) {
  const report = JSON.parse(readFileSync(`build/vitest/${name}.json`, 'utf8')) as Report
  for (const { name: path, assertionResults } of report.testResults) {
    const file = relative('.', path)
    const place = PLACES.find(([pattern]) => pattern.test(file))?.[1] ?? runtime
    for (const { status, title, ancestorTitles } of assertionResults) {
      const id = CASE.exec(title)?.[0]
      const cell = cellOf(ancestorTitles, place)
      if (id === undefined || cell === undefined || status !== 'passed') continue
      passed.set(cell, (passed.get(cell) ?? new Set()).add(id))
    }
  }
}

/** Where in the table a test belongs; a wrapper's suite is about no driver. */
function cellOf(titles: readonly string[], place: string): string | undefined {
  for (const title of titles) {
    const realm = IN_BROWSER.exec(title)?.groups?.['realm']
    if (realm !== undefined) return `${realm.startsWith('channel') ? 'a port' : 'IndexedDB'} ${place}`
    const { harness, runtime = place } = SUITE.exec(title)?.groups ?? {}
    if (harness === undefined || /, (compressed|encrypted|everything|observed)|with (timeouts|retries)/.test(harness))
      continue
    const driver = DRIVERS.find(([, pattern]) => pattern.test(harness))?.[0]
    if (driver !== undefined) return `${driver} ${runtime}`
  }
  return undefined
}

const cells = (name: string): string[] =>
  RUNTIMES.map((runtime) => String(passed.get(`${name} ${runtime}`)?.size ?? ''))
const line = (...texts: readonly string[]): string => `| ${texts.join(' | ')} |`
const table = [
  line('', ...RUNTIMES),
  line('---', ...RUNTIMES.map(() => '--:')),
  ...DRIVERS.map(([name]) => line(name, ...cells(name))),
].join('\n')

const PAGE = new URL('../docs/tested.md', import.meta.url)
const text = readFileSync(PAGE, 'utf8')
const marked = /(<!-- cases passed -->\n).*?(<!-- end -->)/s
writeFileSync(
  PAGE,
  text.replace(marked, (_, head, end) => `${head}\n${table}\n\n${end}`),
)
