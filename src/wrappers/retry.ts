/**
 * Makes calls again that failed for a passing reason.
 *
 * @module
 */
import { type Sleep, sleep as realSleep } from '../core/abort.ts'
import { requireInteger } from '../core/arguments.ts'
import { type Clock, stopwatch } from '../core/clock.ts'
import type { CallOptions, Driver } from '../core/driver.ts'
import { type ErrorCode, HoldfastError, isHoldfastError, pauseAsked } from '../core/errors.ts'
import { tell } from './shared/hooks.ts'
import { lateAt } from '../core/requests.ts'

export type { Sleep } from '../core/abort.ts'

/** What {@link RetryOptions.onRetry} is told: a call failed, and will be made again. */
export interface Retry {
  readonly operation: 'open' | 'read' | 'commit'
  /** How many attempts have failed so far, from 1. */
  readonly attempt: number
  /** How long it waits before the next one, in milliseconds. */
  readonly delay: number
  /** What the attempt failed with. */
  readonly code: ErrorCode
}

/** Options of {@link retry}. Durations are whole milliseconds, from 1. */
export interface RetryOptions {
  /** The most attempts per call, the first among them, from 1; 5 by default. */
  readonly attempts?: number
  /** The longest wait before the second attempt, doubled with each further one; 100 by default. */
  readonly delay?: number
  /** The longest wait before any attempt that the backend itself does not ask for; 5 seconds by default. */
  readonly maxDelay?: number
  /** No attempt begins later than this after the call; 30 seconds by default. */
  readonly deadline?: number
  /** Told before each wait; what it throws is ignored. */
  readonly onRetry?: (retry: Retry) => void
  /**
   * Measures the deadline, in milliseconds from any moment. By default `performance.now` and the machine's clock, whichever
   * says that more time has passed: the former may stand still while the machine sleeps.
   */
  readonly clock?: Clock
  /** Numbers from 0 to below 1, for the jitter; `Math.random` by default. */
  readonly random?: () => number
  /** Waits; a timer of this machine by default. */
  readonly sleep?: Sleep
}

/** Somebody wanted it so: to go on would be against the will of the caller. */
const FINAL: readonly ErrorCode[] = ['ABORTED', 'CLOSED']

/**
 * Makes a driver that repeats what failed at another, when that can help.
 *
 * Repeated is what says that it is `retryable`, after a wait of random length up to a bound that doubles each time
 * ("full jitter", which spreads the callers of an outage best), or as long as the error's `details.retryAfter` says
 * where that is longer. Where the wait would pass the deadline, the error is thrown at once.
 *
 * A commit whose outcome is unknown is repeated under its own id, and only where the driver underneath recognises
 * repeats: for half of its `replayWindow`, so that the repeat arrives inside it. Otherwise the error is thrown as it is.
 * The time is looked at right before each attempt, so a process that was stopped while it waited makes none. A request that
 * came too late is not repeated. After one unknown outcome the error of a call that fails for good is `ambiguous`, whatever
 * its last attempt said.
 *
 * @param driver - the one underneath; closing this closes it
 * @param options - how often, how long, and how to wait
 * @returns the driver, with the capabilities of the one underneath; where that has a `timeout`, it is longer by the deadline
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

  /** How long after the call an attempt may begin. */
  const timeFor = (isUnknown: boolean): number => (isUnknown ? Math.min(deadline, replayWindow / 2) : deadline)

  /** How long to wait before the next attempt, or `undefined` where there is none. */
  function waitAfter(error: HoldfastError, attempt: number, elapsed: number, isUnknown: boolean): number | undefined {
    if (!error.retryable || FINAL.includes(error.code) || attempt >= attempts) return undefined
    // The same request comes even later next time.
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
        // The process may have been stopped meanwhile, or the machine.
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

/** The error of a call of which an earlier attempt may have taken effect. */
function unknown(error: unknown, isUnknown: boolean): unknown {
  if (!isUnknown || (isHoldfastError(error) && error.ambiguous)) return error
  if (!isHoldfastError(error)) {
    return new HoldfastError('BACKEND', 'The backend failed', { cause: error, ambiguous: true })
  }
  const { code, message, retryable, details } = error
  return new HoldfastError(code, message, { retryable, details, cause: error, ambiguous: true })
}
