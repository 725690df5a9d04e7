/** Waits that a signal can end. @module */
import { MAX_TIMER } from './clock.ts'
import { aborted } from './errors.ts'

/**
 * Waits for work until the signal is aborted. The work itself continues.
 *
 * @param ambiguous - whether the work may change something
 * @throws `ABORTED` as soon as the signal is aborted
 */
export function abortable<T>(work: Promise<T>, signal: AbortSignal | undefined, ambiguous = false): Promise<T> {
  if (!signal) return work
  return new Promise<T>((resolve, reject) => {
    const onAbort = (): void => reject(aborted(signal, ambiguous))
    // A signal may outlive many calls and must not collect their listeners.
    const leave = (): void => signal.removeEventListener('abort', onAbort)
    signal.addEventListener('abort', onAbort)
    if (signal.aborted) onAbort()
    work.finally(leave).then(resolve, reject)
  })
}

/** Waits at most `ms` milliseconds for work, then throws an `Error`. The work itself continues. */
export async function inTime<T>(work: Promise<T>, ms: number): Promise<T> {
  let timer: ReturnType<typeof setTimeout>
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`No answer within ${Math.round(ms)} ms`)), ms)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer!)
  }
}

/** A function that waits; injected so that tests do not have to wait. */
export type Sleep = (ms: number, signal?: AbortSignal) => Promise<void>

/** Waits for `ms` milliseconds, at most {@link MAX_TIMER}. @throws `ABORTED` as soon as the signal is aborted */
export async function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  let timer: ReturnType<typeof setTimeout>
  try {
    await abortable(new Promise<void>((resolve) => (timer = setTimeout(resolve, Math.min(ms, MAX_TIMER)))), signal)
  } finally {
    clearTimeout(timer!)
  }
}
