/**
 * One error class with a closed set of codes. Tell errors apart by `code`, never by `instanceof`: two copies of this
 * package in one bundle have two classes, and a code survives the way between processes.
 *
 * @module
 */

/**
 * The kinds of errors.
 *
 * | code | raised when |
 * | --- | --- |
 * | `INVALID_ARGUMENT` | an argument is malformed: id, number, time to live, option |
 * | `PAYLOAD_TOO_LARGE` | a value, a batch or a commit is over the backend's declared limit |
 * | `SERIALIZATION` | a value cannot be stored, or stored data cannot be read; see `details.reason` |
 * | `NOT_FOUND` | a run that the call needs does not exist |
 * | `ALREADY_COMPLETED` | the run has ended, and the call would change it |
 * | `WORKFLOW_MISMATCH` | the run belongs to another workflow |
 * | `ALREADY_EXISTS` | a run, or something else that must be new, exists already |
 * | `DEFINITION_MISMATCH` | the run was started by another definition of its workflow |
 * | `CANNOT_UNPAUSE` | the state of the run does not allow it |
 * | `CLAIM_LOST` | the claim that the call names has expired, was released, or has another holder |
 * | `MAX_DELIVERIES` | a run was claimed again and again without recording anything, so it was put aside |
 * | `NON_DETERMINISTIC` | the workflow is not the code that wrote the log of its run |
 * | `CONFLICT` | an expected seq or version does not match, or a key was used with other content |
 * | `SCHEMA` | the store has a newer format, or was not made by holdfast |
 * | `UNSUPPORTED` | the backend lacks what the call needs |
 * | `QUOTA_EXCEEDED` | the disk or the quota is full |
 * | `READ_ONLY` | the store cannot be written |
 * | `UNAUTHORIZED` | the backend does not know the caller, or does not allow the call |
 * | `UNAVAILABLE` | the backend cannot be reached or is locked; retrying may help |
 * | `OVERLOADED` | too many calls wait already; nothing was sent, retry later |
 * | `TIMEOUT` | the backend did not answer in time; a commit may still have taken effect |
 * | `ABORTED` | the caller's signal was aborted |
 * | `CLOSED` | the database was closed |
 * | `BACKEND` | any other error of the backend, which is the `cause` |
 */
export type ErrorCode =
  | 'INVALID_ARGUMENT'
  | 'PAYLOAD_TOO_LARGE'
  | 'SERIALIZATION'
  | 'NOT_FOUND'
  | 'ALREADY_COMPLETED'
  | 'WORKFLOW_MISMATCH'
  | 'ALREADY_EXISTS'
  | 'DEFINITION_MISMATCH'
  | 'CANNOT_UNPAUSE'
  | 'CLAIM_LOST'
  | 'MAX_DELIVERIES'
  | 'NON_DETERMINISTIC'
  | 'CONFLICT'
  | 'SCHEMA'
  | 'UNSUPPORTED'
  | 'QUOTA_EXCEEDED'
  | 'READ_ONLY'
  | 'UNAUTHORIZED'
  | 'UNAVAILABLE'
  | 'OVERLOADED'
  | 'TIMEOUT'
  | 'ABORTED'
  | 'CLOSED'
  | 'BACKEND'

/** Properties of an error besides its code and message. */
export interface HoldfastErrorOptions {
  /** Facts for programs, never a stored value. `retryAfter` is how long the backend asks to wait, in milliseconds. */
  readonly details?: Readonly<Record<string, unknown>> | undefined
  /** Whether the same call may succeed when repeated. */
  readonly retryable?: boolean
  /** Whether the change may have taken effect despite the error. */
  readonly ambiguous?: boolean
  /** The underlying error. */
  readonly cause?: unknown
}

/**
 * The only error this package throws.
 *
 * @example
 * ```ts
 * import { createHoldfast, isHoldfastError, memory } from 'holdfast'
 *
 * const { state } = createHoldfast({ driver: memory() })
 * try {
 *   await state.set('', 'no name')
 * } catch (error) {
 *   if (!isHoldfastError(error, 'INVALID_ARGUMENT')) throw error
 *   console.log(error.message)
 * }
 * ```
 */
export class HoldfastError extends Error {
  override readonly name = 'HoldfastError'
  readonly code: ErrorCode
  /** Whether the same call may succeed when repeated. */
  readonly retryable: boolean
  /**
   * Whether the change may have taken effect despite the error. To find out, repeat it under its idempotency key, or
   * read.
   */
  readonly ambiguous: boolean
  readonly details: Readonly<Record<string, unknown>> | undefined

  constructor(code: ErrorCode, message: string, options: HoldfastErrorOptions = {}) {
    super(message, options)
    this.code = code
    this.retryable = options.retryable ?? false
    this.ambiguous = options.ambiguous ?? false
    this.details = options.details
  }
}

/** How long the backend asks to wait before the next attempt, in milliseconds; 0 if it does not say. */
export function pauseAsked({ details }: Pick<HoldfastError, 'details'>): number {
  const pause = Number(details?.['retryAfter'] ?? 0)
  return Number.isFinite(pause) ? pause : 0
}

/**
 * Recognises a {@link HoldfastError} by name and code, also one from another copy of the package.
 *
 * @param error - any caught value
 * @param code - a code that the error must have; any code by default
 * @returns whether `error` is such an error
 */
export function isHoldfastError(error: unknown, code?: ErrorCode): error is HoldfastError {
  const e = error as Partial<HoldfastError> | null | undefined
  return e?.name === 'HoldfastError' && (code === undefined ? typeof e.code === 'string' : e.code === code)
}

/** Makes an `INVALID_ARGUMENT` error. The message names the argument and what is wrong with it. */
export const invalid = (message: string): HoldfastError => new HoldfastError('INVALID_ARGUMENT', message)

/** Makes an `ABORTED` error with the signal's reason as cause. @param ambiguous - whether a commit was under way */
export const aborted = (signal: AbortSignal, ambiguous: boolean): HoldfastError =>
  new HoldfastError('ABORTED', 'The call was aborted', { cause: signal.reason, ambiguous, retryable: true })

/**
 * The same error, marked as ambiguous: the change may have taken effect.
 *
 * @param options - `remark`, to add to the message; `cause`, to replace that of the error
 */
export const inDoubt = (
  error: HoldfastError,
  { remark, cause = error.cause }: { readonly remark?: string; readonly cause?: unknown } = {},
): HoldfastError =>
  new HoldfastError(error.code, remark === undefined ? error.message : `${error.message}; ${remark}`, {
    retryable: error.retryable,
    details: error.details,
    cause,
    ambiguous: true,
  })
