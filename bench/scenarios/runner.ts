/** The runner at work: how long a replay takes, many runs at once, and many timers that are due. */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { type Driver, createHoldfast, memory } from 'holdfast'
import { sqlite } from 'holdfast/better-sqlite3'
import { defineWorkflow, drain, run, start } from 'holdfast/run'
import { jumpingClock } from 'holdfast/run/testing'
import { part } from '../../scripts/parts.ts'
import { eventOf } from '../data.ts'
import { type Contender, type Figure, type RaceOptions, byRound, race, timeOf } from '../measure.ts'
import type { AtOnce } from './at-once.ts'

export interface Replay {
  readonly events: number
  /** Milliseconds per replay. */
  readonly memory: Figure
  readonly sqlite: Figure
}

export interface Timers {
  readonly timers: number
  /** Milliseconds until all runs are awake, and then until all have completed. */
  readonly wake: number
  readonly complete: number
}

const long = defineWorkflow({ name: 'long' }, async (ctx, steps: number) => {
  for (let n = 0; n < steps; n++) await ctx.step(`step ${n}`, () => eventOf(n))
  return ctx.message('more')
})

/** Runs the workflow until it waits for the message, and answers how many milliseconds that took. */
async function runLong(driver: Driver, steps: number): Promise<number> {
  // Opened anew, as after a restart: what an earlier run left in the caches does not help.
  const holdfast = createHoldfast({ driver, durability: 'relaxed' })
  await holdfast.db.open()
  const from = performance.now()
  const { status } = await run(holdfast, long, { runId: 'long', input: steps, maxWait: 1 })
  const elapsed = performance.now() - from
  await holdfast.close()
  if (status !== 'waiting') throw new Error(`The long run is ${status}`)
  return elapsed
}

/** Continues a run with so many completed steps, again and again. */
export async function replayLog(directory: string, events: number, options: RaceOptions): Promise<Replay> {
  const contenders: Contender[] = []
  for (const driver of [memory(), sqlite({ path: join(directory, 'replay.db') })]) {
    await runLong(driver, events)
    contenders.push(byRound(driver.name, () => runLong(driver, events)))
  }
  const [inMemory, onSqlite] = await race(contenders, options)
  return { events, memory: timeOf(inMemory!, 1e6), sqlite: timeOf(onSqlite!, 1e6) }
}

const AT_ONCE = fileURLToPath(new URL('at-once.ts', import.meta.url))
/** A round of both sides takes seconds where syncs are slow; longer means that it hangs. */
const LONGEST = 10 * 60_000

/** Runs holdfast and openworkflow under Node 24, whose SQLite openworkflow needs. Without it there is no result. */
export async function runAtOnce(directory: string, { rounds, roundMs }: RaceOptions): Promise<AtOnce | undefined> {
  const node = part('node24')
  if (!node) return undefined
  const options: RaceOptions = { rounds: Math.min(5, rounds), roundMs }
  const { stdout } = await promisify(execFile)(node, [AT_ONCE, directory, JSON.stringify(options)], {
    timeout: LONGEST,
  })
  return JSON.parse(stdout) as AtOnce
}

const nap = defineWorkflow({ name: 'nap' }, async (ctx) => {
  await ctx.sleep('1 hour')
})

/** Parks so many runs on a sleep, lets all of them come due, wakes them, and completes them. */
export async function wakeTimers(directory: string, timers: number): Promise<Timers> {
  const clock = jumpingClock()
  const driver = sqlite({ path: join(directory, 'timers.db'), clock })
  const holdfast = createHoldfast({ driver, clock, durability: 'relaxed' })
  const drainAll = async (): Promise<void> => {
    const count = await drain(holdfast, [nap], { concurrency: 16, limit: timers })
    if (count !== timers) throw new Error(`${count} of ${timers} runs were worked on`)
  }
  for (let n = 0; n < timers; n += 1000) {
    await Promise.all(Array.from({ length: 1000 }, (_, i) => start(holdfast, nap, { runId: `run-${n + i}` })))
  }
  await drainAll()
  clock.jump('2 hours')
  const from = performance.now()
  const awake = await holdfast.timers.advanceDue({ limit: timers })
  const middle = performance.now()
  if (awake.length !== timers) throw new Error(`${awake.length} of ${timers} runs woke`)
  await drainAll()
  const end = performance.now()
  await holdfast.close()
  return { timers, wake: middle - from, complete: end - middle }
}
