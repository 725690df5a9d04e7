/** Handles: messages to a run, its result, and its cancellation, from outside. @module */
import { requireGiven } from '../core/arguments.ts'
import type { CallOptions } from '../core/driver.ts'
import { HoldfastError } from '../core/errors.ts'
import type { Holdfast } from '../holdfast.ts'
import type { SendMessageOptions, SendMessageResult } from '../stores/signals/messages.ts'
import type { Run } from '../stores/workflows/start.ts'
import { checked } from './define.ts'
import { type Duration, toMilliseconds } from '../core/duration.ts'
import { earFor } from './listen.ts'
import { RunError } from './errors.ts'
import { readEnd } from './outcomes.ts'
import type { AnyWorkflow, Messages } from './types.ts'

/** Options of {@link Handle.result}. */
export interface ResultOptions extends CallOptions {
  /** The longest time to wait; unlimited by default. */
  readonly timeout?: Duration
}

/** Controls one run from outside. */
export interface Handle<R = unknown, M extends Messages = Messages> {
  readonly runId: string
  /**
   * Sends a message to the run. The workflow's schema of that name checks the payload first.
   *
   * @param name - the message's name, 1 to 200 bytes of text
   * @param payload - any structured value
   * @param options - see `SignalStore.sendMessage`
   * @throws `INVALID_ARGUMENT` if the schema rejects the payload; also the errors of `SignalStore.sendMessage`
   */
  send<K extends keyof M & string>(name: K, payload: M[K], options?: SendMessageOptions): Promise<SendMessageResult>
  /**
   * Waits for the end of the run.
   *
   * @param options - `timeout` and `signal` end the wait, not the run
   * @returns the value that the workflow returned
   * @throws `RunError` if the run did not complete, with its stored error; `TIMEOUT` after `timeout`; `ABORTED` by
   *   `signal`
   */
  result(options?: ResultOptions): Promise<R>
  /** Reads the run. @returns the run; `undefined` if it does not exist */
  get(options?: CallOptions): Promise<Run | undefined>
  /**
   * Requests that the run is cancelled. Its worker then undoes the finished steps.
   *
   * @param request - who asks, and why
   * @throws `NOT_FOUND` if the run does not exist; `ALREADY_COMPLETED` if it has ended
   */
  cancel(request?: { readonly reason?: string; readonly requestedBy?: string }): Promise<void>
}

/** How often to read a run whose end no announcement may tell, in milliseconds. */
const POLL = 500

/**
 * Makes a handle of a run that was started before.
 *
 * @param holdfast - the stores of the run's tenant
 * @param runId - the run's id; this call does not check that the run exists
 * @param workflow - the run's workflow, whose schemas check the messages; without it, every message is sent
 * @returns the handle
 */
export function handleOf<R, M extends Messages>(
  holdfast: Holdfast,
  runId: string,
  workflow?: Pick<AnyWorkflow, 'messages'>,
): Handle<R, M> {
  const { workflows, signals } = holdfast
  const schemas = workflow?.messages ?? {}
  return {
    runId,
    async send(name, payload, options) {
      const schema = Object.hasOwn(schemas, name) ? schemas[name] : undefined
      return signals.sendMessage(runId, name, await checked(schema, payload, `message ${name}`), options)
    },
    async result({ timeout, signal } = {}) {
      const until = timeout === undefined ? Infinity : performance.now() + toMilliseconds(timeout, 'timeout')
      // Before the first read, so that no change between the two is missed.
      const ear = earFor(holdfast, runId)
      try {
        for (;;) {
          ear.silence()
          const end = await readEnd(holdfast, runId, { signal })
          if (end?.status === 'completed') return end.result as R
          if (end) throw new RunError(runId, end.status, end.error)
          const left = until - performance.now()
          if (left <= 0) {
            throw new HoldfastError(
              'TIMEOUT',
              `Run ${JSON.stringify(runId)} did not end within the timeout of ${timeout}`,
              {
                retryable: true,
              },
            )
          }
          await ear.wait(Math.min(POLL, left), signal)
        }
      } finally {
        ear.stop()
      }
    },
    get: (options) => workflows.getRun(runId, options),
    cancel: (request = {}) => signals.storeSignal(runId, 'cancel', requireGiven(request, 'request')),
  }
}
