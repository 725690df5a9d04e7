/**
 * The workflow store: runs from their start to their deletion, with what they were started with and the context that
 * their steps share.
 *
 * The surface joins distri's `WorkflowStore` with sayiir's `prepare_run`. A start is one insert-if-absent, so of several
 * starters one creates the run; everything of a run is deleted in one commit.
 *
 * @module
 */
import { type Known, requireGiven, requireInteger, requireOptions } from '../../core/arguments.ts'
import { type Database, innerOf } from '../../core/database.ts'
import type { CallOptions, Entry } from '../../core/driver.ts'
import { HoldfastError, invalid } from '../../core/errors.ts'
import { DEFAULT_TENANT, EVERYTHING, encodeId, tenantParts } from '../../core/keys.ts'
import { defined } from '../../core/objects.ts'
import { CALL, STORE, type StoreOptions, WRITE, type WriteOptions } from '../../core/options.ts'
import { type Page, type PageOptions, eachItem, readPage, PAGE } from '../../core/pages.ts'
import { type ContextStore, runContexts } from './context.ts'
import { type RunFields, requireRunFields, requireText, withFields } from '../../runs/fields.ts'
import type { RunSummary } from '../../runs/indexes.ts'
import { LIST_RUNS, type ListRunsOptions, listed } from './list.ts'
import { type RunProposal, changed, ended, mismatch, otherDefinition, runRecords } from '../../runs/record.ts'
import { type NewRun, type PreparedRun, type Run, runStarts } from './start.ts'
import type { RetryState } from '../../runs/state.ts'
import { type RunStatus, isRunStatus, isTerminal } from '../../runs/status.ts'
import { stepRecords } from '../../runs/step-record.ts'
import { type StepStore, stepStore } from './steps.ts'

export type { ListRunsOptions } from './list.ts'
export type { NewRun, PreparedRun, Run, StartPolicy } from './start.ts'

/** Options of {@link WorkflowStore.updateRun}. */
export interface UpdateRunOptions extends WriteOptions {
  /** Only where the run has this status. */
  readonly expectedStatus?: RunStatus | undefined
}

/** A failed attempt at a step: options of {@link WorkflowStore.failTask}. */
export interface FailTaskOptions extends WriteOptions {
  readonly error: string
  readonly workerId?: string | undefined
  /** When it may be tried again, in milliseconds since 1970. */
  readonly retryAt?: number | undefined
}

const UPDATE: Known<UpdateRunOptions> = { ...WRITE, expectedStatus: true }
const FAIL: Known<FailTaskOptions> = { ...WRITE, error: true, workerId: true, retryAt: true }

/**
 * The runs of one tenant.
 *
 * Every method throws `INVALID_ARGUMENT` for a malformed argument, `ABORTED` for an aborted signal, and `CLOSED` after
 * the close, before any I/O. A call that is refused has changed nothing.
 */
export interface WorkflowStore extends ContextStore, StepStore {
  /**
   * Creates a run.
   *
   * @returns the run
   * @throws `ALREADY_EXISTS` where a run of this id is there, whatever it is of, with its workflow and status in
   *   `details`; `SERIALIZATION`, `PAYLOAD_TOO_LARGE`
   */
  createRun(run: NewRun, options?: WriteOptions): Promise<Run>
  /**
   * Starts a run, or finds it started: of several starters one creates it.
   *
   * @returns the run, and whether this call created it
   * @throws `WORKFLOW_MISMATCH`; `DEFINITION_MISMATCH` where the run there is of another version or hash, whatever the
   *   policy; `ALREADY_EXISTS` by policy `fail`
   */
  prepareRun(run: PreparedRun, options?: WriteOptions): Promise<{ readonly created: boolean; readonly run: Run }>
  /** The run, from one moment; `undefined` where there is none. */
  getRun(runId: string, options?: CallOptions): Promise<Run | undefined>
  /**
   * Lists runs by page: of one status in the order in which they came to it, all in the order of their ids. A page may
   * be shorter than asked for, or empty, where runs were left out; the last has no cursor.
   */
  listRuns(options?: ListRunsOptions): Promise<Page<RunSummary>>
  /** The same, reading page by page; `limit` is the size of a page. */
  runs(options?: ListRunsOptions): AsyncIterable<RunSummary>
  /**
   * Changes what is known of a run.
   *
   * @returns the status from then on
   * @throws `NOT_FOUND`; `ALREADY_COMPLETED` where the run has ended, and not as these fields say; `WORKFLOW_MISMATCH`;
   *   `DEFINITION_MISMATCH` where it has another `definitionHash`, which is never changed; `CONFLICT` where it has another status than expected
   */
  updateRun(runId: string, fields: RunFields, options?: UpdateRunOptions): Promise<RunStatus>
  /**
   * Records a failed attempt at a step, and when it may be tried again: until then it is not offered to workers.
   *
   * @returns how the attempts went so far
   * @throws `NOT_FOUND`, `ALREADY_COMPLETED`
   */
  failTask(runId: string, stepId: string, options: FailTaskOptions): Promise<RetryState>
  /** Removes a run with everything of it in one commit; tells whether there was one. Nothing of it is left. */
  deleteRun(runId: string, options?: WriteOptions): Promise<boolean>
  /** Lists everything that is stored of a run, by page: the unit that is copied and backed up. */
  listRunEntries(runId: string, options?: PageOptions): Promise<Page<Entry>>
  /** The same, reading page by page; `limit` is the size of a page. */
  runEntries(runId: string, options?: PageOptions): AsyncIterable<Entry>
}

