/** What work costs: claims by many workers, the runner and its steps beside those of others, and finding what is ready. */
import { join } from 'node:path'
import { uuid6 } from '@langchain/langgraph-checkpoint'
import { SqliteSaver } from '@langchain/langgraph-checkpoint-sqlite'
import Database from 'better-sqlite3'
import { type Driver, type Holdfast, createHoldfast } from 'holdfast'
import { sqlite } from 'holdfast/better-sqlite3'
import { run } from 'holdfast/run'
import { eventOf } from '../data.ts'
import { type Figure, type RaceOptions, figure, race, speed, timeOf } from '../measure.ts'
import { checkpoint, metadata, thread } from '../subjects/langgraph.ts'
import { openWorldLocal } from '../subjects/world-local.ts'
import type { AtOnce } from './at-once.ts'
import { type Replay, type Timers, replayLog, runAtOnce, wakeTimers } from './runner.ts'

export interface Work {
  readonly claims: readonly {
    readonly workers: number
    readonly tasksPerSecond: number
    readonly requestsPerTask: number
  }[]
  readonly steps: readonly {
    readonly before: number
    /** Microseconds per step. */
    readonly holdfast: Figure
    readonly langgraph: Figure
    readonly toLanggraph: Figure
    /** Of the local World of the Workflow SDK, whose steps cost the same wherever they are. */
    readonly worldLocal: Figure
    readonly toWorldLocal: Figure
  }[]
  /** Of the runner: commits per step, and microseconds per step in the first and the last of a run's steps. */
  readonly run: {
    readonly steps: number
    readonly commitsPerStep: number
    readonly first: number
    readonly last: number
  }
  readonly replay: Replay
  /** Left out where Node 24 is missing. */
  readonly atOnce?: AtOnce
  readonly timers: Timers
  /** Microseconds per call with few and with many runs that are ready, and the ratio. */
  readonly find: { readonly few: number; readonly many: number; readonly manyRuns: number; readonly cost: Figure }
}

/** A driver whose commits and reads are counted. */
function counted(driver: Driver): { driver: Driver; commits: () => number; requests: () => number } {
  let [commits, reads] = [0, 0]
  return {
    driver: {
      ...driver,
      commit: (request, options) => ((commits += request.commits.length), driver.commit(request, options)),
      read: (questions, options) => (reads++, driver.read(questions, options)),
    },
    commits: () => commits,
    requests: () => commits + reads,
  }
}

const open = (directory: string, name: string): { holdfast: Holdfast } & Omit<ReturnType<typeof counted>, 'driver'> => {
  const { driver, ...counts } = counted(sqlite({ path: join(directory, `${name}.db`) }))
  return { holdfast: createHoldfast({ driver, durability: 'relaxed' }), ...counts }
}

async function ready({ workflows }: Holdfast, runs: number): Promise<void> {
  const position = { kind: 'step', stepId: 'job' } as const
  for (let n = 0; n < runs; n += 1000) {
    await Promise.all(
      Array.from({ length: Math.min(1000, runs - n) }, (_, i) =>
        workflows.createRun({ runId: `run-${n + i}`, workflow: 'job', status: 'running', position }),
      ),
    )
  }
}

/** So many workers share so many tasks; each claims a task, and completes its run. */
async function claimAndComplete(directory: string, workers: number, tasks: number): Promise<Work['claims'][number]> {
  const { holdfast, requests } = open(directory, `claims-${workers}`)
  await ready(holdfast, tasks)
  const { claims, persistence } = holdfast
  const before = requests()
  const start = performance.now()
  let done = 0
  const lane = async (workerId: string): Promise<void> => {
    for (;;) {
      const offered = await claims.findAvailableTasks({ workerId, limit: 2 * workers })
      if (offered.length === 0) return
      const task = offered[Math.floor(Math.random() * offered.length)]!
      const claim = await claims.claimTask({ runId: task.runId, workerId, ttl: 60_000 })
      if (!claim) continue
      await persistence.complete(task.runId, 'completed', { claim, event: { kind: 'done' } })
      done++
    }
  }
  await Promise.all(Array.from({ length: workers }, (_, i) => lane(`w${i}`)))
  const seconds = (performance.now() - start) / 1000
  await holdfast.close()
  return { workers, tasksPerSecond: done / seconds, requestsPerTask: (requests() - before) / tasks }
}

