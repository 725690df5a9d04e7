/** Which HTTP status an error is told with. @module */
import type { ErrorCode } from '../core/errors.ts'

/** For those who only look at the status; who speaks the protocol goes by the code. */
const STATUS: Partial<Record<ErrorCode, number>> = {
  INVALID_ARGUMENT: 400,
  UNSUPPORTED: 400,
  PAYLOAD_TOO_LARGE: 413,
  QUOTA_EXCEEDED: 507,
  UNAVAILABLE: 503,
  CLOSED: 503,
  ABORTED: 503,
}

/** The status of an error: of the caller's making 4xx, of the backend's 5xx. */
export const statusOf = (code: ErrorCode): number => STATUS[code] ?? 500
