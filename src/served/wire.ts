/**
 * The messages between a served driver and its callers, for every transport: received requests are rebuilt, and errors
 * and bytes arrive complete.
 *
 * No object of a received request reaches a driver. Every object is made anew from the members that the contract names,
 * each of its type, and then checked against the limits. So a malformed or hostile request is refused here, in one
 * place.
 *
 * @module
 */
import type {
  Answer,
  Capabilities,
  Check,
  Commit,
  CommitAnswer,
  CommitRequest,
  Current,
  Expiry,
  EntryKey,
  Limits,
  Op,
  Read,
  ReadAnswer,
  Value,
} from '../core/driver.ts'
import { MAX_TIME, requireInteger } from '../core/arguments.ts'
import { type ErrorCode, HoldfastError, invalid, isHoldfastError } from '../core/errors.ts'
import { requireName, validateCommits, validateReads } from '../core/validate.ts'

/** An error in a message: a `HoldfastError` without its cause. */
export interface WireError {
  readonly code: ErrorCode
  readonly message: string
  readonly retryable: boolean
  readonly ambiguous: boolean
  readonly details?: unknown
}

/** The capabilities of a served driver: all callers write through one process and share its clock. */
export const served = (capabilities: Capabilities): Capabilities => ({
  ...capabilities,
  writers: 'many',
  clock: 'shared',
})

/**
 * Converts an error for a message.
 *
 * @param cause - any caught value; one from outside this package becomes `BACKEND`, without its message
 * @param ambiguous - whether such an error leaves the outcome unknown
 */
export function toWireError(cause: unknown, ambiguous: boolean): WireError {
  if (!isHoldfastError(cause)) {
    return { code: 'BACKEND', message: 'The backend failed', retryable: false, ambiguous }
  }
  const { code, message, retryable, details } = cause
  return { code, message, retryable, ambiguous: cause.ambiguous, ...(details && { details: plain(details) }) }
}

/** The error that {@link toWireError} converted; `undefined` for anything else. */
export function fromWireError(raw: unknown): HoldfastError | undefined {
  const { code, message, retryable, ambiguous, details } = (raw ?? {}) as Partial<WireError>
  if (typeof code !== 'string') return undefined
  return new HoldfastError(code, String(message), {
    retryable: retryable === true,
    ambiguous: ambiguous === true,
    details: details as Record<string, unknown> | undefined,
  })
}

/** Facts in a form that every transport can carry. */
function plain(details: object): unknown {
  try {
    return JSON.parse(JSON.stringify(details)) as unknown
  } catch {
    return undefined
  }
}

/** Replaces every value of a request, in the order of the ops. */
export const mapRequest = (
  { commits, ...request }: CommitRequest,
  map: (value: Value) => unknown,
): Omit<CommitRequest, 'commits'> & { commits: unknown[] } => ({
  ...request,
  commits: commits.map((commit) => ({
    ...commit,
    ops: commit.ops.map((op) => ('value' in op ? { ...op, value: map(op.value) } : op)),
  })),
})

/** Replaces every value of an answer, in the order of the entries. */
export function mapAnswer<A extends ReadAnswer | CommitAnswer>(answer: A, map: (value: Value) => unknown): A {
  const entry = <E extends Current>(it: E): E =>
    it.value === undefined ? it : { ...it, value: map(it.value) as Value }
  const one = (it: Answer): Answer =>
    it && ('value' in it ? entry(it) : 'entries' in it ? { ...it, entries: it.entries.map(entry) } : it)
  if ('answers' in answer) return { ...answer, answers: answer.answers.map(one) }
  return {
    ...answer,
    outcomes: answer.outcomes.map((outcome) =>
      outcome.ok
        ? outcome
        : {
            ok: false,
            failed: outcome.failed.map((it) =>
              it.current && 'version' in it.current ? { ...it, current: entry(it.current) } : it,
            ),
          },
    ),
  }
}

/**
 * Rebuilds received questions.
 *
 * @throws `INVALID_ARGUMENT` for anything malformed; `PAYLOAD_TOO_LARGE` for anything over the limits
 */
export function readsOf(raw: unknown, limits: Limits): readonly Read[] {
  const reads = listOf(raw, 'reads').map((it): Read => {
    const read = objectOf(it, 'A read')
    switch (kindOf(read, READS)) {
      case 'get':
        return { get: keyOf(read['get']) }
      case 'range': {
        const { part, limit, reverse, keysOnly, ...rest } = objectOf(read['range'], 'A range')
        return {
          range: {
            part: nameOf(part),
            ...boundsOf(rest),
            limit: limit as number,
            reverse: reverse === true,
            keysOnly: keysOnly === true,
          },
        }
      }
      default: {
        const range = objectOf(read['parts'], 'A range of parts')
        return { parts: { ...boundsOf(range), limit: range['limit'] as number } }
      }
    }
  })
  validateReads(reads, limits)
  return reads
}

