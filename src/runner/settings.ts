/** Checks the options of callers, and fills in the defaults. @module */
import { requireInteger } from '../core/arguments.ts'
import { isHoldfastError } from '../core/errors.ts'
import { encodeId } from '../core/keys.ts'
import type { Holdfast } from '../holdfast.ts'
import { StepError } from './errors.ts'
import { waitAfter } from './retry.ts'
import { type Duration, toMilliseconds } from '../core/duration.ts'
import { MAX_MISSED } from './hold-claim.ts'
import { requireHoldfast } from './options.ts'
import type { StepRetry, Working } from './types.ts'
import { type Pause, realPause } from './waits.ts'

/** Options with every default filled in, and all durations in milliseconds. */
export interface Settings {
  readonly workerId: string
  /**
   * Claims of this worker from before this time are left from an earlier process, and are taken back. `undefined` for a
   * worker without a name of its own.
   */
  takeBackBefore(): number | undefined
  readonly lease: number
  readonly beat: number
  readonly maxWait: number
  readonly grace: number
  readonly retry: StepRetry
  readonly maxDeliveries: number
  readonly autoComplete: boolean
  readonly onError: (error: unknown, runId: string | undefined) => void
  readonly signal: AbortSignal | undefined
  readonly pause: Pause
  /** How often to poll for changes that are not announced. */
  readonly pollInterval: number
  /** Whether the caller names this run. Then a run that was put aside as `NON_DETERMINISTIC` is tried again. */
  readonly isAsked: boolean
}

/** The defaults that depend on the caller. */
export interface SettingsContext {
  readonly isAsked: boolean
  readonly pause?: Pause
  readonly pollInterval?: number
  /** The default of `maxWait`, in milliseconds. */
  readonly wait: number
}

const POLL = 1000
const DEFAULT_RETRY: StepRetry = { maxAttempts: 3 }

/** Prints an error as one line. An error of the workflow's own code is followed by its stack. */
function print(error: unknown, runId: string | undefined): void {
  const { name = 'Error', message = String(error), code } = (error ?? {}) as Partial<Error & { code: string }>
  const step = error instanceof StepError ? error : undefined
  const kind = code === undefined || name !== 'HoldfastError' ? name : code
  const what = step ? `step ${JSON.stringify(step.stepId)}` : kind
  const origin = step ? step.cause : error
  const stack = origin instanceof Error && !isHoldfastError(origin) ? origin.stack : undefined
  const line = `holdfast: ${runId === undefined ? '' : `run ${JSON.stringify(runId)}: `}${what}: ${message}`
  // oxlint-disable-next-line no-console -- a worker's errors must be seen even if nobody asked to be told
  console.error(stack === undefined ? line : `${line}\n${stack}`)
}

/** Wraps a listener, so that an error that it throws is printed and stops nothing. */
const guarded =
  (onError: Settings['onError']): Settings['onError'] =>
  (error, runId) => {
    try {
      onError(error, runId)
    } catch (thrown) {
      print(thrown, runId)
    }
  }

/**
 * Checks the options of a caller.
 *
 * @throws `INVALID_ARGUMENT` for a malformed option
 */
export function settingsOf(
  holdfast: Holdfast,
  options: Working & { readonly autoComplete?: boolean; readonly maxWait?: Duration },
  { isAsked, pause = realPause, pollInterval, wait }: SettingsContext,
): Settings {
  const { workerId, retry = DEFAULT_RETRY, maxDeliveries = 10, autoComplete = true, onError = print, signal } = options
  if (workerId !== undefined) encodeId(workerId, 'workerId')
  const db = requireHoldfast(holdfast)
  waitAfter(retry, 1)
  requireInteger(maxDeliveries, 'maxDeliveries', 1)
  const lease = toMilliseconds(options.lease ?? '30 s', 'lease', 1)
  const { begun } = db.shared('the time when runs were first worked on here', () => ({
    begun: { at: undefined as number | undefined },
  }))
  return {
    workerId: workerId ?? db.newId(),
    takeBackBefore() {
      begun.at ??= db.now()
      return workerId === undefined ? undefined : begun.at
    },
    lease,
    beat: Math.ceil(lease / (MAX_MISSED + 1)),
    maxWait: options.maxWait === undefined ? wait : toMilliseconds(options.maxWait, 'maxWait'),
    grace: toMilliseconds(options.grace ?? '1 s', 'grace'),
    retry,
    maxDeliveries,
    autoComplete,
    onError: guarded(onError),
    signal,
    pause,
    // At most as long as a beat of the claim.
    pollInterval: pollInterval ?? Math.max(Math.min(lease / (MAX_MISSED + 1), POLL), 1),
    isAsked,
  }
}
