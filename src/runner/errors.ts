/** What can fail in a workflow, as it is stored and as it is thrown. @module */
import { encode } from '../core/codec.ts'

/** An error as the log keeps it. */
export interface StoredError {
  readonly name: string
  readonly message: string
  readonly code?: string
  /** What the error had as `data`, if that can be stored. */
  readonly data?: unknown
}

/** More of a message would fill the log. */
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

/** What is kept of something that was thrown; never fails itself. */
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

/** Reads what {@link toStored} has stored; earlier releases stored the message alone. */
export function fromLog(payload: unknown): StoredError {
  const { error = payload } = (payload ?? {}) as { readonly error?: unknown }
  return typeof error === 'object' && error !== null
    ? (error as StoredError)
    : { name: 'Error', message: textOf(error) }
}

/** A step failed for the last time. It says the same in the first run and in every later one. */
export class StepError extends Error {
  override readonly name = 'StepError'
  readonly stepId: string
  /** What the step has thrown. */
  readonly error: StoredError
  /** The code of what the step has thrown, or `INTERRUPTED`: it was cut off, and is not to be done again. */
  readonly code: string | undefined
  readonly data: unknown

  constructor(stepId: string, error: StoredError) {
    super(error.message)
    this.stepId = stepId
    this.error = error
    this.code = error.code
    this.data = error.data
  }
}

/** A run did not complete: it failed, was undone or was cancelled. Thrown by the `result()` of handles. */
export class RunError extends Error {
  override readonly name = 'RunError'
  readonly runId: string
  readonly status: 'failed' | 'compensated' | 'cancelled'
  /** Why it failed, as the run has stored it. */
  readonly error: StoredError
  readonly code: string | undefined

  constructor(runId: string, status: RunError['status'], error: StoredError) {
    super(error.message)
    this.runId = runId
    this.status = status
    this.error = error
    this.code = error.code
  }
}

/** Thrown by a step's function: no further attempt is made, whatever the retry policy says. */
export class NonRetryableError extends Error {
  override readonly name = 'NonRetryableError'
}

/** Whether it says that no attempt helps, from whichever copy of this package it is. */
export const isNonRetryable = (thrown: unknown): boolean =>
  typeof thrown === 'object' && thrown !== null && (thrown as { name?: unknown }).name === 'NonRetryableError'
