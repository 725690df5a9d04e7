/**
 * Durable workflows: define them, start them, and run them over any backend.
 *
 * @module
 */
export { type DefinitionOptions, type OutputOf, type PayloadsOf, defineWorkflow } from './define.ts'
export { type DrainOptions, drain } from './drain.ts'
export type { Duration } from '../core/duration.ts'
export type { LogEvent } from './events.ts'
export { NonRetryableError, RunError, StepError, type StoredError } from './errors.ts'
export { type Handle, type ResultOptions, handleOf } from './handle.ts'
export { type RecordedRun, type Replayed, recordedRun, replay } from './replay.ts'
export { run } from './run.ts'
export { type NewRunOptions, start } from './start.ts'
export type {
  AnySchema,
  AnyWorkflow,
  Checked,
  Child,
  ChildOptions,
  Context,
  FunctionRunOptions,
  InputOf,
  MessageOptions,
  Messages,
  RunOptions,
  RunOutcome,
  Schema,
  StartOptions,
  StepInfo,
  StepOptions,
  StepRetry,
  Validated,
  Workflow,
  WorkflowDefinition,
  Working,
} from './types.ts'
export { type WorkOptions, work } from './work.ts'
export type { WorkerOptions } from './worker.ts'
