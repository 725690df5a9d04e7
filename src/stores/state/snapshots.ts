/**
 * Snapshots: one versioned state document per run, saved together with the run's status and position.
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

/** A snapshot to save. */
export interface SnapshotInput<S = unknown> extends RunFields {
  readonly runId: string
  /** Any structured value, see `setJson`. */
  readonly state: S
  /**
   * The seq of the last event that the state includes, if the snapshot is a cache of the log. If left out, the snapshot
   * itself is the source of truth.
   */
  readonly throughSeq?: number | undefined
}

/** A snapshot without its state. */
export interface SnapshotSummary {
  readonly runId: string
  /** How many times it was saved since the run last had no snapshot, from 1. */
  readonly version: number
  /** The status of the run. */
  readonly status: RunStatus
  readonly throughSeq?: number
  /** When it was saved, in milliseconds since 1970. */
  readonly updatedAt: number
}

/** A stored snapshot, with fields of its run. */
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
   * Saves only over this version; `0` if there must be none. Versions begin again at 1 after a deletion, so do not keep
   * one across it.
   */
  readonly expectedVersion?: number | undefined
}

/** Options of a snapshot store. */
export interface SnapshotOptions extends StoreOptions {
  /** How many snapshots of a run to keep in its history, including the last one; none by default. */
  readonly history?: number | undefined
}

/** The options of a state store. */
export const SNAPSHOT_STORE: Known<SnapshotOptions> = { ...STORE, history: true }

const SAVE: Known<SaveSnapshotOptions> = { ...WRITE, expectedVersion: true }

/** Snapshots of one tenant: one versioned state document per run, and the status and position of the run. */
export interface SnapshotStore {
  /**
   * Saves a run's snapshot, replacing the last one, and sets fields of the run. Creates the run if it does not exist.
   *
   * @param snapshot - the state, and the fields of the run to change
   * @param options - `expectedVersion` makes the write conditional
   * @returns the saved snapshot, without its state
   * @throws `ALREADY_COMPLETED` if the run has ended, unless `snapshot.status` is its status; `CONFLICT` if the stored
   *   snapshot has another version than expected, or includes more of the log (a higher `throughSeq`);
   *   `WORKFLOW_MISMATCH` if the run belongs to another workflow; `SERIALIZATION`, `PAYLOAD_TOO_LARGE` if the state
   *   cannot be stored
   */
  saveSnapshot(snapshot: SnapshotInput, options?: SaveSnapshotOptions): Promise<SnapshotSummary>
  /** Reads the run's snapshot; `undefined` if there is none. */
  loadSnapshot<S = unknown>(runId: string, options?: CallOptions): Promise<Snapshot<S> | undefined>
  /** Lists the history of a run's snapshots by page, the oldest first, as far as the store keeps it. */
  listHistory<S = unknown>(runId: string, options?: PageOptions): Promise<Page<PastSnapshot<S>>>
  /** Iterates over the same snapshots as `listHistory`, page by page; `limit` is the page size. */
  history<S = unknown>(runId: string, options?: PageOptions): AsyncIterable<PastSnapshot<S>>
  /** Deletes a run's snapshot and its history. Returns whether there was a snapshot. */
  deleteSnapshot(runId: string, options?: WriteOptions): Promise<boolean>
  /** Lists the snapshots of the tenant by page, in the order of run ids, without their states. */
  listSnapshots(options?: PageOptions): Promise<Page<SnapshotSummary>>
  /** Iterates over the same snapshots as `listSnapshots`, page by page; `limit` is the page size. */
  snapshots(options?: PageOptions): AsyncIterable<SnapshotSummary>
}

/** The fields of its run that a snapshot shows, besides the status. */
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
      // Encoded once, before any I/O, however many attempts the commit takes.
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
          // Without throughSeq it is no cache of the log, and may replace one.
          if (throughSeq !== undefined && throughSeq < (before.throughSeq ?? 0)) {
            refuse(
              `The stored snapshot includes the log up to seq ${before.throughSeq}, this one only up to ${throughSeq}`,
            )
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

/** The change that deletes a run's snapshot. A run that has no workflow is deleted with it. */
export function withoutSnapshot(
  parts: TenantParts,
  runId: string,
  run: RunRecord | undefined,
  now: number,
): Pick<RunProposal<unknown>, 'next' | 'ops'> {
  const part = parts.run(runId)
  if (run?.snapshot && run.workflow === undefined) {
    // The run's values come last in the part, and stay. Everything before is deleted, so that no later run of this id
    // finds messages sent to this one.
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
