/**
 * What the runner writes in a run's log, and which call of the workflow each event belongs to: kind, name and number.
 *
 * @module
 */
import type { RunEvent } from '../runs/events.ts'

/** Of a log, what counts for a replay. */
export type LogEvent = Pick<RunEvent, 'seq' | 'at' | 'kind' | 'stepId' | 'payload'>

/** The kinds of calls. */
export type CallKind = 'step' | 'sleep' | 'message' | 'child' | 'result' | 'patch'

/**
 * | kind | what has happened | its payload |
 * | --- | --- | --- |
 * | `step.completed` | a step was done | the result |
 * | `step.failed` | for the last time | `{ attempt, error }` |
 * | `step.retried` | an attempt failed, another follows | `{ attempt, error, retryAt }` |
 * | `step.started` | a step that is done at most once begins | |
 * | `sleep.started`, `sleep.completed` | | when it is over |
 * | `message.awaited` | a wait began | when it is over |
 * | `message.received`, `message.timedOut` | it is over | the message |
 * | `child.started` | another run was started | its id |
 * | `result.awaited`, `result.received` | another run is waited for, or has ended | how it ended |
 * | `patch.passed` | the workflow came to `ctx.patch` for the first time | |
 * | `run.undoing` | what was done begins to be undone | why |
 * | `run.completed`, `run.failed`, … | the run has ended | the result, or why |
 * | `intervention.taken` | an operator decided what a call gives | `{ value }` |
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

/** Whether an event delivers nothing: its call goes on to be outstanding. */
export const isNote = ({ kind }: LogEvent): boolean => NOTES.has(kind)

/** Names a call. */
export const keyOf = (kind: CallKind | 'run', id: string): string => `${kind} ${id}`

/** Which call an event belongs to; `undefined` for what others have written in the log. */
export function callOf({ kind, stepId }: LogEvent): string | undefined {
  if (kind === UNDOING) return keyOf('run', 'undoing')
  if (ENDS.test(kind)) return keyOf('run', 'end')
  return stepId !== undefined && KINDS.test(kind)
    ? keyOf(kind.slice(0, kind.indexOf('.')) as CallKind, stepId)
    : undefined
}
