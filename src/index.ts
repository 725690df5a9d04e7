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
export type { Page, PageOptions } from './core/pages.ts'
export { type MemoryOptions, memory } from './drivers/memory.ts'
export { type Holdfast, type HoldfastOptions, createHoldfast } from './holdfast.ts'
export type { AppendResult } from './stores/append.ts'
export type { NewEvent, RunEvent } from './stores/events.ts'
export type { Intervention, InterventionStore, NewIntervention } from './stores/interventions.ts'
export type { StoreOptions } from './stores/options.ts'
export * from './stores/persistence.ts'
export * from './stores/snapshots.ts'
export * from './stores/state.ts'
export type { Completion, RunStatus } from './stores/status.ts'
