/** Runs a step: its attempts, and the record of each. @module */
import { MAX_TIMER } from '../core/clock.ts'
import { isHoldfastError } from '../core/errors.ts'
import { waitAfter } from './retry.ts'
import { type StoredError, StepError, fromLog, isNonRetryable, isUnstorable, toStored, unstorable } from './errors.ts'
import { type LogEvent, keyOf } from './events.ts'
import { idempotencyKeyOf } from './ids.ts'
import { inStep } from './inside-step.ts'
import { type Draft, rowOf } from './journal.ts'
import { type OutcomePromise, deferred } from './outcome-promise.ts'
import type { Execution } from './execution-state.ts'
import type { StepInfo, StepRetry } from './types.ts'

/** A step to run. */
export interface StepOrder {
  readonly stepId: string
  work(info: StepInfo): unknown
  readonly retry: StepRetry
  /** The longest time of one attempt, in milliseconds. */
  readonly timeout?: number | undefined
  readonly atMostOnce?: boolean | undefined
  /** Whether the step undoes another one. Such a step runs after the workflow has ended. */
  readonly isUndo?: boolean
  /** Called when the result is in the log, with the seq of its event. */
  onDone?(result: unknown, seq: number): void
}

interface FailedAttempt {
  readonly attempt: number
  readonly error: StoredError
  readonly retryAt?: number
}

const INTERRUPTED: StoredError = {
  name: 'Error',
  message: 'The step was interrupted and may have taken effect. It is not repeated, because of atMostOnce',
  code: 'INTERRUPTED',
}

/** Whether an error says that a call of the context was made inside a step. */
const isMisplaced = (error: unknown): boolean =>
  isHoldfastError(error, 'INVALID_ARGUMENT') && error.details?.['step'] !== undefined

