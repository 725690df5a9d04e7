/** Maps errors of PostgreSQL and its clients. @module */
import { type ErrorCode, HoldfastError, isHoldfastError } from '../../core/errors.ts'
import { notALog } from '../../core/keys.ts'
import { wasNeverSent } from '../shared/network.ts'
import { ANSWER_TOO_LARGE, NOT_A_LOG } from './functions.ts'

/** A failed statement. */
export interface Failure {
  readonly error: HoldfastError
  /** Whether to repeat it at once, under the same request id. */
  readonly again: boolean
  /** Whether the statement may have taken effect. */
  readonly isLost: boolean
}

type Fault = readonly [
  code: ErrorCode,
  message: string,
  more?: { again?: boolean; isLost?: boolean; retryable?: boolean },
]

const AGAIN = { again: true, retryable: true } as const
const LOST = { again: true, retryable: true, isLost: true } as const

const CONTENDED: Fault = [
  'UNAVAILABLE',
  'PostgreSQL keeps refusing the request because of concurrent transactions',
  AGAIN,
]
const DOWN: Fault = ['UNAVAILABLE', 'PostgreSQL is shutting down, starting, or out of connections', LOST]
const UNREACHED: Fault = ['UNAVAILABLE', 'PostgreSQL cannot be reached, or its answer was lost', LOST]
const NOT_SENT: Fault = ['UNAVAILABLE', 'PostgreSQL cannot be reached; check the address', AGAIN]
const REFUSING: Fault = ['UNAVAILABLE', 'The service accepts no more requests for now; try again later', AGAIN]
const LOCKED: Fault = ['UNAVAILABLE', 'Other requests held the locks of this one for too long', AGAIN]
const STOPPED: Fault = ['UNAVAILABLE', 'PostgreSQL stopped the statement because it took too long', AGAIN]
const REFUSED: Fault = ['UNAUTHORIZED', 'PostgreSQL rejected the user or the password; check the connection string']
const READ_ONLY: Fault = ['READ_ONLY', 'The user may not write, or the server is a replica; check the rights']
const FULL: Fault = [
  'QUOTA_EXCEEDED',
  'The disk of PostgreSQL is full, and nothing was changed; free some space and try again',
]
const NOT_OURS: Fault = [
  'SCHEMA',
  'The tables or functions of holdfast are missing, or were not made by it; open the database again',
]
const TOO_LARGE: Fault = ['PAYLOAD_TOO_LARGE', 'The request or its answer is too large; split it']
const ENDED: Fault = ['CLOSED', 'The client of PostgreSQL was closed; pass an open one']

/** Keyed by SQLSTATE, or by its class, the first two characters. */
const BY_STATE: Readonly<Record<string, Fault>> = {
  '08': UNREACHED,
  '0A000': [
    'UNSUPPORTED',
    'holdfast needs PostgreSQL 13 or newer, a UTF8 database, and isolation level read committed',
  ],
  '25006': READ_ONLY,
  '28': REFUSED,
  '3D000': ['INVALID_ARGUMENT', 'db names a database that does not exist; check the connection string'],
  '3F000': ['SCHEMA', 'No schema is selected; check the search_path of the user'],
  '40': CONTENDED,
  '40003': UNREACHED,
  '42501': READ_ONLY,
  '42P01': NOT_OURS,
  '42703': NOT_OURS,
  '42883': NOT_OURS,
  '53': DOWN,
  '53100': FULL,
  '53200': ['UNAVAILABLE', 'PostgreSQL is out of memory or locks', AGAIN],
  '54': TOO_LARGE,
  '55P03': LOCKED,
  '57014': STOPPED,
  '57P01': DOWN,
  '57P02': DOWN,
  '57P03': DOWN,
  '57P05': DOWN,
  [ANSWER_TOO_LARGE]: TOO_LARGE,
  '58': ['BACKEND', 'PostgreSQL cannot read or write its files; check the disk', { isLost: true }],
  // Poolers report this too, after losing the server.
  XX: ['BACKEND', 'PostgreSQL or its pooler failed; see the cause', LOST],
}

/** Faults without a SQLSTATE, recognised by the messages of clients. */
const BY_MESSAGE: readonly (readonly [RegExp, Fault])[] = [
  [/after calling end on the pool|client was closed|PGlite is clos|CONNECTION_ENDED/i, ENDED],
  [/status 429/i, REFUSING],
  [/request is too large|status 413/i, TOO_LARGE],
  // The statement has run; only its answer was too large to pass on.
  [/response is too large|status 507/i, [TOO_LARGE[0], TOO_LARGE[1], { isLost: true }]],
  [/password must be a string|no password/i, REFUSED],
]

const STATE = /^[0-9A-Z]{5}$/

/**
 * Drops the parameters, which are user data. Drizzle wraps errors in one whose message holds them, and postgres.js
 * keeps them on its errors.
 */
function unwrap(thrown: unknown): unknown {
  const outer = thrown as { query?: unknown; params?: unknown; cause?: unknown } | null
  const isWrapped = outer instanceof Error && outer.cause !== undefined && 'query' in outer && 'params' in outer
  const cause = isWrapped ? outer.cause : thrown
  if (!(cause instanceof Error && 'parameters' in cause)) return cause
  const { name, message, stack } = cause
  return Object.assign(new Error(message), { name, stack, code: (cause as { code?: unknown }).code })
}

/** Maps the error of a statement. Without a SQLSTATE there was no answer from the server, so its effect is unknown. */
export function failureOf(thrown: unknown): Failure {
  if (isHoldfastError(thrown)) return { error: thrown, again: false, isLost: false }
  const cause = unwrap(thrown)
  const { code, message } = Object(cause) as { code?: unknown; message?: unknown }
  const state = typeof code === 'string' && STATE.test(code) && /\d/.test(code) ? code : undefined
  if (state === NOT_A_LOG) return { error: notALog(String(message)), again: false, isLost: false }
  const said = `${typeof code === 'string' ? code : ''} ${String(message)}`
  const [ours, text, { again = false, isLost = false, retryable = false } = {}]: Fault = (state === undefined
    ? (BY_MESSAGE.find(([pattern]) => pattern.test(said))?.[1] ?? (wasNeverSent(cause) ? NOT_SENT : UNREACHED))
    : (BY_STATE[state] ?? BY_STATE[state.slice(0, 2)])) ?? ['BACKEND', 'PostgreSQL failed; see the cause']
  return { error: new HoldfastError(ours, text, { cause, retryable, details: { state } }), again, isLost }
}

/** Whether a statement failed because the schema does not exist yet. */
export const isSchemaMissing = (error: unknown): boolean =>
  isHoldfastError(error, 'SCHEMA') && ['42P01', '42883'].includes(error.details?.['state'] as string)
