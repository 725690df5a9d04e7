/** What was found, as tables for people. */
import Table from 'cli-table3'
import { SingleBar } from 'cli-progress'
import type { Machine } from './machine.ts'
import type { Figure } from './measure.ts'
import type { AtOnce } from './scenarios/at-once.ts'
import type { Bytes, Count } from './scenarios/counts.ts'
import type { Encoding } from './scenarios/encoding.ts'
import type { LongLog } from './scenarios/long-log.ts'
import type { Reading } from './scenarios/read-log.ts'
import type { Row } from './scenarios/row.ts'
import type { Work } from './scenarios/work.ts'
import type { Target } from './targets.ts'

export interface Report {
  readonly machine: Machine & { readonly node: string; readonly sqlite: string }
  readonly settings: {
    readonly rounds: number
    readonly roundMs: number
    readonly longLog: number
    readonly payloadBytes: number
    readonly documentBytes: number
  }
  readonly rows: readonly Row[]
  readonly encoding?: Encoding
  readonly longLog?: LongLog
  readonly reading?: Reading
  readonly calls?: readonly Count[]
  readonly bytes?: Bytes
  readonly work?: Work
  readonly targets: readonly Target[]
}

/** On stderr, and only where that is a terminal. */
export function progress(total: number): { begin(name: string): void; stop(): void } {
  const bar = new SingleBar({ format: '{bar} {value}/{total}  {name}', clearOnComplete: true, hideCursor: true })
  bar.start(total, -1, { name: '' })
  return { begin: (name) => bar.increment(1, { name }), stop: () => bar.stop() }
}

const number = (value: number): string =>
  value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2)
const spread = ({ median, min, max }: Figure): string => `${number(median)}  (${number(min)} - ${number(max)})`
const megabytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MB`

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const made = new Table({ head: [...head], style: { head: [], border: [], compact: true } })
  made.push(...rows.map((row) => [...row]))
  return made.toString()
}

/** The rows, each with all its subjects. */
export function* rowParts(rows: readonly Row[]): Generator<string> {
  for (const name of new Set(rows.map((row) => row.name))) {
    yield `\n${name}`
    yield table(
      ['', 'survives', 'µs per op', 'speed / raw', 'speed / holdfast', 'ops'],
      rows
        .filter((row) => row.name === name)
        .map(({ subject, survives, microseconds, toRaw, toHoldfast, ops }) => [
          subject,
          survives,
          spread(microseconds),
          spread(toRaw),
          spread(toHoldfast),
          String(ops),
        ]),
    )
  }
}

export function* targetParts(targets: readonly Target[]): Generator<string> {
  if (targets.length === 0) return
  yield '\ntargets'
  yield table(
    ['', 'wanted', 'measured', ''],
    targets.map(({ name, wanted, measured, reached }) => [name, wanted, measured, reached ? 'reached' : 'NOT REACHED']),
  )
}

function* parts({
  machine,
  settings,
  rows,
  encoding,
  longLog,
  reading,
  calls,
  bytes,
  work,
  targets,
}: Report): Generator<string> {
  yield (
    `Node ${machine.node}, SQLite ${machine.sqlite}, ${machine.cpus} CPUs, ${machine.platform}, ${machine.fileSystem}; ` +
      `${settings.rounds} rounds of at least ${settings.roundMs} ms each; median (min - max)`
  )
  yield* rowParts(rows)
  if (encoding) {
    yield '\nencode 1 kB'
    yield table(
      ['', 'ns per document', 'speed / JSON.stringify'],
      [
        ['JSON.stringify', spread(encoding.json), '1'],
        ['holdfast', spread(encoding.holdfast), spread(encoding.toJson)],
      ],
    )
  }
  if (longLog) {
    yield '\nappend to a long log, relaxed'
    yield table(
      ['events in the log', 'µs per append', 'cost'],
      [
        ['1000', spread(longLog.short), '1'],
        [String(longLog.events), spread(longLog.long), spread(longLog.cost)],
      ],
    )
  }
  if (reading) {
    const { events, seconds, rss, heap, live } = reading
    yield (
      `\nreading a log of ${events} events: ${seconds.toFixed(1)} s; above the start at most ` +
        `RSS ${megabytes(rss)}, heap ${megabytes(heap)}, heap without garbage ${megabytes(live)}`
    )
  }
  if (calls) {
    yield '\nper call'
    yield table(
      ['', 'round trips', 'transactions', 'SQL statements'],
      calls.map(({ call, roundTrips, transactions, statements }) => [
        call,
        String(roundTrips),
        String(transactions),
        Object.entries(statements)
          .map(([word, count]) => `${count} ${word}`)
          .join(', '),
      ]),
    )
  }
  if (bytes) {
    yield (
      `\nbytes per event with a payload of ${bytes.payload}: ${bytes.columns.toFixed(0)} in columns, ` +
        `${bytes.file.toFixed(0)} of the file (${bytes.entries} events)`
    )
  }
  if (work) yield* workParts(work)
  yield* targetParts(targets)
}

export const atOnceTitle = ({ runs, concurrency, node }: AtOnce): string =>
  `${runs} runs of 3 steps, ${concurrency} at once, on SQLite, strict, Node ${node}`

function* workParts({ claims, steps, run, replay, atOnce, timers, find }: Work): Generator<string> {
  yield '\nclaim a task and complete its run, relaxed'
  yield table(
    ['workers', 'tasks per second', 'requests per task'],
    claims.map((it) => [String(it.workers), number(it.tasksPerSecond), number(it.requestsPerTask)]),
  )
  yield '\na step of the runner, relaxed; of LangGraph a checkpoint and its writes, of World local three events'
  yield table(
    ['steps before it', 'µs, holdfast', 'µs, LangGraph SqliteSaver', 'speed / it', 'µs, World local', 'speed / it'],
    steps.map((it) => [
      String(it.before),
      spread(it.holdfast),
      spread(it.langgraph),
      spread(it.toLanggraph),
      spread(it.worldLocal),
      spread(it.toWorldLocal),
    ]),
  )
  yield (
    `\na run of ${run.steps} steps: ${number(run.commitsPerStep)} commits per step; ` +
      `${number(run.first)} µs per step in its second tenth, ${number(run.last)} µs in its last`
  )
  yield `\nreplay of ${replay.events} events, relaxed`
  yield table(
    ['', 'ms'],
    [
      ['in memory', spread(replay.memory)],
      ['on SQLite', spread(replay.sqlite)],
    ],
  )
  if (atOnce) {
    yield `\n${atOnceTitle(atOnce)}`
    yield table(
      ['', 'ms', 'speed / openworkflow'],
      [
        ['holdfast', spread(atOnce.holdfast), spread(atOnce.toOpenworkflow)],
        ['openworkflow', spread(atOnce.openworkflow), '1'],
      ],
    )
  } else {
    yield '\nNode 24 is missing, left out: many runs at once beside openworkflow. npm run parts installs it'
  }
  yield (
    `\n${timers.timers} timers that are due at once, relaxed: ${number(timers.wake)} ms to wake their runs, ` +
      `${number(timers.complete)} ms to complete them`
  )
  yield (
    `\nten tasks of 100 ready runs: ${number(find.few)} µs; of ${find.manyRuns}: ${number(find.many)} µs; ` +
      `cost ${spread(find.cost)}`
  )
}

export const render = (report: Report): string => [...parts(report)].join('\n')
