/** Waits that a signal can end. @module */
import { MAX_TIMER } from './clock.ts'
import { aborted } from './errors.ts'

/** Those who wait for a signal, and how to stop listening to it. */
interface Listening {
  readonly callbacks: Set<() => void>
  stop(): void
}

const listening = new WeakMap<AbortSignal, Listening>()

/**
 * Calls back when a signal is aborted. Any number of callers share one listener, because adding the n-th listener to a
 * signal takes n steps in some runtimes.
 *
 * @returns a function that forgets the callback. Call it when it is no longer needed: a signal may outlive many calls
 */
export function whenAborted(signal: AbortSignal, callback: () => void): () => void {
  // The same function may be passed twice.
  const own = (): void => callback()
  let it = listening.get(signal)
  if (!it) {
    const callbacks = new Set<() => void>()
    const onAbort = (): void => {
      for (const call of [...callbacks]) if (callbacks.has(call)) call()
    }
    signal.addEventListener('abort', onAbort)
    it = { callbacks, stop: () => signal.removeEventListener('abort', onAbort) }
    listening.set(signal, it)
  }
  const { callbacks, stop } = it
  callbacks.add(own)
  return () => {
    if (!callbacks.delete(own) || callbacks.size > 0) return
    stop()
    listening.delete(signal)
  }
}

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
    const leave = whenAborted(signal, onAbort)
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