/** Adds a step. It runs when its turn comes. */
export function makeStep(it: Execution, order: StepOrder): OutcomePromise<unknown> {
  const { stepId, retry, timeout, atMostOnce = false, isUndo = false } = order
  const { journal, life, queue } = it
  const own = isUndo ? it.over : it.signal
  const { promise, resolve, reject } = deferred<unknown>()
  /** The number of the last failed attempt, and the time of the next, in milliseconds since 1970. */
  let failed = 0
  let retryAt = 0
  /** The number of attempts that earlier crashes interrupted; set when the step begins. */
  let cutOff: number | undefined
  let hasStarted = false

  const isStopped = (): boolean => own.aborted || (!isUndo && !it.mayBegin())
  /** Whether the workflow ended without the step's result. The attempt in progress is still recorded, but not retried. */
  const isDropped = (): boolean => !isUndo && it.isOver && promise.isHandled

  const record = async (event: Draft, row: Parameters<typeof rowOf>[1], failure?: FailedAttempt): Promise<void> => {
    await journal.record((run, now) => ({
      events: [event],
      row: rowOf(stepId, row),
      run:
        failure &&
        (() => ({ ...run, failure: { stepId, attempt: failure.attempt, error: failure.error.message, at: now } })),
    }))
  }

  async function fail(attempt: number, error: StoredError, cause?: unknown): Promise<void> {
    const failure = { attempt, error }
    await record(
      { kind: 'step.failed', stepId, payload: failure },
      { status: 'failed', attempts: attempt, error: error.message },
      failure,
    )
    const told = new StepError(stepId, error)
    if (cause !== undefined) told.cause = cause
    it.tell(told)
  }

  async function complete(result: unknown, attempt: number, startedAt?: number): Promise<void> {
    try {
      const row = { status: 'completed', attempts: attempt, ...(startedAt !== undefined && { startedAt }) } as const
      await record({ kind: 'step.completed', stepId, payload: result }, row)
    } catch (error) {
      if (!isUnstorable(error)) throw error
      const what = `The result of step ${JSON.stringify(stepId)}`
      await fail(attempt, unstorable('StepError', what, result, error), error)
    }
  }

  /** Makes one attempt after the other, until the step ends or must wait. */
  async function attempts(): Promise<void> {
    // No attempt can have been cut off before its time came.
    cutOff ??= retryAt > it.now() ? 0 : it.cutOff()
    for (;;) {
      const decided = it.decided(stepId)
      if (decided) return complete(decided.value, failed)
      if (isStopped() || (isDropped() && failed > 0)) return
      if (retryAt > it.now()) {
        it.arm({ label: `retry ${stepId}`, wakeAt: retryAt, fire: () => it.guard(attempts) })
        return
      }
      const attempt = failed + cutOff + 1
      if (atMostOnce) {
        if (hasStarted) return fail(attempt - 1, INTERRUPTED)
        await record({ kind: 'step.started', stepId }, { status: 'running', attempts: attempt })
        hasStarted = true
      }
      const startedAt = it.now()
      let result: unknown
      try {
        result = await attemptOf(it, order, own, attempt, timeout, idempotencyKeyOf(life, stepId))
      } catch (thrown) {
        // The stop of the run may have caused this error, so it does not count.
        if (own.aborted) return
        const wait = isFinal(thrown) || isDropped() ? undefined : waitAfter(retry, attempt)
        if (wait === undefined) return fail(attempt, toStored(thrown), thrown)
        const error = toStored(thrown)
        const again = { attempt, error, retryAt: it.now() + wait }
        await record(
          { kind: 'step.retried', stepId, payload: again },
          { status: 'waiting', attempts: attempt, error: error.message, startedAt },
          again,
        )
        failed = attempt
        cutOff = 0
        retryAt = again.retryAt
        continue
      }
      return complete(result, attempt, startedAt)
    }
  }

  function isFinal(thrown: unknown): boolean {
    if (atMostOnce || isNonRetryable(thrown) || isMisplaced(thrown)) return true
    try {
      return retry.retryIf?.(thrown) === false
    } catch {
      return true
    }
  }

  if (!isUndo) it.unfinished.add(promise)
  queue.add({
    key: keyOf('step', stepId),
    begin: () => it.guard(attempts),
    take(event: LogEvent) {
      const { kind, payload, seq } = event
      if (kind === 'step.retried') {
        const past = payload as FailedAttempt
        failed = past.attempt
        retryAt = past.retryAt ?? 0
      } else if (kind === 'step.started') {
        hasStarted = true
      } else {
        it.unfinished.delete(promise)
        if (kind === 'step.completed') {
          order.onDone?.(payload, seq)
          if (isUndo || !it.isOver) resolve(payload)
        } else {
          const error = new StepError(stepId, fromLog(payload))
          it.failures.set(promise, error)
          if (isUndo || !it.isOver) reject(error)
        }
      }
    },
  })
  return promise
}

/** Calls the function of a step, with its timeout. */
async function attemptOf(
  it: Execution,
  { stepId, work }: StepOrder,
  own: AbortSignal,
  attempt: number,
  timeout: number | undefined,
  idempotencyKey: string,
): Promise<unknown> {
  const call = (signal: AbortSignal): unknown => inStep(it, stepId, () => work({ signal, attempt, idempotencyKey }))
  if (timeout === undefined) return call(own)
  const limited = new AbortController()
  const onAbort = (): void => limited.abort(own.reason)
  own.addEventListener('abort', onAbort)
  let timer: ReturnType<typeof setTimeout>
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => {
        const error = Object.assign(new Error(`The attempt took longer than its timeout of ${timeout} ms`), {
          name: 'TimeoutError',
          code: 'TIMEOUT',
        })
        reject(error)
        limited.abort(error)
      },
      Math.min(timeout, MAX_TIMER),
    )
  })
  try {
    return await Promise.race([(async () => call(limited.signal))(), late])
  } finally {
    clearTimeout(timer!)
    own.removeEventListener('abort', onAbort)
  }
}
