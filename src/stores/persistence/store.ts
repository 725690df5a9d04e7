/**
 * The persistence store: an append-only log per run, with its resume cursor, completion and operator interventions.
 *
 * Its interface combines Ranvier's `PersistenceStore` and enact's `EventStore`. The commit assigns the seqs, an append
 * can be repeated safely, and every call that changes something is one commit.
 *
 * @module
 */
import { type Known, requireGiven, requireInteger, requireOptions, shown } from '../../core/arguments.ts'
import { type Database, innerOf } from '../../core/database.ts'
import type { CallOptions, Entry } from '../../core/driver.ts'
import { HoldfastError, inDoubt, invalid, isHoldfastError } from '../../core/errors.ts'
import { withValues } from '../../core/failed-checks.ts'
import {
  DEFAULT_TENANT,
  EVENTS,
  RUN,
  decodeNumber,
  encodeId,
  encodeNumber,
  lastNumber,
  tenantParts,
  under,
} from '../../core/keys.ts'
import { defined } from '../../core/objects.ts'
import { CALL, STORE, type StoreOptions, WRITE, type WriteOptions } from '../../core/options.ts'
import { type Page, type PageOptions, eachItem, pageRange, toPage, PAGE } from '../../core/pages.ts'
import { type AppendResult, prepareAppend } from './append.ts'
import { type NewEvent, type RunEvent, decodeEvent } from '../../runs/events.ts'
import { FOLLOW, type FollowOptions, type LogPage, followed } from './follow.ts'
import { type InterventionStore, type Note, interventionStore } from './interventions.ts'
import { type RunFields, requireRunFields, withFields } from '../../runs/fields.ts'
import { pendingSignal } from '../../runs/indexes.ts'
import { type RunProposal, changed, decodeRun, ended, mismatch, newRun, runRecords } from '../../runs/record.ts'
import { type Completion, isTerminal } from '../../runs/status.ts'
import { type Trace, readTrace } from './trace.ts'

export type { Trace } from './trace.ts'

/** Options of appends. */
export interface AppendOptions extends WriteOptions {
  /** Appends only if the log ends at this seq; `0` if it must be empty. */
  readonly expectedSeq?: number | undefined
  /** Fields of the run to set in the same commit. */
  readonly run?: Omit<RunFields, 'workflow'> | undefined
}

/** The place to continue at. */
export interface ResumeCursor {
  readonly runId: string
  /** The seq to continue at: `fromSeq + 1`. */
  readonly nextSeq: number
  /** How many times the run was resumed, including this one. */
  readonly attempt: number
  /** The event at `fromSeq`. */
  readonly anchor?: RunEvent
  /** The log has no event at `fromSeq`. Always `false` if that is 0. */
  readonly gap: boolean
}

/** Options of {@link PersistenceStore.resume}. */
export interface ResumeOptions extends WriteOptions {
  /** An event about the resume, for example who asked for it; appended in the same commit. */
  readonly event?: Note | undefined
}

/** The result of {@link PersistenceStore.complete}. */
export interface CompletionResult {
  readonly completion: Completion
  /** When the run ended by the backend's clock, in milliseconds since 1970. */
  readonly completedAt: number
  /** The run had ended in the same way before. */
  readonly duplicate: boolean
}

/** Options of {@link PersistenceStore.complete}. */
export interface CompleteOptions extends WriteOptions {
  /** The last event of the log, written in the same commit. */
  readonly event?: Omit<NewEvent, 'runId' | 'workflow'> | undefined
}

/** Options of {@link PersistenceStore.loadEvents} and {@link PersistenceStore.events}. */
export interface EventsOptions extends PageOptions {
  /** The seq after which to begin, from 0; 0 by default. */
  readonly after?: number | undefined
}

const APPEND: Known<AppendOptions> = { ...WRITE, expectedSeq: true, run: true }
const RESUME: Known<ResumeOptions> = { ...WRITE, event: true }
const COMPLETE: Known<CompleteOptions> = { ...WRITE, event: true }
const EVENTS_OF: Known<EventsOptions> = { ...PAGE, after: true }

/**
 * The logs of one tenant.
 *
 * Every method throws `INVALID_ARGUMENT` for a malformed argument, `ABORTED` for an aborted signal, and `CLOSED` once
 * the database is closed, before any I/O. A refused call changes nothing.
 */
