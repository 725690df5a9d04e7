/** Changes of a run's record: how it leaves a wait, and how it is stopped. @module */
import { defined } from '../core/objects.ts'
import { changed } from './record.ts'
import type { RunRecord, SignalKind } from './state.ts'
import { type RunStatus, isStepTerminal, isTerminal } from './status.ts'
import type { StepAlong, StepRecord, StepRecords } from './step-record.ts'

/** The run after a wait: at the next step, or completed if there is none. */
export const movedOn = (run: RunRecord, next: string | undefined, now: number): RunRecord =>
  changed(
    run,
    next === undefined
      ? { status: 'completed', position: undefined }
      : { status: 'running', position: { kind: 'step', stepId: next } },
    now,
  )

/** Completes a step within a change of its run. A step that has ended stays as it is: the first result wins. */
export const completeStep = (
  steps: StepRecords,
  runId: string,
  stepId: string,
  now: number,
  outcome: Pick<StepRecord, 'result' | 'timedOut'> = {},
): StepAlong =>
  steps.along(runId, stepId, (step) =>
    isStepTerminal(step?.status)
      ? undefined
      : defined({ ...step, stepId, status: 'completed' as const, ...outcome, completedAt: now, updatedAt: now }),
  )

/** The signals of a run without one of them. */
export function signalsWithout({ signals }: RunRecord, kind: SignalKind): RunRecord['signals'] {
  const other = kind === 'cancel' ? 'pause' : 'cancel'
  return signals?.[other] && { [other]: signals[other] }
}

/**
 * The run after its request to pause or cancel takes effect; `undefined` if there is no such request, or it does not
 * apply.
 *
 * @param interruptedAt - the step that was stopped
 */
export function stopped(
  run: RunRecord,
  kind: SignalKind,
  interruptedAt: string | undefined,
  now: number,
): RunRecord | undefined {
  const { status: from, signals } = run
  const request = signals?.[kind]
  const status: RunStatus = kind === 'cancel' ? 'cancelled' : 'paused'
  if (!request || isTerminal(from) || from === status) return undefined
  return changed(
    run,
    {
      status,
      stopped: defined({ ...request, from, interruptedAt }),
      signals: kind === 'cancel' ? undefined : signalsWithout(run, kind),
    },
    now,
  )
}
