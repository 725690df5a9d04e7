/** The backend's time, as its answers tell it, and the deadlines of requests. @module */
import type { Clock } from './clock.ts'
import type { CommitAnswer } from './driver.ts'
import type { HoldfastError } from './errors.ts'
import { lateAt } from './request-records.ts'
import { monotonic } from './event-loop.ts'

/** The most attempts at a request whose deadline has passed by the backend's clock. */
const MOST_LATE = 3

/** The backend's time. */
export interface BackendTime {
  /** In milliseconds since 1970. Before the first answer, this machine's time. */
  now(): number
  /** The backend's clock minus this machine's, in milliseconds. */
  readonly skew: number
  /** Learns the time from an answer. */
  heard(now: number): void
  /**
   * Sends a request with a deadline. If it was refused only for its deadline, sends it again by the time it was told.
   *
   * @param window - the replay window of the backend, in milliseconds; without one a request has no deadline
   */
  send(window: number, commit: (deadline: number | undefined) => Promise<CommitAnswer>): Promise<CommitAnswer>
}

export function backendTime(clock: Clock): BackendTime {
  let skew = 0
  /** The backend's clock minus the monotonic clock; `undefined` before the first answer. */
  let offset: number | undefined

  const time: BackendTime = {
    now: () => Math.trunc(clock() + skew),
    get skew() {
      return skew
    },
    heard(now) {
      skew = now - clock()
      offset = now - monotonic()
    },
    async send(window, commit) {
      for (let attempt = 1; ; attempt++) {
        const now = offset === undefined ? clock() : monotonic() + offset
        try {
          return await commit(window > 0 ? Math.trunc(now + window / 2) : undefined)
        } catch (error) {
          const reported = lateAt(error)
          if (reported === undefined || (error as HoldfastError).ambiguous || attempt === MOST_LATE) throw error
          time.heard(reported)
        }
      }
    },
  }
  return time
}
