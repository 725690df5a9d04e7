/** An alarm like that of a Durable Object, for a long-running process. */

/** An alarm that goes off at the earliest time it was set to. */
export interface Alarm {
  /** @param time - in milliseconds since 1970 */
  set(time: number): void
  /** Stops the alarm. Resolves when work in progress is done. */
  stop(): Promise<void>
}

/** The longest single wait, in milliseconds: clocks may be set, and timers have limits. */
const LONGEST = 60_000
const AFTER_FAILURE = 1000

/**
 * Creates an alarm that goes off at once.
 *
 * @param ring - called when the alarm goes off, never twice at a time; returns the next time
 */
export function createAlarm(ring: () => Promise<number | undefined>): Alarm {
  let timer: ReturnType<typeof setTimeout> | undefined
  let at = Infinity
  let ringing: Promise<void> | undefined
  let isStopped = false

  async function goOff(): Promise<void> {
    at = Infinity
    let next: number | undefined
    try {
      next = await ring()
    } catch (error) {
      console.error(error)
      next = Date.now() + AFTER_FAILURE
    }
    ringing = undefined
    // The alarm may have been set to an earlier time meanwhile.
    alarm.set(Math.min(next ?? Infinity, at, Date.now() + LONGEST))
  }

  const alarm: Alarm = {
    set(time) {
      at = Math.min(at, time)
      if (ringing || isStopped) return
      clearTimeout(timer)
      timer = setTimeout(() => (ringing = goOff()), Math.max(0, at - Date.now()))
    },
    async stop() {
      isStopped = true
      clearTimeout(timer)
      await ringing
    },
  }
  alarm.set(Date.now())
  return alarm
}
