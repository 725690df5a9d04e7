/**
 * When a failed step is tried again, and what becomes of it in the end. Pure: nothing here waits or stores.
 *
 * The words are those of Ranvier's retry and dead letter policies and sayiir's retry policy. A policy is an argument of
 * every decision and never kept, so another one takes effect with the next failure.
 *
 * @module
 */
import { MAX_TIME, requireInteger } from '../core/arguments.ts'
import { invalid } from '../core/errors.ts'

/** How often a step is tried, and how long it waits in between. */
export interface RetryPolicy {
  /** The most attempts, the first included; from 1. */
  readonly maxAttempts: number
  /** The wait after the first failure, in milliseconds; 1000 by default. */
  readonly initialDelay?: number
  /** What the wait is multiplied by after each further failure, from 1, which keeps it the same; 2 by default. */
  readonly factor?: number
  /** The longest wait, in milliseconds; by default there is none. */
  readonly maxDelay?: number
  /** Whether to wait a random part of it, so that what failed together is not tried together; `false` by default. */
  readonly jitter?: boolean
}

/** What becomes of a step that failed: it is forgotten, kept as a dead letter, or tried again first. */
export type DeadLetterPolicy = 'drop' | 'send' | { readonly kind: 'retryThenSend'; readonly retry: RetryPolicy }

/** What {@link afterFailure} decides; `delay` is in milliseconds. */
export type FailureAction =
  | { readonly action: 'retry'; readonly delay: number }
  | { readonly action: 'send' }
  | { readonly action: 'drop' }

/** A step that was given up. */
export interface DeadLetter {
  readonly runId: string
  readonly workflow: string
  readonly stepId?: string
  /** Why it failed last. */
  readonly error: string
  /** What the step was given; any structured value. */
  readonly payload?: unknown
  /** How often it was tried. */
  readonly attempts: number
  /** In milliseconds since 1970. */
  readonly at: number
}

/** Takes dead letters; a rejection means that the letter was not kept. */
export type DeadLetterSink = (letter: DeadLetter) => Promise<void>

/**
 * How long to wait after a failure.
 *
 * @param policy - its `maxAttempts` plays no part
 * @param attempt - the attempt that failed, from 1
 * @param random - gives a number from 0 to below 1, for jitter
 * @returns whole milliseconds
 * @throws `INVALID_ARGUMENT` for a malformed policy or attempt
 */
export function retryDelay(policy: RetryPolicy, attempt: number, random: () => number = Math.random): number {
  const { maxAttempts, initialDelay = 1000, factor = 2, maxDelay = MAX_TIME, jitter = false } = policy
  requireInteger(maxAttempts, 'maxAttempts', 1)
  requireInteger(initialDelay, 'initialDelay', 0, MAX_TIME)
  requireInteger(maxDelay, 'maxDelay', 0, MAX_TIME)
  if (!(typeof factor === 'number' && factor >= 1 && factor < Infinity)) throw invalid('factor must be a number from 1')
  requireInteger(attempt, 'attempt', 1)
  // Without a wait there is nothing to multiply, and the power may be infinite.
  const delay = initialDelay && Math.min(initialDelay * factor ** (attempt - 1), maxDelay)
  return Math.round(jitter ? random() * delay : delay)
}

/**
 * Whether and when to try again.
 *
 * @param policy - how often at most, and the waits
 * @param failedAttempts - how many attempts have failed, from 1
 * @param random - gives a number from 0 to below 1, for jitter
 * @returns the wait in milliseconds; `undefined` where all attempts are used up
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
export function nextRetry(
  policy: RetryPolicy,
  failedAttempts: number,
  random: () => number = Math.random,
): number | undefined {
  const delay = retryDelay(policy, failedAttempts, random)
  return failedAttempts < policy.maxAttempts ? delay : undefined
}

/**
 * What to do about a failure.
 *
 * @param policy - as it is now
 * @param failedAttempts - how many attempts have failed, from 1
 * @param random - gives a number from 0 to below 1, for jitter
 * @returns to try again after `delay` milliseconds, to send a {@link DeadLetter}, or to forget it
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
export function afterFailure(
  policy: DeadLetterPolicy,
  failedAttempts: number,
  random: () => number = Math.random,
): FailureAction {
  requireInteger(failedAttempts, 'failedAttempts', 1)
  if (policy === 'drop' || policy === 'send') return { action: policy }
  if (policy?.kind !== 'retryThenSend' || !policy.retry) throw invalid('policy must be drop, send or retryThenSend')
  const delay = nextRetry(policy.retry, failedAttempts, random)
  return delay === undefined ? { action: 'send' } : { action: 'retry', delay }
}
