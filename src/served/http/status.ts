/** Which HTTP status an error is told with. @module */
import { type ErrorCode, type HoldfastError, pauseAsked } from '../../core/errors.ts'
import { lateAt } from '../../core/requests.ts'
import type { WireError } from '../wire.ts'

/** For those who only look at the status; who speaks the protocol goes by the code. */
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

/** The status of an error: of the caller's making 4xx, of the backend's 5xx, as is all that may have changed something. */
export function statusOf({ code, ambiguous }: WireError): number {
  const status = STATUS[code] ?? 500
  return ambiguous && status < 500 ? 500 : status
}

/**
 * What `Retry-After` says with an error, in seconds: at least how long the backend asks to wait.
 *
 * @returns `undefined` where the same request must not be sent again, or the status says nothing of waiting
 */
export function retryAfterOf(error: WireError): number | undefined {
  if (!error.retryable || statusOf(error) !== 503 || lateAt(error) !== undefined) return undefined
  return Math.max(1, Math.ceil(pauseAsked(error as Pick<HoldfastError, 'details'>) / 1000))
}
