/**
 * The steps of runs: one row per step, in the order of insertion. Concurrent results do not overwrite each other.
 *
 * The interface combines distri's step rows with sayiir's task results: a task result is the result of its row.
 *
 * @module
 */
import { type Known, requireGiven, requireInteger, requireOptions, shown } from '../../core/arguments.ts'
import type { Along } from '../../core/cells.ts'
import { copyOf, decode, encode, isSameValue } from '../../core/codec.ts'
import type { InnerDatabase } from '../../core/database.ts'
import type { CallOptions, Entry } from '../../core/driver.ts'
import { HoldfastError, invalid } from '../../core/errors.ts'
import { EVENTS, ORDER, STEPS, type TenantParts, encodeId, encodeNumber, under } from '../../core/keys.ts'
import { defined } from '../../core/objects.ts'
import { CALL, WRITE, type WriteOptions } from '../../core/options.ts'
import { type Page, type PageOptions, eachItem, pageRange, PAGE } from '../../core/pages.ts'
import { requireRunFields, requireText, withFields } from '../../runs/fields.ts'
import { waitKey } from '../../runs/indexes.ts'
import { type RunProposal, type RunRecords, changed, ended } from '../../runs/record.ts'
import type { RunRecord } from '../../runs/state.ts'
import { type Position, type StepStatus, isStepStatus, isStepTerminal, isTerminal } from '../../runs/status.ts'
import type { StepRecord, StepRecords } from '../../runs/step-record.ts'
import type { ContextPatch } from './context.ts'

/** A step to store. */
export interface StepInput {
  readonly stepId: string
  /** `pending` by default. */
  readonly status?: StepStatus | undefined
  /** Any structured value. */
  readonly result?: unknown
  readonly error?: string | undefined
  /** In milliseconds since 1970; defaults to when the step first ran. */
  readonly startedAt?: number | undefined
  /** In milliseconds since 1970; defaults to when the step ended. */
  readonly completedAt?: number | undefined
  /** The id under which an outside system completes the step; unique within the tenant. */
  readonly waitId?: string | undefined
}

/** Fields of a step to change. A field left out stays as it is. */
export type StepPatch = Omit<StepInput, 'stepId'>

/** Options of {@link StepStore.saveTaskResult}. */
export interface SaveResultOptions extends WriteOptions {
  /** Replaces an existing result; `false` by default. */
  readonly overwrite?: boolean | undefined
}

/** Options of {@link StepStore.completeWait}. */
export interface CompleteWaitOptions extends WriteOptions {
  /** `completed` by default. */
  readonly status?: 'completed' | 'failed' | undefined
  readonly result?: unknown
  readonly error?: string | undefined
  /** Members of the run's context to set in the same commit. */
  readonly context?: Readonly<Record<string, unknown>> | undefined
  /** The new position of the run. Its status follows from the position, but a paused run stays paused. */
  readonly position?: Position | null | undefined
}

const SAVE_RESULT: Known<SaveResultOptions> = { ...WRITE, overwrite: true }
const COMPLETE_WAIT: Known<CompleteWaitOptions> = {
  ...WRITE,
  status: true,
  result: true,
  error: true,
  context: true,
  position: true,
}

