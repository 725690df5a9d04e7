/** What the numbers have to be. */
import type { Report } from './report.ts'

export interface Target {
  readonly name: string
  readonly wanted: string
  readonly measured: string
  readonly reached: boolean
}

const RAW = 'raw better-sqlite3'
const HOLDFAST = 'holdfast'

/** The least speed of holdfast, as a multiple of the raw client's at the same durability. */
const TO_RAW: readonly (readonly [row: string, least: number])[] = [
  ['append one by one, strict', 0.8],
  ['append one by one, relaxed', 0.5],
  ['append 64 in flight, strict', 8],
  ['get 1 kB', 0.4],
]
const LEAST_ENCODING = 0.5
const MOST_COST = 1.2
const MOST_MEGABYTES = 64
/** In milliseconds. */
const MOST_REPLAY = 150
const LEAST_AT_ONCE = 5
const MEGABYTE = 2 ** 20

/** Judges what was measured in this run; what was left out is not judged. */
export function judge({ rows, encoding, longLog, reading, calls, work }: Omit<Report, 'targets'>): Target[] {
  const targets: Target[] = []
  const atLeast = (name: string, value: number, least: number): void => {
    targets.push({ name, wanted: `>= ${least}`, measured: value.toFixed(2), reached: value >= least })
  }
  const atMost = (name: string, value: number, most: number, unit = ''): void => {
    targets.push({ name, wanted: `<= ${most}${unit}`, measured: value.toFixed(2) + unit, reached: value <= most })
  }

  for (const [name, least] of TO_RAW) {
    const row = rows.find((row) => row.name === name && row.subject === HOLDFAST)
    if (row) atLeast(`${name}: speed of raw`, row.toRaw.median, least)
  }
  for (const name of new Set(rows.map((row) => row.name))) {
    const peers = rows.filter((row) => row.name === name && row.subject !== HOLDFAST && row.subject !== RAW)
    const best = peers.reduce((a, b) => (b.toHoldfast.median > a.toHoldfast.median ? b : a))
    const value = 1 / best.toHoldfast.median
    const measured = `${value.toFixed(2)} x ${best.subject}`
    targets.push({ name: `${name}: ahead of every peer`, wanted: '> 1', measured, reached: value > 1 })
  }
  if (encoding) atLeast('encode 1 kB: speed of JSON.stringify', encoding.toJson.median, LEAST_ENCODING)
  if (longLog) {
    atMost(`append at ${longLog.events} events: cost of one at 1000`, longLog.cost.median, MOST_COST)
  }
  if (reading) {
    atMost(`reading ${reading.events} events: RSS above the start`, reading.rss / MEGABYTE, MOST_MEGABYTES, ' MB')
    atMost(`reading ${reading.events} events: heap above the start`, reading.heap / MEGABYTE, MOST_MEGABYTES, ' MB')
  }
  for (const { call, roundTrips, transactions } of calls ?? []) {
    if (transactions > 0) atMost(`${call}: round trips`, roundTrips, 1)
  }
  if (work) {
    atMost('a step of the runner: commits', work.run.commitsPerStep, 1)
    atMost(`step ${work.run.steps} of a run: cost of one at the beginning`, work.run.last / work.run.first, 1.2)
    const { replay, atOnce } = work
    atMost(`replay of ${replay.events} events, in memory`, replay.memory.median, MOST_REPLAY, ' ms')
    atMost(`replay of ${replay.events} events, on SQLite`, replay.sqlite.median, MOST_REPLAY, ' ms')
    if (atOnce) {
      const { runs, concurrency, toOpenworkflow } = atOnce
      atLeast(`${runs} runs, ${concurrency} at once: speed of openworkflow`, toOpenworkflow.median, LEAST_AT_ONCE)
    }
    atMost(`tasks of ${work.find.manyRuns} ready runs: cost of those of 100`, work.find.cost.median, 1.5)
    for (const { before, toLanggraph, toWorldLocal } of work.steps) {
      atLeast(`a step after ${before} others: speed of LangGraph`, toLanggraph.median, 1)
      atLeast(`a step after ${before} others: speed of World local`, toWorldLocal.median, 1)
    }
  }
  return targets
}
