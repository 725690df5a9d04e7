/**
 * Refuses calls for a while after too many failures, to relieve a failing backend and answer callers quickly.
 *
 * @module
 */
import { requireInteger } from '../core/arguments.ts'
import type { Clock } from '../core/clock.ts'
import type { Driver } from '../core/driver.ts'
import { type ErrorCode, HoldfastError, isHoldfastError } from '../core/errors.ts'
import { tell } from './shared/hooks.ts'
import { lateAt } from '../core/request-records.ts'

/** `closed`: calls pass. `open`: calls are refused. `half-open`: one call at a time passes, as a probe. */
export type CircuitState = 'closed' | 'open' | 'half-open'

/** Options of {@link circuitBreaker}. */
export interface CircuitBreakerOptions {
  /** Failures in a row that open the circuit, from 1; 5 by default. */
  readonly failures?: number
  /** Successful probes in a row that close the circuit again, from 1; 1 by default. */
  readonly successes?: number
  /** How long the circuit stays open before a probe may pass, in milliseconds from 1; 10 seconds by default. */
  readonly cooldown?: number
  /** Called after every change of state. Its errors are ignored. */
  readonly onChange?: (state: CircuitState) => void
  /** Measures the cooldown, in milliseconds from any start; `performance.now` by default. */
  readonly clock?: Clock
}

/** Codes that mean a failing backend. Other codes concern the call, and show that the backend works. */
const TROUBLE: readonly ErrorCode[] = ['UNAVAILABLE', 'TIMEOUT', 'BACKEND']
/** Codes of calls that this side ended or never sent. They say nothing about the backend. */
const SILENT: readonly ErrorCode[] = ['ABORTED', 'CLOSED', 'OVERLOADED']

/** Whether an error means that the backend is failing; `undefined` if it says nothing. */
function isTrouble(error: unknown): boolean | undefined {
  const code = isHoldfastError(error) ? error.code : 'BACKEND'
  if (SILENT.includes(code)) return undefined
  // A request refused as too late was judged by a working backend.
  return TROUBLE.includes(code) && lateAt(error) === undefined
}

/**
 * Makes a driver that stops calling a failing driver.
 *
 * Failures are `UNAVAILABLE`, `TIMEOUT` and `BACKEND`, except for requests that came too late. Other errors show that
 * the backend works. `ABORTED`, `CLOSED` and `OVERLOADED` count neither way. While the circuit is open, calls throw
 * `UNAVAILABLE` at once. Nothing was sent, so the error is never `ambiguous`, and its `details.retryAfter` is the time
 * until the next probe, in milliseconds. After the cooldown, one call at a time passes as a probe. If it fails, or has
 * not ended after another cooldown, the next probe may pass after that. Put this wrapper inside `retry`, which then
 * waits for `retryAfter`.
 *
 * @param driver - the driver underneath; closing this one closes it
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
  /** Failures in a row while closed, successes in a row while half-open. */
  let count = 0
  /**
   * While open, the time when a probe may pass. While half-open, the time when the probe under way is given up, or 0.
   */
  let until = 0
  /** Changes with the state and with every probe, so that late results can be ignored. */
  let epoch = 0

  function become(next: CircuitState): void {
    count = 0
    epoch++
    if (next === state) return
    state = next
    tell(onChange, state)
  }

  function refuse(left: number | undefined): never {
    throw new HoldfastError('UNAVAILABLE', `The circuit is ${state} because the backend has failed`, {
      retryable: true,
      details: { circuit: state, ...(left !== undefined && { retryAfter: left }) },
    })
  }

  /** Lets a call pass. @throws `UNAVAILABLE` if it is refused */
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
