/**
 * Durable state for code that gets killed.
 *
 * @module
 */
export type { Clock } from './core/clock.ts'
export type { Duration } from './core/duration.ts'
export {
  type AnswerTo,
  type Database,
  type DatabaseOptions,
  type Draft,
  type Health,
  createDatabase,
} from './core/database.ts'
export type { CallOptions, Capabilities, Driver, Durability, Limits, Value } from './core/driver.ts'
export { type ErrorCode, type HoldfastErrorOptions, HoldfastError, isHoldfastError } from './core/errors.ts'
export type { Lease } from './core/fence.ts'
export type { Page, PageOptions } from './core/pages.ts'
export { type MemoryOptions, memory } from './drivers/memory.ts'
export { type Holdfast, type HoldfastOptions, createHoldfast } from './holdfast.ts'
export type { AppendResult } from './stores/persistence/append.ts'
export * from './stores/claims/store.ts'
export type { ContextOptions, ContextStore } from './stores/workflows/context.ts'
export * from './policies/definitions.ts'
export type { AvailableTask, KnownWorkflow, WorkerInfo } from './runs/dispatch.ts'
export type {
  DispatchStore,
  FindHintedOptions,
  FindTasksOptions,
  WaitForWorkOptions,
} from './stores/claims/dispatch.ts'
export type { NewEvent, RunEvent } from './runs/events.ts'
export type { FollowOptions } from './stores/persistence/follow.ts'
export { type TaskWakeupHint, decodeHint, encodeHint } from './runs/hints.ts'
export * from './stores/idempotency/store.ts'
export type { Message, MessagePosition } from './runs/inbox.ts'
export type {
  ConsumeInterventionOptions,
  Intervention,
  InterventionStore,
  NewIntervention,
  Note,
} from './stores/persistence/interventions.ts'
export type {
  Delivery,
  MessageStore,
  SendMessageOptions,
  SendMessageResult,
  StoredMessage,
} from './stores/signals/messages.ts'
export type { StoreOptions, WriteOptions } from './core/options.ts'
export * from './stores/persistence/store.ts'
export * from './policies/retries.ts'
export type { RunFields } from './runs/fields.ts'
export type { ReadyStep, RunSummary } from './runs/indexes.ts'
export type { Aside, Deadline, Priority, RetryState, RunRecord, SignalKind, SignalRequest } from './runs/state.ts'
export * from './stores/signals/store.ts'
export {
  type PastSnapshot,
  type SaveSnapshotOptions,
  type Snapshot,
  type SnapshotInput,
  type SnapshotOptions,
  type SnapshotStore,
  type SnapshotSummary,
  snapshotStore,
} from './stores/state/snapshots.ts'
export * from './stores/state/store.ts'
export {
  type Completion,
  type Position,
  type RunStatus,
  type StepStatus,
  isRunStatus,
  isStepStatus,
  isStepTerminal,
  isTerminal,
} from './runs/status.ts'
export type { StepRecord } from './runs/step-record.ts'
export type {
  CompleteWaitOptions,
  SaveResultOptions,
  StepInput,
  StepPatch,
  StepStore,
} from './stores/workflows/steps.ts'
export * from './stores/timers/store.ts'
export type { WatchOptions, Watched } from './core/watch.ts'
export * from './stores/workflows/store.ts'
