/** Sends a statement and repeats it while that makes sense. @module */
import { abortable, inTime, sleep } from '../../core/abort.ts'
import type { CallOptions } from '../../core/driver.ts'
import { type HoldfastError, aborted, inDoubt, isHoldfastError } from '../../core/errors.ts'
import { failureOf } from './errors.ts'
import type { Row, Run } from './handle.ts'

/** A statement that may be repeated. */
export interface Statement {
  readonly text: string
  /** Makes the parameters. @param wait - how long the statement may wait for locks, in milliseconds */
  readonly params: (wait: number) => string[]
  /**
   * `read` changes nothing. `commit` changes something, so a lost answer leaves the outcome unknown. `schema` may take
   * longer than one attempt and is never cancelled.
   */
  readonly kind: 'read' | 'commit' | 'schema'
  /** Whether an answer asks for the statement to be sent once more. */
  readonly isAgain?: (rows: readonly Row[]) => boolean
}

/** The answer to a statement. */
export interface Answered {
  readonly rows: readonly Row[]
  /** Whether an earlier attempt may have taken effect as well. */
  readonly isRepeat: boolean
}

/**
 * Sends a statement until it is answered or the time is up.
 *
 * @throws the error that {@link failureOf} makes of the last failure; `ambiguous` if a commit's outcome is unknown
 */
export type Call = (statement: Statement, options?: CallOptions) => Promise<Answered>

/**
 * Bounds of the wait before a repeat, in milliseconds. The wait doubles each time and is shortened at random by up to
 * half.
 */
const FIRST_WAIT = 20
const LAST_WAIT = 500
/** An attempt stops waiting for locks this part of the timeout before it is given up, so that its outcome is known. */
const MARGIN = 1 / 15

/** Makes calls over a handle. Each is tried for `timeout` milliseconds. */
export const callsOver =
  (send: Run, timeout: number): Call =>
  async ({ text, params, kind, isAgain }, { signal } = {}) => {
    const deadline = performance.now() + timeout
    const margin = timeout * MARGIN
    const changes = kind === 'commit'
    const attempts: AbortController[] = []
    let isLost = false

    async function attempt(patience: number): Promise<readonly Row[]> {
      const controller = new AbortController()
      attempts.push(controller)
      const wait = Math.max(1, Math.floor(patience - margin))
      try {
        // An attempt that takes too long is given up; the next one finds out whether it took effect.
        return await abortable(inTime(send(text, params(wait), controller.signal), patience), signal, changes)
      } catch (thrown) {
        // A commit may still take effect, and the next attempt then finds its record.
        if (kind === 'read') controller.abort()
        throw thrown
      }
    }

    try {
      for (let wait = FIRST_WAIT; ; wait = Math.min(wait * 2, LAST_WAIT)) {
        if (signal?.aborted) throw aborted(signal, isLost)
        try {
          const rows = await attempt(Math.min(timeout / 3, deadline - performance.now()))
          if (!isAgain?.(rows)) return { rows, isRepeat: isLost }
        } catch (thrown) {
          if (isHoldfastError(thrown, 'ABORTED')) throw thrown
          const failure = failureOf(thrown)
          isLost ||= changes && failure.isLost
          const pause = wait * (0.5 + Math.random() / 2)
          const last = (): HoldfastError => (isLost ? inDoubt(failure.error, IN_DOUBT) : failure.error)
          if (!failure.again || performance.now() + pause + margin >= deadline) throw last()
          await abortable(sleep(pause), signal, isLost)
          // If the process was suspended meanwhile, the request's record may be gone, so it must not be repeated.
          if (performance.now() >= deadline) throw last()
        }
      }
    } finally {
      if (kind !== 'schema') for (const controller of attempts) controller.abort()
    }
  }

/** Added to the errors of a commit that may have taken effect. */
export const IN_DOUBT = { remark: 'the commit may have taken effect' } as const
