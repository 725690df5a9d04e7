/** A page whose storage is almost full: what becomes of requests that hold more than there is room for. */
import { idSource } from '../../../src/core/clock.ts'
import type { Commit, Entry, EntryPage, Op, Value } from '../../../src/core/driver.ts'
import type { HoldfastError } from '../../../src/core/errors.ts'
import { indexedDb } from '../../../src/drivers/indexeddb/driver.ts'
import { describe, report } from './report.ts'

/** What became of a request. */
export interface Refusal {
  readonly what: string
  readonly code?: string
  readonly ambiguous?: boolean
  /** Keys that were written all the same. */
  readonly written: readonly string[]
}

/** What the page has to tell. */
export interface QuotaReport {
  readonly refusals?: readonly Refusal[]
  /** Whether a small value can be written by itself, after all of them. */
  readonly isOpen?: boolean
  readonly error?: string
}

const newId = idSource()
const driver = indexedDb({ name: 'full' })
const MIB = 2 ** 20

/** What no browser can make smaller. */
function noise(bytes: number): Value {
  const all = new Uint8Array(bytes)
  for (let from = 0; from < bytes; from += 65_536) crypto.getRandomValues(all.subarray(from, from + 65_536))
  return all
}

const put = (key: string, value: Value): Op => ({ put: { part: 'p', key }, value })
const commitOf = (...ops: Op[]): Commit => ({ id: newId(), checks: [], ops, durability: 'relaxed' })
const commit = async (...commits: Commit[]): Promise<void> => void (await driver.commit({ id: newId(), commits }))

async function keys(): Promise<string[]> {
  const range = { part: 'p', start: 'new', end: 'new~', limit: 1000, keysOnly: true }
  const [page] = (await driver.read([{ range }])).answers as [EntryPage]
  return page.entries.map(({ key }) => key)
}

async function refused(what: string, ...commits: Commit[]): Promise<Refusal> {
  const error = await commit(...commits).then(
    () => undefined,
    (cause: HoldfastError) => cause,
  )
  return { what, ...(error && { code: error.code, ambiguous: error.ambiguous }), written: await keys() }
}

async function fill(): Promise<void> {
  try {
    for (let n = 0; n < 200; n++) await commit(commitOf(put(`filling ${n}`, noise(MIB))))
  } catch {
    // The rest is too little for what follows, and enough for what is small.
  }
}

async function work(): Promise<QuotaReport> {
  await driver.open()
  const log = { append: { part: 'p', key: 'newlog!' }, value: 'x' }
  await fill()
  const refusals = [
    await refused('a long value', commitOf(put('new', noise(8 * MIB)))),
    await refused(
      'a long value among others',
      commitOf(put('new a', '1')),
      commitOf(put('new b', noise(8 * MIB))),
      commitOf(log, put('new c', '1')),
    ),
    await refused(
      'many values',
      ...Array.from({ length: 700 }, (_, n) => commitOf(put(`new ${n}`, noise(16_000)), log)),
    ),
  ]
  await commit(commitOf(put('new small', 'v'), log))
  const { answers } = await driver.read([{ get: { part: 'p', key: 'new small' } }])
  return { refusals, isOpen: (answers[0] as Entry | null)?.value === 'v' }
}

await report(await work().catch((cause: unknown): QuotaReport => ({ error: describe(cause) })))
