/** Sends a batch, repeats it until it is answered or a repeat is pointless, and maps the client's errors. @module */
import { abortable, inTime, sleep } from '../../core/abort.ts'
import { type ErrorCode, aborted, HoldfastError, inDoubt, isHoldfastError } from '../../core/errors.ts'
import { wasNeverSent } from '../shared/network.ts'
import type { Batches, Statement } from './batch-client.ts'
import { resultOf, toHoldfastError } from './errors.ts'

/** The rows of a batch, and whether an earlier attempt may have arrived, too. */
export interface Answered {
  readonly rows: readonly unknown[][]
  readonly isLost: boolean
}

/**
 * Sends a batch until it is answered or the time is up.
 *
 * @param isWrite - whether it changes something; a repeat of it must then be recognised
 * @param refusalOf - returns the error for a batch that SQLite refused because of its content
 * @throws the error of the last attempt; `ambiguous` for a write that may have arrived
 */
export type Attempts = (
  statements: Statement[],
  isWrite: boolean,
  signal?: AbortSignal,
  refusalOf?: (said: string) => HoldfastError | undefined,
) => Promise<Answered>

/** The wait before the next attempt, in milliseconds: a random part of a delay that doubles with each attempt. */
const FIRST_WAIT = 25
const LAST_WAIT = 500

/** Creates {@link Attempts} over a client. They try for `timeout` milliseconds, each attempt for a third of it. */
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
      // If the process was suspended meanwhile, the request's record may be gone, so it must not be repeated.
      if (performance.now() >= deadline) throw markedIfLost(fault.error, isLost)
    }
  }

/** The error, marked `ambiguous` if an attempt may have arrived, or may still arrive. */
export const markedIfLost = (error: HoldfastError, isLost: boolean): HoldfastError =>
  isLost && !error.ambiguous ? inDoubt(error, { remark: 'it is unknown whether the commit took effect' }) : error

/** The outcome of a failed attempt. */
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

/** Errors by the messages of the clients. Errors of the database itself have a SQLite code. */
const FAULTS: readonly Fault[] = [
  [/HTTP status 40[13]\b|\bAUTH_|unauthorized/i, 'UNAUTHORIZED', 'refuses the token; check it and its permissions'],
  [/client (is|was) closed|CLIENT_CLOSED/i, 'CLOSED', 'was closed by its owner; pass an open client'],
  [
    /maximum (DB|database|account) |exceeded .*\b(daily|monthly|maximum|storage)\b/i,
    'QUOTA_EXCEEDED',
    'is full, or has reached a limit of its plan; nothing was changed',
  ],
  // Its queue is full. Another attempt would only make it longer.
  [/overloaded/i, 'UNAVAILABLE', 'is overloaded; try again later', { retryable: true }],
  [/HTTP status 413\b/, 'PAYLOAD_TOO_LARGE', 'accepts only smaller requests; send less at once'],
  [/HTTP status 429\b/, 'UNAVAILABLE', 'accepts no more requests for now; try again later', AGAIN],
  [/cannot resolve|starting up/i, 'UNAVAILABLE', 'cannot be reached; try again later', AGAIN],
  // A repeat would end in the same way.
  [
    /(memory|CPU time) limit/i,
    'UNAVAILABLE',
    'was reset, because a request used too much memory or time; send less at once',
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
  // A statement that SQLite refused has changed nothing.
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