/** The steps of one tenant's runs. */
export interface StepStore {
  /**
   * Stores a step. It replaces an existing row, but keeps the row's place in the order.
   *
   * @param runId - the run
   * @param step - the whole step
   * @returns the stored step
   * @throws `NOT_FOUND` if the run does not exist; `ALREADY_COMPLETED` if it has ended, unless it was cancelled;
   *   `CONFLICT` if another step has the `waitId`
   */
  upsertStep(runId: string, step: StepInput, options?: WriteOptions): Promise<StepRecord>
  /**
   * Changes a step, or creates it. Concurrent patches are all kept.
   *
   * @param runId - the run
   * @param stepId - the step
   * @param patch - the fields to change
   * @returns the stored step
   * @throws as {@link upsertStep}
   */
  patchStep(runId: string, stepId: string, patch: StepPatch, options?: WriteOptions): Promise<StepRecord>
  /** Reads a step; `undefined` if it does not exist. */
  getStep(runId: string, stepId: string, options?: CallOptions): Promise<StepRecord | undefined>
  /**
   * Lists the steps of a run by page, in the order of insertion. Empty for an unknown run. Each page takes two
   * requests; the steps are as of the second.
   */
  listSteps(runId: string, options?: PageOptions): Promise<Page<StepRecord>>
  /** Iterates over the same steps as `listSteps`, page by page; `limit` is the page size. */
  steps(runId: string, options?: PageOptions): AsyncIterable<StepRecord>
  /**
   * Completes a step with a result. It changes no other step, so concurrent branches do not overwrite each other. The
   * first result stays. If the run is at a fork, the step counts as a finished branch.
   *
   * @param runId - the run
   * @param stepId - the step
   * @param result - any structured value
   * @param options - `overwrite` replaces an existing result
   * @returns `duplicate` is true if the same result was stored before
   * @throws `NOT_FOUND` if the run does not exist; `ALREADY_COMPLETED` if it has ended, unless it was cancelled;
   *   `CONFLICT` if another result is stored
   */
  saveTaskResult(
    runId: string,
    stepId: string,
    result: unknown,
    options?: SaveResultOptions,
  ): Promise<{ readonly duplicate: boolean }>
  /** Reads the result of a step, even after its run has ended; `undefined` if there is no result or no such run. */
  loadTaskResult<R = unknown>(
    runId: string,
    stepId: string,
    options?: CallOptions,
  ): Promise<{ readonly result: R } | undefined>
  /** Finds the step that waits, or once waited, under this id; `undefined` if there is none. Its status says which. */
  findStepByWaitId(
    waitId: string,
    options?: CallOptions,
  ): Promise<{ readonly runId: string; readonly step: StepRecord } | undefined>
  /**
   * Ends the wait of a step, because an outside system has done its part. If several callers try, one succeeds. If the
   * run is at a fork, a completed step counts as a finished branch.
   *
   * @param waitId - the id given to the step
   * @param options - the outcome, and changes of the run to commit with it
   * @returns the stored step
   * @throws `NOT_FOUND` if no step waits, or once waited, under this id; `CONFLICT` if the wait is over already, or if
   *   `context` is given and the run's context is not a plain object; `ALREADY_COMPLETED` if the run has ended, unless
   *   it was cancelled
   */
  completeWait(waitId: string, options?: CompleteWaitOptions): Promise<StepRecord>
}

interface Wait {
  readonly runId: string
  readonly stepId: string
}

