/** Waits for a time, or until somebody rings. @module */
import { abortable } from './abort.ts'
import { MAX_TIMER } from './clock.ts'

/** A bell that can be rung at any time, also while nobody waits. */
export interface Bell {
  ring(): void
  /** Forgets earlier rings. Call it before reading the state that the rings announced. */
  silence(): void
  /**
   * Waits until the bell rings, or has rung since it was silenced, at most `ms` milliseconds. A wait of `Infinity` sets no
   * timer, so it keeps no process alive.
   *
   * @throws `ABORTED`
   */
  wait(ms: number, signal: AbortSignal | undefined): Promise<void>
}

export function bell(): Bell {
  let hasRung = false
  let stopWaiting = (): void => {}
  return {
    ring() {
      hasRung = true
      stopWaiting()
    },
    silence: () => void (hasRung = false),
    async wait(ms, signal) {
      if (hasRung) return
      let timer: ReturnType<typeof setTimeout>
      const pause = new Promise<void>((resolve) => {
        stopWaiting = resolve
        if (ms !== Infinity) timer = setTimeout(resolve, Math.min(ms, MAX_TIMER))
      })
      try {
        await abortable(pause, signal)
      } finally {
        clearTimeout(timer!)
      }
    },
  }
}
