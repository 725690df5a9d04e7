/** Work that comes in faster than it is done: some of it at once, more of it in order, and no more than that. @module */
import { HoldfastError, aborted } from '../../core/errors.ts'

/** Does work when it is its turn. What was aborted by then is not begun. */
export type Turnstile = <T>(signal: AbortSignal, work: () => Promise<T>) => Promise<T>

/**
 * @param atOnce - how much is under way at the same time
 * @param most - how much may wait; beyond, work is refused with `OVERLOADED`
 */
export function turnstile(atOnce: number, most: number): Turnstile {
  const waiting: (() => void)[] = []
  let underWay = 0

  /** Hands the place on. */
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
