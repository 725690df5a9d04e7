/** Looks at a file after its writer was killed: is everything acknowledged there, and is everything there whole? */
import { isDeepStrictEqual } from 'node:util'
import type { Driver } from '../../src/core/driver.ts'
import { tenantParts } from '../../src/core/keys.ts'
import { type Holdfast, createHoldfast } from '../../src/holdfast.ts'
import type { RunEvent } from '../../src/runs/events.ts'
import { openBetterSqlite3 } from '../support/engines.ts'
import { COUNTER, PAIRS, RUNS, SNAPSHOTS, eventKeys, eventOf, pairKeys, pairValue, runOf, stateOf } from './content.ts'
import type { Ledger } from './ledger.ts'

/**
 * @param driver - a fresh one, not opened
 * @returns what is wrong, one line each
 */
export async function faultsOf(driver: Driver, ledger: Ledger): Promise<string[]> {
  const holdfast = createHoldfast({ driver })
  try {
    const faults = [...ledger.faults]
    for (const run of RUNS) faults.push(...(await faultsOfRun(holdfast, run, ledger)))
    for (const pair of PAIRS) faults.push(...(await faultsOfPair(holdfast, pair, ledger)))
    for (const writer of SNAPSHOTS) faults.push(...(await faultsOfSnapshot(holdfast, writer, ledger)))
    const sum = Number((await holdfast.state.get(COUNTER)) ?? 0)
    return [...faults, ...outside(COUNTER, sum, ledger)]
  } finally {
    await holdfast.close()
  }
}

/** What SQLite itself finds wrong with the file. */
export async function faultsOfFile(path: string): Promise<string[]> {
  const db = await openBetterSqlite3(path)
  try {
    const rows = db.pragma('integrity_check') as { integrity_check: string }[]
    return rows.map((row) => row.integrity_check).filter((line) => line !== 'ok')
  } finally {
    db.close()
  }
}

async function faultsOfRun({ db, persistence }: Holdfast, run: string, ledger: Ledger): Promise<string[]> {
  const faults: string[] = []
  const found = new Map<string, number>()
  const events: RunEvent[] = []
  for await (const event of persistence.events(run, { limit: 1000 })) events.push(event)
  events.forEach(({ seq, ...event }, i) => {
    const key = event.idempotencyKey ?? ''
    if (seq !== i + 1) faults.push(`${run} has ${seq} in place of ${i + 1}`)
    if (found.has(key)) faults.push(`${key} is in the log twice`)
    found.set(key, seq)
    if (!isDeepStrictEqual(event, eventOf(key)))
      faults.push(`${run} has other content at ${seq}: ${JSON.stringify(event)}`)
    if (!ledger.events.has(key)) {
      const [writer, index] = key.split('/')
      if (!ledger.isPossible(writer!, Number(index))) faults.push(`${key} is from nowhere`)
    }
  })
  for (const [key, seq] of found) {
    const [writer, index, place] = key.split('/')
    const others = eventKeys(writer!, Number(index))
    if (others.some((other, i) => found.get(other) !== seq - Number(place) + i))
      faults.push(`${key} is of a torn batch`)
  }
  for (const [key, seq] of ledger.events) {
    if (runOf(key) !== run) continue
    const there = found.get(key)
    if (there !== seq && !(seq === 0 && there !== undefined)) faults.push(`${key} is ${there}, acknowledged as ${seq}`)
  }

  const parts = tenantParts()
  const refs = { part: parts.run(run), start: 'idempotency!', end: 'idempotency"', limit: 1e5 }
  const [{ entries }, record, index] = await db.read([
    { range: refs },
    { get: { part: parts.run(run), key: 'run' } },
    { get: { part: parts.runs, key: run } },
  ])
  const leads = new Map(entries.map(({ key, value }) => [key.slice('idempotency!'.length), Number(value)]))
  if (!isDeepStrictEqual(leads, found)) faults.push(`The idempotency keys of ${run} do not lead to their events`)
  if ((record === null) !== (index === null)) faults.push(`${run} and its index do not agree`)
  if ((record === null) !== (found.size === 0)) faults.push(`${run} and its log do not agree`)
  return faults
}

async function faultsOfPair({ db }: Holdfast, pair: string, ledger: Ledger): Promise<string[]> {
  const [a, b] = pairKeys(pair)
  const [left, right] = await db.read([{ get: a }, { get: b }])
  if (left?.value !== right?.value) return [`${pair} is torn: ${String(left?.value)} and ${String(right?.value)}`]
  if (left?.version !== right?.version) return [`${pair} was written in two commits`]
  const last = ledger.next()[pair]! - 1
  const possible = [pairValue(last), pairValue(last + 1)]
  return possible.includes(left?.value as string | undefined)
    ? []
    : [`${pair} is ${String(left?.value)} after ${last} was acknowledged`]
}

async function faultsOfSnapshot({ state, persistence }: Holdfast, writer: string, ledger: Ledger): Promise<string[]> {
  const runId = runOf(writer)
  const snapshot = await state.loadSnapshot<{ index: number }>(runId)
  const { items } = await state.listSnapshots()
  const listed = items.find((item) => item.runId === runId)
  const faults = outside(writer, snapshot?.version ?? 0, ledger)
  if (snapshot === undefined) return listed === undefined ? faults : [...faults, `${runId} is listed, without snapshot`]
  const { state: content, version, status, throughSeq, updatedAt } = snapshot
  if (!isDeepStrictEqual(listed, { runId, version, status, throughSeq, updatedAt }))
    faults.push(`The snapshot of ${runId} and its index do not agree`)
  if (!isDeepStrictEqual(content, stateOf(content.index))) faults.push(`The snapshot of ${runId} is not whole`)
  if (!ledger.isPossible(writer, content.index)) faults.push(`The snapshot of ${runId} is of ${content.index}`)
  const end = (await persistence.getLatestSeq(runId)) ?? 0
  if (throughSeq! > end) faults.push(`The snapshot of ${runId} is ahead of its log`)
  return faults
}

function outside(name: string, value: number, ledger: Ledger): string[] {
  const { least, most } = ledger.span(name)
  ledger.found(name, value)
  return value >= least && value <= most ? [] : [`${name} is ${value}, not ${least} to ${most}`]
}
