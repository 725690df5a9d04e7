/** Run as a process of its own: reads a whole log, event by event, and prints what that took of time and memory. */
import { createHoldfast } from 'holdfast'
import { sqlite } from 'holdfast/better-sqlite3'
import { RUN } from '../data.ts'

export interface Reading {
  readonly events: number
  readonly seconds: number
  /** The most above the start, in bytes; garbage that was not collected yet counts. */
  readonly rss: number
  readonly heap: number
  /** The same of the heap, measured right after collections of garbage. */
  readonly live: number
}

const SAMPLE = 500
/** Seldom, so that the other peaks are those of an ordinary program. */
const COLLECT = 250_000

const { gc } = globalThis
if (gc === undefined) throw new Error('Run it with --expose-gc')
const heap = (): number => {
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

const { persistence, db } = createHoldfast({ driver: sqlite({ path: process.argv[2]! }) })
// Everything that is loaded or compiled on first use is there.
await persistence.loadEvents(RUN)
gc()
const start = { rss: process.memoryUsage.rss(), heap: heap() }
const peak = { rss: 0, heap: 0, live: 0 }
const startedAt = performance.now()
let events = 0
let collecting = 0
for await (const { seq } of persistence.events(RUN)) {
  if (seq !== ++events) throw new Error(`Event ${seq} came as number ${events}`)
  if (events % SAMPLE === 0) {
    peak.rss = Math.max(peak.rss, process.memoryUsage.rss() - start.rss)
    peak.heap = Math.max(peak.heap, heap() - start.heap)
  }
  if (events % COLLECT === 0) {
    const before = performance.now()
    gc()
    peak.live = Math.max(peak.live, heap() - start.heap)
    collecting += performance.now() - before
  }
}
const seconds = (performance.now() - startedAt - collecting) / 1000
await db.close()
console.log(JSON.stringify({ events, seconds, ...peak } satisfies Reading))
