/** The states of a run, and its position in its work. @module */
import { requireInteger, shown } from '../core/arguments.ts'
import { invalid } from '../core/errors.ts'
import { encodeId } from '../core/keys.ts'

/** How a run can end. */
export type Completion = 'completed' | 'failed' | 'cancelled' | 'compensated'

/** The state of a run. */
export type RunStatus = 'pending' | 'running' | 'waiting' | 'paused' | Completion

/** The state of a step. */
export type StepStatus = 'pending' | 'running' | 'waiting' | 'completed' | 'failed' | 'cancelled' | 'skipped'

/**
 * The position of a run in its work.
 *
 * | kind | the run |
 * | --- | --- |
 * | `step` | is to run this step |
 * | `fork` | runs `branches` side by side; those in `completed` are done. With `wakeAt`, it waits until then |
 * | `join` | has finished all branches, and goes on |
 * | `delay` | sleeps until `wakeAt`, then goes on at `next`, or completes if there is none |
 * | `message` | waits for a message of this name, at most until `wakeAt`, then goes on like `delay` |
 * | `wait` | waits for the first of: a time, a message of one of the names, the end of one of the runs |
 * | `loop` | is in this iteration of a loop |
 *
 * `stepId` names the fork, the delay and so on. Times are in milliseconds since 1970 by the backend's clock.
 */
export type Position =
  | { readonly kind: 'step'; readonly stepId: string }
  | {
      readonly kind: 'fork'
      readonly stepId: string
      readonly branches: readonly string[]
      readonly completed?: readonly string[] | undefined
      readonly wakeAt?: number | undefined
    }
  | { readonly kind: 'join'; readonly stepId: string; readonly completed?: readonly string[] | undefined }
  | { readonly kind: 'delay'; readonly stepId: string; readonly wakeAt: number; readonly next?: string | undefined }
  | {
      readonly kind: 'message'
      readonly stepId: string
      readonly name: string
      readonly wakeAt?: number | undefined
      readonly next?: string | undefined
    }
  | {
      readonly kind: 'wait'
      readonly stepId: string
      readonly wakeAt?: number | undefined
      /** Names of messages. */
      readonly names?: readonly string[] | undefined
      /** Ids of other runs. */
      readonly runs?: readonly string[] | undefined
      readonly next: string
    }
  | {
      readonly kind: 'loop'
      readonly stepId: string
      readonly iteration: number
      readonly next?: string | undefined
    }

const COMPLETIONS: readonly unknown[] = ['completed', 'failed', 'cancelled', 'compensated'] satisfies Completion[]
const STATUSES: readonly unknown[] = ['pending', 'running', 'waiting', 'paused', ...COMPLETIONS]
const STEP_COMPLETIONS: readonly unknown[] = ['completed', 'failed', 'cancelled', 'skipped'] satisfies StepStatus[]
const STEP_STATUSES: readonly unknown[] = ['pending', 'running', 'waiting', ...STEP_COMPLETIONS]

/** The position of a run that a worker of `holdfast/run` works on, or is to work on. */
export const WORK: Extract<Position, { readonly kind: 'step' }> = { kind: 'step', stepId: 'work' }

/** Whether a run with this status has ended. */
export const isTerminal = (status: unknown): status is Completion => COMPLETIONS.includes(status)

/** Whether a value is the status of a run. */
export const isRunStatus = (status: unknown): status is RunStatus => STATUSES.includes(status)

/** Whether a step with this status has ended. */
export const isStepTerminal = (status: unknown): boolean => STEP_COMPLETIONS.includes(status)

/** Whether a value is the status of a step. */
export const isStepStatus = (status: unknown): status is StepStatus => STEP_STATUSES.includes(status)

/** When a run at this position goes on by itself; `undefined` if it does not wait for a time. */
export const wakeAtOf = (position: Position | undefined): number | undefined =>
  position && 'wakeAt' in position ? position.wakeAt : undefined

/** The status of a run at this position. */
export const statusAt = (position: Position): 'waiting' | 'running' =>
  position.kind === 'message' || position.kind === 'wait' || wakeAtOf(position) !== undefined ? 'waiting' : 'running'

/** The steps that are ready at this position; they can run side by side. */
export function stepsAt(position: Position): readonly string[] {
  if (position.kind !== 'fork') return [position.stepId]
  const { branches, completed = [] } = position
  return branches.filter((branch) => !completed.includes(branch))
}

/** @throws `INVALID_ARGUMENT` for a malformed position */
export function requirePosition(position: Position): Position {
  const { kind, stepId, next, name, wakeAt, iteration, branches, completed, names, runs } =
    position as unknown as Record<string, unknown>
  if (!['step', 'fork', 'join', 'delay', 'message', 'wait', 'loop'].includes(kind as string)) {
    throw invalid(`position.kind must be step, fork, join, delay, message, wait or loop, not ${shown(kind)}`)
  }
  encodeId(stepId as string, 'position.stepId')
  if (next !== undefined || kind === 'wait') encodeId(next as string, 'position.next')
  if (kind === 'message') encodeId(name as string, 'position.name')
  if (kind === 'delay' || wakeAt !== undefined) requireInteger(wakeAt as number, 'position.wakeAt')
  if (kind === 'loop') requireInteger(iteration as number, 'position.iteration')
  const lists = {
    branches: kind === 'fork' ? branches : [],
    completed: completed ?? [],
    names: names ?? [],
    runs: runs ?? [],
  }
  for (const [what, ids] of Object.entries(lists)) {
    if (!Array.isArray(ids)) throw invalid(`position.${what} must be an array, not ${shown(ids)}`)
    for (const id of ids) encodeId(id as string, `position.${what}`)
    if (new Set(ids).size < ids.length) throw invalid(`position.${what} must not contain an id twice`)
  }
  return position
}
