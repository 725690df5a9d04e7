/** A worker: runs whatever is ready. @module */
import { sleep } from '../core/abort.ts'
import { requireInteger } from '../core/arguments.ts'
import { isHoldfastError } from '../core/errors.ts'
import type { Holdfast } from '../holdfast.ts'
import { WORK, messageOf } from './context.ts'
import { type Duration, toMilliseconds } from './duration.ts'
import { run } from './run.ts'
import type { RunOptions, Workflow } from './types.ts'

/** Options of {@link work}. */
export interface WorkOptions extends Omit<RunOptions, 'runId' | 'workflow' | 'input' | 'signal' | 'autoComplete'> {
  /** The workflows that this worker can run, by name. */
  readonly workflows: Readonly<Record<string, Workflow<unknown, never>>>
  /** How many runs at a time; 1 by default. */
  readonly concurrency?: number
  /** How often it looks for runs that are ready, and for timers that are due; `'1 s'` by default. */
  readonly pollInterval?: Duration
  /** Ends the work. Runs under way are left as they are, for whoever takes them over. */
  readonly signal: AbortSignal
  /** Told of what a run threw: a lost claim, a backend that fails. The worker goes on. */
  readonly onError?: (error: unknown, runId: string | undefined) => void
}

/**
 * Runs what is ready until its signal is aborted: runs that nobody has taken up, whose process has died, whose sleep is
 * over, whose message has come.
 *
 * @param holdfast - the stores of the tenant whose runs they are
 * @param options - which workflows, and how
 */
export async function work(holdfast: Holdfast, options: WorkOptions): Promise<void> {
  const { workflows, concurrency = 1, signal, onError = () => {}, tags, ...rest } = options
  const { workerId = holdfast.db.newId() } = options
  const names = Object.keys(workflows)
  const pollInterval = toMilliseconds(options.pollInterval ?? '1 s', 'pollInterval')
  requireInteger(concurrency, 'concurrency', 1)

  async function takeOne(): Promise<void> {
    let runId: string | undefined
    try {
      // A run that is to be cancelled has to be undone first.
      await holdfast.timers.advanceDue({ signal, leaveSignalled: true })
      const task = await holdfast.claims.waitForWakeup(
        { workerId, tags, workflows: names, timeout: pollInterval, pollInterval },
        { signal },
      )
      const workflow = task?.workflow
      if (workflow === undefined) return
      runId = task!.runId
      await run(holdfast, { ...rest, runId, workflow, workerId, signal }, workflows[workflow] as Workflow)
    } catch (error) {
      isOver ||= isHoldfastError(error, 'CLOSED')
      if (signal.aborted || isOver) return
      onError(error, runId)
      if (runId !== undefined && !isHoldfastError(error, 'CLAIM_LOST')) await putOff(runId, messageOf(error))
      await sleep(pollInterval, signal).catch(() => {})
    }
  }

  /** Has a run that cannot be run wait behind the others. */
  const putOff = (runId: string, error: string): Promise<unknown> =>
    holdfast.workflows
      .failTask(runId, WORK.stepId, { error, workerId, retryAt: holdfast.db.now() + 2 * pollInterval })
      .catch(() => {})

  let isOver = false
  const lanes = Array.from({ length: concurrency }, async () => {
    while (!signal.aborted && !isOver) await takeOne()
  })
  await Promise.all(lanes)
}
