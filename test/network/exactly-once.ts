/** Calls that take effect once each, while answers are lost, requests are cut and the server is killed. */
import { isHoldfastError } from '../../src/core/errors.ts'
import type { Fault } from '../../src/dev/server.ts'
import { type Holdfast, createHoldfast } from '../../src/holdfast.ts'
import type { RigKind } from './rigs.ts'

/** What is wanted. */
export interface LossyOptions {
  /** How many calls: a third each of appends, increments and claims. */
  readonly calls: number
  /** How often the server is killed and started again meanwhile. */
  readonly restarts: number
  readonly random: () => number
}

/** What came of it. */
export interface LossyReport {
  /** Requests that were cut before they were executed, and answers that were dropped after. */
  readonly cut: Readonly<Record<'request' | 'answer', number>>
  /** Calls that were answered, by kind. */
  readonly acknowledged: Readonly<Record<'append' | 'increment' | 'claim', number>>
  /** Calls whose client gave up without knowing what became of them. */
  readonly ambiguous: number
  /** Appends that a repetition under the same key found to have taken effect. */
  readonly found: number
  readonly violations: readonly string[]
}

const CLIENTS = 4
/** Calls of one client under way at a time. */
const LANES = 4
const RUN = 'run'
const COUNTER = 'counter'
/** For how long a step is claimed, in milliseconds: longer than any run, so that all claims are there at the end. */
const LEASE = 86_400_000
const stepOf = (n: number): string => `step ${n}`

/** Makes the calls and compares what was acknowledged with what is there. */
export async function loseAnswers(kind: RigKind, { calls, restarts, random }: LossyOptions): Promise<LossyReport> {
  const rig = await kind.start()
  const clients = Array.from({ length: CLIENTS }, () => createHoldfast({ driver: rig.overHttp() }))
  const cut = { request: 0, answer: 0 }
  const violations: string[] = []
  /** The number of each append, by its key. */
  const seqs = new Map<string, number>()
  /** Who has each step: the one that was told so, or where nobody was, one that gave up without knowing. */
  const holders = new Map<number, readonly string[]>()
  const rounds = Math.ceil(calls / 3)
  let [incremented, uncertain, ambiguous, found, begun] = [0, 0, 0, 0, 0]

  /** Asks until it is answered; `isLost` tells whether an attempt before may have taken effect. */
  async function insist<T>(call: () => Promise<T>, onLost: () => void = () => {}): Promise<T> {
    for (;;) {
      try {
        return await call()
      } catch (error) {
        if (!isHoldfastError(error, 'UNAVAILABLE') || !error.retryable) throw error
        if (!error.ambiguous) continue
        ambiguous++
        onLost()
      }
    }
  }

  async function append({ persistence }: Holdfast, n: number): Promise<void> {
    const event = { runId: RUN, workflow: 'w', kind: 'k', payload: n, idempotencyKey: `key ${n}` }
    const { seq, duplicate } = await insist(() => persistence.append(event))
    if (duplicate) found++
    seqs.set(event.idempotencyKey, seq)
  }

  /** Nothing tells whether one that was given up has taken effect: it is counted as a perhaps. */
  async function increment({ state }: Holdfast): Promise<void> {
    await insist(
      () => state.increment(COUNTER),
      () => uncertain++,
    )
    incremented++
  }

  /** All clients want the same step. */
  async function claim(n: number): Promise<void> {
    const won: string[] = []
    const perhaps: string[] = []
    await Promise.all(
      clients.map(async ({ claims }, c) => {
        const workerId = `worker ${c}`
        const lease = await insist(
          () => claims.claimTask({ runId: RUN, stepId: stepOf(n), workerId, ttl: LEASE }),
          () => perhaps.push(workerId),
        )
        if (lease) won.push(workerId)
      }),
    )
    const holding = won.length > 0 ? won : perhaps
    holders.set(n, holding)
    if (won.length > 1 || holding.length === 0) violations.push(`${stepOf(n)} was claimed by [${won.join()}]`)
  }

  const lane = async (client: Holdfast): Promise<void> => {
    for (let n = begun++; n < rounds; n = begun++) {
      await Promise.all([append(client, n), increment(client)])
      await claim(n)
    }
  }

  async function killAndRestart(): Promise<void> {
    const moments = Array.from({ length: restarts }, (_, i) => ((i + 1) * rounds) / (restarts + 1))
    const isTime = (moment: number): boolean => begun >= moment
    for (const moment of moments) {
      while (!isTime(moment)) await new Promise((resolve) => setTimeout(resolve, 10))
      await rig.server.kill()
      await rig.server.restart()
    }
  }

  try {
    await clients[0]!.db.open()
    rig.http.setFaults((): Fault | undefined => {
      const drawn = random()
      const where = drawn < 0.1 ? 'request' : drawn < 0.2 ? 'answer' : undefined
      if (where === undefined) return undefined
      cut[where]++
      return { cut: where }
    })
    await Promise.all([
      killAndRestart(),
      ...clients.flatMap((client) => Array.from({ length: LANES }, () => lane(client))),
    ])
    rig.http.setFaults(undefined)

    const { persistence, state, claims } = createHoldfast({ driver: rig.overTcp() })
    const { events } = (await persistence.load(RUN))!
    if (events.some(({ seq }, i) => seq !== i + 1)) violations.push('the log has gaps')
    if (events.length !== seqs.size) violations.push(`${events.length} events of ${seqs.size} appends`)
    for (const { seq, payload } of events) {
      if (seqs.get(`key ${String(payload)}`) !== seq) violations.push(`event ${String(payload)} is elsewhere`)
    }
    const count = Number(await state.get(COUNTER))
    if (count < incremented || count > incremented + uncertain) {
      violations.push(`${count} counted, ${incremented} acknowledged and ${uncertain} uncertain`)
    }
    for (const [n, holding] of holders) {
      const workerId = (await claims.getClaim(RUN, { stepId: stepOf(n) }))?.workerId
      if (!holding.includes(workerId!)) violations.push(`${stepOf(n)} is held by ${workerId}, not [${holding.join()}]`)
    }
  } finally {
    begun = rounds
    rig.http.setFaults(undefined)
    await rig.end()
  }
  const acknowledged = { append: seqs.size, increment: incremented, claim: holders.size }
  return { cut, acknowledged, ambiguous, found, violations }
}