export interface PersistenceStore extends InterventionStore {
  /**
   * Appends an event. The first event creates the run.
   *
   * @param event - the event; give it a `seq` or an `idempotencyKey` to make repeats safe
   * @param options - conditions, and fields of the run to set along with it
   * @returns its seq; `duplicate` is true if the same event was stored before under its seq or idempotency key
   * @throws `WORKFLOW_MISMATCH` if the run belongs to another workflow; `ALREADY_COMPLETED` if it has ended; `CONFLICT`
   *   if the log ends elsewhere than expected, or holds another event under this seq or key; `SERIALIZATION`,
   *   `PAYLOAD_TOO_LARGE` if the payload cannot be stored
   */
  append(event: NewEvent, options?: AppendOptions): Promise<AppendResult>
  /**
   * Appends events of one run in one commit: all or none. With no events, does nothing and returns seq 0.
   *
   * @param events - of one run and one workflow, in order
   * @param options - as of {@link append}
   * @returns the seq of the last event
   * @throws as {@link append}
   */
  appendBatch(events: readonly NewEvent[], options?: AppendOptions): Promise<AppendResult>
  /**
   * Reads the run with its whole log, as of one moment. To bound memory, use `events`.
   *
   * @returns the run; `undefined` if it does not exist
   */
  load(runId: string, options?: CallOptions): Promise<Trace | undefined>
  /** Lists the events of a run by page, from the start or after a seq. Empty for an unknown run. */
  loadEvents(runId: string, options?: EventsOptions): Promise<Page<RunEvent>>
  /** Lists the events after a seq by page: `loadEvents` with `after`. */
  loadEventsAfter(runId: string, seq: number, options?: PageOptions): Promise<Page<RunEvent>>
  /** Iterates over the same events as `loadEvents`, page by page; `limit` is the page size. */
  events(runId: string, options?: EventsOptions): AsyncIterable<RunEvent>
  /**
   * Iterates over the stored events after a seq, and then over every new event, each once and in order. The loop ends
   * after the last event of a run that has ended. If the run does not exist yet, the loop waits for its first event.
   *
   * @throws `ABORTED`; `CLOSED` when the database is closed; and errors of the reads
   *
   * @example
   * ```ts
   * import { createHoldfast, memory } from 'holdfast'
   *
   * const { persistence } = createHoldfast({ driver: memory() })
   * await persistence.append({ runId: 'r1', workflow: 'order', kind: 'started' })
   * await persistence.complete('r1', 'completed', { event: { kind: 'shipped' } })
   * for await (const { seq, kind } of persistence.follow('r1')) console.log(seq, kind) // 1 started, 2 shipped
   * ```
   */
  follow(runId: string, options?: FollowOptions): AsyncIterable<RunEvent>
  /** Returns the seq of the last event; `undefined` if there is none. */
  getLatestSeq(runId: string, options?: CallOptions): Promise<number | undefined>
  /** Returns whether the run exists. */
  exists(runId: string, options?: CallOptions): Promise<boolean>
  /**
   * Records the seq to resume from, and nothing else. A paused run stays paused; see `unpause`. The last call wins.
   *
   * @param runId - the run
   * @param fromSeq - the last seq that counts as done; `0` to begin again
   * @param options - `event` records the resume in the log
   * @returns the seq to continue at
   * @throws `NOT_FOUND` if the run does not exist, `ALREADY_COMPLETED` if it has ended
   */
  resume(runId: string, fromSeq: number, options?: ResumeOptions): Promise<ResumeCursor>
  /**
   * Ends the run. The first completion stays; repeating it succeeds.
   *
   * @param runId - the run
   * @param completion - how it ended
   * @param options - `event` is appended as the last event of the log
   * @returns when the run ended, and whether it had ended before
   * @throws `NOT_FOUND` if the run does not exist; `ALREADY_COMPLETED` if it ended in another way, with that way in
   *   `details.completion`; `CONFLICT` if the event is in the log already
   */
  complete(runId: string, completion: Completion, options?: CompleteOptions): Promise<CompletionResult>
}

