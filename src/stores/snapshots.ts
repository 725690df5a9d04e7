/**
 * Snapshots: one versioned state document per run, with an index by tenant.
 *
 * @module
 */
import { requireInteger } from '../core/arguments.ts'
import { cells } from '../core/cells.ts'
import { decode, encode } from '../core/codec.ts'
import type { Database, WriteOptions } from '../core/database.ts'
import type { CallOptions, Entry, Key } from '../core/driver.ts'
import { HoldfastError, invalid } from '../core/errors.ts'
import { EVERYTHING, SNAPSHOT, decodeId, encodeId, tenantParts } from '../core/keys.ts'
import { defined } from '../core/objects.ts'
import { type Page, type PageOptions, eachItem, readPage } from '../core/pages.ts'
import type { StoreOptions } from './options.ts'
import { remove } from './remove.ts'
import { type RunStatus, isRunStatus, isTerminal } from './status.ts'

/** A snapshot as it is handed in. */
export interface SnapshotInput<S = unknown> {
  readonly runId: string
  /** Any structured value, see `setJson`. */
  readonly state: S
  readonly status?: RunStatus | undefined
  /**
   * The seq of the last event whose effect the state holds, where the snapshot is a cache of the log. Left out, the
   * snapshot is the truth.
   */
  readonly throughSeq?: number | undefined
}

/** What is known of a snapshot without its state. */
export interface SnapshotSummary {
  readonly runId: string
  /** How often it was saved, from 1. */
  readonly version: number
  readonly status?: RunStatus
  readonly throughSeq?: number
  /** When it was saved, in milliseconds since 1970. */
  readonly updatedAt: number
}

/** A stored snapshot. */
export interface Snapshot<S = unknown> extends SnapshotSummary {
  readonly state: S
}

/** Options of {@link SnapshotStore.saveSnapshot}. */
export interface SaveSnapshotOptions extends WriteOptions {
  /** Saves only over this version; `0`: only where there is none. */
  readonly expectedVersion?: number
}

/** Snapshots of one tenant. */
export interface SnapshotStore {
  /**
   * Saves a run's snapshot, replacing the one before.
   *
   * @returns what was saved, without the state
   * @throws `CONFLICT` where the stored version is not the expected one, holds more of the log (a higher `throughSeq`),
   *   or is of an ended run while this one is not; nothing has changed then. `SERIALIZATION`, `PAYLOAD_TOO_LARGE`
   */
  saveSnapshot(snapshot: SnapshotInput, options?: SaveSnapshotOptions): Promise<SnapshotSummary>
  /** The run's snapshot; `undefined` where there is none. */
  loadSnapshot<S = unknown>(runId: string, options?: CallOptions): Promise<Snapshot<S> | undefined>
  /** Removes a run's snapshot; tells whether there was one. */
  deleteSnapshot(runId: string, options?: WriteOptions): Promise<boolean>
  /** Lists the snapshots of the tenant, without their states, in the order of run ids, by page. */
  listSnapshots(options?: PageOptions): Promise<Page<SnapshotSummary>>
  /** All snapshots of the tenant, without their states, reading page by page; `limit` is the size of a page. */
  snapshots(options?: PageOptions): AsyncIterable<SnapshotSummary>
}

type Meta = Omit<SnapshotSummary, 'runId'>

/** The snapshot part of a state store. */
export function snapshotStore(db: Database, options: StoreOptions = {}): SnapshotStore {
  const parts = tenantParts(options.tenant)
  const heads = cells(db, (entry): Meta => {
    const { state: _, ...meta } = decode(entry.value) as Meta & { state: unknown }
    return meta
  })

  const at = (runId: string): Key => ({ part: parts.run(runId), key: SNAPSHOT })
  const indexAt = (runId: string): Key => ({ part: parts.snapshots, key: encodeId(runId, 'runId') })

  const store: SnapshotStore = {
    async saveSnapshot({ runId, state, status, throughSeq }, options = {}) {
      const { expectedVersion } = options
      if (throughSeq !== undefined) requireInteger(throughSeq, 'throughSeq')
      if (expectedVersion !== undefined) requireInteger(expectedVersion, 'expectedVersion')
      if (status !== undefined && !isRunStatus(status)) throw invalid('status must be one of a run')
      // Once, before any I/O, however often the version has to be guessed.
      const rest = `,${String(encode({ state })).slice(1)}`
      return heads.change(
        at(runId),
        (stored) => {
          const version = stored?.version ?? 0
          const refuse = (message: string): never => {
            throw new HoldfastError('CONFLICT', message, { details: { version, throughSeq: stored?.throughSeq } })
          }
          if (expectedVersion !== undefined && expectedVersion !== version) {
            refuse(`The snapshot has version ${version}, not ${expectedVersion}`)
          }
          if ((throughSeq ?? 0) < (stored?.throughSeq ?? 0)) refuse('The stored snapshot holds more of the log')
          if (isTerminal(stored?.status) && !isTerminal(status)) refuse('The stored snapshot is of an ended run')
          const meta: Meta = defined({ version: version + 1, status, throughSeq, updatedAt: db.now() })
          const summary = String(encode(meta))
          return {
            next: { value: summary.slice(0, -1) + rest, holds: meta },
            ops: [{ put: indexAt(runId), value: summary }],
            done: () => ({ runId, ...meta }),
          }
        },
        options,
      )
    },
    async loadSnapshot<S>(runId: string, options?: CallOptions) {
      const [entry] = await db.read([{ get: at(runId) }], options)
      return entry ? { runId, ...(decode(entry.value) as Omit<Snapshot<S>, 'runId'>) } : undefined
    },
    deleteSnapshot: async (runId, options) => remove(db, [at(runId), indexAt(runId)], options),
    listSnapshots: async (options) => readPage(db, parts.snapshots, EVERYTHING, toSummary, options),
    snapshots: (options = {}) => eachItem(options, store.listSnapshots),
  }
  return store
}

const toSummary = ({ key, value }: Entry): SnapshotSummary => ({ runId: decodeId(key), ...(decode(value) as Meta) })
