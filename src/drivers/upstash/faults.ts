/** Maps errors of servers and clients. Never keeps a command, whose arguments are the user's data. @module */
import { type ErrorCode, HoldfastError } from '../../core/errors.ts'
import { wasNeverSent } from '../shared/network.ts'

/** The fault of one attempt. */
export interface Fault {
  readonly code: ErrorCode
  readonly message: string
  /** Whether another attempt may succeed. */
  readonly again: boolean
  /** Whether the attempt may have taken effect. */
  readonly unknown: boolean
  readonly cause?: unknown
}

type Row = readonly [pattern: RegExp, code: ErrorCode, message: string, again?: 'again']

/** Error replies. They mean that nothing has changed: the script fails before its first change, or not at all. */
const REPLIES: readonly Row[] = [
  [
    /WRONGPASS|NOAUTH|unauthorized|invalid.*password/i,
    'UNAUTHORIZED',
    'The server rejected the token or password; check it',
  ],
  [
    /NOPERM/,
    'UNAUTHORIZED',
    'The token or user may not run scripts that write; use the standard token, not the read-only one',
  ],
  [/READONLY/, 'READ_ONLY', 'The server is a read-only replica; connect to its primary'],
  [
    /\bOOM\b|max.*(storage|size of the database|data ?size)/i,
    'QUOTA_EXCEEDED',
    'The memory of the server is full, and nothing was changed; free some memory and try again',
  ],
  [
    /max (daily |monthly )?requests? limit/i,
    'QUOTA_EXCEEDED',
    'The plan allows no more requests for now; raise its limit',
  ],
  [/max request size|max record size/i, 'PAYLOAD_TOO_LARGE', 'The request is larger than the server accepts; split it'],
  [
    /unknown command|NOSCRIPT|not allowed from script/i,
    'UNSUPPORTED',
    'The server runs no scripts; enable EVAL and EVALSHA',
  ],
  [/CROSSSLOT|MOVED|\bASK\b/, 'UNSUPPORTED', 'The server is part of a cluster; pass a cluster client'],
  [/WRONGTYPE/, 'SCHEMA', 'A key of this namespace is of another type and not ours; choose another namespace'],
  [
    /LOADING|BUSY|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|NOREPLICAS|MISCONF|max concurrent|per second|rate limit|too many/i,
    'UNAVAILABLE',
    'The server accepts no commands now; try again later',
    'again',
  ],
]

const CLOSED = 'The connection was closed by its owner; open it again'
/** Errors of clients that never asked the server. */
const CLIENTS: readonly Row[] = [
  [/client is closed/, 'CLOSED', CLOSED],
  [/Failed to parse URL|Invalid URL/i, 'INVALID_ARGUMENT', 'The URL of the client is not one'],
]

/** An error reply of a server starts with a code. Some replies of Upstash have none. */
const REPLY = /^(?:Command failed: )?(?:[A-Z]{2,}\b|[Uu]nauthorized)/

/** The error's own message. After it, Upstash's client quotes the command, which holds user data. */
export function saidBy(cause: unknown): string {
  const { message } = Object(cause) as { message?: unknown }
  return typeof message === 'string' ? message.split(', command was:')[0]! : ''
}

/** Maps the error of an attempt. */
export function faultOf(cause: unknown): Fault {
  const { name } = Object(cause) as { name?: string }
  const text = saidBy(cause)
  const row =
    CLIENTS.find(([pattern]) => pattern.test(text)) ??
    (REPLY.test(text) ? REPLIES.find(([pattern]) => pattern.test(text)) : undefined)
  if (row !== undefined) {
    const [, code, message, again] = row
    return { code, message, again: again !== undefined, unknown: false }
  }
  if (/^(Command failed: )?ERR\b/.test(text)) {
    const reason = 'The server rejected a command of the driver; its version may not be supported'
    return { code: 'BACKEND', message: reason, again: false, unknown: true }
  }
  // ioredis reports this for commands that it never sent, and for those whose answers it no longer awaits.
  if (/Connection is closed/.test(text)) return { code: 'CLOSED', message: CLOSED, again: false, unknown: true }
  if (name === 'UpstashJSONParseError') {
    const reason = 'The server at this URL does not speak the REST protocol of Upstash; check the URL'
    return { code: 'UNAVAILABLE', message: reason, again: true, unknown: true }
  }
  const message = 'The server cannot be reached, or its answer was lost; try again later'
  // A network error names at most hosts and ports. An error of the client may quote the command.
  const isQuoting = name === 'UpstashError'
  return { code: 'UNAVAILABLE', message, again: true, unknown: !wasNeverSent(cause), ...(!isQuoting && { cause }) }
}

/** The error for a fault after the last attempt. */
export const errorOf = ({ code, message, again, cause }: Fault, ambiguous: boolean): HoldfastError =>
  new HoldfastError(code, message, { cause, retryable: again, ambiguous })
