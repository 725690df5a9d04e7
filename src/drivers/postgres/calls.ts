/** One statement, repeated until it is answered or there is no point. @module */
import { abortable, inTime, sleep } from '../../core/abort.ts'
import type { CallOptions } from '../../core/driver.ts'
import { HoldfastError, aborted, isHoldfastError } from '../../core/errors.ts'
import { failureOf } from './errors.ts'
import type { Row, Run } from './handle.ts'

/** A statement that may be repeated. */
export interface Statement {
  readonly text: string
  /** Its parameters, from how long it may wait for locks, in milliseconds. */
  readonly params: (wait: number) => string[]
  /**
   * `read` changes nothing. A `commit` changes something, so that a lost answer leaves that unknown. A `schema` may take
   * longer than one attempt, and is never cancelled.
   */
  readonly kind: 'read' | 'commit' | 'schema'
  /** Whether an answer asks for the statement to be made once more. */
  readonly isAgain?: (rows: readonly Row[]) => boolean
}

/** What a statement was answered. */
export interface Answered {
  readonly rows: readonly Row[]
  /** Whether an earlier attempt may have taken effect besides. */
  readonly isRepeat: boolean
}

/**
 * Runs a statement until it is answered or the time is up.
 *
 * @throws what {@link failureOf} makes of the last failure; `ambiguous` where a commit's outcome is unknown
 */
export type Call = (statement: Statement, options?: CallOptions) => Promise<Answered>

/** The wait before a repetition, in milliseconds: a random part of one that doubles from the first to the last. */
const FIRST_WAIT = 20
const LAST_WAIT = 500
/** An attempt stops waiting for locks before it is given up, by this part of the timeout: then it is known what became of it. */
const MARGIN = 1 / 15

/** Makes calls over a handle; each is tried for `timeout` milliseconds. */
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
        // Given up when it takes too long: the attempt after it finds out what became of it.
        return await abortable(inTime(send(text, params(wait), controller.signal), patience), signal, changes)
      } catch (thrown) {
        // A commit may still get done, and the next attempt then finds that it was.
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
          const last = (): HoldfastError => (isLost ? inDoubt(failure.error) : failure.error)
          if (!failure.again || performance.now() + pause + margin >= deadline) throw last()
          await abortable(sleep(pause), signal, isLost)
          // A process that was halted meanwhile must not repeat what may have been forgotten by now.
          if (performance.now() >= deadline) throw last()
        }
      }
    } finally {
      if (kind !== 'schema') for (const controller of attempts) controller.abort()
    }
  }

/** The same error, of a commit that may have taken effect all the same. */
export const inDoubt = ({ code, message, retryable, details, cause }: HoldfastError): HoldfastError =>
  new HoldfastError(code, `${message}; whether the commit took effect is not known`, {
    retryable,
    ambiguous: true,
    details,
    cause,
  })
