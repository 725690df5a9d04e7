/**
 * Durable state for programs that are cut off without warning.
 *
 * @module
 */
export type { Clock } from './core/clock.ts'
export {
  type AnswerTo,
  type Database,
  type DatabaseOptions,
  type Draft,
  type Health,
  type WriteOptions,
  createDatabase,
} from './core/database.ts'
export type * from './core/driver.ts'
export { type ErrorCode, type ErrorOptions, HoldfastError, isHoldfastError } from './core/errors.ts'
export type { Lease } from './core/fence.ts'
export type { Page, PageOptions } from './core/pages.ts'
export { type MemoryOptions, memory } from './drivers/memory.ts'
export { type Holdfast, type HoldfastOptions, createHoldfast } from './holdfast.ts'
export type { AppendResult } from './stores/append.ts'
export * from './stores/claims.ts'
export type { ContextOptions, ContextStore } from './stores/context.ts'
export * from './stores/definitions.ts'
export type { AvailableTask, DispatchStore, FindTasks, WaitForWork, Worker } from './stores/dispatch.ts'
export type { NewEvent, RunEvent } from './stores/events.ts'
export type { FollowOptions } from './stores/follow.ts'
export { type TaskWakeupHint, decodeHint, encodeHint } from './stores/hints.ts'
export * from './stores/idempotency.ts'
export type { Message, MessagePosition } from './stores/inbox.ts'
export type {
  ConsumeInterventionOptions,
  Intervention,
  InterventionStore,
  NewIntervention,
  Note,
} from './stores/interventions.ts'
export type { Delivery, MessageStore, SendMessageOptions, SendMessageResult } from './stores/messages.ts'
export type { StoreOptions } from './stores/options.ts'
export * from './stores/persistence.ts'
export * from './stores/retries.ts'
export type { RunFields } from './stores/run-fields.ts'
export type { ReadyStep, RunSummary } from './stores/run-index.ts'
export type { Deadline, Priority, RetryState, RunRecord, SignalKind, SignalRequest } from './stores/run-state.ts'
export * from './stores/signals.ts'
export {
  type PastSnapshot,
  type SaveSnapshotOptions,
  type Snapshot,
  type SnapshotInput,
  type SnapshotOptions,
  type SnapshotStore,
  type SnapshotSummary,
  snapshotStore,
} from './stores/snapshots.ts'
export * from './stores/state.ts'
export type { Completion, Position, RunStatus, StepStatus } from './stores/status.ts'
export type { StepRecord } from './stores/step-record.ts'
export type { SaveResultOptions, StepInput, StepPatch, StepStore, WaitResult } from './stores/steps.ts'
export * from './stores/timers.ts'
export type { WatchOptions, Watched } from './stores/watch.ts'
export * from './stores/workflow.ts'
