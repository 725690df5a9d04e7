/** A redis-server that is killed at random moments while clients write, and what is left then. */
import type { CommitRequest, Driver, EntryPage } from '../../../src/core/driver.ts'
import { isHoldfastError } from '../../../src/core/errors.ts'
import { startRedis } from '../../../src/dev/redis-server.ts'
import { startUpstash } from '../../../src/dev/upstash.ts'
import { upstash } from '../../../src/drivers/upstash/driver.ts'
import { connected, valuesOf, vendor } from './support.ts'

/** What came of it. */
export interface CrashReport {
  readonly kills: number
  readonly acknowledged: number
  /** Commits whose outcome their client never learnt. */
  readonly unknown: number
  /** The longest that a client needed to be answered once the server was back, in milliseconds. */
  readonly slowest: number
  readonly violations: readonly string[]
}

const WRITERS = 4

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

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
 * Kills a server under load, half of it over TCP and half over the REST protocol.
 *
 * @param kills - how often
 * @param random - chooses the moments
 */
export async function crash(kills: number, random: () => number): Promise<CrashReport> {
  const server = await startRedis({ durable: true })
  const rest = await startUpstash({ redis: server.url })
  const client = await connected(server.url)
  const handle = { send: (command: string[]) => client.sendCommand(command) }
  const drivers = Array.from({ length: WRITERS }, (_, i) =>
    upstash({ redis: i % 2 ? handle : vendor(rest), namespace: 'crash', durability: 'strict', retries: 50 }),
  )
  const acknowledged = drivers.map(() => new Set<string>())
  const answeredAt = drivers.map(() => 0)
  const violations: string[] = []
  let unknown = 0
  const over = new AbortController()
  let slowest = 0

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
      await server.kill()
      await pause(random() * 100)
      await server.restart()
      const back = performance.now()
      while (answeredAt.some((at) => at < back) && performance.now() - back < 10_000) await pause(5)
      slowest = Math.max(slowest, ...answeredAt.map((at) => (at < back ? 10_000 : at - back)))
    }
    over.abort()
    await Promise.all(writing)
    for (let writer = 0; writer < WRITERS; writer++) await verify(writer)
  } finally {
    over.abort()
    client.destroy()
    await rest.close()
    await server.stop()
  }
  const total = acknowledged.reduce((sum, of) => sum + of.size, 0)
  return { kills, acknowledged: total, unknown, slowest: Math.round(slowest), violations }
}
