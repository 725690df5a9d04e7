/**
 * A small runner of durable workflows over the stores.
 *
 * @module
 */
export { StepError } from './context.ts'
export { type DrainOptions, drain } from './drain.ts'
export type { Duration } from '../core/duration.ts'
export { run } from './run.ts'
export type * from './types.ts'
export { type WorkOptions, work } from './work.ts'
export type { WorkerOptions } from './worker.ts'
