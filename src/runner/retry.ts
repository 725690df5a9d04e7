/** When a step is tried again. @module */
import { invalid } from '../core/errors.ts'
import { nextRetry } from '../policies/retries.ts'
import type { StepRetry } from './types.ts'

/**
 * How long to wait after a failed attempt.
 *
 * @param attempt - its number, from 1
 * @returns the milliseconds; `undefined` where all attempts are used up
 * @throws `INVALID_ARGUMENT` for a malformed policy
 */
export function waitAfter({ retryIf, ...policy }: StepRetry, attempt: number): number | undefined {
  if (retryIf !== undefined && typeof retryIf !== 'function') throw invalid('retryIf must be a function')
  return nextRetry(policy, attempt)
}
