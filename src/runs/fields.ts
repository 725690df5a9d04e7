/** The fields of a run that callers can set: its status, its position, and how workers treat it. @module */
import { requireGiven, requireInteger, shown } from '../core/arguments.ts'
import { decode, encode } from '../core/codec.ts'
import { invalid } from '../core/errors.ts'
import { encodeId } from '../core/keys.ts'
import { defined } from '../core/objects.ts'
import { encodeTags } from './indexes.ts'
import { changed } from './record.ts'
import type { Deadline, Priority, RetryState, RunRecord } from './state.ts'
import { type Position, type RunStatus, isRunStatus, requirePosition, statusAt } from './status.ts'

/** Fields of a run to change. A field left out stays as it is. */
export interface RunFields {
  readonly workflow?: string | undefined
  readonly definitionHash?: string | undefined
  /** Follows from `position` if only that is given; a paused run stays paused. */
  readonly status?: RunStatus | undefined
  /** Where the run is in its work; `null` for nowhere. */
  readonly position?: Position | null | undefined
  /** From 1, the most urgent, to 5; 3 by default. */
  readonly priority?: Priority | undefined
  /** Tags that a worker must have to be offered the run; at most 250 bytes together. */
  readonly tags?: readonly string[] | undefined
  /** The retry state by step id; replaces all earlier states. */
  readonly retries?: Readonly<Record<string, RetryState>> | undefined
  readonly deadline?: Deadline | null | undefined
  readonly traceParent?: string | undefined
  /** Why the run failed. */
  readonly error?: string | undefined
}

/** @throws `INVALID_ARGUMENT` for anything but well-formed Unicode text */
export function requireText(text: string, what: string): void {
  if (typeof text !== 'string' || !text.isWellFormed()) throw invalid(`${what} must be well-formed text`)
}

/**
 * Checks the fields and copies them. Records are cached, so they must not change when the caller's object does.
 *
 * @throws `INVALID_ARGUMENT` for malformed fields
 */
export function requireRunFields(fields: RunFields): RunFields {
  const { workflow, definitionHash, status, position, priority, tags, retries, deadline, traceParent, error } = fields
  if (workflow !== undefined) encodeId(workflow, 'workflow')
  if (definitionHash !== undefined) encodeId(definitionHash, 'definitionHash')
  if (traceParent !== undefined) encodeId(traceParent, 'traceParent')
  if (status !== undefined && !isRunStatus(status)) throw invalid(`status must be a run status, not ${shown(status)}`)
  if (position !== undefined && position !== null) requirePosition(position)
  if (priority !== undefined) requireInteger(priority, 'priority', 1, 5)
  if (tags !== undefined) encodeTags(tags)
  if (retries !== undefined && Object.prototype.toString.call(retries) !== '[object Object]') {
    throw invalid('retries must be an object')
  }
  for (const [stepId, state] of Object.entries(retries ?? {})) {
    const { attempts, nextRetryAt = 0, lastError, lastFailedWorker } = requireGiven(state, 'retries')
    encodeId(stepId, 'retries')
    requireInteger(attempts, 'retries.attempts')
    requireInteger(nextRetryAt, 'retries.nextRetryAt')
    if (lastError !== undefined) requireText(lastError, 'retries.lastError')
    if (lastFailedWorker !== undefined) encodeId(lastFailedWorker, 'retries.lastFailedWorker')
  }
  if (deadline !== undefined && deadline !== null) {
    encodeId(deadline.stepId, 'deadline.stepId')
    requireInteger(deadline.at, 'deadline.at')
  }
  if (error !== undefined) requireText(error, 'error')
  const known = { workflow, definitionHash, status, position, priority, tags, retries, deadline, traceParent, error }
  return decode(encode(defined(known))) as RunFields
}

/** The run with the fields applied. */
export function withFields(run: RunRecord, fields: RunFields, now: number): RunRecord {
  const { status, position, deadline, workflow, definitionHash, priority, tags, retries, traceParent, error } = fields
  const told = defined({ workflow, definitionHash, priority, tags, retries, traceParent, error })
  const isPaused = run.status === 'paused' && status === undefined
  const follows = isPaused || !position ? run.status : statusAt(position)
  return changed(
    run,
    {
      ...told,
      status: status ?? follows,
      ...(position !== undefined && { position: position ?? undefined }),
      // A paused run resumes with the status of its new position.
      ...(isPaused && position && run.stopped && { stopped: { ...run.stopped, from: statusAt(position) } }),
      ...(deadline !== undefined && { deadline: deadline ?? undefined }),
    },
    now,
  )
}
