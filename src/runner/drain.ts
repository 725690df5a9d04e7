/** A worker that comes and goes: runs what is ready, and ends. @module */
import { requireInteger } from '../core/arguments.ts'
import type { Holdfast } from '../holdfast.ts'
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
 * @param options - which workflows, and how; the signal leaves runs under way to whoever takes them over
 * @returns how many were taken up; as many as `limit` where there may be more
 * @throws `INVALID_ARGUMENT`, `ABORTED`, `CLOSED`; what the backend throws where it is asked for runs. What a run throws
 *   is told to `onError`
 *
 * @example
 * ```ts
 * import { createHoldfast, memory } from 'holdfast'
 * import { drain } from 'holdfast/run'
 *
 * const holdfast = createHoldfast({ driver: memory() })
 * const position = { kind: 'step', stepId: 'work' } as const
 * await holdfast.workflows.createRun({ runId: 'order-17', workflow: 'order', position })
 * const order = () => Promise.resolve('shipped')
 * console.log(await drain(holdfast, { workflows: { order } })) // 1
 * ```
 */
export async function drain(holdfast: Holdfast, options: DrainOptions): Promise<number> {
  const { asking, concurrency, take } = createWorker(holdfast, options)
  const { limit = DEFAULT_LIMIT, signal } = options
  requireInteger(limit, 'limit', 1, MAX_LIMIT)
  let taken = 0
  while (taken < limit) {
    // A run that is to be cancelled has to be undone first.
    await holdfast.timers.advanceDue({ signal, leaveSignalled: true })
    const tasks = await holdfast.claims.findAvailableTasks({ ...asking, limit: limit - taken, signal })
    if (tasks.length === 0) break
    taken += tasks.length
    const lane = async (): Promise<void> => {
      for (let task = tasks.shift(); task; task = tasks.shift()) await take(task)
    }
    await Promise.all(Array.from({ length: concurrency }, lane))
  }
  return taken
}
