/** A worker that stays: runs whatever is ready. @module */
import type { AnyWorkflow } from './types.ts'
import { sleep } from '../core/abort.ts'
import { isHoldfastError } from '../core/errors.ts'
import type { Holdfast } from '../holdfast.ts'
import { retryAside } from './aside.ts'
import { type WorkerOptions, createWorker } from './worker.ts'

/** Options of {@link work}. */
export interface WorkOptions extends WorkerOptions {
  /** Ends the work. Runs under way are left as they are, for whoever takes them over. */
  readonly signal: AbortSignal
}

/**
 * Runs what is ready until its signal is aborted: runs that nobody has taken up, whose process has died, whose sleep is
 * over, whose message has come. Runs that were put aside because other code had written their log are tried once at the
 * beginning: this may be the right code.
 *
 * @param holdfast - the stores of the tenant whose runs they are
 * @param workflows - what it can run; several versions of one, too
 * @param options - how
 * @throws `INVALID_ARGUMENT`
 */
export async function work(holdfast: Holdfast, workflows: readonly AnyWorkflow[], options: WorkOptions): Promise<void> {
  const { asking, concurrency, pollInterval, onError, take } = createWorker(holdfast, workflows, options)
  const { signal } = options
  let isOver = false

  async function takeOne(): Promise<void> {
    try {
      // A run that is to be cancelled has to be undone first.
      await holdfast.timers.advanceDue({ signal, leaveSignalled: true })
      const task = await holdfast.claims.waitForWakeup({ ...asking(), timeout: pollInterval, pollInterval, signal })
      if (!task || (await take(task))) return
    } catch (error) {
      isOver ||= isHoldfastError(error, 'CLOSED')
      if (signal.aborted || isOver) return
      onError(error, undefined)
      await sleep(pollInterval, signal).catch(() => {})
    }
  }

  if (!signal.aborted) {
    await retryAside(holdfast, workflows, options).catch((error: unknown) => {
      isOver ||= isHoldfastError(error, 'CLOSED')
      if (!signal.aborted && !isOver) onError(error, undefined)
    })
  }
  const lanes = Array.from({ length: concurrency }, async () => {
    while (!signal.aborted && !isOver) await takeOne()
  })
  await Promise.all(lanes)
}
