/** Reads that wait for earlier calls. @module */
import { abortable, whenAborted } from './abort.ts'
import type { HoldfastError } from './errors.ts'
import { after } from './event-loop.ts'
import { notSent, timedOut } from './group-commit.ts'

/**
 * Reads after earlier calls. The time for the read includes the wait.
 *
 * @param earlier - resolves when the earlier calls are settled
 * @param ask - makes the read
 * @param timeout - the longest time for both, in milliseconds; unlimited if left out
 * @throws `UNAVAILABLE` if the earlier calls took too long, and the read was not made; `TIMEOUT` if the read took too
 *   long; `ABORTED` by the signal; also the errors of the read
 */
export async function readAfter<T>(
  earlier: Promise<unknown>,
  ask: (signal: AbortSignal | undefined) => Promise<T>,
  timeout: number | undefined,
  signal: AbortSignal | undefined,
): Promise<T> {
  if (timeout === undefined) {
    await abortable(earlier, signal)
    return ask(signal)
  }
  const over = new AbortController()
  const forget = signal && whenAborted(signal, () => over.abort(signal.reason))
  let isAsked = false
  let late: HoldfastError | undefined
  const stopTimer = after(timeout, () => {
    late = isAsked ? timedOut(timeout, false) : notSent(timeout)
    over.abort()
  })
  try {
    await abortable(earlier, over.signal)
    isAsked = true
    return await ask(over.signal)
  } catch (error) {
    throw late ?? error
  } finally {
    stopTimer()
    forget?.()
  }
}
