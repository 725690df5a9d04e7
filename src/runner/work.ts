/** A worker that runs until it is stopped. @module */
import type { AnyWorkflow } from './types.ts'
import { sleep } from '../core/abort.ts'
import { requireOptions, shown } from '../core/arguments.ts'
import { invalid, isHoldfastError } from '../core/errors.ts'
import type { Holdfast } from '../holdfast.ts'
import type { AvailableTask } from '../runs/dispatch.ts'
import { retryAside } from './retry-aside.ts'
import { WORKER, type WorkerOptions, createWorker } from './worker.ts'

/** Options of {@link work}. */
export interface WorkOptions extends WorkerOptions {
  /** Stops the worker. Runs in progress are released, and another worker can continue them. */
  readonly signal: AbortSignal
}

/**
 * Works on every run that is ready, until its signal is aborted. A run is ready if it is new, its worker died, its sleep is
 * over, or its message has come.
 *
 * At the start it retries once the runs that were put aside because other code wrote their log: this code may be the
 * right one.
 *
 * @param holdfast - the stores of the runs' tenant
 * @param workflows - the workflows that this worker can run; several versions of one are allowed
 * @param options - `signal` stops it; also how many runs at a time, and how to run them
 * @returns a promise that resolves once the worker has stopped: its signal was aborted, or the database was closed.
 *   Errors of runs and of the backend go to `onError`
 * @throws `INVALID_ARGUMENT` for malformed workflows or options
 */
export async function work(holdfast: Holdfast, workflows: readonly AnyWorkflow[], options: WorkOptions): Promise<void> {
  const { signal } = requireOptions<WorkOptions>(options, WORKER)
  if (typeof signal?.aborted !== 'boolean') throw invalid(`signal must be an AbortSignal, not ${shown(signal)}`)
  const { asking, advance, concurrency, pollInterval, onError, take } = createWorker(holdfast, workflows, options)
  const { claims } = holdfast
  let isOver = false
  /** How many more runs this worker may take. */
  const places = { free: concurrency }
  let onFree = (): void => {}
  /** Resolves when a run under way has come to its end. */
  const freed = (): Promise<void> => new Promise((resolve) => (onFree = resolve))

  /** Reports an error, unless the worker has stopped: its signal was aborted, or the database was closed. */
  function told(error: unknown): boolean {
    isOver ||= isHoldfastError(error, 'CLOSED')
    if (signal.aborted || isOver) return false
    onError(error, undefined)
    return true
  }

  /** Waits for runs, at most for the poll interval. One look serves all that are free: separate ones would find the same. */
  async function look(): Promise<readonly AvailableTask[]> {
    await advance()
    const first = await claims.waitForWakeup({ ...asking(), timeout: pollInterval, pollInterval, signal })
    if (!first || places.free === 1) return first ? [first] : []
    return claims.findAvailableTasks({ ...asking(), limit: places.free, signal })
  }

  async function begin(task: AvailableTask): Promise<void> {
    places.free--
    try {
      await take(task)
    } catch (error) {
      told(error)
    } finally {
      places.free++
      onFree()
    }
  }

  if (!signal.aborted) await retryAside(holdfast, workflows, options).catch(told)
  while (!signal.aborted && !isOver) {
    if (places.free === 0) {
      await freed()
      continue
    }
    try {
      for (const task of await look()) void begin(task)
    } catch (error) {
      if (told(error)) await sleep(pollInterval, signal).catch(() => {})
    }
  }
  while (places.free < concurrency) await freed()
}
