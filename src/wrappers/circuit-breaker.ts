/**
 * Refuses calls for a while after too many failed, so that a backend in trouble is left alone and callers need not wait.
 *
 * @module
 */
import { requireInteger } from '../core/arguments.ts'
import type { Clock } from '../core/clock.ts'
import type { Driver } from '../core/driver.ts'
import { type ErrorCode, HoldfastError, isHoldfastError } from '../core/errors.ts'
import { tell } from './shared/hooks.ts'
import { lateAt } from '../core/requests.ts'

/** `closed`: calls pass. `open`: calls are refused. `half-open`: one call at a time passes, to see how it fares. */
export type CircuitState = 'closed' | 'open' | 'half-open'

/** Options of {@link circuitBreaker}. */
export interface CircuitBreakerOptions {
  /** Failures in a row that open the circuit, from 1; 5 by default. */
  readonly failures?: number
  /** Successful probes in a row that close it again, from 1; 1 by default. */
  readonly successes?: number
  /** How long it stays open before a probe is let through, in milliseconds from 1; 10 seconds by default. */
  readonly cooldown?: number
  /** Told whenever the state has changed; what it throws is ignored. */
  readonly onChange?: (state: CircuitState) => void
  /** Measures the cooldown, in milliseconds from any moment; `performance.now` by default. */
  readonly clock?: Clock
}

/** What tells of a backend in trouble; anything else tells of the call, and that the backend could judge it. */
const TROUBLE: readonly ErrorCode[] = ['UNAVAILABLE', 'TIMEOUT', 'BACKEND']
/** The caller or this side ended it, or nothing was sent: that tells nothing of the backend. */
const SILENT: readonly ErrorCode[] = ['ABORTED', 'CLOSED', 'OVERLOADED']

/** What an error tells of the backend: whether it is in trouble, or nothing. */
function isTrouble(error: unknown): boolean | undefined {
  const code = isHoldfastError(error) ? error.code : 'BACKEND'
  if (SILENT.includes(code)) return undefined
  // A request that came too late was judged by a backend that works.
  return TROUBLE.includes(code) && lateAt(error) === undefined
}

/**
 * Makes a driver that stops calling another one that fails.
 *
 * Failures are `UNAVAILABLE`, `TIMEOUT` and `BACKEND`, but not of a request that came too late: any other error is the
 * judgement of a backend that works. `ABORTED`, `CLOSED` and `OVERLOADED` count neither way. While the circuit is open, calls throw `UNAVAILABLE` at once:
 * nothing was sent, so the error is never `ambiguous`, and its `details.retryAfter` tells when a probe will be let
 * through. After the cooldown, calls pass one at a time; a probe that fails, or has not ended after another cooldown,
 * makes room for the next after that. Put it underneath `retry`, which then waits as long as it is told.
 *
 * @param driver - the one underneath; closing this closes it
 * @param options - the thresholds
 * @returns the driver, with the capabilities of the one underneath
 * @throws `INVALID_ARGUMENT` for a malformed threshold
 *
 * @example
 * ```ts
 * import { createHoldfast, memory } from 'holdfast'
 * import { circuitBreaker } from 'holdfast/circuit-breaker'
 *
 * const driver = circuitBreaker(memory(), { failures: 3, onChange: (state) => console.log(state) })
 * const { state } = createHoldfast({ driver })
 * await state.set('greeting', 'hello')
 * console.log(await state.get('greeting')) // hello
 * ```
 */
export function circuitBreaker(driver: Driver, options: CircuitBreakerOptions = {}): Driver {
  const { clock = () => performance.now(), onChange } = options
  const failures = requireInteger(options.failures ?? 5, 'failures', 1)
  const successes = requireInteger(options.successes ?? 1, 'successes', 1)
  const cooldown = requireInteger(options.cooldown ?? 10_000, 'cooldown', 1)

  let state: CircuitState = 'closed'
  /** Failures in a row while closed, successes in a row while half open. */
  let count = 0
  /** While open: when a probe may pass. While half open: when the probe under way is given up, 0 for none. */
  let until = 0
  /** Changes with the state and with every probe: what comes back late says nothing of now. */
  let epoch = 0

  function become(next: CircuitState): void {
    count = 0
    epoch++
    if (next === state) return
    state = next
    tell(onChange, state)
  }

  function refuse(left: number | undefined): never {
    throw new HoldfastError('UNAVAILABLE', `The circuit is ${state} after the backend has failed`, {
      retryable: true,
      details: { circuit: state, ...(left !== undefined && { retryAfter: left }) },
    })
  }

  /** Lets a call pass or refuses it. */
  function enter(): number {
    if (state === 'closed') return epoch
    const now = clock()
    if (until > now) refuse(state === 'open' ? until - now : undefined)
    if (state === 'open') become('half-open')
    until = now + cooldown
    return ++epoch
  }

  function succeeded(): void {
    if (state === 'closed') count = 0
    else if (++count === successes) become('closed')
    else until = 0
  }

  function failed(): void {
    if (state === 'closed' && ++count < failures) return
    until = clock() + cooldown
    become('open')
  }

  async function through<T>(call: () => Promise<T>): Promise<T> {
    const mine = enter()
    try {
      const answer = await call()
      if (mine === epoch) succeeded()
      return answer
    } catch (error) {
      if (mine === epoch) {
        const trouble = isTrouble(error)
        if (trouble) failed()
        else if (trouble === false) succeeded()
        else if (state === 'half-open') until = 0
      }
      throw error
    }
  }

  return {
    ...driver,
    open: (options) => through(() => driver.open(options)),
    read: (reads, options) => through(() => driver.read(reads, options)),
    commit: (request, options) => through(() => driver.commit(request, options)),
  }
}
