/** The errors for a log that other code wrote. @module */
import { HoldfastError } from '../core/errors.ts'
import type { LogEvent } from './events.ts'

/**
 * The error for an event of the log that no call of the workflow waits for.
 *
 * @param outstanding - the keys of the calls that wait instead
 * @param hasEnded - whether the workflow has ended
 */
export function mismatch(
  runId: string,
  event: LogEvent,
  outstanding: readonly string[],
  hasEnded: boolean,
): HoldfastError {
  const { seq, kind, stepId = '' } = event
  const recorded = stepId === '' ? '' : `${kind.split('.')[0]!} ${JSON.stringify(stepId)} `
  const calls = outstanding.map((key) => key.replace(/ (.*)$/s, (_, id: string) => ` ${JSON.stringify(id)}`))
  const waits = `waits for ${calls.length > 0 ? calls.slice(0, 3).join(', ') : 'nothing'}`
  return nonDeterministic(
    runId,
    event,
    `${recorded}next, as event ${seq}, but the workflow ${hasEnded ? 'has ended' : waits}. ` +
      'Restore the code that wrote the log, or guard the change with ctx.patch()' +
      (hasEnded || calls.length > 0 ? '' : '. If it awaits something that is no call of ctx, raise the option grace'),
    outstanding,
  )
}

/**
 * The error for a workflow that ends in another way than its log says.
 *
 * @param end - the event that ended the run
 * @param ending - how the workflow has ended now
 */
export const otherEnding = (runId: string, end: LogEvent, ending: string): HoldfastError =>
  nonDeterministic(
    runId,
    end,
    `as event ${end.seq}, but the workflow has ${ending}. Restore the code that wrote the log`,
    [],
  )

const nonDeterministic = (
  runId: string,
  { seq, kind, stepId = '' }: LogEvent,
  what: string,
  waitsFor: readonly string[],
): HoldfastError =>
  new HoldfastError('NON_DETERMINISTIC', `Run ${JSON.stringify(runId)} recorded ${kind} ${what}`, {
    details: { runId, seq, recorded: kind, stepId, waitsFor },
  })
