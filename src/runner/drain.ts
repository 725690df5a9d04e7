/** A worker that runs what is ready, and returns. @module */
import type { AnyWorkflow } from './types.ts'
import { type Known, requireInteger, requireOptions } from '../core/arguments.ts'
import type { Holdfast } from '../holdfast.ts'
import { retryAside } from './retry-aside.ts'
import { WORKER, type WorkerOptions, createWorker } from './worker.ts'

/** Options of {@link drain}. */
export interface DrainOptions extends WorkerOptions {
  /** The most runs to work on, from 1 to 10 000; 100 by default. A run that becomes ready again counts again. */
  readonly limit?: number
}

const DRAIN: Known<DrainOptions> = { ...WORKER, limit: true }
const DEFAULT_LIMIT = 100
const MAX_LIMIT = 10_000

/**
 * Works on every run that is ready, as `work` does, and returns when none is left. For alarms, cron triggers and requests,
 * where no process stays.
 *
 * Call it again at `timers.nextDue()`: when the next wait ends, or the claim of a worker that may be dead expires.
 *
 * @param holdfast - the stores of the runs' tenant
 * @param workflows - the workflows that this call can run; several versions of one are allowed
 * @param options - how many runs in all and at a time, and how to run them; after an abort, another worker can continue
 *   the runs
 * @returns the number of runs worked on; if it equals `limit`, more may be ready
 * @throws `INVALID_ARGUMENT` for malformed workflows or options; `ABORTED` by `signal`; `CLOSED` if the database was
 *   closed; also the errors of the backend while it looks for runs. Errors of runs go to `onError`
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
  requireOptions(options, DRAIN)
  const { asking, advance, concurrency, take } = createWorker(holdfast, workflows, options)
  const { limit = DEFAULT_LIMIT, signal } = options
  requireInteger(limit, 'limit', 1, MAX_LIMIT)
  let taken = await retryAside(holdfast, workflows, options)
  if (taken >= limit) return taken
  for (;;) {
    await advance()
    const tasks = await holdfast.claims.findAvailableTasks({ ...asking(), limit: limit - taken, signal })
    if (tasks.length === 0) return taken
    const lane = async (): Promise<void> => {
      // A run that could not be run does not count, so that it takes no place of one that can.
      for (let task = tasks.shift(); task; task = tasks.shift()) if (await take(task)) taken++
    }
    await Promise.all(Array.from({ length: concurrency }, lane))
    if (taken >= limit) return taken
  }
}