/**
 * Makes a workflow store.
 *
 * @param database - where it is kept
 * @param options - the tenant
 * @returns the store; making one is cheap and does no I/O
 * @throws `INVALID_ARGUMENT` for a malformed tenant
 *
 * @example
 * ```ts
 * import { createDatabase, memory, workflowStore } from 'holdfast'
 *
 * const workflows = workflowStore(createDatabase({ driver: memory() }), { tenant: 'acme' })
 * const order = { runId: 'order-17', workflow: 'order', input: { cents: 4200 }, policy: 'useExisting' } as const
 * console.log((await workflows.prepareRun(order)).created) // true
 * console.log((await workflows.prepareRun(order)).created) // false
 * await workflows.patchContext('order-17', { carrier: 'kelp express' })
 * await workflows.saveTaskResult('order-17', 'charge', { id: 'ch_1' })
 * console.log((await workflows.getRun('order-17'))?.context) // { carrier: 'kelp express' }
 * ```
 */
export function workflowStore(database: Database, options?: StoreOptions): WorkflowStore {
  const db = innerOf(database)
  const { tenant = DEFAULT_TENANT } = requireOptions(options, STORE)
  const parts = tenantParts(tenant)
  const runs = runRecords(db, parts)
  const steps = stepRecords(db, parts)
  const contexts = runContexts(db, parts, runs)
  const { start, read } = runStarts(db, tenant, parts, runs)

  const store: WorkflowStore = {
    createRun: async (run, options) => (await start(run, undefined, requireOptions(options, WRITE))).run,
    async prepareRun(given, options) {
      const { policy = 'fail', ...run } = requireGiven(given, 'run')
      if (!['fail', 'useExisting', 'terminateExisting'].includes(policy)) {
        throw invalid('policy must be fail, useExisting or terminateExisting')
      }
      return start(run, policy, requireOptions(options, WRITE))
    },
    getRun: async (runId, options) => read(db, runId, requireOptions(options, CALL)),
    listRuns: async (options) => listed(db, parts, options),
    runs: (options) => eachItem(options, LIST_RUNS, store.listRuns),
    async updateRun(runId, fields, given) {
      const options = requireOptions(given, UPDATE)
      const { expectedStatus } = options
      const told = requireRunFields(requireGiven(fields, 'fields'))
      if (expectedStatus !== undefined && !isRunStatus(expectedStatus)) {
        throw invalid('expectedStatus must be one of a run')
      }
      return runs.changeExisting(
        runId,
        (run): RunProposal<RunStatus> => {
          const { status } = run
          if (isTerminal(status) && told.status !== status) throw ended(run)
          if (expectedStatus !== undefined && status !== expectedStatus) {
            throw new HoldfastError('CONFLICT', `The run is ${status}, not ${expectedStatus}`, { details: { status } })
          }
          if (told.workflow !== undefined && run.workflow !== undefined && told.workflow !== run.workflow) {
            throw mismatch(run)
          }
          const { definitionHash: expected } = told
          const { definitionHash: found } = run
          if (expected !== undefined && found !== undefined && expected !== found)
            throw otherDefinition(run, 'definitionHash', expected)
          const next = withFields(run, told, db.now())
          return { next, done: () => next.status }
        },
        options,
      )
    },
    async failTask(runId, stepId, given) {
      const { error, workerId, retryAt, ...options } = requireOptions(given, FAIL)
      encodeId(stepId, 'stepId')
      requireText(error, 'error')
      if (workerId !== undefined) encodeId(workerId, 'workerId')
      if (retryAt !== undefined) requireInteger(retryAt, 'retryAt')
      return runs.changeExisting(
        runId,
        (run): RunProposal<RetryState> => {
          if (isTerminal(run.status)) throw ended(run)
          const before = run.retries && Object.hasOwn(run.retries, stepId) ? run.retries[stepId] : undefined
          const state: RetryState = defined({
            attempts: (before?.attempts ?? 0) + 1,
            lastError: error,
            lastFailedWorker: workerId,
            nextRetryAt: retryAt,
          })
          // Computed, so that `__proto__` is a name like any other.
          const retries = { ...run.retries, [stepId]: state }
          return { next: changed(run, { retries }, db.now()), done: () => ({ ...state }) }
        },
        options,
      )
    },
    async deleteRun(runId, options) {
      const part = parts.run(runId)
      return runs.change(
        runId,
        (run) => ({
          next: run && null,
          ops: [{ deletePart: part }],
          done: () => run !== undefined,
        }),
        requireOptions(options, WRITE),
      )
    },
    listRunEntries: async (runId, options) =>
      readPage(db, parts.run(runId), EVERYTHING, (entry) => entry, requireOptions(options, PAGE)),
    runEntries: (runId, options) => eachItem(options, PAGE, (page) => store.listRunEntries(runId, page)),
    // At the end: an object that begins with a spread takes ten times as long to make.
    ...contexts.store,
    ...stepStore(db, parts, runs, steps, contexts.patching),
  }
  return store
}
