/** Undoes finished steps in reverse order, each once. @module */
import { UNDOING, keyOf } from './events.ts'
import { undoOf } from './ids.ts'
import type { Execution } from './execution-state.ts'
import { makeStep } from './steps.ts'
import type { StoredError } from './errors.ts'

/** Why a run is undone. */
export interface Undoing {
  readonly error: StoredError
  /** Set if the run was cancelled, and did not fail. */
  readonly cancelled?: true
}

/**
 * Undoes the finished steps. An event records the start: after it, the workflow cannot continue.
 *
 * @returns whether there was a step to undo
 * @throws `StepError` if a step cannot be undone
 */
export async function undoAll(it: Execution, why: Undoing): Promise<boolean> {
  const { queue, journal, undos } = it
  if (undos.length === 0) return false
  await new Promise<void>((resolve) => {
    queue.add({
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
