/** Maps errors to HTTP statuses. @module */
import { type ErrorCode, type HoldfastError, pauseAsked } from '../../core/errors.ts'
import { lateAt } from '../../core/request-records.ts'
import type { WireError } from '../wire.ts'

/** For clients that only look at the status. Clients of the protocol use the code. */
const STATUS: Partial<Record<ErrorCode, number>> = {
  INVALID_ARGUMENT: 400,
  UNSUPPORTED: 400,
  CONFLICT: 409,
  PAYLOAD_TOO_LARGE: 413,
  UNAVAILABLE: 503,
  OVERLOADED: 503,
  CLOSED: 503,
  ABORTED: 503,
  TIMEOUT: 504,
  QUOTA_EXCEEDED: 507,
}

/**
 * The status of an error: 4xx if the caller caused it, 5xx for the backend and for every error that may have changed
 * something.
 */
export function statusOf({ code, ambiguous }: WireError): number {
  const status = STATUS[code] ?? 500
  return ambiguous && status < 500 ? 500 : status
}

/**
 * The value of `Retry-After` for an error, in seconds: at least as long as the backend asks to wait.
 *
 * @returns `undefined` if the same request must not be sent again, or the status does not call for waiting
 */
export function retryAfterOf(error: WireError): number | undefined {
  if (!error.retryable || statusOf(error) !== 503 || lateAt(error) !== undefined) return undefined
  return Math.max(1, Math.ceil(pauseAsked(error as Pick<HoldfastError, 'details'>) / 1000))
}
