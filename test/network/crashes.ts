/** A server that is killed at random moments while clients write, and what is left then. */
import { setTimeout as pause } from 'node:timers/promises'
import type { CommitRequest, Driver, EntryPage } from '../../src/core/driver.ts'
import { isHoldfastError } from '../../src/core/errors.ts'
import { valuesOf } from '../drivers/upstash/support.ts'
import type { RigKind } from './rigs.ts'

/** What came of it. */
export interface CrashReport {
  readonly kills: number
  readonly acknowledged: number
  /** Commits whose outcome their client never learnt. */
  readonly unknown: number
  /**
   * How long each client needed to be answered once the server was back, in milliseconds, shortest first; infinite where
   * it was not within ten seconds.
   */
  readonly recoveries: readonly number[]
  readonly violations: readonly string[]
}

const WRITERS = 4
/** How long a client is waited for, in milliseconds. */
const PATIENCE = 10_000

const partOf = (writer: number): string => `default!run!w${writer}`

/** A commit of two changes that belong together, numbered by its writer. */
function commitOf(writer: number, n: number): CommitRequest {
  const part = partOf(writer)
  const ops = [
    { append: { part, key: 'event!' }, value: String(n) },
    { put: { part, key: 'count' }, value: String(n) },
  ]
  const id = `w${writer}.${n}`
  return { id, commits: [{ id, checks: [], ops, durability: 'strict' }] }
}

/**
 * Kills a server under load, half of it over TCP and half over HTTP.
 *
 * @param kind - which server
 * @param kills - how often
 * @param random - chooses the moments
 */
export async function crash(kind: RigKind, kills: number, random: () => number): Promise<CrashReport> {
  const rig = await kind.start()
  const drivers = Array.from({ length: WRITERS }, (_, i) => (i % 2 ? rig.overTcp() : rig.overHttp()))
  const acknowledged = drivers.map(() => new Set<string>())
  const answeredAt = drivers.map(() => 0)
  const violations: string[] = []
  let unknown = 0
  const over = new AbortController()
  const recoveries: number[] = []

  async function write(driver: Driver, writer: number): Promise<void> {
    for (let n = 1; !over.signal.aborted; n++) {
      try {
        const { outcomes } = await driver.commit(commitOf(writer, n))
        if (outcomes[0]?.ok) acknowledged[writer]!.add(String(n))
        answeredAt[writer] = performance.now()
      } catch (error) {
        if (!isHoldfastError(error) || !error.ambiguous) violations.push(`writer ${writer}: ${String(error)}`)
        unknown++
      }
    }
  }

  /** How long each writer is not answered from a moment on. */
  const answered = (since: number): Promise<number>[] =>
    answeredAt.map(async (_, writer) => {
      while (answeredAt[writer]! < since && performance.now() - since < PATIENCE) await pause(2)
      return answeredAt[writer]! < since ? Number.POSITIVE_INFINITY : performance.now() - since
    })

  /** Every acknowledged commit once, in order, and both of its halves. */
  async function verify(writer: number): Promise<void> {
    const values = await valuesOf(drivers[writer]!, partOf(writer))
    const [last, ...log] = values as string[]
    if (log.some((value, i) => i > 0 && Number(value) <= Number(log[i - 1]))) violations.push(`${writer}: repeated`)
    if (last !== undefined && last !== log.at(-1)) violations.push(`${writer}: torn, ${last} beside ${log.at(-1)}`)
    const found = new Set(log)
    for (const n of acknowledged[writer]!) if (!found.has(n)) violations.push(`${writer}: ${n} is lost`)
    const range = { part: partOf(writer), start: 'event!', end: 'event"', limit: 1, reverse: true }
    const { answers } = await drivers[writer]!.read([{ range }])
    const [newest] = (answers[0] as EntryPage).entries
    if (newest && Number(newest.key.slice(-16)) !== log.length) violations.push(`${writer}: numbers have gaps`)
  }

  try {
    for (const driver of drivers) await driver.open()
    const writing = drivers.map(write)
    for (let i = 0; i < kills; i++) {
      await pause(20 + random() * 150)
      await rig.server.kill()
      await pause(random() * 100)
      await rig.server.restart()
      const back = performance.now()
      recoveries.push(...(await Promise.all(answered(back))))
    }
    over.abort()
    await Promise.all(writing)
    for (let writer = 0; writer < WRITERS; writer++) await verify(writer)
  } finally {
    over.abort()
    await rig.end()
  }
  const total = acknowledged.reduce((sum, of) => sum + of.size, 0)
  return { kills, acknowledged: total, unknown, recoveries: recoveries.toSorted((a, b) => a - b), violations }
}
