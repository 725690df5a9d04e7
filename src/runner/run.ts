/**
 * Runs workflows that survive the death of their process. The run's log holds the results of finished steps, so a step
 * that was recorded is not done again.
 *
 * A workflow is an ordinary async function. It is called from its beginning each time, and gets the results of earlier
 * steps from the log. So its code outside steps must be deterministic. Temporal and Restate work like this, too.
 *
 * @module
 */
import { requireGiven, requireOptions } from '../core/arguments.ts'
import { innerOf } from '../core/database.ts'
import { tenantParts } from '../core/keys.ts'
import type { Holdfast } from '../holdfast.ts'
import { runRecords } from '../runs/record.ts'
import { WORK, isTerminal } from '../runs/status.ts'
import { claimRun } from './claim.ts'
import { bare, checked } from './define.ts'
import { deliver } from './delivery.ts'
import { requireName } from './ids.ts'
import { FUNCTION_RUN, RUN, requireDefinition } from './options.ts'
import { outcomeOf, readEnd } from './outcomes.ts'
import { type Settings, settingsOf } from './settings.ts'
import type {
  AnyWorkflow,
  FunctionRunOptions,
  Messages,
  RunOptions,
  RunOutcome,
  Workflow,
  WorkflowDefinition,
} from './types.ts'
import type { Pause } from './waits.ts'

/**
 * Runs a workflow until it ends, or would have to wait longer than `maxWait`. A run that exists continues where it
 * stopped.
 *
 * @param holdfast - the stores of the run's tenant
 * @param workflow - made by `defineWorkflow`
 * @param options - the run's id and input, and how to run it
 * @returns the outcome; a workflow that fails is an outcome too, not an error
 * @throws `INVALID_ARGUMENT` for a malformed option, or an input that the schema rejects; `WORKFLOW_MISMATCH` or
 *   `DEFINITION_MISMATCH` if the run belongs to another workflow or version; `NON_DETERMINISTIC` if other code wrote the
 *   log, and the run is put aside; `CLAIM_LOST` if another process took over; `SERIALIZATION` or `PAYLOAD_TOO_LARGE` if
 *   the input cannot be stored; `ABORTED` by `signal`; also the errors of the backend
 *
 * @example
 * ```ts
 * import { createHoldfast, memory } from 'holdfast'
 * import { defineWorkflow, run } from 'holdfast/run'
 *
 * const order = defineWorkflow({ name: 'order' }, async (ctx, input: { cents: number }) => {
 *   const payment = await ctx.step('charge', () => ({ id: 'ch_1', cents: input.cents }), {
 *     compensate: ({ id }) => console.log('refund', id),
 *   })
 *   await ctx.step('ship', () => 'a parcel', { retry: { maxAttempts: 5, initialDelay: 200 } })
 *   return payment.id
 * })
 * const holdfast = createHoldfast({ driver: memory() })
 * const outcome = await run(holdfast, order, { runId: 'order-17', input: { cents: 4200 } })
 * console.log(outcome) // { status: 'completed', result: 'ch_1' }
 * ```
 */
export function run<I, R, M extends Messages>(
  holdfast: Holdfast,
  workflow: WorkflowDefinition<I, R, M>,
  options: RunOptions<I>,
): Promise<RunOutcome<R>>
/**
 * Runs a function without a definition, for small programs.
 *
 * @param holdfast - the stores of the run's tenant
 * @param options - the run's id and input, the workflow's name, and how to run it
 * @param workflow - the function
 * @returns the outcome
 * @throws the same errors as `run` with a definition
 */
export function run<R, I = unknown>(
  holdfast: Holdfast,
  options: FunctionRunOptions<I>,
  workflow: Workflow<R, I>,
): Promise<RunOutcome<R>>
export async function run(
  holdfast: Holdfast,
  first: AnyWorkflow | FunctionRunOptions,
  // oxlint-disable-next-line typescript/no-explicit-any -- see AnyWorkflow
  second: RunOptions | Workflow<unknown, any>,
): Promise<RunOutcome<unknown>> {
  if (typeof second !== 'function') {
    const definition = requireDefinition(first as AnyWorkflow)
    return runOne(holdfast, definition, requireOptions(requireGiven(second, 'options'), RUN))
  }
  const options = requireOptions(requireGiven(first as FunctionRunOptions, 'options'), FUNCTION_RUN)
  requireName(options.workflow, 'workflow')
  return runOne(holdfast, bare(options.workflow, options.definitionVersion, second), options)
}

/** Creates or continues a run. Tests replace the pause, so that time can jump. */
export async function runOne(
  holdfast: Holdfast,
  definition: AnyWorkflow,
  options: RunOptions & { readonly definitionHash?: string },
  played: { readonly pause?: Pause; readonly pollInterval?: number } = {},
): Promise<RunOutcome<unknown>> {
  const { runId, tags, definitionHash, signal } = options
  const settings = settingsOf(holdfast, options, { isAsked: true, wait: Infinity, ...played })
  const input = await checked(definition.input, options.input, 'input')
  const begun = { runId, workflow: definition.name, definitionVersion: definition.version, definitionHash, input, tags }
  const { run: found } = await holdfast.workflows.prepareRun(
    { ...begun, status: 'running', position: WORK, policy: 'useExisting' },
    { signal },
  )
  if (isTerminal(found.status)) return outcomeOf((await readEnd(holdfast, runId, { signal }))!)
  return takeRun(holdfast, definition, runId, settings)
}

/** Claims a run and works on it. */
export async function takeRun(
  holdfast: Holdfast,
  definition: AnyWorkflow,
  runId: string,
  settings: Settings,
): Promise<RunOutcome<unknown>> {
  const parts = tenantParts(holdfast.tenant)
  const runs = runRecords(innerOf(holdfast.db), parts)
  const claim = await claimRun(holdfast, runId, settings)
  if (claim === 'ended') return outcomeOf((await readEnd(holdfast, runId))!)
  if ('status' in claim) return claim
  return deliver({ holdfast, parts, runs, definition, claim, settings })
}
