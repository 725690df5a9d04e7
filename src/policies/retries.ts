/**
 * Retries and dead letters: when to try a failed step again, and what to do when its attempts are used up. These are
 * pure functions that neither wait nor store anything.
 *
 * The names come from Ranvier's retry and dead letter policies and sayiir's retry policy. Each decision takes the
 * policy as an argument, so a changed policy applies to the next failure.
 *
 * @module
 */
import { type Known, MAX_TIME, requireGiven, requireInteger, requireOptions, shown } from '../core/arguments.ts'
import { type Duration, toMilliseconds } from '../core/duration.ts'
import { invalid } from '../core/errors.ts'

/** How often to try a step, and how long to wait between attempts. */
export interface RetryPolicy {
  /** The most attempts, including the first; from 1. */
  readonly maxAttempts: number
  /** The wait after the first failure; 1 s by default. */
  readonly initialDelay?: Duration | undefined
  /** Multiplies the wait after each further failure; from 1, 2 by default. */
  readonly factor?: number | undefined
  /** The longest wait; unlimited by default. */
  readonly maxDelay?: Duration | undefined
  /**
   * Waits a random part of the delay, so that steps that failed together are not retried together; `false` by default.
   */
  readonly jitter?: boolean | undefined
}

/** Options of decisions after a failure. */
export interface RetryOptions {
  /** Returns a number from 0 up to 1 for jitter; `Math.random` by default. */
  readonly random?: (() => number) | undefined
}

const POLICY: Known<RetryPolicy> = { maxAttempts: true, initialDelay: true, factor: true, maxDelay: true, jitter: true }
const RETRY: Known<RetryOptions> = { random: true }

/** The treatment of a failed step: drop it, send a dead letter, or retry first and then send. */
export type DeadLetterPolicy = 'drop' | 'send' | { readonly kind: 'retryThenSend'; readonly retry: RetryPolicy }

/** The decision of {@link afterFailure}; `delay` is in milliseconds. */
export type FailureAction =
  | { readonly action: 'retry'; readonly delay: number }
  | { readonly action: 'send' }
  | { readonly action: 'drop' }

/** A step that was given up. */
export interface DeadLetter {
  readonly runId: string
  readonly workflow: string
  readonly stepId?: string
  /** The last error. */
  readonly error: string
  /** The input of the step; any structured value. */
  readonly payload?: unknown
  /** How many times it was tried. */
  readonly attempts: number
  /** In milliseconds since 1970. */
  readonly at: number
}

/** Stores dead letters. A rejection means that the letter was not stored. */
export type DeadLetterSink = (letter: DeadLetter) => Promise<void>

/**
 * Computes the wait after a failure.
 *
 * @param policy - the policy; `maxAttempts` is not used
 * @param attempt - the number of the failed attempt, from 1
 * @param options - the source of randomness
 * @returns the wait in whole milliseconds, from 0
 * @throws `INVALID_ARGUMENT` for a malformed policy or attempt
 */
export function retryDelay(policy: RetryPolicy, attempt: number, options?: RetryOptions): number {
  const { random = Math.random } = requireOptions(options, RETRY)
  const known = requireOptions(requireGiven(policy, 'policy'), POLICY)
  const { maxAttempts, initialDelay = 1000, factor = 2, maxDelay = MAX_TIME, jitter = false } = known
  requireInteger(maxAttempts, 'maxAttempts', 1)
  const first = toMilliseconds(initialDelay, 'initialDelay')
  const longest = toMilliseconds(maxDelay, 'maxDelay')
  if (!(typeof factor === 'number' && factor >= 1 && factor < Infinity))
    throw invalid(`factor must be a finite number from 1, not ${shown(factor)}`)
  requireInteger(attempt, 'attempt', 1)
  // Without a first wait the power is skipped: it may be infinite, and 0 times Infinity is NaN.
  const delay = first && Math.min(first * factor ** (attempt - 1), longest)
  return Math.round(jitter ? random() * delay : delay)
}

/**
 * Decides whether to try again, and when.
 *
 * @param policy - the number of attempts, and the waits
 * @param failedAttempts - the number of failed attempts so far, from 1
 * @param options - the source of randomness
 * @returns the wait in milliseconds; `undefined` if all attempts are used up
 * @throws `INVALID_ARGUMENT` for a malformed policy or number
 *
 * @example
 * ```ts
 * import { nextRetry } from 'holdfast'
 *
 * const policy = { maxAttempts: 3, initialDelay: 200, factor: 2 }
 * console.log(nextRetry(policy, 1), nextRetry(policy, 2), nextRetry(policy, 3)) // 200 400 undefined
 * ```
 */
export function nextRetry(policy: RetryPolicy, failedAttempts: number, options?: RetryOptions): number | undefined {
  const delay = retryDelay(policy, failedAttempts, options)
  return failedAttempts < policy.maxAttempts ? delay : undefined
}

/**
 * Decides what to do after a failure.
 *
 * @param policy - the current policy
 * @param failedAttempts - the number of failed attempts so far, from 1
 * @param options - the source of randomness
 * @returns `retry` after `delay` milliseconds, `send` a {@link DeadLetter}, or `drop` the step
 * @throws `INVALID_ARGUMENT` for a malformed policy or number
 *
 * @example
 * ```ts
 * import { afterFailure } from 'holdfast'
 *
 * const policy = { kind: 'retryThenSend', retry: { maxAttempts: 2 } } as const
 * console.log(afterFailure(policy, 1)) // { action: 'retry', delay: 1000 }
 * console.log(afterFailure(policy, 2)) // { action: 'send' }
 * ```
 */
export function afterFailure(policy: DeadLetterPolicy, failedAttempts: number, options?: RetryOptions): FailureAction {
  requireOptions(options, RETRY)
  requireInteger(failedAttempts, 'failedAttempts', 1)
  if (policy === 'drop' || policy === 'send') return { action: policy }
  if (policy?.kind !== 'retryThenSend' || !policy.retry)
    throw invalid("policy must be 'drop', 'send' or { kind: 'retryThenSend', retry: { maxAttempts: 3 } }")
  const delay = nextRetry(policy.retry, failedAttempts, options)
  return delay === undefined ? { action: 'send' } : { action: 'retry', delay }
}
