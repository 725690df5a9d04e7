/**
 * Run as a process of its own, by a Node that has `node:sqlite`: many short runs on SQLite, by holdfast and by
 * openworkflow in turn. It prints how long they took.
 *
 *     node bench/scenarios/at-once.ts DIRECTORY RACE-OPTIONS
 */
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { createHoldfast } from 'holdfast'
import { nodeSqlite } from 'holdfast/node-sqlite'
import { defineWorkflow, start, work } from 'holdfast/run'
import { OpenWorkflow } from 'openworkflow'
import { BackendSqlite } from 'openworkflow/sqlite'
import { eventOf } from '../data.ts'
import { type Figure, type RaceOptions, byRound, race, speed, timeOf } from '../measure.ts'

export interface AtOnce {
  readonly runs: number
  readonly concurrency: number
  /** The version of this process. */
  readonly node: string
  /** Milliseconds for all runs. */
  readonly holdfast: Figure
  readonly openworkflow: Figure
  readonly toOpenworkflow: Figure
}

const RUNS = 200
const CONCURRENCY = 16
const [directory, options] = process.argv.slice(2) as [string, string]
let files = 0
/** Every round has a new file: no side pays for the runs of the rounds before. */
const newFile = (name: string): string => join(directory, `${name}-${files++}.db`)
const inputs = Array.from({ length: RUNS }, (_, i) => i)

// Both sides run these: three awaited steps, whose results are stored, and a result of the run.
const stepOf = async (n: number): Promise<ReturnType<typeof eventOf>> => eventOf(n)
const resultOf = (n: number): object => ({ n, payloads: [n, n + 1, n + 2].map((step) => eventOf(step).payload) })

function requireResults(name: string, results: readonly unknown[]): void {
  if (JSON.stringify(results) !== JSON.stringify(inputs.map(resultOf))) throw new Error(`${name} lost results`)
}

const job = defineWorkflow({ name: 'job' }, async (ctx, n: number) => {
  const first = await ctx.step('first', () => stepOf(n))
  const second = await ctx.step('second', () => stepOf(n + 1))
  const third = await ctx.step('third', () => stepOf(n + 2))
  return { n, payloads: [first.payload, second.payload, third.payload] }
})

/** Milliseconds from the first start to the last result. */
async function byHoldfast(): Promise<number> {
  // As strict as openworkflow, which keeps SQLite's default: WAL with `synchronous = FULL`.
  const holdfast = createHoldfast({ driver: nodeSqlite({ path: newFile('holdfast') }), durability: 'strict' })
  await holdfast.db.open()
  const stop = new AbortController()
  const from = performance.now()
  const handles = await Promise.all(inputs.map((n) => start(holdfast, job, { runId: `run-${n}`, input: n })))
  const working = work(holdfast, [job], { concurrency: CONCURRENCY, signal: stop.signal })
  const results = await Promise.all(handles.map((handle) => handle.result()))
  const elapsed = performance.now() - from
  stop.abort()
  await working
  await holdfast.close()
  requireResults('holdfast', results)
  return elapsed
}

/** Milliseconds from the first start to the last result. */
async function byOpenworkflow(): Promise<number> {
  const backend = BackendSqlite.connect(newFile('openworkflow'))
  const client = new OpenWorkflow({ backend })
  const theirs = client.defineWorkflow<number, unknown>({ name: 'job' }, async ({ input: n, step }) => {
    const first = await step.run({ name: 'first' }, () => stepOf(n))
    const second = await step.run({ name: 'second' }, () => stepOf(n + 1))
    const third = await step.run({ name: 'third' }, () => stepOf(n + 2))
    return { n, payloads: [first.payload, second.payload, third.payload] }
  })
  // Its handles read their run once a second. Counting its commits instead costs nothing, and tells at once.
  const completed = new Set<string>()
  const complete = backend.completeWorkflowRun.bind(backend)
  backend.completeWorkflowRun = async (asked) => {
    const run = await complete(asked)
    completed.add(run.id)
    return run
  }
  const worker = client.newWorker({ concurrency: CONCURRENCY })
  const from = performance.now()
  const handles = await Promise.all(inputs.map((n) => theirs.run(n)))
  // Its worker sleeps 50 to 100 ms when it claimed nothing, also when all of its places are taken. That cannot be set. So
  // its loop is written out here, and looks again in the next turn of the event loop.
  while (completed.size < RUNS) if ((await worker.tick()) === 0) await turn()
  const results = await Promise.all(handles.map((handle) => handle.result()))
  const elapsed = performance.now() - from
  await worker.stop()
  await backend.stop()
  requireResults('openworkflow', results)
  return elapsed
}

const [ours, theirs] = await race(
  [byRound('holdfast', byHoldfast, RUNS), byRound('openworkflow', byOpenworkflow, RUNS)],
  { ...(JSON.parse(options) as RaceOptions), step: RUNS },
)
/** Turns nanoseconds per run into milliseconds for all runs. */
const UNIT = 1e6 / RUNS
const found: AtOnce = {
  runs: RUNS,
  concurrency: CONCURRENCY,
  node: process.versions.node,
  holdfast: timeOf(ours!, UNIT),
  openworkflow: timeOf(theirs!, UNIT),
  toOpenworkflow: speed(ours!, theirs!),
}
console.log(JSON.stringify(found))
