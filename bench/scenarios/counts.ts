/** What is counted instead of timed: round trips, transactions and statements per call, and bytes per entry. */
import { statSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { type Driver, type Holdfast, createHoldfast } from 'holdfast'
import { sqlite } from 'holdfast/better-sqlite3'
import { PAYLOAD_BYTES, RUN, documentOf, eventOf } from '../data.ts'

export interface Count {
  readonly call: string
  /** Calls of `read` and `commit` of the driver. */
  readonly roundTrips: number
  /** Write transactions. */
  readonly transactions: number
  /** SQL statements run, by their first word. */
  readonly statements: Readonly<Record<string, number>>
}

const EVENT = { runId: RUN, workflow: 'order' }
const append = ({ persistence }: Holdfast, n: number): Promise<unknown> =>
  persistence.append({ ...EVENT, ...eventOf(n) })

const CALLS: Readonly<Record<string, (holdfast: Holdfast) => Promise<unknown>>> = {
  'append, the first of a run': ({ persistence }) =>
    persistence.append({ runId: `other-${Math.random()}`, workflow: 'order', kind: 'started' }),
  append: (holdfast) => append(holdfast, 0),
  'append with an idempotency key': ({ persistence }) =>
    persistence.append({ ...EVENT, ...eventOf(0), idempotencyKey: `key-${Math.random()}` }),
  '64 appends in flight, together': (holdfast) =>
    Promise.all(Array.from({ length: 64 }, (_, n) => append(holdfast, n))),
  'appendBatch of 64': ({ persistence }) =>
    persistence.appendBatch(Array.from({ length: 64 }, (_, n) => ({ ...EVENT, ...eventOf(n) }))),
  getJson: ({ state }) => state.getJson('name'),
  setJson: ({ state }) => state.setJson('name', documentOf(0)),
  saveSnapshot: ({ state }) => state.saveSnapshot({ runId: RUN, state: documentOf(0) }),
  resume: ({ persistence }) => persistence.resume(RUN, 1),
  'load of 1 000 events': ({ persistence }) => persistence.load('thousand'),
  complete: ({ persistence }) => persistence.complete(RUN, 'completed'),
}

/** Counts each call on a store that has done the same before, where that makes sense. */
export async function countCalls(directory: string): Promise<readonly Count[]> {
  const seen: string[] = []
  const db = new Database(join(directory, 'counts.db'), { verbose: (sql) => void seen.push(String(sql)) })
  // As the driver needs it, which otherwise switches it over and back.
  db.pragma('synchronous = FULL')
  let roundTrips = 0
  const driver = sqlite({ db })
  const counting: Driver = {
    ...driver,
    read: (...args) => (roundTrips++, driver.read(...args)),
    commit: (...args) => (roundTrips++, driver.commit(...args)),
  }
  const holdfast = createHoldfast({ driver: counting })
  const thousand = Array.from({ length: 1000 }, (_, n) => ({ ...EVENT, ...eventOf(n), runId: 'thousand' }))
  await holdfast.persistence.appendBatch(thousand)
  const counts: Count[] = []
  for (const [call, run] of Object.entries(CALLS)) {
    if (call !== 'complete') await run(holdfast)
    roundTrips = 0
    seen.length = 0
    await run(holdfast)
    counts.push({ call, roundTrips, transactions: transactionsIn(seen), statements: byFirstWord(seen) })
  }
  await holdfast.close()
  db.close()
  return counts
}

const firstWord = (sql: string): string => /\w+/.exec(sql)![0].toUpperCase()

function byFirstWord(statements: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const word of statements.map(firstWord)) counts[word] = (counts[word] ?? 0) + 1
  return counts
}

/** A `BEGIN IMMEDIATE`, or a change outside of any. */
function transactionsIn(statements: readonly string[]): number {
  let count = 0
  let isOpen = false
  for (const sql of statements) {
    const word = firstWord(sql)
    if (word === 'BEGIN') {
      isOpen = true
      if (/IMMEDIATE/i.test(sql)) count++
    } else if (word === 'COMMIT' || word === 'ROLLBACK') isOpen = false
    else if (!isOpen && ['INSERT', 'UPDATE', 'DELETE', 'REPLACE'].includes(word)) count++
  }
  return count
}

export interface Bytes {
  readonly entries: number
  /** Of the payload's JSON. */
  readonly payload: number
  /** Of the stored columns, on average. */
  readonly columns: number
  /** Of the file, by entry. */
  readonly file: number
}

export async function countBytes(directory: string, entries = 20_000): Promise<Bytes> {
  const path = join(directory, 'bytes.db')
  const holdfast = createHoldfast({ driver: sqlite({ path }), durability: 'relaxed' })
  for (let n = 0; n < entries; n += 100) {
    await Promise.all(Array.from({ length: 100 }, (_, i) => append(holdfast, n + i)))
  }
  await holdfast.close()
  const db = new Database(path)
  const columns = db
    .prepare(
      `SELECT avg(octet_length(part) + octet_length(key) + octet_length(version) + octet_length(value))
      FROM holdfast_entries WHERE key GLOB 'event!*'`,
    )
    .pluck()
    .get() as number
  db.pragma('wal_checkpoint(TRUNCATE)')
  db.close()
  return { entries, payload: PAYLOAD_BYTES, columns, file: statSync(path).size / entries }
}
