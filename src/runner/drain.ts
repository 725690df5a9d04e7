/** A worker that comes and goes: runs what is ready, and ends. @module */
import type { AnyWorkflow } from './types.ts'
import { requireInteger } from '../core/arguments.ts'
import type { Holdfast } from '../holdfast.ts'
import { retryAside } from './aside.ts'
import { type WorkerOptions, createWorker } from './worker.ts'

/** Options of {@link drain}. */
export interface DrainOptions extends WorkerOptions {
  /** The most runs that are taken up, from 1 to 10 000; 100 by default. One that becomes ready again counts again. */
  readonly limit?: number
}

const DEFAULT_LIMIT = 100
const MAX_LIMIT = 10_000

/**
 * Runs what is ready, as `work` does, and returns when nothing is: for alarms, cron triggers and requests, where no
 * process stays. What it leaves has to be looked at again at `timers.nextDue()`: what waits for a time, and what a worker has
 * claimed that may be dead.
 *
 * @param holdfast - the stores of the tenant whose runs they are
 * @param workflows - what it can run; several versions of one, too
 * @param options - how; the signal leaves runs under way to whoever takes them over
 * @returns how many were taken up; as many as `limit` where there may be more
 * @throws `INVALID_ARGUMENT`, `ABORTED`, `CLOSED`; what the backend throws where it is asked for runs. What a run throws
 *   is told to `onError`
 *
 * @example
 * ```ts
 * import { createHoldfast, memory } from 'holdfast'
 * import { defineWorkflow, drain, start } from 'holdfast/run'
 *
 * const holdfast = createHoldfast({ driver: memory() })
 * const order = defineWorkflow({ name: 'order' }, async () => 'shipped')
 * await start(holdfast, order, { runId: 'order-17' })
 * console.log(await drain(holdfast, [order])) // 1
 * ```
 */
export async function drain(
  holdfast: Holdfast,
  workflows: readonly AnyWorkflow[],
  options: DrainOptions = {},
): Promise<number> {
  const { asking, concurrency, take } = createWorker(holdfast, workflows, options)
  const { limit = DEFAULT_LIMIT, signal } = options
  requireInteger(limit, 'limit', 1, MAX_LIMIT)
  await retryAside(holdfast, workflows, options)
  let taken = 0
  // oxlint-disable-next-line no-unmodified-loop-condition -- the lanes count
  while (taken < limit) {
    // A run that is to be cancelled has to be undone first.
    await holdfast.timers.advanceDue({ signal, leaveSignalled: true })
    const tasks = await holdfast.claims.findAvailableTasks({ ...asking(), limit: limit - taken, signal })
    if (tasks.length === 0) break
    const lane = async (): Promise<void> => {
      // What cannot be run takes no place of what can.
      for (let task = tasks.shift(); task; task = tasks.shift()) if (await take(task)) taken++
    }
    await Promise.all(Array.from({ length: concurrency }, lane))
  }
  return taken
}
