/** Undoing: what was done is undone in reverse, each step once. @module */
import { UNDOING, keyOf } from './events.ts'
import { undoOf } from './ids.ts'
import type { Execution } from './parts.ts'
import { makeStep } from './steps.ts'
import type { StoredError } from './errors.ts'

/** Why a run is undone. */
export interface Undoing {
  readonly error: StoredError
  /** It was cancelled, in place of having failed. */
  readonly cancelled?: true
}

/**
 * Undoes what was done. That it begins is recorded: from then on there is no way back.
 *
 * @returns whether there was anything to undo
 * @throws `StepError` where a step cannot be undone
 */
export async function undoAll(it: Execution, why: Undoing): Promise<boolean> {
  const { deliveries, journal, undos } = it
  if (undos.length === 0) return false
  await new Promise<void>((resolve) => {
    deliveries.add({
      key: keyOf('run', 'undoing'),
      begin: () =>
        it.guard(async () => void (await journal.record(() => ({ events: [{ kind: UNDOING, payload: why }] })))),
      take: () => resolve(),
    })
  })
  for (const { stepId, hook } of undos.toSorted((a, b) => b.seq - a.seq)) {
    await makeStep(it, { stepId: undoOf(stepId), work: hook, retry: it.retry, isUndo: true })
  }
  return true
}
