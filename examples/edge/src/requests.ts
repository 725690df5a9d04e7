/** Checks and error answers that the API and the pages share. */
import { type ErrorCode, HoldfastError, type RunStatus, isHoldfastError } from 'holdfast'

/** The statuses of a delivery. It is retried until it is done, or an operator ends it. */
export const STATUSES = ['running', 'waiting', 'paused', 'completed', 'cancelled'] as const satisfies RunStatus[]

const ID = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/

const malformed = (message: string): HoldfastError => new HoldfastError('INVALID_ARGUMENT', message)

/** @throws `INVALID_ARGUMENT` */
export function requireId(id: string | undefined): string {
  if (id !== undefined && ID.test(id)) return id
  throw malformed('webhook-id must be 1 to 128 letters, digits, and . _ : - behind the first')
}

/** @throws `INVALID_ARGUMENT` */
export function requireStatus(status: string | undefined): RunStatus | undefined {
  const found = STATUSES.find((it) => it === status)
  if (found === undefined && status !== undefined && status !== '') throw malformed('There is no such status')
  return found
}

/** Decodes a body without losing a byte. @throws `INVALID_ARGUMENT` for anything but UTF-8 */
export function textOf(body: ArrayBuffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body)
  } catch {
    throw malformed('The body must be text in UTF-8')
  }
}

const STATUS_OF: Partial<Record<ErrorCode, 400 | 404 | 409 | 503>> = {
  INVALID_ARGUMENT: 400,
  NOT_FOUND: 404,
  CONFLICT: 409,
  ALREADY_COMPLETED: 409,
  CANNOT_UNPAUSE: 409,
  UNAVAILABLE: 503,
  TIMEOUT: 503,
}

/** The answer to an error. Internal errors show no details. */
export function problemOf(error: unknown): {
  readonly status: 400 | 404 | 409 | 500 | 503
  readonly code: string
  readonly message: string
} {
  if (isHoldfastError(error)) {
    const status = STATUS_OF[error.code]
    if (status !== undefined) return { status, code: error.code, message: error.message }
  }
  console.error(error)
  return { status: 500, code: 'INTERNAL', message: 'Something went wrong here' }
}
