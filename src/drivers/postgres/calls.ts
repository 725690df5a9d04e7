/** One statement, repeated until it is answered or there is no point. @module */
import { abortable, inTime, sleep } from '../../core/abort.ts'
import type { CallOptions } from '../../core/driver.ts'
import { HoldfastError, aborted, isHoldfastError } from '../../core/errors.ts'
import { failureOf } from './errors.ts'
import type { Row, Run } from './handle.ts'

/**
 * Runs a statement that may be repeated, until it is answered or the time is up.
 *
 * @param changes - whether it changes something, so that a lost answer leaves that unknown
 * @throws what {@link failureOf} makes of the last failure; `ambiguous` where it `changes` and an outcome is unknown
 */
export type Call = (text: string, params: string[], changes: boolean, options?: CallOptions) => Promise<readonly Row[]>

/** The wait before a repetition, in milliseconds: a random part of one that doubles from the first to the last. */
const FIRST_WAIT = 20
const LAST_WAIT = 500

/** Makes calls over a handle; each is tried for `timeout` milliseconds. */
export const callsOver =
  (send: Run, timeout: number): Call =>
  async (text, params, changes, { signal } = {}) => {
    const deadline = performance.now() + timeout
    let ambiguous = false
    for (let wait = FIRST_WAIT; ; wait = Math.min(wait * 2, LAST_WAIT)) {
      if (signal?.aborted) throw aborted(signal, ambiguous)
      try {
        const patience = Math.min(timeout / 3, deadline - performance.now())
        // Given up when it takes too long: the attempt after it finds out what became of it.
        return await abortable(inTime(send(text, params), patience), signal, changes)
      } catch (thrown) {
        if (isHoldfastError(thrown, 'ABORTED')) throw thrown
        const { error, again, isLost } = failureOf(thrown)
        ambiguous ||= changes && isLost
        const pause = wait * (0.5 + Math.random() / 2)
        if (!again || performance.now() + pause >= deadline) throw ambiguous ? inDoubt(error) : error
        await abortable(sleep(pause), signal, ambiguous)
      }
    }
  }

const inDoubt = ({ code, message, retryable, details, cause }: HoldfastError): HoldfastError =>
  new HoldfastError(code, `${message}; whether the commit took effect is not known`, {
    retryable,
    ambiguous: true,
    details,
    cause,
  })
