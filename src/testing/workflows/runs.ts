/** Short ways to runs, and to all calls about them, for the cases. @module */
import type { CallOptions } from '../../core/driver.ts'
import type { WriteOptions } from '../../core/options.ts'
import type { NewRun, Run } from '../../stores/workflows/start.ts'
import { collect, RUN, type Stores, WORKFLOW } from '../stores.ts'

/** The fields of a run besides id and workflow. */
export type More = Omit<Partial<NewRun>, 'runId'>

/** A run to create. */
export const newRun = (more: More = {}, runId: string = RUN): NewRun => ({ runId, workflow: WORKFLOW, ...more })

/** Creates a run. */
export const create = ({ workflows }: Stores, more: More = {}, runId: string = RUN): Promise<Run> =>
  workflows.createRun(newRun(more, runId))

/** Reads a run through a store without a cache. */
export async function runOf({ workflows }: Stores, runId: string = RUN): Promise<Run> {
  const run = await workflows.getRun(runId)
  if (!run) throw new Error('There is no such run')
  return run
}

/** The context of a run that is a plain object. */
export const contextOf = async (s: Stores, runId: string = RUN): Promise<Readonly<Record<string, unknown>>> =>
  (await runOf(s, runId)).context as Readonly<Record<string, unknown>>

/** The ids of a run's steps, in order. */
export const stepIds = async ({ workflows }: Stores, runId: string = RUN): Promise<string[]> =>
  (await collect(workflows.steps(runId))).map(({ stepId }) => stepId)

/** The status and the result of a step. */
export async function outcome({ workflows }: Stores, stepId: string, runId: string = RUN): Promise<unknown[]> {
  const step = await workflows.getStep(runId, stepId)
  return [step?.status, step?.result]
}

type Call<O> = (s: Stores, runId: string, options?: O) => Promise<unknown>

/** Calls that change an existing run, each with something to do every time. */
export const WRITES: Readonly<Record<string, Call<WriteOptions>>> = {
  updateRun: ({ workflows }, runId, o) => workflows.updateRun(runId, { priority: 2 }, o),
  failTask: ({ workflows }, runId, o) => workflows.failTask(runId, 'a', { error: 'E', ...o }),
  updateContext: ({ workflows }, runId, o) => workflows.updateContext(runId, { a: 1 }, o),
  patchContext: ({ workflows }, runId, o) => workflows.patchContext(runId, { a: 1 }, o),
  upsertStep: ({ workflows }, runId, o) => workflows.upsertStep(runId, { stepId: 'a', status: 'running' }, o),
  patchStep: ({ workflows }, runId, o) => workflows.patchStep(runId, 'a', { status: 'running' }, o),
  saveTaskResult: ({ workflows }, runId, o) => workflows.saveTaskResult(runId, 'b', 1, { ...o, overwrite: true }),
}

/** Calls that create or delete a run. */
export const STARTS: typeof WRITES = {
  createRun: ({ workflows }, runId, o) => workflows.createRun(newRun({}, runId), o),
  prepareRun: ({ workflows }, runId, o) =>
    workflows.prepareRun({ ...newRun({}, runId), policy: 'terminateExisting' }, o),
  deleteRun: ({ workflows }, runId, o) => workflows.deleteRun(runId, o),
}

/** Calls that read a run. */
export const READS: Readonly<Record<string, Call<CallOptions>>> = {
  getRun: ({ workflows }, runId, o) => workflows.getRun(runId, o),
  getStep: ({ workflows }, runId, o) => workflows.getStep(runId, 'a', o),
  listSteps: ({ workflows }, runId, o) => workflows.listSteps(runId, o),
  steps: ({ workflows }, runId, o) => collect(workflows.steps(runId, o)),
  loadTaskResult: ({ workflows }, runId, o) => workflows.loadTaskResult(runId, 'b', o),
  runEntries: ({ workflows }, runId, o) => collect(workflows.runEntries(runId, o)),
}

/** Calls without a run id. */
const OTHERS: Readonly<Record<string, (s: Stores, options?: WriteOptions) => Promise<unknown>>> = {
  listRuns: ({ workflows }, o) => workflows.listRuns(o),
  runs: ({ workflows }, o) => collect(workflows.runs(o)),
  findStepByWaitId: ({ workflows }, o) => workflows.findStepByWaitId('wait', o),
  completeWait: ({ workflows }, o) => workflows.completeWait('wait', o),
}

/** All calls, for one run if they take one. */
export const CALLS: readonly (readonly [string, (s: Stores, options?: WriteOptions) => Promise<unknown>])[] = [
  ...Object.entries({ ...READS, ...WRITES, ...STARTS }).map(
    ([name, call]) => [name, (s: Stores, o?: WriteOptions) => call(s, RUN, o)] as const,
  ),
  ...Object.entries(OTHERS),
]

/** A run with a step that waits under the id `wait`. */
export async function waiting(s: Stores, more: More = {}, waitId = 'wait'): Promise<void> {
  await create(s, more)
  await s.workflows.upsertStep(RUN, { stepId: 'ask', status: 'waiting', waitId })
}
