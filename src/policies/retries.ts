/**
 * When a failed step is tried again, and what becomes of it in the end. Pure: nothing here waits or stores.
 *
 * The words are those of Ranvier's retry and dead letter policies and sayiir's retry policy. A policy is an argument of
 * every decision and never kept, so another one takes effect with the next failure.
 *
 * @module
 */
import { type Known, MAX_TIME, requireGiven, requireInteger, requireOptions } from '../core/arguments.ts'
import { type Duration, toMilliseconds } from '../core/duration.ts'
import { invalid } from '../core/errors.ts'

/** How often a step is tried, and how long it waits in between. */
export interface RetryPolicy {
  /** The most attempts, the first included; from 1. */
  readonly maxAttempts: number
  /** The wait after the first failure; 1 s by default. */
  readonly initialDelay?: Duration | undefined
  /** What the wait is multiplied by after each further failure, from 1, which keeps it the same; 2 by default. */
  readonly factor?: number | undefined
  /** The longest wait; by default there is none. */
  readonly maxDelay?: Duration | undefined
  /** Whether to wait a random part of it, so that what failed together is not tried together; `false` by default. */
  readonly jitter?: boolean | undefined
}

/** Options of decisions about a failure. */
export interface RetryOptions {
  /** Gives a number from 0 to below 1, for jitter; `Math.random` by default. */
  readonly random?: (() => number) | undefined
}

const POLICY: Known<RetryPolicy> = { maxAttempts: true, initialDelay: true, factor: true, maxDelay: true, jitter: true }
const RETRY: Known<RetryOptions> = { random: true }

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
 * @param options - where chance comes from
 * @returns whole milliseconds
 * @throws `INVALID_ARGUMENT` for a malformed policy or attempt
 */
export function retryDelay(policy: RetryPolicy, attempt: number, options?: RetryOptions): number {
  const { random = Math.random } = requireOptions(options, RETRY)
  const known = requireOptions(requireGiven(policy, 'policy'), POLICY)
  const { maxAttempts, initialDelay = 1000, factor = 2, maxDelay = MAX_TIME, jitter = false } = known
  requireInteger(maxAttempts, 'maxAttempts', 1)
  const first = toMilliseconds(initialDelay, 'initialDelay')
  const longest = toMilliseconds(maxDelay, 'maxDelay')
  if (!(typeof factor === 'number' && factor >= 1 && factor < Infinity)) throw invalid('factor must be a number from 1')
  requireInteger(attempt, 'attempt', 1)
  // Without a wait there is nothing to multiply, and the power may be infinite.
  const delay = first && Math.min(first * factor ** (attempt - 1), longest)
  return Math.round(jitter ? random() * delay : delay)
}

/**
 * Whether and when to try again.
 *
 * @param policy - how often at most, and the waits
 * @param failedAttempts - how many attempts have failed, from 1
 * @param options - where chance comes from
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
export function nextRetry(policy: RetryPolicy, failedAttempts: number, options?: RetryOptions): number | undefined {
  const delay = retryDelay(policy, failedAttempts, options)
  return failedAttempts < policy.maxAttempts ? delay : undefined
}

/**
 * What to do about a failure.
 *
 * @param policy - as it is now
 * @param failedAttempts - how many attempts have failed, from 1
 * @param options - where chance comes from
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
export function afterFailure(policy: DeadLetterPolicy, failedAttempts: number, options?: RetryOptions): FailureAction {
  requireOptions(options, RETRY)
  requireInteger(failedAttempts, 'failedAttempts', 1)
  if (policy === 'drop' || policy === 'send') return { action: policy }
  if (policy?.kind !== 'retryThenSend' || !policy.retry) throw invalid('policy must be drop, send or retryThenSend')
  const delay = nextRetry(policy.retry, failedAttempts, options)
  return delay === undefined ? { action: 'send' } : { action: 'retry', delay }
}
