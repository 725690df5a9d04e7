/** How runs are worked on: what callers say, checked before anything is done. @module */
import { requireInteger } from '../core/arguments.ts'
import { innerOf } from '../core/database.ts'
import { encodeId } from '../core/keys.ts'
import type { Holdfast } from '../holdfast.ts'
import { waitAfter } from './retry.ts'
import { type Duration, toMilliseconds } from '../core/duration.ts'
import { MAX_MISSED } from './hold.ts'
import type { StepRetry, Working } from './types.ts'
import { type Pause, realPause } from './waits.ts'

/** Nothing left out, and times in milliseconds. */
export interface Settings {
  readonly workerId: string
  /** Claims of this worker from before this time are those of its former self; asked where it has a name of its own. */
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
  /** How often what is not announced is looked for. */
  readonly pollInterval: number
  /** Whether somebody asks for this very run: then one that was put aside for its code is tried again. */
  readonly isAsked: boolean
}

/** Who asks. */
export interface SettingsContext {
  readonly isAsked: boolean
  readonly pause?: Pause
  readonly pollInterval?: number
  /** What `maxWait` is by default. */
  readonly wait: number
}

const POLL = 1000
const DEFAULT_RETRY: StepRetry = { maxAttempts: 3 }

/** One line. */
function print(error: unknown, runId: string | undefined): void {
  const {
    name = 'Error',
    message = String(error),
    code,
  } = (error ?? {}) as { readonly [K in 'name' | 'message' | 'code']?: string }
  const what = code === undefined || name !== 'HoldfastError' ? name : code
  // oxlint-disable-next-line no-console -- what nobody listens to is told here
  console.error(`holdfast: ${runId === undefined ? '' : `run ${JSON.stringify(runId)}: `}${what}: ${message}`)
}

/** Has a listener that throws disturb nobody. */
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
 * Checks what a caller says.
 *
 * @throws `INVALID_ARGUMENT`
 */
export function settingsOf(
  holdfast: Holdfast,
  options: Working & { readonly autoComplete?: boolean; readonly maxWait?: Duration },
  { isAsked, pause = realPause, pollInterval, wait }: SettingsContext,
): Settings {
  const { workerId, retry = DEFAULT_RETRY, maxDeliveries = 10, autoComplete = true, onError = print, signal } = options
  if (workerId !== undefined) encodeId(workerId, 'workerId')
  const db = innerOf(holdfast.db)
  waitAfter(retry, 1)
  requireInteger(maxDeliveries, 'maxDeliveries', 1)
  const lease = toMilliseconds(options.lease ?? '30 s', 'lease')
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
    // A message is looked for more often than the claim is extended.
    pollInterval: pollInterval ?? Math.max(Math.min(lease / (MAX_MISSED + 1), POLL), 1),
    isAsked,
  }
}
