/** One batch, sent again until it is answered or there is no point; and what its client throws, as errors of ours. @module */
import { abortable, inTime, sleep } from '../../core/abort.ts'
import { type ErrorCode, HoldfastError, aborted, isHoldfastError } from '../../core/errors.ts'
import { wasNeverSent } from '../shared/network.ts'
import type { Batches, Statement } from './batches.ts'
import { resultOf, toHoldfastError } from './errors.ts'

/** The rows of a batch, and whether an attempt before the answered one may have arrived as well. */
export interface Answered {
  readonly rows: readonly unknown[][]
  readonly isLost: boolean
}

/**
 * Sends a batch until it is answered or the time is up.
 *
 * @param isWrite - whether it changes something; then it has to be one that is recognised when it is repeated
 * @param refusalOf - the error for what SQLite says where the batch refused itself
 * @throws the error for the last fault; `ambiguous` where it changes something and an attempt may have arrived
 */
export type Attempts = (
  statements: Statement[],
  isWrite: boolean,
  signal?: AbortSignal,
  refusalOf?: (said: string) => HoldfastError | undefined,
) => Promise<Answered>

/** The wait before a repetition, in milliseconds: a random part of one that doubles from the first to the last. */
const FIRST_WAIT = 25
const LAST_WAIT = 500

/** Makes {@link Attempts} over a client, which try for `timeout` milliseconds, and a third of it at once. */
export const attempts =
  (run: Batches['run'], title: string, timeout: number): Attempts =>
  async (statements, isWrite, signal, refusalOf) => {
    const deadline = performance.now() + timeout
    let isLost = false
    for (let wait = FIRST_WAIT; ; wait = Math.min(wait * 2, LAST_WAIT)) {
      if (signal?.aborted) throw aborted(signal, isLost)
      let fault: Failed
      try {
        const patience = Math.min(timeout / 3, deadline - performance.now())
        return { rows: await abortable(inTime(run(statements, isWrite), patience), signal, isWrite), isLost }
      } catch (cause) {
        if (isHoldfastError(cause)) throw cause
        const refusal = refusalOf?.(saidBy(cause))
        fault = refusal ? { error: refusal, again: false, isLost: false } : failedBy(cause, isWrite, title)
      }
      isLost ||= isWrite && fault.isLost
      const pause = wait * (0.5 + Math.random() / 2)
      if (!fault.again || performance.now() + pause >= deadline) throw markedIfLost(fault.error, isLost)
      await abortable(sleep(pause), signal, isLost)
    }
  }

/** The same error, `ambiguous` where an attempt may have arrived, now or later. */
export const markedIfLost = (error: HoldfastError, isLost: boolean): HoldfastError =>
  isLost && !error.ambiguous
    ? new HoldfastError(error.code, `${error.message}; whether the commit took effect is not known`, {
        details: error.details,
        retryable: error.retryable,
        ambiguous: true,
        cause: error.cause,
      })
    : error

/** What became of an attempt. */
interface Failed {
  readonly error: HoldfastError
  /** Whether to try again. */
  readonly again: boolean
  /** Whether it may have taken effect. */
  readonly isLost: boolean
}

type Fault = readonly [
  pattern: RegExp,
  code: ErrorCode,
  message: string,
  more?: { again?: boolean; isLost?: boolean; retryable?: boolean },
]

const AGAIN = { again: true, retryable: true } as const
const LOST = { again: true, retryable: true, isLost: true } as const

/** By what the clients say; the database itself says why with a code of SQLite. */
const FAULTS: readonly Fault[] = [
  [/HTTP status 40[13]\b|\bAUTH_|unauthorized/i, 'UNAUTHORIZED', 'refuses the token; check it and its rights'],
  [/client (is|was) closed|CLIENT_CLOSED/i, 'CLOSED', 'was closed by its owner; hand in an open client'],
  [
    /maximum (DB|database|account) |exceeded .*\b(daily|monthly|maximum|storage)\b/i,
    'QUOTA_EXCEEDED',
    'is full, or has reached a limit of its plan; nothing was changed',
  ],
  // Its queue is full, and trying again would only make it longer.
  [/overloaded/i, 'UNAVAILABLE', 'is overloaded; try again later', { retryable: true }],
  [/HTTP status 429\b/, 'UNAVAILABLE', 'takes no more requests for now; try again later', AGAIN],
  [/cannot resolve|starting up/i, 'UNAVAILABLE', 'cannot be reached; try again later', AGAIN],
  // A repetition would end in the same way.
  [
    /(memory|CPU time) limit/i,
    'UNAVAILABLE',
    'was reset, because a request took too much; try again with less at once',
    { retryable: true, isLost: true },
  ],
  [
    /network|connect|timeout|timed out|no answer|reset|internal error|fetch failed|HTTP status 5\d\d|stream (not found|expired|closed)/i,
    'UNAVAILABLE',
    'cannot be reached, or its answer was lost; try again later',
    LOST,
  ],
]

const saidBy = (cause: unknown): string => String((cause as Error | null)?.message)

function failedBy(cause: unknown, isWrite: boolean, title: string): Failed {
  const said = saidBy(cause)
  const result = resultOf(cause)
  // What SQLite has refused has changed nothing.
  const [, code, reason, more = {}] = result === undefined ? (FAULTS.find(([pattern]) => pattern.test(said)) ?? []) : []
  if (!code) {
    const error = toHoldfastError(cause, isWrite)
    return { error, again: result === 'BUSY' || result === 'LOCKED', isLost: error.ambiguous }
  }
  const { again = false, retryable = false } = more
  const isLost = (more.isLost ?? false) && !wasNeverSent(cause)
  return {
    error: new HoldfastError(code, `${title} ${reason}`, { cause, retryable, ambiguous: isWrite && isLost }),
    again,
    isLost,
  }
}
