/** The health of a store, with advice. @module */
import { type Known, requireInteger, requireOptions } from '../core/arguments.ts'
import type { Database } from '../core/database.ts'
import type { CallOptions, Capabilities } from '../core/driver.ts'
import { type ErrorCode, isHoldfastError } from '../core/errors.ts'

/** Options of {@link health}. */
export interface HealthOptions extends CallOptions {
  /** The number of round trips to measure, from 1; 3 by default. */
  readonly samples?: number | undefined
}

const HEALTH: Known<HealthOptions> = { signal: true, samples: true }

/** One thing that was checked. */
export interface Finding {
  readonly what: 'connection' | 'latency' | 'clock' | 'durability' | 'writers' | (string & {})
  readonly level: 'ok' | 'warning' | 'failure'
  /** The result of the check. */
  readonly found: string
  /** Advice; absent if nothing is wrong. */
  readonly advice?: string
}

/** The result of {@link health}. */
export interface HealthReport {
  /** Whether the backend answers. */
  readonly ok: boolean
  readonly driver: string
  readonly capabilities: Capabilities
  /** The shortest round trip, in milliseconds. */
  readonly latency?: number
  /** The backend's clock minus this machine's, in milliseconds, give or take half the latency. */
  readonly skew?: number
  /** The code of the error, if it does not answer. */
  readonly error?: ErrorCode
  readonly findings: readonly Finding[]
}

/** The limits above which a warning is given, in milliseconds. */
const SLOW = 250
const SKEWED = 1000

/**
 * Checks whether the backend answers, and gives advice. A backend that cannot be reached is a result, not an error.
 *
 * @param db - the store; nothing is written
 * @param options - `samples`, `signal`
 * @returns the findings, with latency and clock skew if the backend answers
 * @throws `INVALID_ARGUMENT`, `ABORTED`, `CLOSED`
 *
 * @example
 * ```ts
 * import { createHoldfast, memory } from 'holdfast'
 * import { health } from 'holdfast/ops'
 *
 * const { ok, findings } = await health(createHoldfast({ driver: memory() }).db)
 * console.log(ok, findings.filter(({ level }) => level !== 'ok').map(({ what }) => what)) // true [ 'durability', 'writers' ]
 * ```
 */
export async function health(db: Database, options?: HealthOptions): Promise<HealthReport> {
  const { samples = 3, signal } = requireOptions(options, HEALTH)
  requireInteger(samples, 'samples', 1)
  const { name: driver, capabilities } = db.driver
  const known = { driver, capabilities }
  let best = { latency: Number.POSITIVE_INFINITY, skew: 0 }
  try {
    await db.open({ signal })
    for (let i = 0; i < samples; i++) {
      const found = await db.health({ signal })
      // The shortest round trip gives the most exact difference of the clocks.
      if (found.latency < best.latency) best = found
    }
  } catch (error) {
    if (!isHoldfastError(error) || ['ABORTED', 'CLOSED'].includes(error.code)) throw error
    const { code, message, retryable } = error
    const advice = retryable
      ? 'Try again; then check whether the backend runs and can be reached'
      : 'Follow the message'
    return {
      ok: false,
      ...known,
      error: code,
      findings: [{ what: 'connection', level: 'failure', found: `${code}: ${message}`, advice }],
    }
  }
  const findings: Finding[] = [
    { what: 'connection', level: 'ok', found: driver },
    latencyFinding(best.latency),
    clockFinding(best.skew, capabilities),
    durabilityFinding(capabilities),
    writersFinding(capabilities),
  ]
  return { ok: true, ...known, ...best, findings }
}

const latencyFinding = (latency: number): Finding => ({
  what: 'latency',
  level: latency > SLOW ? 'warning' : 'ok',
  found: `${latency.toFixed(1)} ms`,
  ...(latency > SLOW && { advice: 'Move the program closer to the backend, or find out what slows it down' }),
})

const clockFinding = (skew: number, { clock }: Capabilities): Finding => ({
  what: 'clock',
  level: Math.abs(skew) > SKEWED ? 'warning' : 'ok',
  found: `${skew} ms apart, judged by ${clock === 'shared' ? 'the backend' : 'this machine'}`,
  ...(Math.abs(skew) > SKEWED && { advice: 'Set the clock of this machine by NTP: event times come from it' }),
})

const durabilityFinding = ({ durability }: Capabilities): Finding => ({
  what: 'durability',
  level: durability === 'none' ? 'warning' : 'ok',
  found: durability,
  ...(durability === 'none' && { advice: 'Everything is lost when this process ends: use it for tests only' }),
})

const writersFinding = ({ writers }: Capabilities): Finding => ({
  what: 'writers',
  level: writers === 'one' ? 'warning' : 'ok',
  found: writers,
  ...(writers === 'one' && { advice: 'Let no other process write to it' }),
})
