/** Retries runs that were put aside because other code wrote their log. @module */
import { innerOf } from '../core/database.ts'
import { isHoldfastError } from '../core/errors.ts'
import type { Holdfast } from '../holdfast.ts'
import { definitionFor } from './define.ts'
import { takeRun } from './run.ts'
import { settingsOf } from './settings.ts'
import type { AnyWorkflow, Working } from './types.ts'

/**
 * Tries each run that was put aside, once per process: its code may be the right one. If it is not, nothing happens,
 * because a replay has no effects.
 *
 * @returns the number of runs that went on
 */
export async function retryAside(
  holdfast: Holdfast,
  workflows: readonly AnyWorkflow[],
  options: Working,
): Promise<number> {
  const { tenant, workflows: store } = holdfast
  const db = innerOf(holdfast.db)
  const tried = db.shared(`runs put aside of ${tenant} that were tried`, () => new Set<string>())
  const settings = settingsOf(holdfast, options, { isAsked: true, wait: 0 })
  let taken = 0
  for await (const { runId, aside } of store.runs({ aside: true, signal: options.signal })) {
    if (aside?.code !== 'NON_DETERMINISTIC' || tried.has(runId)) continue
    try {
      const run = await store.getRun(runId, { signal: options.signal })
      const definition = run && definitionFor(workflows, run)
      if (!definition) continue
      tried.add(runId)
      await takeRun(holdfast, definition, runId, settings)
      taken++
    } catch (error) {
      if (options.signal?.aborted || isHoldfastError(error, 'CLOSED')) throw error
      tried.add(runId)
      settings.onError(error, runId)
    }
  }
  return taken
}
