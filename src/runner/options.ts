/** The options that the calls of the runner know, and checks of their other arguments. @module */
import { type Known, shown } from '../core/arguments.ts'
import { type InnerDatabase, innerOf } from '../core/database.ts'
import { invalid } from '../core/errors.ts'
import type { Holdfast } from '../holdfast.ts'
import type {
  AnyWorkflow,
  ChildOptions,
  FunctionRunOptions,
  MessageOptions,
  RunOptions,
  StartOptions,
  StepOptions,
  Working,
} from './types.ts'

/** The options that `run`, `work` and `drain` share. */
export const WORKING: Known<Working> = {
  workerId: true,
  lease: true,
  retry: true,
  maxDeliveries: true,
  grace: true,
  onError: true,
  signal: true,
}

/** The options of `run`. */
export const RUN: Known<RunOptions> = {
  runId: true,
  input: true,
  tags: true,
  maxWait: true,
  autoComplete: true,
  ...WORKING,
}

/** The options of `run` for a function. */
export const FUNCTION_RUN: Known<FunctionRunOptions> = {
  workflow: true,
  definitionVersion: true,
  definitionHash: true,
  ...RUN,
}

/** The options that `start` and `ctx.start` share. */
export const START: Known<StartOptions<unknown>> = {
  input: true,
  runId: true,
  policy: true,
  tags: true,
  priority: true,
}

/** The options of `ctx.start`. */
export const CHILD: Known<ChildOptions<unknown>> = { ...START, detached: true }

/** The options of `ctx.step`. */
export const STEP: Known<StepOptions<unknown>> = { retry: true, timeout: true, atMostOnce: true, compensate: true }

/** The options of `ctx.message`. */
export const MESSAGE: Known<MessageOptions> = { timeout: true }

/** @throws `INVALID_ARGUMENT` for anything that `createHoldfast` did not make */
export function requireHoldfast(holdfast: Holdfast): InnerDatabase {
  if (typeof holdfast?.tenant === 'string' && holdfast.db !== undefined) return innerOf(holdfast.db)
  throw invalid(`holdfast must be made by createHoldfast, not ${shown(holdfast)}`)
}

/** @throws `INVALID_ARGUMENT` for anything that `defineWorkflow` did not make */
export function requireDefinition(workflow: AnyWorkflow): AnyWorkflow {
  if (typeof workflow?.fn === 'function' && typeof workflow.name === 'string') return workflow
  throw invalid(`workflow must be made by defineWorkflow, not ${shown(workflow)}`)
}
