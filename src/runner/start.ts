/** Starts runs: one commit makes a run ready for any worker. @module */
import { type Known, requireOptions } from '../core/arguments.ts'
import { isHoldfastError } from '../core/errors.ts'
import type { Holdfast } from '../holdfast.ts'
import type { RunRecord } from '../runs/state.ts'
import { checked } from './define.ts'
import { WORK } from '../runs/status.ts'
import { type Handle, handleOf } from './handle.ts'
import { START, requireDefinition, requireHoldfast } from './options.ts'
import type { AnyWorkflow, InputOf, Messages, StartOptions, WorkflowDefinition } from './types.ts'

/** Options of {@link start}. */
export interface NewRunOptions<I> extends StartOptions<I> {
  /** Aborts the call. */
  readonly signal?: AbortSignal
}

const NEW_RUN: Known<NewRunOptions<unknown>> = { ...START, signal: true }

/**
 * Starts a run without working on it. A worker, such as `work` or `drain`, runs it.
 *
 * @param holdfast - the stores of the run's tenant
 * @param workflow - made by `defineWorkflow`
 * @param options - the run's id and input, its tags and priority, and what to do if the run exists
 * @returns a handle: send messages to the run, cancel it, wait for its result
 * @throws `INVALID_ARGUMENT` for a malformed option, or an input that the schema rejects; `WORKFLOW_MISMATCH` if the id
 *   belongs to a run of another workflow; `ALREADY_EXISTS` with policy `fail`; `SERIALIZATION` or `PAYLOAD_TOO_LARGE` if
 *   the input cannot be stored; `ABORTED` by `signal`; also the errors of the backend
 *
 * @example
 * ```ts
 * import { createHoldfast, memory } from 'holdfast'
 * import { defineWorkflow, drain, start } from 'holdfast/run'
 *
 * const holdfast = createHoldfast({ driver: memory() })
 * const order = defineWorkflow({ name: 'order' }, async (ctx, input: { cents: number }) => {
 *   return ctx.step('charge', () => `charged ${input.cents}`)
 * })
 * const handle = await start(holdfast, order, { runId: 'order-17', input: { cents: 4200 } })
 * await drain(holdfast, [order])
 * console.log(await handle.result()) // charged 4200
 * ```
 */
export async function start<I, R, M extends Messages>(
  holdfast: Holdfast,
  workflow: WorkflowDefinition<I, R, M>,
  ...[options]: undefined extends I ? [options?: NewRunOptions<I>] : [options: NewRunOptions<I> & InputOf<I>]
): Promise<Handle<R, M>> {
  const db = requireHoldfast(holdfast)
  requireDefinition(workflow)
  const { runId = db.newId(), signal, ...rest } = requireOptions(options, NEW_RUN)
  const input = await checked(workflow.input, rest.input, 'input')
  await startRun(holdfast, workflow, { ...rest, runId, input, signal })
  return handleOf(holdfast, runId, workflow)
}

/** Starts a run whose input was checked. Of several concurrent calls, one creates the run. */
export async function startRun(
  holdfast: Holdfast,
  { name, version }: AnyWorkflow,
  options: StartOptions<unknown> & { readonly runId: string; readonly signal?: AbortSignal | undefined },
  parent?: RunRecord['parent'],
): Promise<void> {
  const { runId, input, policy = 'useExisting', tags, priority, signal } = options
  const run = {
    runId,
    workflow: name,
    definitionVersion: version,
    input,
    policy,
    tags,
    priority,
    parent,
    position: WORK,
  }
  try {
    await holdfast.workflows.prepareRun({ ...run, status: 'pending' }, { signal })
  } catch (error) {
    // Not an error: an existing run keeps the version that it was started with.
    if (policy !== 'useExisting' || !isHoldfastError(error, 'DEFINITION_MISMATCH')) throw error
  }
}
