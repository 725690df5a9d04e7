/**
 * The events that the runner writes, and the call of the workflow that each belongs to: kind, name and number.
 *
 * @module
 */
import type { RunEvent } from '../runs/events.ts'

/** The fields of a log entry that a replay reads. */
export type LogEvent = Pick<RunEvent, 'seq' | 'at' | 'kind' | 'stepId' | 'payload'>

/** The kinds of calls. */
export type CallKind = 'step' | 'sleep' | 'message' | 'child' | 'result' | 'patch'

/**
 * The kinds of events. After those in this set, the call keeps waiting.
 *
 * | kind | meaning | payload |
 * | --- | --- | --- |
 * | `step.completed` | a step succeeded | the result |
 * | `step.failed` | the last attempt failed | `{ attempt, error }` |
 * | `step.retried` | an attempt failed, another follows | `{ attempt, error, retryAt }` |
 * | `step.started` | a step with `atMostOnce` begins | |
 * | `sleep.started` | a sleep began | when it ends |
 * | `sleep.completed` | a sleep ended | |
 * | `message.awaited` | a wait began | when it times out, if ever |
 * | `message.received` | a wait ended with a message | the message's payload |
 * | `message.timedOut` | a wait ended without a message | |
 * | `child.started` | another run was started | its id |
 * | `child.failed` | the start of another run was refused | `{ error }` |
 * | `result.awaited` | the wait for another run began | its id |
 * | `result.received` | the other run has ended | how it ended |
 * | `patch.passed` | the workflow reached `ctx.patch` for the first time | |
 * | `run.undoing` | the undoing of steps begins | why |
 * | `run.completed`, `run.failed`, … | the run has ended | the result, or the error |
 * | `intervention.taken` | an operator decided the result of a call | `{ value }` |
 */
const NOTES: ReadonlySet<string> = new Set([
  'step.retried',
  'step.started',
  'sleep.started',
  'message.awaited',
  'result.awaited',
  'patch.passed',
])
const KINDS = /^(?:step|sleep|message|child|result|patch)\./
const ENDS = /^run\.(?:completed|failed|compensated|cancelled)$/

export const UNDOING = 'run.undoing'
export const INTERVENTION = 'intervention.taken'

/** Whether an event is only a note: its call keeps waiting. */
export const isNote = ({ kind }: LogEvent): boolean => NOTES.has(kind)

/** The key of a call. */
export const keyOf = (kind: CallKind | 'run', id: string): string => `${kind} ${id}`

/** The key of the call that an event belongs to; `undefined` for events that the runner did not write. */
export function callOf({ kind, stepId }: LogEvent): string | undefined {
  if (kind === UNDOING) return keyOf('run', 'undoing')
  if (ENDS.test(kind)) return keyOf('run', 'end')
  return stepId !== undefined && KINDS.test(kind)
    ? keyOf(kind.slice(0, kind.indexOf('.')) as CallKind, stepId)
    : undefined
}
