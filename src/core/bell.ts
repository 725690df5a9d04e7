/** Waiting for a time, or for whoever rings. @module */
import { abortable } from './abort.ts'

/** Something that can be rung at any time, also while nobody waits. */
export interface Bell {
  ring(): void
  /** Forgets what has rung: before a look that answers it. */
  silence(): void
  /** Waits until it rings, or has rung since it was silenced, but no longer than so many ms. @throws `ABORTED` */
  wait(ms: number, signal: AbortSignal | undefined): Promise<void>
}

/** Makes a bell. */
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
        timer = setTimeout(resolve, ms)
      })
      try {
        await abortable(pause, signal)
      } finally {
        clearTimeout(timer!)
      }
    },
  }
}
