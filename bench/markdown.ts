/**
 * Puts what was measured into the tables of docs/benchmarks.md, between its marks.
 *
 *     npm run --silent bench -- --json > results.json && npx tsx bench/markdown.ts results.json
 *     npm run --silent bench:browser -- --json > results.json && npx tsx bench/markdown.ts results.json
 *     npm run --silent bench:network -- --json > results.json && npx tsx bench/markdown.ts results.json
 *     npm run --silent bench:ops > results.json && npx tsx bench/markdown.ts results.json
 *     npm run --silent bench:edge -- --json > results.json && npx tsx bench/markdown.ts results.json
 */
import { readFileSync, writeFileSync } from 'node:fs'
import type { BrowserReport } from './browser/report.ts'
import type { EdgeReport } from './edge/report.ts'
import type { Figure } from './measure.ts'
import type { Cost, NetworkReport } from './network/report.ts'
import type { OpsReport } from './ops/report.ts'
import { type Report, atOnceTitle } from './report.ts'
import type { Row } from './scenarios/row.ts'
import type { Target } from './targets.ts'

const DOCUMENT = new URL('../docs/benchmarks.md', import.meta.url)

const number = (value: number): string =>
  value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2)
const spread = ({ median, min, max }: Figure): string => `${number(median)} (${number(min)}–${number(max)})`
const line = (...cells: readonly (string | number)[]): string => `| ${cells.join(' | ')} |`
const title = (name: string): string => name.charAt(0).toUpperCase() + name.slice(1)

/** @param level - of the titles: `###`, for example */
function* rowSections(rows: readonly Row[], level: string): Generator<string> {
  for (const name of new Set(rows.map((row) => row.name))) {
    yield `\n${level} ${title(name)}\n`
    yield line('', 'survives', 'µs', '/ raw', '/ holdfast')
    yield '|---|---|--:|--:|--:|'
    for (const { subject, survives, microseconds, toRaw, toHoldfast } of rows.filter((row) => row.name === name)) {
      yield line(
        subject,
        survives,
        number(microseconds.median),
        toRaw.min === toRaw.max ? '1' : spread(toRaw),
        toHoldfast.min === toHoldfast.max ? '1' : spread(toHoldfast),
      )
    }
  }
}

function* targetTable(targets: readonly Target[]): Generator<string> {
  yield line('', 'wanted', 'measured', '')
  yield '|---|--:|--:|---|'
  for (const { name, wanted, measured, reached } of targets) {
    yield line(name, wanted, measured, reached ? 'reached' : '**not reached**')
  }
}

function* browserSections({ engines }: BrowserReport): Generator<string> {
  for (const { name, version, rows, targets } of engines) {
    yield `\n### ${name} ${version}`
    yield* rowSections(rows, '####')
    yield '\n#### Targets\n'
    yield* targetTable(targets)
  }
}

function* sections({ rows, encoding, longLog, reading, calls, bytes, work, targets }: Report): Generator<string> {
  yield* rowSections(rows, '###')
  if (encoding) {
    yield `\n### Encode 1 kB\n\n${spread(encoding.toJson)} times the speed of \`JSON.stringify\`.`
  }
  if (longLog && reading) {
    yield (
      `\n### Long logs\n\nAn append to a log of ${longLog.events} events costs ${spread(longLog.cost)} times one to a log of ` +
        `1000, relaxed. Reading it event by event, in a process of its own, takes ${reading.seconds.toFixed(1)} s and at most ` +
        `${(reading.rss / 2 ** 20).toFixed(0)} MB of RSS and ${(reading.heap / 2 ** 20).toFixed(0)} MB of heap above the start.`
    )
  }
  if (work) {
    yield '\n### A step of the runner, relaxed\n'
    yield line(
      'steps before it',
      'µs, holdfast',
      'µs, LangGraph SqliteSaver',
      'speed / it',
      'µs, World local',
      'speed / it',
    )
    yield '|--:|--:|--:|--:|--:|--:|'
    for (const { before, holdfast, langgraph, toLanggraph, worldLocal, toWorldLocal } of work.steps) {
      yield line(
        before,
        number(holdfast.median),
        number(langgraph.median),
        spread(toLanggraph),
        number(worldLocal.median),
        spread(toWorldLocal),
      )
    }
    const { run, replay, atOnce, timers, find, claims } = work
    yield (
      `\nOf a run of ${run.steps} steps, each is ${number(run.commitsPerStep)} commits; one in the second tenth takes ` +
        `${number(run.first)} µs, one in the last ${number(run.last)} µs.`
    )
    yield `\n### Replay of ${replay.events} events, relaxed\n`
    yield line('', 'ms')
    yield '|---|--:|'
    yield line('in memory', spread(replay.memory))
    yield line('on SQLite', spread(replay.sqlite))
    if (atOnce) {
      yield `\n### ${atOnceTitle(atOnce)}\n`
      yield line('', 'ms', 'speed / openworkflow')
      yield '|---|--:|--:|'
      yield line('holdfast', spread(atOnce.holdfast), spread(atOnce.toOpenworkflow))
      yield line('openworkflow', spread(atOnce.openworkflow), 1)
    }
    yield (
      `\nOf ${timers.timers} timers that are due at once, relaxed, all runs are awake after ${number(timers.wake)} ms, and ` +
        `completed after ${number(timers.complete)} ms more.`
    )
    yield '\n### Claim a task and complete its run, relaxed\n'
    yield line('workers', 'tasks per second', 'requests per task')
    yield '|--:|--:|--:|'
    for (const it of claims) yield line(it.workers, number(it.tasksPerSecond), number(it.requestsPerTask))
    yield (
      `\nTo find ten tasks takes ${number(find.few)} µs where 100 runs are ready, and ${number(find.many)} µs where ` +
        `${find.manyRuns} are: ${spread(find.cost)} times as much.`
    )
  }
  if (calls && bytes) {
    yield '\n### Counted\n'
    yield line('call', 'round trips', 'write transactions', 'SQL statements')
    yield '|---|--:|--:|---|'
    for (const { call, roundTrips, transactions, statements } of calls) {
      const counts = Object.entries(statements).map(([word, count]) => `${count} ${word}`)
      yield line(call, roundTrips, transactions, counts.join(', '))
    }
    yield (
      `\nAn event with a payload of ${bytes.payload} bytes takes ${bytes.columns.toFixed(0)} bytes in columns and ` +
        `${bytes.file.toFixed(0)} of the file.`
    )
  }
  yield '\n### Targets\n'
  yield* targetTable(targets)
}

