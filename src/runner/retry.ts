/** Computes when a step is tried again. @module */
import { invalid } from '../core/errors.ts'
import { nextRetry } from '../policies/retries.ts'
import type { StepRetry } from './types.ts'

/**
 * Computes the wait after a failed attempt.
 *
 * @param attempt - the number of the failed attempt, from 1
 * @returns the wait in milliseconds; `undefined` if no attempts are left
 * @throws `INVALID_ARGUMENT` for a malformed policy
 */
export function waitAfter({ retryIf, ...policy }: StepRetry, attempt: number): number | undefined {
  if (retryIf !== undefined && typeof retryIf !== 'function')
    throw invalid(`retryIf must be a function, not ${typeof retryIf}`)
  return nextRetry(policy, attempt)
}
