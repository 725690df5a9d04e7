/**
 * The persistence store: an append-only log per run with its resume cursor, completion and operator interventions.
 *
 * The surface joins Ranvier's `PersistenceStore` and enact's `EventStore`. Numbers are assigned inside the commit, an
 * append can be repeated safely, and every call that changes something is one commit.
 *
 * @module
 */
import { type Known, requireGiven, requireInteger, requireOptions } from '../../core/arguments.ts'
import { type Database, innerOf } from '../../core/database.ts'
import type { CallOptions, Entry } from '../../core/driver.ts'
import { HoldfastError, invalid } from '../../core/errors.ts'
import { withValues } from '../../core/failed-checks.ts'
import {
  DEFAULT_TENANT,
  EVENTS,
  RUN,
  decodeNumber,
  encodeId,
  encodeNumber,
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
  /** Appends only where the log ends at this number; `0`: where it is empty. */
  readonly expectedSeq?: number | undefined
  /** What the run is from then on, written in the same commit. */
  readonly run?: Omit<RunFields, 'workflow'> | undefined
}

/** Where to go on. */
export interface ResumeCursor {
  readonly runId: string
  /** The number after the one resumed from. */
  readonly nextSeq: number
  /** How often the run was resumed, this time included. */
  readonly attempt: number
  /** The event resumed from. */
  readonly anchor?: RunEvent
  /** There is no event with that number; resuming from 0 is no gap. */
  readonly gap: boolean
}

/** Options of {@link PersistenceStore.resume}. */
export interface ResumeOptions extends WriteOptions {
  /** Tells of it in the log, such as who asked for it; appended in the same commit. */
  readonly event?: Note | undefined
}

/** What {@link PersistenceStore.complete} stored, or found stored. */
export interface CompletionResult {
  readonly completion: Completion
  /** By the backend's clock, in milliseconds since 1970. */
  readonly completedAt: number
  /** The run had been completed in the same way before. */
  readonly duplicate: boolean
}

/** Options of {@link PersistenceStore.complete}. */
export interface CompleteOptions extends WriteOptions {
  /** The last event of the log, written in the same commit. */
  readonly event?: Omit<NewEvent, 'runId' | 'workflow'> | undefined
}

/** Options of {@link PersistenceStore.loadEvents} and {@link PersistenceStore.events}. */
export interface EventsOptions extends PageOptions {
  /** The number after which to begin, from 0; 0 by default. */
  readonly after?: number | undefined
}

const APPEND: Known<AppendOptions> = { ...WRITE, expectedSeq: true, run: true }
const RESUME: Known<ResumeOptions> = { ...WRITE, event: true }
const COMPLETE: Known<CompleteOptions> = { ...WRITE, event: true }
const EVENTS_OF: Known<EventsOptions> = { ...PAGE, after: true }

/**
 * The logs of one tenant.
 *
 * Every method throws `INVALID_ARGUMENT` for a malformed argument, `ABORTED` for an aborted signal, and `CLOSED` after
 * the close, before any I/O. A call that is refused has changed nothing.
 */