function* networkSections({ servers }: NetworkReport): Generator<string> {
  for (const { name, rows, costs, targets } of servers) {
    yield `\n### ${name}`
    yield* rowSections(rows, '####')
    if (costs.length > 0) {
      yield '\n#### What a call costs in a large database\n'
      const [{ unit, sizes: columns }] = costs as [Cost]
      const heads = columns.flatMap(({ entries }) => [`µs among ${entries}`, `${unit} among ${entries}`])
      yield line('call', ...heads, 'time, largest / smallest')
      yield `|---|${heads.map(() => '--:|').join('')}--:|`
      for (const { call, sizes, ratio } of costs) {
        const found = sizes.flatMap(({ microseconds, work }) => [number(microseconds.median), number(work)])
        yield line(call, ...found, spread(ratio))
      }
    }
    yield '\n#### Targets\n'
    yield* targetTable(targets)
  }
}

function* opsSections({ runs, entries, bytes, rounds, carried, wrappers }: OpsReport): Generator<string> {
  yield (
    `\nA database of ${runs} runs: ${entries} entries, ${(bytes / 1e6).toFixed(1)} MB of keys and values; the median of ` +
      `${rounds} rounds, in which all had their turn.\n`
  )
  yield line('', 'by', 's', 'MB/s', 'entries/s')
  yield '|---|---|--:|--:|--:|'
  for (const { what, by, seconds, megabytesPerSecond, recordsPerSecond } of carried) {
    yield line(what, by, spread(seconds), number(megabytesPerSecond), recordsPerSecond)
  }
  yield '\n#### Wrappers, over memory\n'
  yield 'Above a call without them, of a value of 600 bytes, one call after the other.\n'
  yield line('', 'set, µs more', 'get, µs more')
  yield '|---|--:|--:|'
  for (const { wrapper, set, get } of wrappers) yield line(wrapper, spread(set), spread(get))
}

function* edgeSections({ imports, object, handler, making, d1, targets }: EdgeReport): Generator<string> {
  for (const [name, rows] of [
    ['A Durable Object, beside `sql.exec` by hand', object],
    ['A handler, beside one that only asks the driver', handler],
  ] as const) {
    yield `\n### ${name}\n`
    yield line('', 'µs, raw', 'µs, holdfast', 'cost')
    yield '|---|--:|--:|--:|'
    for (const it of rows) yield line(it.name, number(it.raw.median), number(it.holdfast.median), spread(it.cost))
  }
  yield '\n### Counted over D1\n'
  yield line('call', 'round trips', 'statements')
  yield '|---|--:|--:|'
  for (const { call, batches, statements } of d1) yield line(call, batches, statements)
  yield '\n### A holdfast per request\n'
  yield line('', 'µs')
  yield '|---|--:|'
  for (const { where, microseconds } of making) yield line(where, spread(microseconds))
  yield '\n### Cold imports\n'
  yield line('', 'ms')
  yield '|---|--:|'
  for (const { entry, milliseconds } of imports) yield line(`\`${entry}\``, spread(milliseconds))
  yield '\n### Targets\n'
  yield* targetTable(targets)
}

const file = process.argv[2]
if (!file) throw new Error('Usage: tsx bench/markdown.ts RESULTS.json')
const report = JSON.parse(readFileSync(file, 'utf8')) as Report | BrowserReport | NetworkReport | OpsReport | EdgeReport

function tables(): [mark: string, lines: Generator<string>] {
  if ('engines' in report) return ['measured in browsers', browserSections(report)]
  if ('servers' in report) return ['measured over a network', networkSections(report)]
  if ('carried' in report) return ['measured operations', opsSections(report)]
  if ('imports' in report) return ['measured at the edge', edgeSections(report)]
  return ['measured', sections(report)]
}

const [mark, lines] = tables()
const [head, rest] = readFileSync(DOCUMENT, 'utf8').split(`<!-- ${mark} -->`) as [string, string]
const tail = rest.slice(rest.indexOf('<!-- end -->'))
writeFileSync(DOCUMENT, `${head}<!-- ${mark} -->\n${[...lines].join('\n')}\n\n${tail}`)
