/**
 * The workflow store: runs from their start to their deletion, with what they were started with and the context that
 * their steps share.
 *
 * The surface joins distri's `WorkflowStore` with sayiir's `prepare_run`. A start is one insert-if-absent, so of several
 * starters one creates the run; everything of a run is deleted in one commit.
 *
 * @module
 */
import { requireGiven, requireInteger } from '../core/arguments.ts'
import { decode, encode } from '../core/codec.ts'
import type { Database, WriteOptions } from '../core/database.ts'
import type { CallOptions, Entry, Op } from '../core/driver.ts'
import { HoldfastError, invalid } from '../core/errors.ts'
import {
  CONTEXT,
  DEFAULT_TENANT,
  DEFINITION,
  EVERYTHING,
  INPUT,
  RUN,
  decodeId,
  encodeId,
  encodeNumber,
  tenantParts,
  under,
} from '../core/keys.ts'
import { defined } from '../core/objects.ts'
import { type Page, type PageOptions, eachItem, pageRange } from '../core/pages.ts'
import { type ContextStore, type StoredContext, firstContext, readContext, runContexts } from './context.ts'
import type { StoreOptions } from './options.ts'
import { type RunFields, requireRunFields, requireText, withFields } from './run-fields.ts'
import { DEFAULT_PRIORITY, type RunSummary } from './run-index.ts'
import {
  type RunProposal,
  changed,
  completionOf,
  decodeRun,
  ended,
  mismatch,
  newRun,
  runRecords,
} from './run-record.ts'
import type { Priority, RetryState, RunRecord } from './run-state.ts'
import { type Completion, type RunStatus, isRunStatus, isTerminal } from './status.ts'
import { stepRecords } from './step-record.ts'
import { type StepStore, stepStore } from './steps.ts'

/** A run as it is started. */
export interface NewRun extends Omit<RunFields, 'workflow' | 'error' | 'retries'> {
  readonly runId: string
  readonly workflow: string
  readonly definitionVersion?: string | undefined
  /** A copy of the definition, so that later edits cannot reach the run; any structured value. */
  readonly definition?: unknown
  /** Any structured value. */
  readonly input?: unknown
  /** What its steps share; a plain object, empty by default. */
  readonly context?: Readonly<Record<string, unknown>> | undefined
}

/** What to do where a run of that id is there. */
export type StartPolicy = 'fail' | 'useExisting' | 'terminateExisting'

/** A run that is prepared. */
export interface PreparedRun extends NewRun {
  /** `fail` by default. */
  readonly policy?: StartPolicy
}

/** All that is known of a run but its log, its steps and its snapshot. */
export interface Run extends Omit<RunRecord, 'tenant' | 'snapshot' | 'waits' | 'enteredAt' | 'generation' | 'tags'> {
  /** How often a run of this id was started over, from 1. */
  readonly generation: number
  readonly priority: Priority
  readonly tags: readonly string[]
  readonly definition?: unknown
  readonly input?: unknown
  readonly context: Readonly<Record<string, unknown>>
  /** How often the context was written; 0: never. */
  readonly contextVersion: number
  readonly completion?: Completion
  readonly completedAt?: number
}

/** Options of {@link WorkflowStore.listRuns}. */
export interface ListRunsOptions extends PageOptions {
  /** Only runs of this status, in the order in which they came to it. */
  readonly status?: RunStatus | undefined
  readonly workflow?: string | undefined
  readonly tag?: string | undefined
  /** Only runs that came to their status before this moment, in milliseconds since 1970. */
  readonly before?: number | undefined
}

/** Options of {@link WorkflowStore.updateRun}. */
export interface UpdateRunOptions extends WriteOptions {
  /** Only where the run has this status. */
  readonly expectedStatus?: RunStatus
}

/** A failed attempt at a step. */
export interface FailedAttempt {
  readonly error: string
  readonly workerId?: string | undefined
  /** When it may be tried again, in milliseconds since 1970. */
  readonly retryAt?: number | undefined
}

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
   * @throws `NOT_FOUND`; `WORKFLOW_MISMATCH`; `CONFLICT` where the run has ended, or has another status than expected
   */
  updateRun(runId: string, fields: RunFields, options?: UpdateRunOptions): Promise<RunStatus>
  /**
   * Records a failed attempt at a step, and when it may be tried again: until then it is not offered to workers.
   *
   * @returns how the attempts went so far
   * @throws `NOT_FOUND`, `ALREADY_COMPLETED`
   */
  failTask(runId: string, stepId: string, attempt: FailedAttempt, options?: WriteOptions): Promise<RetryState>
  /** Removes a run with everything of it in one commit; tells whether there was one. Nothing of it is left. */
  deleteRun(runId: string, options?: WriteOptions): Promise<boolean>
  /** Everything that is stored of a run, reading page by page: the unit that is copied and backed up. */
  runEntries(runId: string, options?: CallOptions): AsyncIterable<Entry>
}

