/** Waiting that a signal can end. @module */
import { aborted } from './errors.ts'

/**
 * Waits for work; throws `ABORTED` as soon as the signal says so, while the work goes on.
 *
 * @param ambiguous - whether the work may change something
 */
export function abortable<T>(work: Promise<T>, signal: AbortSignal | undefined, ambiguous = false): Promise<T> {
  if (!signal) return work
  return new Promise<T>((resolve, reject) => {
    const onAbort = (): void => reject(aborted(signal, ambiguous))
    // A signal may outlive many calls, and must not collect their listeners.
    const leave = (): void => signal.removeEventListener('abort', onAbort)
    signal.addEventListener('abort', onAbort)
    if (signal.aborted) onAbort()
    work.finally(leave).then(resolve, reject)
  })
}

/** Waits for work, but not longer than so many milliseconds; then throws an `Error`, while the work goes on. */
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

/** A way to wait; injected, so that tests need not. */
export type Sleep = (ms: number, signal?: AbortSignal) => Promise<void>

/** Waits for so many milliseconds; throws `ABORTED` as soon as the signal says so. */
export async function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  let timer: ReturnType<typeof setTimeout>
  try {
    await abortable(new Promise<void>((resolve) => (timer = setTimeout(resolve, ms))), signal)
  } finally {
    clearTimeout(timer!)
  }
}
