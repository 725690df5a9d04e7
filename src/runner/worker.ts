/** Whoever takes up runs that are ready: what all of them do with one. @module */
import { requireGiven, requireInteger } from '../core/arguments.ts'
import { innerOf } from '../core/database.ts'
import { isHoldfastError } from '../core/errors.ts'
import type { Holdfast } from '../holdfast.ts'
import type { AvailableTask, WorkerInfo } from '../runs/dispatch.ts'
import { WORK, messageOf } from './context.ts'
import { type Duration, toMilliseconds } from '../core/duration.ts'
import { run } from './run.ts'
import type { RunOptions, Workflow } from './types.ts'

/** Options of whoever takes up runs. */
export interface WorkerOptions extends Omit<RunOptions, 'runId' | 'workflow' | 'input' | 'autoComplete'> {
  /** The workflows that this worker can run, by name. */
  readonly workflows: Readonly<Record<string, Workflow<unknown, never>>>
  /** How many runs at a time; 1 by default. */
  readonly concurrency?: number
  /**
   * How often it looks for runs that are ready, and for timers that are due; `'1 s'` by default. A run that threw is not
   * taken up again for twice as long.
   */
  readonly pollInterval?: Duration
  /** Told of what a run threw: a lost claim, a backend that fails. The worker goes on. */
  readonly onError?: (error: unknown, runId: string | undefined) => void
}

/** Makes what takes up runs. @throws `INVALID_ARGUMENT` */
export function createWorker(
  holdfast: Holdfast,
  options: WorkerOptions,
): {
  /** What it can be offered. */
  readonly asking: WorkerInfo
  readonly concurrency: number
  /** In milliseconds. */
  readonly pollInterval: number
  onError(error: unknown, runId: string | undefined): void
  /** Runs what was offered; where that throws, tells of it, puts the run off, and resolves with `false`. */
  take(task: AvailableTask): Promise<boolean>
} {
  const { workflows, concurrency = 1, pollInterval: interval = '1 s', ...rest } = requireGiven(options, 'options')
  const { workerId = innerOf(holdfast.db).newId(), onError = () => {}, tags: _, ...asRun } = rest
  const pollInterval = toMilliseconds(interval, 'pollInterval')
  requireInteger(concurrency, 'concurrency', 1)

  /** Has a run that cannot be run wait behind the others. */
  const putOff = (runId: string, error: string): Promise<unknown> =>
    holdfast.workflows
      .failTask(runId, WORK.stepId, { error, workerId, retryAt: holdfast.db.now() + 2 * pollInterval })
      .catch(() => {})

  return {
    asking: { workerId, tags: options.tags, workflows: Object.keys(workflows) },
    concurrency,
    pollInterval,
    onError,
    async take({ runId, workflow = '' }) {
      try {
        await run(holdfast, { ...asRun, runId, workflow, workerId }, workflows[workflow] as Workflow)
        return true
      } catch (error) {
        if (options.signal?.aborted || isHoldfastError(error, 'CLOSED')) throw error
        onError(error, runId)
        if (!isHoldfastError(error, 'CLAIM_LOST')) await putOff(runId, messageOf(error))
        return false
      }
    },
  }
}