const PAGE = 1000

/**
 * Makes a workflow store.
 *
 * @param db - the database it is kept in
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
export function workflowStore(db: Database, options: StoreOptions = {}): WorkflowStore {
  const { tenant = DEFAULT_TENANT } = options
  const parts = tenantParts(tenant)
  const runs = runRecords(db, parts)
  const steps = stepRecords(db, parts)
  const contexts = runContexts(db, parts, runs)

  /** The record of a run that begins, and what else is stored of it. */
  function begin(run: NewRun): { fields: RunFields; more: Op[]; context: StoredContext } {
    const { runId, workflow, definitionVersion, definition, input, context } = requireGiven(run, 'run')
    const part = parts.run(runId)
    encodeId(workflow, 'workflow')
    if (definitionVersion !== undefined) encodeId(definitionVersion, 'definitionVersion')
    const fields = requireRunFields(run)
    const kept = firstContext(context)
    const more: Op[] = []
    if (definition !== undefined) more.push({ put: { part, key: DEFINITION }, value: encode(definition) })
    if (input !== undefined) more.push({ put: { part, key: INPUT }, value: encode(input) })
    if (kept.version > 0) more.push({ put: { part, key: CONTEXT }, value: encode(kept) })
    return { fields, more, context: kept }
  }

  /** Creates a run; without a policy only where there is none of its id, whatever that is. */
  async function start(
    run: NewRun,
    policy: StartPolicy | undefined,
    options: WriteOptions | undefined,
  ): Promise<{ readonly created: boolean; readonly run: Run }> {
    const { fields, more, context } = begin(run)
    const { runId, definitionVersion, definition, input } = run
    const part = parts.run(runId)
    /** The last refusal that means: take the run that is there. */
    let there: HoldfastError | undefined
    return db.hold(async (held) => {
      try {
        const created = await runs.change(
          runId,
          (found): RunProposal<Run> => {
            const now = db.now()
            if (found && policy) refuseOther(found, run)
            if (found && policy !== 'terminateExisting') {
              const { workflow, status } = found
              const details = { runId, workflow, status }
              throw (there = new HoldfastError('ALREADY_EXISTS', 'There is a run of this id', { details }))
            }
            const record = withFields(
              {
                ...newRun(runId, tenant, 'pending', now),
                ...defined({ definitionVersion }),
                ...(found && { generation: (found.generation ?? 1) + 1 }),
              },
              fields,
              now,
            )
            // Of what is there nothing stays; the indexes follow from the records.
            const leftovers: Op[] = found ? [{ deletePart: part }] : []
            return {
              next: record,
              ops: [...leftovers, ...more],
              // A copy: what is remembered must not change when what is given out does.
              done: () => toRun(decodeRun(encode(record)), context, { definition, input }),
            }
          },
          options,
        )
        return { created: true, run: created }
      } catch (error) {
        if (error !== there || policy !== 'useExisting') throw error
      }
      const found = await read(held, runId, options)
      // Deleted in between: the next one to ask creates it.
      if (!found) return start(run, policy, options)
      refuseOther(found, run)
      return { created: false, run: found }
    }, options)
  }

  async function read(from: Database, runId: string, options: CallOptions | undefined): Promise<Run | undefined> {
    const part = parts.run(runId)
    const get = (key: string) => ({ get: { part, key } })
    const [record, context, definition, input] = await from.read(
      [get(RUN), get(CONTEXT), get(DEFINITION), get(INPUT)],
      options,
    )
    if (!record) return undefined
    return toRun(decodeRun(record.value), readContext(context), {
      definition: definition ? decode(definition.value) : undefined,
      input: input ? decode(input.value) : undefined,
    })
  }

  const store: WorkflowStore = {
    ...contexts.store,
    ...stepStore(db, parts, runs, steps, contexts.patching),
    createRun: async (run, options) => (await start(run, undefined, options)).run,
    async prepareRun(given, options) {
      const { policy = 'fail', ...run } = requireGiven(given, 'run')
      if (!['fail', 'useExisting', 'terminateExisting'].includes(policy)) {
        throw invalid('policy must be fail, useExisting or terminateExisting')
      }
      return start(run, policy, options)
    },
    getRun: async (runId, options) => read(db, runId, options),
    async listRuns({ status, workflow, tag, before, ...options } = {}) {
      if (status !== undefined && !isRunStatus(status)) throw invalid('status must be one of a run')
      if (workflow !== undefined) encodeId(workflow, 'workflow')
      if (tag !== undefined) encodeId(tag, 'tag')
      if (before !== undefined) requireInteger(before, 'before')
      const all = status === undefined ? EVERYTHING : under(`${status}!`)
      // Times in keys are in order: what came later is cut off.
      const bounds =
        status === undefined || before === undefined ? all : { ...all, end: `${status}!${encodeNumber(before)}` }
      const range = pageRange(db, status === undefined ? parts.runs : parts.status, bounds, options)
      const [{ entries, more }] = await db.read([{ range }], options)
      const items = entries.map(({ key, value }) => ({
        runId: decodeId(key.slice(key.lastIndexOf('!') + 1)),
        ...(decode(value) as Omit<RunSummary, 'runId'>),
      }))
      const last = entries.at(-1)
      return {
        items: items.filter(
          (it) =>
            (workflow === undefined || it.workflow === workflow) &&
            (tag === undefined || it.tags?.includes(tag) === true) &&
            (before === undefined || it.since < before),
        ),
        ...(more && last && { cursor: last.key }),
      }
    },
    runs: (options = {}) => eachItem(options, store.listRuns),
    async updateRun(runId, fields, options = {}) {
      const { expectedStatus } = options
      const told = requireRunFields(requireGiven(fields, 'fields'))
      if (expectedStatus !== undefined && !isRunStatus(expectedStatus)) {
        throw invalid('expectedStatus must be one of a run')
      }
      return runs.changeExisting(
        runId,
        (run): RunProposal<RunStatus> => {
          const { status } = run
          if (expectedStatus !== undefined && status !== expectedStatus) {
            throw new HoldfastError('CONFLICT', `The run is ${status}, not ${expectedStatus}`, { details: { status } })
          }
          if (isTerminal(status) && told.status !== status) {
            throw new HoldfastError('CONFLICT', `The run has ended: ${status}`, { details: { status } })
          }
          if (told.workflow !== undefined && run.workflow !== undefined && told.workflow !== run.workflow) {
            throw mismatch(run)
          }
          const next = withFields(run, told, db.now())
          return { next, done: () => next.status }
        },
        options,
      )
    },
    async failTask(runId, stepId, attempt, options) {
      const { error, workerId, retryAt } = requireGiven(attempt, 'attempt')
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
        options,
      )
    },
    async *runEntries(runId, options) {
      const part = parts.run(runId)
      const limit = Math.min(PAGE, db.driver.capabilities.limits.rangeEntries)
      let { start } = EVERYTHING
      for (let more = true; more;) {
        const [page] = await db.read([{ range: { part, start, end: EVERYTHING.end, limit } }], options)
        yield* page.entries
        more = page.more
        start = `${page.entries.at(-1)?.key} `
      }
    },
  }
  return store
}

/** @throws `WORKFLOW_MISMATCH`, `DEFINITION_MISMATCH` where a run is not of what is to be started */
function refuseOther(
  there: Pick<RunRecord, 'runId' | 'workflow' | 'definitionHash' | 'definitionVersion'>,
  run: NewRun,
): void {
  if (there.workflow !== undefined && there.workflow !== run.workflow) throw mismatch(there)
  for (const name of ['definitionHash', 'definitionVersion'] as const) {
    const [found, expected] = [there[name], run[name]]
    if (found !== undefined && expected !== undefined && found !== expected) {
      throw new HoldfastError('DEFINITION_MISMATCH', `The run has another ${name}`, {
        details: { runId: run.runId, found, expected },
      })
    }
  }
}

function toRun(
  record: RunRecord,
  { version, context }: StoredContext,
  values: { readonly definition?: unknown; readonly input?: unknown },
): Run {
  const { tenant: _, snapshot: __, waits: ___, enteredAt: ____, ...known } = record
  return {
    generation: 1,
    priority: DEFAULT_PRIORITY,
    tags: [],
    ...known,
    ...defined(values),
    ...completionOf(record),
    context,
    contextVersion: version,
  }
}
