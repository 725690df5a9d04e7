/**
 * Repeats calls that failed for a temporary reason.
 *
 * @module
 */
import { type Sleep, sleep as realSleep } from '../core/abort.ts'
import { requireInteger } from '../core/arguments.ts'
import { type Clock, stopwatch } from '../core/clock.ts'
import type { CallOptions, Driver } from '../core/driver.ts'
import { type ErrorCode, HoldfastError, inDoubt, isHoldfastError, pauseAsked } from '../core/errors.ts'
import { tell } from './shared/hooks.ts'
import { lateAt } from '../core/request-records.ts'

export type { Sleep } from '../core/abort.ts'

/** The argument of {@link RetryOptions.onRetry}: a call failed and will be repeated. */
export interface Retry {
  readonly operation: 'open' | 'read' | 'commit'
  /** The number of attempts that have failed so far, from 1. */
  readonly attempt: number
  /** The wait before the next attempt, in milliseconds. */
  readonly delay: number
  /** The code of the attempt's error. */
  readonly code: ErrorCode
}

/** Options of {@link retry}. Durations are whole milliseconds, from 1. */
export interface RetryOptions {
  /** The most attempts per call, including the first, from 1; 5 by default. */
  readonly attempts?: number
  /** The longest wait before the second attempt; doubled for each further one; 100 by default. */
  readonly delay?: number
  /** The longest wait before any attempt, unless the backend asks for a longer one; 5 seconds by default. */
  readonly maxDelay?: number
  /** How long after the call an attempt may start; 30 seconds by default. */
  readonly deadline?: number
  /** Called before each wait. Its errors are ignored. */
  readonly onRetry?: (retry: Retry) => void
  /**
   * Measures the deadline, in milliseconds from any start. By default the larger time of `performance.now` and the
   * machine's clock, because the former may stop while the machine sleeps.
   */
  readonly clock?: Clock
  /** Returns numbers from 0 to below 1, for the jitter; `Math.random` by default. */
  readonly random?: () => number
  /** Waits; uses a timer by default. */
  readonly sleep?: Sleep
}

/** The caller ended the call, so it must not be repeated. */
const FINAL: readonly ErrorCode[] = ['ABORTED', 'CLOSED']

/**
 * Makes a driver that repeats failed calls if that can help.
 *
 * Errors that are `retryable` are repeated after a wait. Its length is random, up to a bound that doubles each time
 * ("full jitter", which spreads clients best after an outage), or the error's `details.retryAfter` if that is longer.
 * If the wait would pass the deadline, the error is thrown at once.
 *
 * A commit with an unknown outcome is repeated under its own id, and only if the driver underneath recognises repeats:
 * for half of its `replayWindow`, so that the repeat arrives within it. Otherwise the error is thrown as it is. The
 * time is checked right before each attempt, so a process that was suspended during the wait makes none. A request that
 * came too late is not repeated. After one unknown outcome, the final error of the call is `ambiguous`, whatever its
 * last attempt reported.
 *
 * @param driver - the driver underneath; closing this one closes it
 * @param options - how often to try, how long, and how to wait
 * @returns the driver, with the capabilities of the one underneath; a `timeout` of that is extended by the deadline
 * @throws `INVALID_ARGUMENT` for a malformed option
 *
 * @example
 * ```ts
 * import { createHoldfast, memory } from 'holdfast'
 * import { retry } from 'holdfast/retry'
 * import { timeout } from 'holdfast/timeout'
 *
 * const driver = retry(timeout(memory()), { attempts: 4, onRetry: ({ code, delay }) => console.log(code, delay) })
 * const { state } = createHoldfast({ driver })
 * await state.set('greeting', 'hello')
 * console.log(await state.get('greeting')) // hello
 * ```
 */
export function retry(driver: Driver, options: RetryOptions = {}): Driver {
  const { clock, random = Math.random, sleep = realSleep, onRetry } = options
  const attempts = requireInteger(options.attempts ?? 5, 'attempts', 1)
  const delay = requireInteger(options.delay ?? 100, 'delay', 1)
  const maxDelay = requireInteger(options.maxDelay ?? 5000, 'maxDelay', 1)
  const deadline = requireInteger(options.deadline ?? 30_000, 'deadline', 1)
  const { replayWindow, timeout } = driver.capabilities

  /** How long after the call an attempt may start. */
  const timeFor = (isUnknown: boolean): number => (isUnknown ? Math.min(deadline, replayWindow / 2) : deadline)

  /** The wait before the next attempt; `undefined` if there is none. */
  function waitAfter(error: HoldfastError, attempt: number, elapsed: number, isUnknown: boolean): number | undefined {
    if (!error.retryable || FINAL.includes(error.code) || attempt >= attempts) return undefined
    // Repeated, the same request would come even later.
    if (lateAt(error) !== undefined) return undefined
    const backoff = random() * Math.min(maxDelay, delay * 2 ** (attempt - 1))
    const wait = Math.max(backoff, pauseAsked(error))
    return elapsed + wait < timeFor(isUnknown) ? wait : undefined
  }

  async function repeat<T>(
    operation: Retry['operation'],
    call: () => Promise<T>,
    { signal }: CallOptions = {},
  ): Promise<T> {
    const elapsed = stopwatch(clock)
    let isUnknown = false
    for (let attempt = 1; ; attempt++) {
      try {
        return await call()
      } catch (error) {
        if (!isHoldfastError(error)) throw unknown(error, isUnknown)
        isUnknown ||= operation === 'commit' && error.ambiguous
        const wait = signal?.aborted ? undefined : waitAfter(error, attempt, elapsed(), isUnknown)
        if (wait === undefined) throw unknown(error, isUnknown)
        tell(onRetry, { operation, attempt, delay: wait, code: error.code })
        await sleep(wait, signal).catch((stop: unknown) => {
          throw unknown(stop, isUnknown)
        })
        // The process or the machine may have been suspended meanwhile.
        if (elapsed() >= timeFor(isUnknown)) throw unknown(error, isUnknown)
      }
    }
  }

  return {
    ...driver,
    capabilities: { ...driver.capabilities, ...(timeout !== undefined && { timeout: deadline + timeout }) },
    open: (options) => repeat('open', () => driver.open(options), options),
    read: (reads, options) => repeat('read', () => driver.read(reads, options), options),
    commit: (request, options) => repeat('commit', () => driver.commit(request, options), options),
  }
}

/** The error of a call whose earlier attempt may have taken effect. */
function unknown(error: unknown, isUnknown: boolean): unknown {
  if (!isUnknown || (isHoldfastError(error) && error.ambiguous)) return error
  if (!isHoldfastError(error)) {
    return new HoldfastError('BACKEND', 'The backend failed', { cause: error, ambiguous: true })
  }
  return inDoubt(error, { cause: error })
}
