/** The states of a run. @module */

/** How a run can end. */
export type Completion = 'completed' | 'failed' | 'cancelled' | 'compensated'

/** Where a run stands. */
export type RunStatus = 'pending' | 'running' | 'waiting' | 'paused' | Completion

const COMPLETIONS: readonly string[] = ['completed', 'failed', 'cancelled', 'compensated'] satisfies Completion[]

/** Whether a run with this status has ended. */
export const isTerminal = (status: string | undefined): status is Completion =>
  status !== undefined && COMPLETIONS.includes(status)

/** Whether this is the status of a run. */
export const isRunStatus = (status: unknown): status is RunStatus =>
  ['pending', 'running', 'waiting', 'paused', ...COMPLETIONS].includes(status as string)
