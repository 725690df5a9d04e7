/** A long log: what an append to it costs against one to a short log, and what reading all of it holds in memory. */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import Database from 'better-sqlite3'
import { createHoldfast } from 'holdfast'
import { sqlite } from 'holdfast/better-sqlite3'
import { RUN, eventOf } from '../data.ts'
import { type Figure, type RaceOptions, race, speed, timeOf } from '../measure.ts'
import type { Reading } from './read-log.ts'

/** Events of the short log, and how many are appended to it before it is made anew. */
const SHORT = 1000

export interface LongLog {
  readonly events: number
  readonly microsecondsPerEventToBuild: number
  /** Microseconds per append. */
  readonly short: Figure
  readonly long: Figure
  /** What an append to the long log costs, as a multiple of one to the short log. */
  readonly cost: Figure
}

const LONG_FILE = 'long.db'
const open = (path: string) => createHoldfast({ driver: sqlite({ path }), durability: 'relaxed' })
type Opened = ReturnType<typeof open>

async function fill({ persistence }: Opened, runId: string, events: number): Promise<void> {
  for (let n = 0; n < events; n += SHORT) {
    const batch = Array.from({ length: SHORT }, (_, i) => ({ runId, workflow: 'order', ...eventOf(n + i) }))
    await persistence.appendBatch(batch)
  }
}

/** Makes the long log, once for both scenarios; answers how many milliseconds it took. */
export async function buildLongLog(directory: string, events: number): Promise<number> {
  const holdfast = open(join(directory, LONG_FILE))
  const start = performance.now()
  await fill(holdfast, RUN, events)
  const elapsed = performance.now() - start
  await holdfast.close()
  return elapsed
}

/** Answers how many milliseconds it took. */
async function appends({ persistence }: Opened, runId: string, count: number): Promise<number> {
  const start = performance.now()
  for (let n = 0; n < count; n++) await persistence.append({ runId, workflow: 'order', ...eventOf(n) })
  return performance.now() - start
}

export async function appendToLongLog(
  directory: string,
  events: number,
  buildMs: number,
  options: RaceOptions,
): Promise<LongLog> {
  const shortPath = join(directory, 'short.db')
  const holdfasts = { short: open(shortPath), long: open(join(directory, LONG_FILE)) }
  await holdfasts.short.db.open()
  const other = new Database(shortPath)
  let runs = 0

  try {
    const [short, long] = await race(
      [
        {
          name: 'short',
          async time(ops) {
            let elapsed = 0
            for (let left = ops; left > 0; left -= SHORT) {
              other.exec('DELETE FROM holdfast_keys')
              const runId = `short-${runs++}`
              await fill(holdfasts.short, runId, SHORT)
              elapsed += await appends(holdfasts.short, runId, Math.min(left, SHORT))
            }
            return elapsed
          },
        },
        { name: 'long', time: (ops) => appends(holdfasts.long, RUN, ops) },
      ],
      options,
    )
    const cost = speed(short!, long!)
    return {
      events,
      microsecondsPerEventToBuild: (buildMs * 1000) / events,
      short: timeOf(short!, 1000),
      long: timeOf(long!, 1000),
      cost,
    }
  } finally {
    other.close()
    await holdfasts.short.close()
    await holdfasts.long.close()
  }
}

/** Reads the long log in a process of its own, so that nothing else is in its memory. */
export async function readLongLog(directory: string): Promise<Reading> {
  const child = fileURLToPath(new URL('read-log.ts', import.meta.url))
  const args = ['--expose-gc', '--import', 'tsx', child, join(directory, LONG_FILE)]
  const { stdout } = await promisify(execFile)(process.execPath, args)
  return JSON.parse(stdout) as Reading
}