/** The part of a workflow store that handles steps. */
export function stepStore(
  db: InnerDatabase,
  parts: TenantParts,
  runs: RunRecords,
  steps: StepRecords,
  preparePatch: (patch: Readonly<Record<string, unknown>>) => (runId: string) => ContextPatch,
): StepStore {
  /** The decision of a step's change: the new row, or a refusal. */
  type Verdict<R> = {
    readonly next?: StepRecord | undefined
    readonly result: () => R
    /** Other entries that a refusal depends on. */
    readonly along?: readonly Along[]
  }

  /** Changes one step in a commit that also checks its run. */
  function changeStep<R>(
    runId: string,
    stepId: string,
    decide: (step: StepRecord | undefined, run: RunRecord, now: number) => Verdict<R>,
    options: WriteOptions,
    more: (run: RunRecord, now: number) => { run?: RunRecord | undefined; along?: readonly Along[] } = () => ({}),
  ): Promise<R> {
    encodeId(stepId, 'stepId')
    return runs.changeExisting(
      runId,
      (run): RunProposal<R> => {
        const now = db.now()
        let verdict: Verdict<R> | undefined
        let before: StepRecord | undefined
        const { along, ops } = steps.along(runId, stepId, (step) => {
          before = step
          verdict = decide(step, run, now)
          return verdict.next
        })
        const { next, result, along: others = [] } = verdict!
        if (!next) return { along: [along, ...others], done: result }
        const other = more(run, now)
        // A wait id stays taken, so that late callers learn that the wait is over.
        const opened = next.waitId === before?.waitId ? undefined : next.waitId
        const base = other.run ?? run
        const holder = opened !== undefined && Object.hasOwn(run.waits ?? {}, opened) ? run.waits?.[opened] : undefined
        if (holder !== undefined && holder !== stepId) throw taken(opened!)
        const wait = opened === undefined || holder ? undefined : waitKey(parts, opened)
        return {
          next: wait ? changed(base, { waits: { ...run.waits, [opened!]: stepId } }, now) : other.run,
          checks: wait ? [{ at: wait, version: null }] : [],
          along: [along, ...(other.along ?? [])],
          ops,
          done: result,
          failed(_, stale) {
            if (stale) return undefined
            throw taken(opened!)
          },
        }
      },
      options,
    )
  }

  /** The row to store, with the times that follow from its status. */
  function toRecord(
    input: StepInput & { readonly timedOut?: true | undefined },
    before: StepRecord | undefined,
    run: RunRecord,
    now: number,
  ): { readonly next: StepRecord; readonly result: () => StepRecord } {
    if (isTerminal(run.status) && run.status !== 'cancelled') throw ended(run)
    const { stepId, status = 'pending', result, error, waitId, timedOut } = input
    const hasStarted = !['pending', 'cancelled', 'skipped'].includes(status)
    const next: StepRecord = defined({
      stepId,
      status,
      result,
      error,
      waitId,
      startedAt: input.startedAt ?? before?.startedAt ?? (hasStarted ? now : undefined),
      completedAt:
        input.completedAt ??
        (isStepTerminal(status) ? ((before?.status === status ? before.completedAt : undefined) ?? now) : undefined),
      updatedAt: now,
      timedOut: isStepTerminal(status) ? timedOut : undefined,
    })
    // A copy: the cached record must not change when the caller's object does.
    return { next, result: () => copyOf(next) as StepRecord }
  }

  const store: StepStore = {
    async upsertStep(runId, step, given) {
      const options = requireOptions(given, WRITE)
      const input = requireStep(step)
      return changeStep(runId, input.stepId, (_, run, now) => toRecord(input, undefined, run, now), options)
    },
    async patchStep(runId, stepId, patch, given) {
      const options = requireOptions(given, WRITE)
      const kept = defined(requireStep({ ...requireGiven(patch, 'patch'), stepId }))
      return changeStep(
        runId,
        stepId,
        (step, run, now) => toRecord({ ...step, completedAt: undefined, ...kept }, step, run, now),
        options,
      )
    },
    async getStep(runId, stepId, options) {
      const known = requireOptions(options, CALL)
      const [entry] = await db.read([{ get: steps.at(runId, stepId) }], known)
      return entry ? (await withResults(db, parts.run(runId), [toStep(entry)], known))[0] : undefined
    },
    async listSteps(runId, given) {
      const options = requireOptions(given, PAGE)
      const part = parts.run(runId)
      const { requestReads } = db.driver.capabilities.limits
      const all = pageRange(db, part, under(ORDER), options)
      const range = { ...all, limit: Math.min(all.limit, requestReads) }
      return db.hold(async (held) => {
        const [{ entries, more }] = await held.read([{ range }], options)
        const last = entries.at(-1)
        if (!last) return { items: [] }
        const rows = await held.read(
          entries.map(({ value }) => ({ get: { part, key: STEPS + String(value) } })),
          options,
        )
        // The run may be deleted between the two reads.
        const items = await withResults(
          held,
          part,
          rows.flatMap((row) => (row ? toStep(row) : [])),
          options,
        )
        return { items, ...(more && { cursor: last.key }) }
      }, options)
    },
    steps: (runId, options) => eachItem(options, PAGE, (page) => store.listSteps(runId, page)),
    async saveTaskResult(runId, stepId, result, given) {
      const options = requireOptions(given, SAVE_RESULT)
      const { overwrite = false } = options
      const value = copyOf(result)
      const text = encode(value)
      return changeStep<{ readonly duplicate: boolean }>(
        runId,
        stepId,
        (step, run, now) => {
          const hasEnded = isTerminal(run.status) && run.status !== 'cancelled'
          if (step?.status === 'completed' && !overwrite) {
            if (!isSameValue(encode(step.result), text)) {
              return refused(
                new HoldfastError('CONFLICT', 'The step already has another result; pass overwrite to replace it', {
                  details: { runId, stepId },
                }),
              )
            }
            // upsertStep may have stored the row without updating the run's fork.
            const next = hasEnded || !withBranch(run, stepId, now) ? undefined : step
            return { next, result: () => ({ duplicate: true }) }
          }
          // This refusal depends on the step's row, so the commit has to check it.
          if (hasEnded) return refused(ended(run))
          const { next } = toRecord(
            {
              ...step,
              stepId,
              status: 'completed',
              result: value,
              error: undefined,
              completedAt: now,
              timedOut: undefined,
            },
            step,
            run,
            now,
          )
          return { next, result: () => ({ duplicate: false }) }
        },
        options,
        (run, now) => ({ run: withBranch(run, stepId, now) }),
      )
    },
    async loadTaskResult<R>(runId: string, stepId: string, options?: CallOptions) {
      const step = await store.getStep(runId, stepId, options)
      return step?.status === 'completed' ? { result: step.result as R } : undefined
    },
    async findStepByWaitId(waitId, given) {
      const options = requireOptions(given, CALL)
      const at = waitKey(parts, waitId)
      return db.hold(async (held) => {
        const [wait] = await held.read([{ get: at }], options)
        if (!wait) return undefined
        const { runId, stepId } = decode(wait.value) as Wait
        const [entry] = await held.read([{ get: steps.at(runId, stepId) }], options)
        const step = entry && toStep(entry)
        return step?.waitId === waitId ? { runId, step } : undefined
      }, options)
    },
    async completeWait(waitId, given) {
      const {
        status = 'completed',
        result,
        error,
        context,
        position: to,
        ...options
      } = requireOptions(given, COMPLETE_WAIT)
      if (status !== 'completed' && status !== 'failed')
        throw invalid(`status must be completed or failed, not ${shown(status)}`)
      const { position } = requireRunFields({ error, position: to })
      const value = copyOf(result)
      const patch = context === undefined ? undefined : preparePatch(context)
      const found = await store.findStepByWaitId(waitId, { signal: options.signal })
      if (!found) throw new HoldfastError('NOT_FOUND', 'No step waits under this id', { details: { waitId } })
      const { runId, step } = found
      let patched: ContextPatch | undefined
      return changeStep(
        runId,
        step.stepId,
        (step, run, now) => {
          patched = patch?.(runId)
          if (step?.waitId !== waitId || isStepTerminal(step.status)) {
            return refused(
              new HoldfastError('CONFLICT', 'The wait is over already', { details: { waitId, status: step?.status } }),
            )
          }
          if (patched?.refusal) return { ...refused(patched.refusal), along: [patched.along] }
          return toRecord({ ...step, status, result: value, error }, step, run, now)
        },
        options,
        (run, now) => {
          const forked = status === 'completed' ? withBranch(run, step.stepId, now) : undefined
          return {
            run: position === undefined ? forked : withFields(forked ?? run, { position }, now),
            along: patched ? [patched.along] : [],
          }
        },
      )
    },
  }
  return store
}

