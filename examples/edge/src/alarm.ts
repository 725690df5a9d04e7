/** An alarm, as a Durable Object has one, for a process that stays. */

/** Goes off at the earliest time that it was set to. */
export interface Alarm {
  /** @param time - in milliseconds since 1970 */
  set(time: number): void
  /** Never goes off again; resolves when what it does is done. */
  stop(): Promise<void>
}

/** Longer waits are cut: clocks are set, and timers have their limits. */
const LONGEST = 60_000
const AFTER_FAILURE = 1000

/**
 * Makes an alarm, which goes off at once.
 *
 * @param ring - what to do, never twice at a time; tells when to go off again
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
    // It may have been set to an earlier time meanwhile.
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
