/**
 * The workflow store: runs from start to deletion, with their input and the context that their steps share.
 *
 * Its interface combines distri's `WorkflowStore` with sayiir's `prepare_run`. A start is one insert-if-absent, so of
 * several starters exactly one creates the run. Deleting a run is one commit.
 *
 * @module
 */
import { type Known, requireGiven, requireInteger, requireOptions, shown } from '../../core/arguments.ts'
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
  /** Updates only a run with this status. */
  readonly expectedStatus?: RunStatus | undefined
}

/** A failed attempt at a step: options of {@link WorkflowStore.failTask}. */
export interface FailTaskOptions extends WriteOptions {
  readonly error: string
  readonly workerId?: string | undefined
  /** The time of the next attempt, in milliseconds since 1970. */
  readonly retryAt?: number | undefined
}

const UPDATE: Known<UpdateRunOptions> = { ...WRITE, expectedStatus: true }
const FAIL: Known<FailTaskOptions> = { ...WRITE, error: true, workerId: true, retryAt: true }

/**
 * The runs of one tenant.
 *
 * Every method throws `INVALID_ARGUMENT` for a malformed argument, `ABORTED` for an aborted signal, and `CLOSED` once
 * the database is closed, before any I/O. A refused call changes nothing.
 */
export interface WorkflowStore extends ContextStore, StepStore {
  /**
   * Creates a run.
   *
   * @param run - its id, its workflow, and optional fields
   * @returns the run
   * @throws `ALREADY_EXISTS` if any run with this id exists, with its workflow and status in `details`;
   *   `SERIALIZATION`, `PAYLOAD_TOO_LARGE` if a value cannot be stored
   */
  createRun(run: NewRun, options?: WriteOptions): Promise<Run>
  /**
   * Starts a run, or returns the existing one. Of several starters exactly one creates it.
   *
   * @param run - as of {@link createRun}, with a policy for an existing run
   * @returns the run, and whether this call created it
   * @throws `WORKFLOW_MISMATCH` or `DEFINITION_MISMATCH` if the existing run has another workflow, version or hash,
   *   whatever the policy; `ALREADY_EXISTS` with policy `fail`
   */
  prepareRun(run: PreparedRun, options?: WriteOptions): Promise<{ readonly created: boolean; readonly run: Run }>
  /** Reads a run as of one moment; `undefined` if it does not exist. */
  getRun(runId: string, options?: CallOptions): Promise<Run | undefined>
  /**
   * Lists runs by page. With a status they come in the order in which they reached it, otherwise in the order of their
   * ids. A page may be shorter than `limit`, or empty, if runs were filtered out. Only the last page has no cursor.
   */
  listRuns(options?: ListRunsOptions): Promise<Page<RunSummary>>
  /** Iterates over the same runs as `listRuns`, page by page; `limit` is the page size. */
  runs(options?: ListRunsOptions): AsyncIterable<RunSummary>
  /**
   * Changes fields of a run.
   *
   * @param runId - the run
   * @param fields - the fields to change; a field left out stays as it is
   * @param options - `expectedStatus` makes the change conditional
   * @returns the new status
   * @throws `NOT_FOUND` if the run does not exist; `ALREADY_COMPLETED` if it has ended, unless `fields.status` is its
   *   status; `WORKFLOW_MISMATCH` if it belongs to another workflow; `DEFINITION_MISMATCH` if it has another
   *   `definitionHash`, which never changes; `CONFLICT` if it has another status than expected
   */
  updateRun(runId: string, fields: RunFields, options?: UpdateRunOptions): Promise<RunStatus>
  /**
   * Records a failed attempt at a step. Workers are not offered the step before `retryAt`.
   *
   * @param runId - the run
   * @param stepId - the step
   * @param options - the error, and when to try again
   * @returns the state of the attempts so far
   * @throws `NOT_FOUND` if the run does not exist, `ALREADY_COMPLETED` if it has ended
   */
  failTask(runId: string, stepId: string, options: FailTaskOptions): Promise<RetryState>
  /**
   * Deletes a run and everything stored of it, in one commit.
   *
   * @returns whether the run existed
   */
  deleteRun(runId: string, options?: WriteOptions): Promise<boolean>
  /** Lists all stored entries of a run by page; backups and copies use this. */
  listRunEntries(runId: string, options?: PageOptions): Promise<Page<Entry>>
  /** Iterates over the same entries as `listRunEntries`, page by page; `limit` is the page size. */
  runEntries(runId: string, options?: PageOptions): AsyncIterable<Entry>
}

/**
 * Creates a workflow store.
 *
 * @param database - the database that holds the runs
 * @param options - the tenant; `default` if left out
 * @returns the store. Creating one is cheap and does no I/O
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
        throw invalid(`policy must be fail, useExisting or terminateExisting, not ${shown(policy)}`)
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
        throw invalid(`expectedStatus must be a run status, not ${shown(expectedStatus)}`)
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
          // A computed name, so that `__proto__` is a step id like any other.
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
    // Last, because an object literal that begins with a spread takes ten times as long to create.
    ...contexts.store,
    ...stepStore(db, parts, runs, steps, contexts.patching),
  }
  return store
}