/** Adds the results that are stored in the log instead of the row, as the runner stores them. */
async function withResults(
  from: Pick<InnerDatabase, 'read'>,
  part: string,
  steps: readonly StepRecord[],
  { signal }: CallOptions = {},
): Promise<StepRecord[]> {
  const logged = steps.filter(({ seq }) => seq !== undefined)
  if (logged.length === 0) return [...steps]
  const events = await from.read(
    logged.map(({ seq }) => ({ get: { part, key: EVENTS + encodeNumber(seq!) } })),
    { signal },
  )
  return steps.map((step) => {
    const entry = step.seq === undefined ? null : events[logged.indexOf(step)]!
    // The log may have been trimmed.
    const result = entry ? (decode(entry.value) as { readonly payload?: unknown }).payload : undefined
    return result === undefined ? step : { ...step, result }
  })
}

const toStep = (entry: Entry): StepRecord => decode(entry.value) as StepRecord

const taken = (waitId: string): HoldfastError =>
  new HoldfastError('CONFLICT', 'Another step has this waitId; wait ids must be unique', { details: { waitId } })

/** A refusal. */
const refused = (error: HoldfastError): { readonly result: () => never } => ({
  result() {
    throw error
  },
})

/** The run with this branch of its fork done; `undefined` if the step is not an open branch. */
function withBranch(run: RunRecord, stepId: string, now: number): RunRecord | undefined {
  const { position } = run
  if (position?.kind !== 'fork' || !position.branches.includes(stepId)) return undefined
  const { completed = [] } = position
  if (completed.includes(stepId)) return undefined
  // The other branches keep their waiting time.
  return {
    ...changed(run, { position: { ...position, completed: [...completed, stepId] } }, now),
    enteredAt: run.enteredAt ?? now,
  }
}

/**
 * Checks a step and copies it.
 *
 * @throws `INVALID_ARGUMENT` for a malformed step, `SERIALIZATION` for a result that cannot be stored
 */
function requireStep(step: StepInput): StepInput {
  const { stepId, status, result, error, startedAt, completedAt, waitId } = requireGiven(step, 'step')
  encodeId(stepId, 'stepId')
  if (status !== undefined && !isStepStatus(status)) throw invalid(`status must be a step status, not ${shown(status)}`)
  if (error !== undefined) requireText(error, 'error')
  if (startedAt !== undefined) requireInteger(startedAt, 'startedAt')
  if (completedAt !== undefined) requireInteger(completedAt, 'completedAt')
  if (waitId !== undefined) encodeId(waitId, 'waitId')
  return { stepId, status, result: copyOf(result), error, startedAt, completedAt, waitId }
}