export interface PersistenceStore extends InterventionStore {
  /**
   * Appends an event; the first one makes the run.
   *
   * @returns its number; `duplicate` where the same event was stored before under its seq or idempotency key
   * @throws `WORKFLOW_MISMATCH` where the run is of another workflow, `ALREADY_COMPLETED` where it has ended, `CONFLICT`
   *   where the log does not end as expected, or other content has the seq or key; `SERIALIZATION`, `PAYLOAD_TOO_LARGE`
   */
  append(event: NewEvent, options?: AppendOptions): Promise<AppendResult>
  /**
   * Appends events of one run in one commit, all or none. No events: nothing happens, and `seq` is 0.
   *
   * @throws as {@link append}
   */
  appendBatch(events: readonly NewEvent[], options?: AppendOptions): Promise<AppendResult>
  /** The run with all of its log, from one moment; `undefined` where there is none. To bound memory, use `events`. */
  load(runId: string, options?: CallOptions): Promise<Trace | undefined>
  /** Lists the log, from its beginning or after a number, by page; empty for an unknown run. */
  loadEvents(runId: string, options?: EventsOptions): Promise<Page<RunEvent>>
  /** Lists the log after a number, by page: `loadEvents` with `after`. */
  loadEventsAfter(runId: string, seq: number, options?: PageOptions): Promise<Page<RunEvent>>
  /** What `loadEvents` lists, reading page by page; `limit` is the size of a page. */
  events(runId: string, options?: EventsOptions): AsyncIterable<RunEvent>
  /**
   * The log behind a number, and then every event that is appended, each once and in order, until the run has ended: then
   * the loop ends behind its last event. Of a run that is not there yet, it waits for the first one.
   *
   * @throws `ABORTED`, `CLOSED` at the close, and what reading throws
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
  /** The number of the last event; `undefined` where there is none. */
  getLatestSeq(runId: string, options?: CallOptions): Promise<number | undefined>
  /** Whether the run is there. */
  exists(runId: string, options?: CallOptions): Promise<boolean>
  /**
   * Records the number after which the run goes on, and nothing else: a paused run stays paused, see `unpause`. The last
   * call wins.
   *
   * @param fromSeq - the last number that counts as done; `0` to begin again
   * @throws `NOT_FOUND`, `ALREADY_COMPLETED`
   */
  resume(runId: string, fromSeq: number, options?: ResumeOptions): Promise<ResumeCursor>
  /**
   * Ends the run. The first completion stays; repeating it is a success.
   *
   * @throws `NOT_FOUND`, `ALREADY_COMPLETED` where it ended in another way, told in `details.completion`
   */
  complete(runId: string, completion: Completion, options?: CompleteOptions): Promise<CompletionResult>
}

/**
 * Makes a persistence store.
 *
 * @param database - where it is kept
 * @param options - the tenant
 * @returns the store; making one is cheap and does no I/O
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
      // Of a run that was not what it seemed, the run is judged first.
      (failed, stale, db) =>
        stale ? undefined : append.judge(db, failed, options, otherwise)
    return runs.change(
      runId,
      (record, id): RunProposal<AppendResult> => {
        if (record?.workflow !== undefined && record.workflow !== workflow) throw mismatch(record)
        if (record && isTerminal(record.status)) {
          // A refused append may still be the repetition of one that was accepted: asks, and changes nothing.
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
      if (!Array.isArray(events)) throw invalid('events must be an array')
      for (const event of events as readonly NewEvent[]) requireGiven(event, 'event')
      const [first] = events
      if (first === undefined) {
        await db.commitAll([], options)
        return { seq: 0, duplicate: false }
      }
      const { runId, workflow } = first
      if (events.some((event) => event.runId !== runId || event.workflow !== workflow)) {
        throw invalid('The events of a batch must be of one run')
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
    async getLatestSeq(runId, options) {
      const range = { part: parts.run(runId), ...under(EVENTS), limit: 1, reverse: true, keysOnly: true }
      const [{ entries }] = await db.read([{ range }], requireOptions(options, CALL))
      return entries[0] && decodeNumber(entries[0].key)
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
            // Fails where the event is there, and so brings it along.
            before: { checks },
            async done({ before }, db) {
              const failed = before?.ok === false ? await withValues(db, checks, before.failed, options) : []
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
      if (!isTerminal(completion)) throw invalid('completion must be completed, failed, cancelled or compensated')
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
              // Another caller may have completed the run with this very event.
              if (stale) return undefined
              await append.judge(db, failed, options)
              throw new HoldfastError('CONFLICT', 'The final event is stored already', { details: { runId } })
            },
          }
        },
        options,
      )
    },
    // At the end: an object that begins with a spread takes ten times as long to make.
    ...interventionStore(db, parts, runs),
  }
  return store
}

/** The version of the definition that a run takes over from its events: the last that is named. */
const versionOf = (events: readonly Partial<NewEvent>[]): string | undefined =>
  events.findLast((event) => event.definitionVersion !== undefined)?.definitionVersion
