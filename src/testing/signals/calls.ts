/** Every method of the signal and timer stores, for the cases about all of them. @module */
import type { WriteOptions } from '../../core/options.ts'
import type { Stores } from '../stores.ts'
import { at, waitFor } from './runs.ts'

/** Calls that may change a run. */
export const WRITES: readonly ((s: Stores, runId: string, options?: WriteOptions) => Promise<unknown>)[] = [
  ({ signals }, runId, o) => signals.storeSignal(runId, 'pause', o),
  ({ signals }, runId, o) => signals.clearSignal(runId, 'pause', o),
  ({ signals }, runId, o) => signals.checkAndCancel(runId, o),
  ({ signals }, runId, o) => signals.checkAndPause(runId, o),
  ({ signals }, runId, o) => signals.checkControlSignals(runId, o),
  ({ signals }, runId, o) => signals.unpause(runId, o),
  ({ signals }, runId, o) => signals.sendMessage(runId, 'n', 1, o),
  ({ signals }, runId, o) => signals.consumeMessage(runId, 'n', o),
  ({ signals }, runId, o) => signals.deliver(runId, 'n', { stepId: 'wait', position: at() }, o),
  ({ signals }, runId, o) => signals.park(runId, waitFor(), o),
]

/** All calls that name a run. */
export const BY_RUN: typeof WRITES = [
  ...WRITES,
  ({ signals }, runId, o) => signals.getSignal(runId, 'pause', o),
  ({ signals }, runId, o) => signals.listMessages(runId, 'n', o),
]

/** All calls of timers. */
export const TIMERS: readonly ((s: Stores, options?: WriteOptions) => Promise<unknown>)[] = [
  ({ timers }, o) => timers.advanceDue(o),
  ({ timers }, o) => timers.nextDue(o),
]
