/** All stores of a tenant over one driver. @module */
import { type Database, type DatabaseOptions, createDatabase } from './core/database.ts'
import { DEFAULT_TENANT, encodeId } from './core/keys.ts'
import type { StoreOptions } from './stores/options.ts'
import { type PersistenceStore, persistenceStore } from './stores/persistence.ts'
import { type StateStore, stateStore } from './stores/state.ts'

/** Options of {@link createHoldfast}. */
export interface HoldfastOptions extends DatabaseOptions, StoreOptions {}

/** The stores of one tenant, each made when first touched. */
export interface Holdfast {
  readonly db: Database
  readonly state: StateStore
  readonly persistence: PersistenceStore
  /** The same database for another tenant. */
  forTenant(tenant: string): Holdfast
  /** Refuses new calls, waits for those under way, lets go of the backend. Idempotent. */
  close(): Promise<void>
}

/**
 * Hands out all stores of a tenant over one driver. To have a bundle hold only what it uses, call the stores' own
 * factories on `createDatabase` instead.
 *
 * @param options - the driver, the tenant, and what to do differently
 * @returns the stores; nothing is opened before the first call
 * @throws `INVALID_ARGUMENT` for a malformed tenant, `UNSUPPORTED` for `strict` durability where the backend has none
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
export const createHoldfast = (options: HoldfastOptions): Holdfast => bind(createDatabase(options), options)

function bind(db: Database, options: StoreOptions): Holdfast {
  encodeId(options.tenant ?? DEFAULT_TENANT, 'tenant')
  let state: StateStore | undefined
  let persistence: PersistenceStore | undefined
  return {
    db,
    get state() {
      return (state ??= stateStore(db, options))
    },
    get persistence() {
      return (persistence ??= persistenceStore(db, options))
    },
    forTenant: (tenant) => bind(db, { tenant }),
    close: () => db.close(),
  }
}
