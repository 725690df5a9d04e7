/** Handles: what a run is asked by from outside. @module */
import { requireGiven } from '../core/arguments.ts'
import { bell } from '../core/bell.ts'
import { innerOf } from '../core/database.ts'
import type { CallOptions } from '../core/driver.ts'
import { HoldfastError } from '../core/errors.ts'
import { tenantParts } from '../core/keys.ts'
import type { Holdfast } from '../holdfast.ts'
import { runRecords } from '../runs/record.ts'
import type { SendMessageOptions, SendMessageResult } from '../stores/signals/messages.ts'
import type { Run } from '../stores/workflows/start.ts'
import { checked } from './define.ts'
import { type Duration, toMilliseconds } from '../core/duration.ts'
import { RunError } from './errors.ts'
import { readEnd } from './outcomes.ts'
import type { AnyWorkflow, Messages } from './types.ts'

/** Options of {@link Handle.result}. */
export interface ResultOptions extends CallOptions {
  /** For how long to wait; as long as it takes by default. */
  readonly timeout?: Duration
}

/** A run, as others see it. */
export interface Handle<R = unknown, M extends Messages = Messages> {
  readonly runId: string
  /**
   * Sends it a message, checked by the workflow's schema of that name.
   *
   * @throws as `SignalStore.sendMessage`; `INVALID_ARGUMENT` for what the workflow does not take
   */
  send<K extends keyof M & string>(name: K, payload: M[K], options?: SendMessageOptions): Promise<SendMessageResult>
  /**
   * Waits for its end.
   *
   * @returns what the workflow has returned
   * @throws `RunError` where it did not complete, with the error that it has stored; `TIMEOUT`, `ABORTED`
   */
  result(options?: ResultOptions): Promise<R>
  /** What is known of it; `undefined` where it was deleted. */
  get(options?: CallOptions): Promise<Run | undefined>
  /** Asks it to be cancelled: what it has done is undone. */
  cancel(request?: { readonly reason?: string; readonly requestedBy?: string }): Promise<void>
}

/** How often a run is looked at, in milliseconds, where nothing announces its end. */
const POLL = 500

/**
 * A handle of a run that was started before.
 *
 * @param runId - of the run; whether it is there is not asked
 * @param workflow - what it is a run of
 */
export function handleOf<R, M extends Messages>(
  holdfast: Holdfast,
  runId: string,
  workflow?: Pick<AnyWorkflow, 'messages'>,
): Handle<R, M> {
  const { workflows, signals, tenant } = holdfast
  const db = innerOf(holdfast.db)
  const schemas = workflow?.messages ?? {}
  return {
    runId,
    async send(name, payload, options) {
      const schema = Object.hasOwn(schemas, name) ? schemas[name] : undefined
      return signals.sendMessage(runId, name, await checked(schema, payload, `message ${name}`), options)
    },
    async result({ timeout, signal } = {}) {
      const until = timeout === undefined ? Infinity : performance.now() + toMilliseconds(timeout, 'timeout')
      const parts = tenantParts(tenant)
      const part = parts.run(runId)
      const { ring, silence, wait } = bell()
      // Before the first look: what comes between the two must not be missed.
      const unwatch = db.watch((it) => it === part, ring)
      const unlisten = runRecords(db, parts).listen(runId, ring)
      try {
        for (;;) {
          silence()
          const end = await readEnd(holdfast, runId, { signal })
          if (end?.status === 'completed') return end.result as R
          if (end) throw new RunError(runId, end.status, end.error)
          const left = until - performance.now()
          if (left <= 0) {
            throw new HoldfastError('TIMEOUT', `Run ${JSON.stringify(runId)} has not ended in time`, {
              retryable: true,
            })
          }
          await wait(Math.min(POLL, left), signal)
        }
      } finally {
        unwatch()
        unlisten()
      }
    },
    get: (options) => workflows.getRun(runId, options),
    cancel: (request = {}) => signals.storeSignal(runId, 'cancel', requireGiven(request, 'request')),
  }
}
