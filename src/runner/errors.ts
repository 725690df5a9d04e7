/** The errors of workflows, as they are stored and as they are thrown. @module */
import { encode } from '../core/codec.ts'
import { isHoldfastError } from '../core/errors.ts'

/** An error as the log stores it. */
export interface StoredError {
  readonly name: string
  readonly message: string
  readonly code?: string
  /** The error's `data`, if it can be stored. */
  readonly data?: unknown
}

/** The longest stored message, in UTF-16 code units, so that messages do not fill the log. */
const MAX_MESSAGE = 8192

const textOf = (value: unknown): string => {
  try {
    return String(value).toWellFormed().slice(0, MAX_MESSAGE)
  } catch {
    return 'An error without a text'
  }
}

const canStore = (value: unknown): boolean => {
  try {
    return encode(value).length <= 8 * MAX_MESSAGE
  } catch {
    return false
  }
}

/** Converts a thrown value into the form that is stored. Never throws. */
export function toStored(thrown: unknown): StoredError {
  if (typeof thrown !== 'object' || thrown === null) return { name: 'Error', message: textOf(thrown) }
  try {
    const { name, message, code, data } = thrown as { readonly [K in keyof StoredError]?: unknown }
    const hasCode = typeof code === 'string' || typeof code === 'number'
    return {
      name: typeof name === 'string' ? textOf(name) : 'Error',
      message: typeof message === 'string' ? textOf(message) : textOf(thrown),
      ...(hasCode && { code: textOf(code) }),
      ...(data !== undefined && canStore(data) && { data }),
    }
  } catch {
    return { name: 'Error', message: 'An error that cannot be read' }
  }
}

/** Whether an error says that a value cannot be stored. Another attempt would fail the same way. */
export const isUnstorable = (error: unknown): boolean =>
  isHoldfastError(error, 'SERIALIZATION') || isHoldfastError(error, 'PAYLOAD_TOO_LARGE')

/**
 * The error of a value that cannot be stored. It names the place inside the value: the event that would hold the value has
 * a path of its own.
 *
 * @param name - the name of the error
 * @param what - names the value, for the message
 * @param refusal - thrown when the value was to be stored
 */
export function unstorable(name: string, what: string, value: unknown, refusal: unknown): StoredError {
  let reason = refusal
  try {
    encode(value)
  } catch (own) {
    reason = own
  }
  const stored = toStored(reason)
  return { ...stored, name, message: `${what} cannot be stored: ${stored.message}` }
}

/** Reads an error that {@link toStored} made. Earlier releases stored only the message. */
export function fromLog(payload: unknown): StoredError {
  const { error = payload } = (payload ?? {}) as { readonly error?: unknown }
  return typeof error === 'object' && error !== null
    ? (error as StoredError)
    : { name: 'Error', message: textOf(error) }
}

/** Thrown by `ctx.step` after the step's last attempt failed. Every replay throws an equal error. */
export class StepError extends Error {
  override readonly name = 'StepError'
  readonly stepId: string
  /** The error that the step threw, as stored. */
  readonly error: StoredError
  /** The code of that error; `INTERRUPTED` if a crash interrupted a step with `atMostOnce`. */
  readonly code: string | undefined
  /** The `data` of that error, if it could be stored. */
  readonly data: unknown

  constructor(stepId: string, error: StoredError) {
    super(error.message)
    this.stepId = stepId
    this.error = error
    this.code = error.code
    this.data = error.data
  }
}

/** Thrown by `result()` if the run failed, was compensated, or was cancelled. */
export class RunError extends Error {
  override readonly name = 'RunError'
  readonly runId: string
  readonly status: 'failed' | 'compensated' | 'cancelled'
  /** The run's stored error. */
  readonly error: StoredError
  /** The code of that error. */
  readonly code: string | undefined

  constructor(runId: string, status: RunError['status'], error: StoredError) {
    super(error.message)
    this.runId = runId
    this.status = status
    this.error = error
    this.code = error.code
  }
}

/** Throw it from a step's function to prevent further attempts, whatever the retry policy says. */
export class NonRetryableError extends Error {
  override readonly name = 'NonRetryableError'
}

/** Whether an error is a {@link NonRetryableError}, from any copy of this package. */
export const isNonRetryable = (thrown: unknown): boolean =>
  typeof thrown === 'object' && thrown !== null && (thrown as { name?: unknown }).name === 'NonRetryableError'