/**
 * Creates a persistence store.
 *
 * @param database - the database that holds the logs
 * @param options - the tenant; `default` if left out
 * @returns the store. Creating one is cheap and does no I/O
 * @throws `INVALID_ARGUMENT` for a malformed tenant
 *
 * @example
 * ```ts
 * import { createDatabase, memory, persistenceStore } from 'holdfast'
 *
 * const log = persistenceStore(createDatabase({ driver: memory() }), { tenant: 'acme' })
 * const event = { runId: 'order-17', workflow: 'order', kind: 'step.completed', stepId: 'charge' }
 * const { seq } = await log.append({ ...event, payload: { amount: 42n }, idempotencyKey: 'charge' })
 * await log.append({ ...event, payload: { amount: 42n }, idempotencyKey: 'charge' }) // a duplicate: nothing happens
 * for await (const { kind, payload } of log.events('order-17')) console.log(kind, payload)
 * await log.complete('order-17', 'completed')
 * console.log(seq) // 1
 * ```
 */
export function persistenceStore(database: Database, options?: StoreOptions): PersistenceStore {
  const db = innerOf(database)
  const { tenant = DEFAULT_TENANT } = requireOptions(options, STORE)
  const parts = tenantParts(tenant)
  const runs = runRecords(db, parts)

  async function appendAll(runId: string, workflow: string, events: readonly NewEvent[], options: AppendOptions) {
    const part = parts.run(runId)
    encodeId(workflow, 'workflow')
    const append = prepareAppend(db, part, events, options.expectedSeq)
    const version = versionOf(events)
    const fields = options.run && requireRunFields({ ...options.run, workflow })
    const judge =
      (otherwise?: HoldfastError): NonNullable<RunProposal<AppendResult>['failed']> =>
      // A stale record proves nothing about the append: the run is judged again first.
      (failed, stale, db) =>
        stale ? undefined : append.judge(db, failed, options, otherwise)
    return runs.change(
      runId,
      (record, id): RunProposal<AppendResult> => {
        if (record?.workflow !== undefined && record.workflow !== workflow) throw mismatch(record)
        if (record && isTerminal(record.status)) {
          // The append may repeat one that was accepted before the end. The commit checks that, and changes nothing.
          const reason = ended(record)
          if (!append.isRepeatable) throw reason
          const done = (): never => {
            throw reason
          }
          return { checks: append.checks, done, failed: judge(reason) }
        }
        const now = db.now()
        const run = record ?? newRun(runId, tenant, 'running', now, id)
        const isNews = run.workflow === undefined || (version && run.definitionVersion !== version)
        const known = isNews
          ? changed(run, { workflow, definitionVersion: version ?? run.definitionVersion }, now)
          : undefined
        return {
          checks: append.checks,
          ops: append.ops,
          next: fields ? withFields(known ?? run, fields, now) : known,
          done: ({ seqs }) => ({ seq: seqs.at(-1)!, duplicate: false, ...pendingSignal(run) }),
          failed: judge(),
        }
      },
      options,
    )
  }

  async function readLog(runId: string, after: number, options: PageOptions): Promise<LogPage> {
    const part = parts.run(runId)
    const bounds = { ...under(EVENTS), start: EVENTS + encodeNumber(after + 1) }
    const range = pageRange(db, part, bounds, options)
    const [record, { entries, more }] = await db.read([{ get: { part, key: RUN } }, { range }], options)
    if (record === null) return { page: { items: [] }, isOver: false }
    const { workflow = '', status } = decodeRun(record.value)
    const page = toPage(entries, more, (entry) => decodeEvent(entry, runId, workflow))
    return { page, isOver: isTerminal(status) }
  }

  const store: PersistenceStore = {
    append: async (event, options) => store.appendBatch([event], options),
    async appendBatch(events, given) {
      const options = requireOptions(given, APPEND)
      if (!Array.isArray(events)) throw invalid(`events must be an array, not ${shown(events)}`)
      for (const event of events as readonly NewEvent[]) requireGiven(event, 'event')
      const [first] = events
      if (first === undefined) {
        await db.commitAll([], options)
        return { seq: 0, duplicate: false }
      }
      const { runId, workflow } = first
      if (events.some((event) => event.runId !== runId || event.workflow !== workflow)) {
        throw invalid('events must all have the same runId and workflow; call appendBatch once per run')
      }
      return appendAll(runId, workflow, events, options)
    },
    async load(runId, given) {
      const options = requireOptions(given, CALL)
      return db.hold((held) => readTrace(held, parts, runId, options), options)
    },
    async loadEvents(runId, given) {
      const { after = 0, ...options } = requireOptions(given, EVENTS_OF)
      return (await readLog(runId, requireInteger(after, 'after'), options)).page
    },
    async loadEventsAfter(runId, seq, options) {
      return (await readLog(runId, requireInteger(seq, 'seq'), requireOptions(options, PAGE))).page
    },
    events: (runId, options) => eachItem(options, EVENTS_OF, (page) => store.loadEvents(runId, page)),
    async *follow(runId, given) {
      const options = requireOptions(given, FOLLOW)
      yield* followed(db, parts.run(runId), (after, page) => readLog(runId, after, page), options)
    },
    async getLatestSeq(runId, given) {
      const options = requireOptions(given, CALL)
      const part = parts.run(runId)
      const range = { part, ...under(EVENTS), limit: 1, reverse: true }
      return db.hold(async (held) => {
        const [{ entries }] = await held.read([{ range: { ...range, keysOnly: true } }], options)
        const seq = entries[0] && decodeNumber(entries[0].key)
        if (seq !== 0) return seq
        // The log was trimmed to its end, and this entry holds the last seq. Events may have been appended since.
        const [page] = await held.read([{ range }], options)
        const [last] = page.entries
        return last && lastNumber(EVENTS, last.key, () => last.value)
      }, options)
    },
    async exists(runId, options) {
      const at = { part: parts.run(runId), key: RUN }
      const [record] = await db.read([{ get: at }], requireOptions(options, CALL))
      return record !== null
    },
    async resume(runId, fromSeq, given) {
      const { event, ...options } = requireOptions(given, RESUME)
      requireInteger(fromSeq, 'fromSeq')
      const { ops } = prepareAppend(db, parts.run(runId), event ? [event] : [])
      const checks = [{ at: { part: parts.run(runId), key: EVENTS + encodeNumber(fromSeq) }, version: null }]
      return runs.changeExisting(
        runId,
        (run): RunProposal<ResumeCursor> => {
          if (isTerminal(run.status)) throw ended(run)
          const attempt = (run.resumes ?? 0) + 1
          return {
            next: changed(run, { resumedFromSeq: fromSeq, resumes: attempt }, db.now()),
            ops,
            // If the event exists, this check fails and returns it.
            before: { checks },
            async done({ before }, db) {
              const failed =
                before?.ok === false ? await afterCommit(withValues(db, checks, before.failed, options)) : []
              const entry = failed[0]?.current as Entry | null | undefined
              return defined({
                runId,
                nextSeq: Math.min(fromSeq + 1, Number.MAX_SAFE_INTEGER),
                attempt,
                anchor: entry ? decodeEvent(entry, runId, run.workflow ?? '') : undefined,
                gap: fromSeq > 0 && !entry,
              })
            },
          }
        },
        options,
      )
    },
    async complete(runId, completion, given) {
      const options = requireOptions(given, COMPLETE)
      if (!isTerminal(completion))
        throw invalid(`completion must be completed, failed, cancelled or compensated, not ${shown(completion)}`)
      const final = options.event === undefined ? [] : [requireGiven(options.event, 'event')]
      const append = prepareAppend(db, parts.run(runId), final)
      return runs.changeExisting(
        runId,
        (run): RunProposal<CompletionResult> => {
          if (run.status === completion) {
            const stored = { completion, completedAt: run.since, duplicate: true }
            return { done: () => stored }
          }
          if (isTerminal(run.status)) throw ended(run)
          const completedAt = db.now()
          return {
            next: changed(
              run,
              { status: completion, definitionVersion: versionOf(final) ?? run.definitionVersion },
              completedAt,
            ),
            checks: append.checks,
            ops: append.ops,
            done: () => ({ completion, completedAt, duplicate: false }),
            failed: async (failed, stale, db) => {
              // Another caller may have completed the run with this same event.
              if (stale) return undefined
              await append.judge(db, failed, options)
              throw new HoldfastError('CONFLICT', 'The final event is in the log already', { details: { runId } })
            },
          }
        },
        options,
      )
    },
    // Last, because an object literal that begins with a spread takes ten times as long to create.
    ...interventionStore(db, parts, runs),
  }
  return store
}

/** Marks the errors of a read that follows a commit as ambiguous: that commit has taken effect. */
async function afterCommit<T>(reading: Promise<T>): Promise<T> {
  try {
    return await reading
  } catch (cause) {
    if (!isHoldfastError(cause)) throw cause
    throw inDoubt(cause, { remark: 'the call has taken effect', cause })
  }
}

/** The definition version that the run takes from its events: the last one named. */
const versionOf = (events: readonly Partial<NewEvent>[]): string | undefined =>
  events.findLast((event) => event.definitionVersion !== undefined)?.definitionVersion