/** A step after so many others: of the runner, and as LangGraph writes it, a checkpoint and the writes before it. */
async function stepsBehind(directory: string, before: number, options: RaceOptions): Promise<Work['steps'][number]> {
  const { holdfast } = open(directory, `steps-${before}`)
  const db = new Database(join(directory, `langgraph-${before}.db`))
  db.pragma('journal_mode = WAL')
  db.pragma('synchronous = NORMAL')
  const saver = new SqliteSaver(db)
  const messages = Array.from({ length: before }, (_, n) => eventOf(n))
  const world = await openWorldLocal(join(directory, `world-${before}`))
  let runs = 0
  const [ours, theirs, worlds] = await race(
    [
      {
        name: 'holdfast',
        async time(ops) {
          const runId = `run-${runs++}`
          let elapsed = 0
          await run(holdfast, { runId, workflow: 'job' }, async (ctx) => {
            for (let n = 0; n < before; n++) await ctx.step(`old ${n}`, () => eventOf(n))
            const start = performance.now()
            for (let n = 0; n < ops; n++) await ctx.step(`step ${n}`, () => eventOf(n))
            elapsed = performance.now() - start
          })
          return elapsed
        },
      },
      {
        name: 'LangGraph',
        async time(ops) {
          const all = [...messages]
          let last = thread(`thread-${runs++}`)
          const start = performance.now()
          for (let n = 0; n < ops; n++) {
            all.push(eventOf(n))
            last = await saver.put(last, checkpoint(uuid6(n), all), metadata(n))
            await saver.putWrites(last, [['value', eventOf(n)]], `task-${n}`)
          }
          return performance.now() - start
        },
      },
      {
        name: 'World local',
        async time(ops) {
          const runId = `run${runs++}`
          await world.begin(runId)
          const start = performance.now()
          for (let n = 0; n < ops; n++) await world.step(runId, n, eventOf(n))
          return performance.now() - start
        },
      },
    ],
    { ...options, rounds: Math.min(5, options.rounds) },
  )
  await holdfast.close()
  db.close()
  await world.close()
  return {
    before,
    holdfast: timeOf(ours!, 1000),
    langgraph: timeOf(theirs!, 1000),
    toLanggraph: speed(ours!, theirs!),
    worldLocal: timeOf(worlds!, 1000),
    toWorldLocal: speed(ours!, worlds!),
  }
}

/** One long run: whether its last steps cost what its first did. */
async function longRun(directory: string, steps: number): Promise<Work['run']> {
  const { holdfast, commits } = open(directory, 'long-run')
  const times: number[] = []
  let counts = 0
  await run(holdfast, { runId: 'long', workflow: 'job' }, async (ctx) => {
    await ctx.step('warm', () => 0)
    const before = commits()
    for (let n = 0; n < steps; n++) {
      const start = performance.now()
      await ctx.step(`step ${n}`, () => eventOf(n))
      times.push((performance.now() - start) * 1000)
    }
    counts = commits() - before
  })
  await holdfast.close()
  const part = Math.floor(steps / 10)
  const median = (some: readonly number[]): number => figure(some).median
  return {
    steps,
    commitsPerStep: counts / steps,
    first: median(times.slice(part, 2 * part)),
    last: median(times.slice(-part)),
  }
}

/** Asks for ten tasks where few, and where many runs are ready. */
async function findReady(directory: string, manyRuns: number, options: RaceOptions): Promise<Work['find']> {
  const few = open(directory, 'find-few').holdfast
  const many = open(directory, 'find-many').holdfast
  await ready(few, 100)
  await ready(many, manyRuns)
  const contender = (name: string, { claims }: Holdfast) => ({
    name,
    async time(ops: number) {
      const start = performance.now()
      for (let n = 0; n < ops; n++) await claims.findAvailableTasks({ workerId: 'w', limit: 10 })
      return performance.now() - start
    },
  })
  const [one, other] = await race([contender('few', few), contender('many', many)], options)
  await few.close()
  await many.close()
  return { few: timeOf(one!, 1000).median, many: timeOf(other!, 1000).median, manyRuns, cost: speed(one!, other!) }
}

export async function measureWork(directory: string, quick: boolean, options: RaceOptions): Promise<Work> {
  const claims = []
  for (const workers of [1, 4, 16]) claims.push(await claimAndComplete(directory, workers, quick ? 300 : 2000))
  const steps = []
  for (const before of [0, 500, 4000]) steps.push(await stepsBehind(directory, before, options))
  const atOnce = await runAtOnce(directory, options)
  return {
    claims,
    steps,
    run: await longRun(directory, quick ? 1000 : 10_000),
    replay: await replayLog(directory, 10_000, options),
    ...(atOnce && { atOnce }),
    timers: await wakeTimers(directory, quick ? 1000 : 10_000),
    find: await findReady(directory, quick ? 10_000 : 100_000, options),
  }
}
