/** Bounded work: some at once, more in a queue, and the rest is refused. @module */
import { HoldfastError, aborted } from '../../core/errors.ts'

/** Runs work when it is its turn. Work whose signal was aborted before that is not started. */
export type Turnstile = <T>(signal: AbortSignal, work: () => Promise<T>) => Promise<T>

/**
 * Makes a turnstile.
 *
 * @param atOnce - the most work under way at once
 * @param most - the most work in the queue; further work is refused with `OVERLOADED`
 */
export function turnstile(atOnce: number, most: number): Turnstile {
  const waiting: (() => void)[] = []
  let underWay = 0

  /** Passes the place to the next in the queue. */
  function leave(): void {
    const next = waiting.shift()
    if (next) next()
    else underWay--
  }

  return async (signal, work) => {
    if (underWay < atOnce) underWay++
    else {
      if (waiting.length >= most) throw overloaded(most)
      await new Promise<void>((resolve) => waiting.push(resolve))
    }
    try {
      if (signal.aborted) throw aborted(signal, false)
      return await work()
    } finally {
      leave()
    }
  }
}

const overloaded = (most: number): HoldfastError =>
  new HoldfastError('OVERLOADED', `More than ${most} requests wait on this port; try again later`, {
    retryable: true,
    details: { most },
  })
