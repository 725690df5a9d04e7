/**
 * Limits how long to wait, for a driver whose backend may never answer.
 *
 * @module
 */
import { type Sleep, sleep as realSleep } from '../core/abort.ts'
import { requireInteger } from '../core/arguments.ts'
import { MAX_TIMER } from '../core/clock.ts'
import type { CallOptions, Driver } from '../core/driver.ts'
import { HoldfastError } from '../core/errors.ts'

/**
 * Options of {@link timeout}. Durations are in milliseconds, from 1 to 2147483647, the longest that a timer can wait.
 */
export interface TimeoutOptions {
  /** For `open`, which connects and creates the schema; 30 seconds by default. */
  readonly open?: number
  /** For a read; 10 seconds by default. */
  readonly read?: number
  /** For a commit; 10 seconds by default. */
  readonly commit?: number
  /** Waits; uses a timer by default. */
  readonly sleep?: Sleep
}

/**
 * Makes a driver that waits for another for a limited time.
 *
 * When the time is up, the call's signal is aborted and the call throws `TIMEOUT`, even if the driver underneath
 * ignores the signal. A commit may still take effect, also later, so its error is `ambiguous`. Put this wrapper inside
 * `retry`, so that every attempt has its own time.
 *
 * @param driver - the driver underneath; closing this one closes it
 * @param options - how long each kind of call may take
 * @returns the driver, with the capabilities of the one underneath; its `timeout` is the longer of `read` and `commit`,
 *   unless the driver gives up earlier
 * @throws `INVALID_ARGUMENT` for a malformed duration
 *
 * @example
 * ```ts
 * import { createHoldfast, memory } from 'holdfast'
 * import { timeout } from 'holdfast/timeout'
 *
 * const { state } = createHoldfast({ driver: timeout(memory(), { commit: 2000, read: 1000 }) })
 * await state.set('greeting', 'hello')
 * console.log(await state.get('greeting')) // hello
 * ```
 */
export function timeout(driver: Driver, options: TimeoutOptions = {}): Driver {
  const { sleep = realSleep } = options
  const most = {
    open: requireInteger(options.open ?? 30_000, 'open', 1, MAX_TIMER),
    read: requireInteger(options.read ?? 10_000, 'read', 1, MAX_TIMER),
    commit: requireInteger(options.commit ?? 10_000, 'commit', 1, MAX_TIMER),
  }

  async function within<T>(
    operation: keyof typeof most,
    call: (options: CallOptions) => Promise<T>,
    { signal }: CallOptions = {},
  ): Promise<T> {
    const work = new AbortController()
    const timer = new AbortController()
    const onAbort = (): void => work.abort(signal!.reason)
    signal?.addEventListener('abort', onAbort)
    if (signal?.aborted) onAbort()
    async function expire(): Promise<never> {
      await sleep(most[operation], timer.signal)
      const error = new HoldfastError('TIMEOUT', `The ${operation} took longer than ${most[operation]} ms`, {
        retryable: true,
        ambiguous: operation === 'commit',
        details: { operation, timeout: most[operation] },
      })
      work.abort(error)
      throw error
    }
    try {
      return await Promise.race([call({ signal: work.signal }), expire()])
    } finally {
      timer.abort()
      // A signal may outlive many calls and must not collect their listeners.
      signal?.removeEventListener('abort', onAbort)
    }
  }

  const { timeout: inner = Infinity } = driver.capabilities

  return {
    ...driver,
    capabilities: { ...driver.capabilities, timeout: Math.min(inner, Math.max(most.read, most.commit)) },
    open: (options) => within('open', (inner) => driver.open(inner), options),
    read: (reads, options) => within('read', (inner) => driver.read(reads, inner), options),
    commit: (request, options) => within('commit', (inner) => driver.commit(request, inner), options),
  }
}