/**
 * Rebuilds a received commit request.
 *
 * @param limits - the limits of the request
 * @param valueOf - makes a value from its placeholder; called in the order of the ops
 * @throws `INVALID_ARGUMENT` for anything malformed; `PAYLOAD_TOO_LARGE` for anything over the limits
 */
export function commitRequestOf(
  raw: unknown,
  limits: Limits,
  valueOf: (raw: unknown) => Value = (value) => value as Value,
): CommitRequest {
  const { id, commits, deadline } = objectOf(raw, 'A commit request')
  const request = {
    id: idOf(id),
    ...(deadline !== undefined && { deadline: timeOf(deadline) }),
    commits: listOf(commits, 'commits').map((it): Commit => {
      const commit = objectOf(it, 'A commit')
      return {
        id: idOf(commit['id']),
        checks: listOf(commit['checks'], 'checks').map(checkOf),
        ops: listOf(commit['ops'], 'ops').map((op) => opOf(op, valueOf)),
        durability: commit['durability'] as Commit['durability'],
      }
    }),
  }
  validateCommits(request.commits, limits)
  return request
}

const READS = ['get', 'range', 'parts'] as const
const CHECKS = ['at', 'log'] as const
const OPS = ['put', 'append', 'delete', 'trim', 'deleteRange', 'deletePart'] as const
/** The longest id that a caller may choose, in characters. */
const MAX_ID_LENGTH = 256

function checkOf(raw: unknown): Check {
  const check = objectOf(raw, 'A check')
  if (kindOf(check, CHECKS) === 'log') {
    return { log: keyOf(check['log']), last: requireInteger(check['last'] as number, 'last') }
  }
  const { at, version } = check
  return { at: keyOf(at), version: version === null ? null : nameOf(version) }
}

function opOf(raw: unknown, valueOf: (raw: unknown) => Value): Op {
  const op = objectOf(raw, 'An op')
  switch (kindOf(op, OPS)) {
    case 'put': {
      const expires = op['expires'] === undefined ? undefined : expiryOf(op['expires'])
      return { put: keyOf(op['put']), value: valueOf(op['value']), ...(expires && { expires }) }
    }
    case 'append': {
      const { append, value, ref } = op
      return { append: keyOf(append), value: valueOf(value), ...(ref !== undefined && { ref: nameOf(ref) }) }
    }
    case 'delete':
      return { delete: keyOf(op['delete']) }
    case 'trim':
      return { trim: keyOf(op['trim']), through: op['through'] as number }
    case 'deleteRange': {
      const range = objectOf(op['deleteRange'], 'deleteRange')
      return { deleteRange: { part: nameOf(range['part']), ...boundsOf(range) } }
    }
    default:
      return { deletePart: nameOf(op['deletePart']) }
  }
}

/** Clocks may have fractions of milliseconds. */
function timeOf(raw: unknown): number {
  if (typeof raw === 'number' && raw >= 0 && raw <= MAX_TIME) return Math.trunc(raw)
  throw invalid(`deadline must be a time from 0 to ${MAX_TIME}`)
}

function expiryOf(raw: unknown): Expiry {
  const expires = objectOf(raw, 'expires')
  const kind = kindOf(expires, ['in', 'at'] as const)
  const time = expires[kind]
  if (typeof time !== 'number') throw invalid(`expires must be a number of milliseconds, not ${typeof time}`)
  return kind === 'in' ? { in: time } : { at: time }
}

function keyOf(raw: unknown): EntryKey {
  const { part, key } = objectOf(raw, 'A key')
  return { part: nameOf(part), key: nameOf(key) }
}

const boundsOf = ({ start, end }: Record<string, unknown>): { start: string; end: string } => ({
  start: nameOf(start),
  end: nameOf(end),
})

function nameOf(raw: unknown): string {
  if (typeof raw !== 'string') throw invalid(`A key must be text, not ${typeof raw}`)
  requireName(raw)
  return raw
}

function idOf(raw: unknown): string {
  const id = nameOf(raw)
  if (id.length > MAX_ID_LENGTH) throw invalid(`An id must have at most ${MAX_ID_LENGTH} characters, not ${id.length}`)
  return id
}

/** The kind of an object. Exactly one of the names must be a member. */
function kindOf<const K extends string>(object: Record<string, unknown>, kinds: readonly K[]): K {
  const found = kinds.filter((kind) => object[kind] !== undefined)
  if (found.length !== 1) throw invalid(`Exactly one of ${kinds.join(', ')} must be given, not ${found.length}`)
  return found[0]!
}

function objectOf(raw: unknown, what: string): Record<string, unknown> {
  if (typeof raw === 'object' && raw !== null && !Array.isArray(raw)) return raw as Record<string, unknown>
  throw invalid(`${what} must be an object`)
}

function listOf(raw: unknown, what: string): readonly unknown[] {
  if (Array.isArray(raw)) return raw
  throw invalid(`${what} must be a list`)
}
