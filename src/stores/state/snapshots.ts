/**
 * Snapshots: one versioned state document per run, with what it says of the run's status and position.
 *
 * @module
 */
import { type Known, requireGiven, requireInteger, requireOptions } from '../../core/arguments.ts'
import { decode, encode } from '../../core/codec.ts'
import { type Database, innerOf } from '../../core/database.ts'
import type { CallOptions, Entry } from '../../core/driver.ts'
import { HoldfastError } from '../../core/errors.ts'
import {
  DEFAULT_TENANT,
  EVERYTHING,
  HISTORY,
  RUN,
  SNAPSHOT,
  type TenantParts,
  VALUES,
  decodeId,
  encodeNumber,
  tenantParts,
  under,
} from '../../core/keys.ts'
import { defined, pick } from '../../core/objects.ts'
import { type Page, type PageOptions, eachItem, readPage, PAGE } from '../../core/pages.ts'
import { CALL, STORE, type StoreOptions, WRITE, type WriteOptions } from '../../core/options.ts'
import { type RunFields, requireRunFields, withFields } from '../../runs/fields.ts'
import { type RunProposal, changed, decodeRun, ended, mismatch, newRun, runRecords } from '../../runs/record.ts'
import type { RunRecord } from '../../runs/state.ts'
import { type RunStatus, isTerminal } from '../../runs/status.ts'

/** A snapshot as it is handed in. */
export interface SnapshotInput<S = unknown> extends RunFields {
  readonly runId: string
  /** Any structured value, see `setJson`. */
  readonly state: S
  /**
   * The seq of the last event whose effect the state holds, where the snapshot is a cache of the log. Left out, the
   * snapshot is the truth.
   */
  readonly throughSeq?: number | undefined
}

/** What is known of a snapshot without its state. */
export interface SnapshotSummary {
  readonly runId: string
  /** How often it was saved since it was last absent, from 1. */
  readonly version: number
  /** Of the run. */
  readonly status: RunStatus
  readonly throughSeq?: number
  /** When it was saved, in milliseconds since 1970. */
  readonly updatedAt: number
}

/** A stored snapshot, with what is known of its run. */
export interface Snapshot<S = unknown> extends SnapshotSummary, Pick<RunRecord, (typeof RUN_FACTS)[number]> {
  readonly state: S
}

/** An earlier snapshot of a run. */
export interface PastSnapshot<S = unknown> extends Omit<SnapshotSummary, 'status'> {
  readonly state: S
}

/** Options of {@link SnapshotStore.saveSnapshot}. */
export interface SaveSnapshotOptions extends WriteOptions {
  /**
   * Saves only over this version; `0`: only where there is none. A deletion leaves nothing behind, so versions count
   * from the last one: do not hold on to a version across it.
   */
  readonly expectedVersion?: number | undefined
}

/** Options of a snapshot store. */
export interface SnapshotOptions extends StoreOptions {
  /** How many earlier snapshots of a run are kept, the last one included; none by default. */
  readonly history?: number | undefined
}

/** The options of a state store. */
export const SNAPSHOT_STORE: Known<SnapshotOptions> = { ...STORE, history: true }

const SAVE: Known<SaveSnapshotOptions> = { ...WRITE, expectedVersion: true }

/** Snapshots of one tenant: one versioned state document per run, and the status and position of the run. */
export interface SnapshotStore {
  /**
   * Saves a run's snapshot, replacing the one before, and what it says of the run; makes the run where there is none.
   *
   * @returns what was saved, without the state
   * @throws `ALREADY_COMPLETED` where the run has ended, and not as this one says; `CONFLICT` where the stored version is
   *   not the expected one, or holds more of the log (a higher `throughSeq`); nothing has changed then. `SERIALIZATION`,
   *   `PAYLOAD_TOO_LARGE`
   */
  saveSnapshot(snapshot: SnapshotInput, options?: SaveSnapshotOptions): Promise<SnapshotSummary>
  /** The run's snapshot; `undefined` where there is none. */
  loadSnapshot<S = unknown>(runId: string, options?: CallOptions): Promise<Snapshot<S> | undefined>
  /** Lists the earlier snapshots of a run, the oldest first, by page: as many as the store keeps. */
  listHistory<S = unknown>(runId: string, options?: PageOptions): Promise<Page<PastSnapshot<S>>>
  /** The same, reading page by page; `limit` is the size of a page. */
  history<S = unknown>(runId: string, options?: PageOptions): AsyncIterable<PastSnapshot<S>>
  /** Removes a run's snapshot and its history; tells whether there was one. */
  deleteSnapshot(runId: string, options?: WriteOptions): Promise<boolean>
  /** Lists the snapshots of the tenant, without their states, in the order of run ids, by page. */
  listSnapshots(options?: PageOptions): Promise<Page<SnapshotSummary>>
  /** All snapshots of the tenant, without their states, reading page by page; `limit` is the size of a page. */
  snapshots(options?: PageOptions): AsyncIterable<SnapshotSummary>
}

/** What a snapshot shows of its run besides its status. */
const RUN_FACTS = [
  'workflow',
  'definitionHash',
  'position',
  'priority',
  'tags',
  'retries',
  'deadline',
  'traceParent',
  'error',
  'stopped',
] as const

