/** Whether a store can be used, and what to know of it. @module */
import { type Known, requireInteger, requireOptions } from '../core/arguments.ts'
import type { Database } from '../core/database.ts'
import type { CallOptions, Capabilities } from '../core/driver.ts'
import { type ErrorCode, isHoldfastError } from '../core/errors.ts'

/** Options of {@link health}. */
export interface HealthOptions extends CallOptions {
  /** Round trips that are measured, from 1; 3 by default. */
  readonly samples?: number | undefined
}

const HEALTH: Known<HealthOptions> = { signal: true, samples: true }

/** Something that was looked at. */
export interface Finding {
  readonly what: 'connection' | 'latency' | 'clock' | 'durability' | 'writers' | (string & {})
  readonly level: 'ok' | 'warning' | 'failure'
  /** What was found. */
  readonly found: string
  /** What to do about it; left out where nothing has to be done. */
  readonly advice?: string
}

/** What {@link health} found. */
export interface HealthReport {
  /** Whether the backend answers. */
  readonly ok: boolean
  readonly driver: string
  readonly capabilities: Capabilities
  /** The shortest round trip, in milliseconds. */
  readonly latency?: number
  /** The backend's clock minus this machine's, in milliseconds, give or take half the latency. */
  readonly skew?: number
  /** Why it does not answer. */
  readonly error?: ErrorCode
  readonly findings: readonly Finding[]
}

/** Above that, in milliseconds, somebody should look into it. */
const SLOW = 250
const SKEWED = 1000

/**
 * Reaches for the backend, and says what it found and what to do about it. That a backend cannot be reached is a result
 * and not thrown.
 *
 * @param db - the store; nothing is written there
 * @param options - how often, signal
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
      // The shorter the way, the less of it is in the difference of the clocks.
      if (found.latency < best.latency) best = found
    }
  } catch (error) {
    if (!isHoldfastError(error) || ['ABORTED', 'CLOSED'].includes(error.code)) throw error
    const { code, message, retryable } = error
    const advice = retryable
      ? 'Try again; then see whether the backend runs and can be reached'
      : 'See what the message says'
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
  ...(latency > SLOW && { advice: 'Move the program closer to the backend, or see what slows it down' }),
})

const clockFinding = (skew: number, { clock }: Capabilities): Finding => ({
  what: 'clock',
  level: Math.abs(skew) > SKEWED ? 'warning' : 'ok',
  found: `${skew} ms apart, judged by ${clock === 'shared' ? 'the backend' : 'this machine'}`,
  ...(Math.abs(skew) > SKEWED && { advice: 'Set the clock of this machine by NTP: event times are taken from it' }),
})

const durabilityFinding = ({ durability }: Capabilities): Finding => ({
  what: 'durability',
  level: durability === 'none' ? 'warning' : 'ok',
  found: durability,
  ...(durability === 'none' && { advice: 'Everything is lost with this process: use it for tests only' }),
})

const writersFinding = ({ writers }: Capabilities): Finding => ({
  what: 'writers',
  level: writers === 'one' ? 'warning' : 'ok',
  found: writers,
  ...(writers === 'one' && { advice: 'Have no other process write to it' }),
})
