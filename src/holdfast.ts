/** All stores of a tenant over one driver. @module */
import { type Known, requireGiven, requireOptions } from './core/arguments.ts'
import { DATABASE, type Database, type DatabaseOptions, createDatabase } from './core/database.ts'
import { DEFAULT_TENANT, encodeId } from './core/keys.ts'
import { type TaskClaimStore, taskClaimStore } from './stores/claims/store.ts'
import { type IdempotencyStore, idempotencyStore } from './stores/idempotency/store.ts'
import { type PersistenceStore, persistenceStore } from './stores/persistence/store.ts'
import { type SignalStore, signalStore } from './stores/signals/store.ts'
import { SNAPSHOT_STORE, type SnapshotOptions } from './stores/state/snapshots.ts'
import { type StateStore, stateStore } from './stores/state/store.ts'
import { type TimerStore, timerStore } from './stores/timers/store.ts'
import { type WorkflowStore, workflowStore } from './stores/workflows/store.ts'

/** Options of {@link createHoldfast}. */
export interface HoldfastOptions extends DatabaseOptions, SnapshotOptions {}

const HOLDFAST: Known<HoldfastOptions> = { ...DATABASE, ...SNAPSHOT_STORE }

/** The stores of one tenant. */
export interface Holdfast {
  readonly tenant: string
  readonly db: Database
  readonly state: StateStore
  readonly persistence: PersistenceStore
  readonly workflows: WorkflowStore
  readonly signals: SignalStore
  readonly timers: TimerStore
  readonly claims: TaskClaimStore
  readonly idempotency: IdempotencyStore
  /** The stores of another tenant in the same database. */
  forTenant(tenant: string): Holdfast
  /** Refuses new calls, waits for running ones, then closes the driver. Calling it again does nothing. */
  close(): Promise<void>
}

/**
 * Creates all stores of a tenant over one driver. To bundle only the stores you use, pass the result of
 * `createDatabase` to their own factories instead.
 *
 * @param options - the driver, the tenant, and settings
 * @returns the stores. Nothing is opened before the first call
 * @throws `INVALID_ARGUMENT` for unknown or malformed options, `UNSUPPORTED` for `strict` durability if the backend
 *   does not support it
 *
 * @example
 * ```ts
 * import { createHoldfast, memory } from 'holdfast'
 *
 * const holdfast = createHoldfast({ driver: memory(), tenant: 'acme' })
 * await holdfast.persistence.append({ runId: 'order-17', workflow: 'order', kind: 'started' })
 * console.log(await holdfast.persistence.getLatestSeq('order-17')) // 1
 * await holdfast.close()
 * ```
 */
export function createHoldfast(options: HoldfastOptions): Holdfast {
  const { tenant = DEFAULT_TENANT, history, ...rest } = requireOptions(requireGiven(options, 'options'), HOLDFAST)
  return bind(createDatabase(rest), tenant, history)
}

function bind(db: Database, tenant: string, history: number | undefined): Holdfast {
  encodeId(tenant, 'tenant')
  const options = { tenant }
  return {
    tenant,
    db,
    // Created at once: an object with lazy getters takes several times as long to create as all of these.
    state: stateStore(db, { tenant, history }),
    persistence: persistenceStore(db, options),
    workflows: workflowStore(db, options),
    signals: signalStore(db, options),
    timers: timerStore(db, options),
    claims: taskClaimStore(db, options),
    idempotency: idempotencyStore(db, options),
    forTenant: (other) => bind(db, other, history),
    close: () => db.close(),
  }
}