/** The snapshot part of a state store. */
export function snapshotStore(database: Database, options?: SnapshotOptions): SnapshotStore {
  const db = innerOf(database)
  const { tenant = DEFAULT_TENANT, history = 0 } = requireOptions(options, SNAPSHOT_STORE)
  requireInteger(history, 'history')
  const parts = tenantParts(tenant)
  const runs = runRecords(db, parts)

  const store: SnapshotStore = {
    async saveSnapshot(snapshot, given) {
      const options = requireOptions(given, SAVE)
      const { runId, state, throughSeq } = requireGiven(snapshot, 'snapshot')
      const { expectedVersion } = options
      if (throughSeq !== undefined) requireInteger(throughSeq, 'throughSeq')
      if (expectedVersion !== undefined) requireInteger(expectedVersion, 'expectedVersion')
      const fields = requireRunFields(snapshot)
      const part = parts.run(runId)
      // Once, before any I/O, however often the version has to be guessed.
      const rest = `,${String(encode({ state })).slice(1)}`
      return runs.change(
        runId,
        (stored, id) => {
          const now = db.now()
          const run = stored ?? newRun(runId, tenant, 'running', now, id)
          if (isTerminal(run.status) && fields.status !== run.status) throw ended(run)
          const before = run.snapshot ?? { version: 0, throughSeq: 0 }
          const { version } = before
          const refuse = (message: string): never => {
            throw new HoldfastError('CONFLICT', message, {
              details: { version, throughSeq: before.throughSeq, status: run.status },
            })
          }
          if (expectedVersion !== undefined && expectedVersion !== version) {
            refuse(`The snapshot has version ${version}, not ${expectedVersion}`)
          }
          // One that is no cache of the log replaces one that was.
          if (throughSeq !== undefined && throughSeq < (before.throughSeq ?? 0)) {
            refuse('The stored snapshot holds more of the log')
          }
          if (fields.workflow !== undefined && run.workflow !== undefined && fields.workflow !== run.workflow) {
            throw mismatch(run)
          }
          const meta = defined({ version: version + 1, throughSeq, updatedAt: now })
          const next = withFields({ ...run, snapshot: meta }, fields, now)
          const value = String(encode(meta)).slice(0, -1) + rest
          const kept = [
            { put: { part, key: HISTORY + encodeNumber(meta.version) }, value },
            {
              deleteRange: {
                part,
                start: HISTORY,
                end: HISTORY + encodeNumber(Math.max(0, meta.version - history + 1)),
              },
            },
          ]
          return {
            next,
            ops: [{ put: { part, key: SNAPSHOT }, value }, ...(history > 0 ? kept : [])],
            done: () => ({ runId, ...meta, status: next.status }),
          }
        },
        options,
      )
    },
    async loadSnapshot<S>(runId: string, given?: CallOptions) {
      const options = requireOptions(given, CALL)
      const part = parts.run(runId)
      const [entry, record] = await db.read([{ get: { part, key: SNAPSHOT } }, { get: { part, key: RUN } }], options)
      if (!entry || !record) return undefined
      const run = decodeRun(record.value)
      return {
        runId,
        ...(decode(entry.value) as Pick<Snapshot<S>, 'version' | 'throughSeq' | 'updatedAt' | 'state'>),
        status: run.status,
        ...pick(run, RUN_FACTS),
      }
    },
    listHistory: async <S>(runId: string, options?: PageOptions) =>
      readPage(
        db,
        parts.run(runId),
        under(HISTORY),
        ({ value }) => ({ runId, ...(decode(value) as Omit<PastSnapshot<S>, 'runId'>) }),
        requireOptions(options, PAGE),
      ),
    history: <S>(runId: string, options?: PageOptions) =>
      eachItem(options, PAGE, (page) => store.listHistory<S>(runId, page)),
    deleteSnapshot: async (runId, options) =>
      runs.change(
        runId,
        (run) => ({ ...withoutSnapshot(parts, runId, run, db.now()), done: () => run?.snapshot !== undefined }),
        requireOptions(options, WRITE),
      ),
    listSnapshots: async (options) =>
      readPage(db, parts.snapshots, EVERYTHING, toSummary, requireOptions(options, PAGE)),
    snapshots: (options) => eachItem(options, PAGE, store.listSnapshots),
  }
  return store
}

/** What removes a run's snapshot. A run that was nothing else is gone then. */
export function withoutSnapshot(
  parts: TenantParts,
  runId: string,
  run: RunRecord | undefined,
  now: number,
): Pick<RunProposal<unknown>, 'next' | 'ops'> {
  const part = parts.run(runId)
  if (run?.snapshot && run.workflow === undefined) {
    // Its values come last in the part, and stay; nothing that was sent to it may meet a later run of this id.
    return { next: null, ops: [{ deleteRange: { part, start: EVERYTHING.start, end: VALUES } }] }
  }
  return {
    next: run?.snapshot && changed(run, { snapshot: undefined }, now),
    ops: [{ delete: { part, key: SNAPSHOT } }, { deleteRange: { part, ...under(HISTORY) } }],
  }
}

const toSummary = ({ key, value }: Entry): SnapshotSummary => ({
  runId: decodeId(key),
  ...(decode(value) as Omit<SnapshotSummary, 'runId'>),
})
