/** Options common to all operations. @module */
import { type Known, requireInteger } from '../core/arguments.ts'
import type { CallOptions, Driver, Limits } from '../core/driver.ts'
import { HoldfastError } from '../core/errors.ts'

/** The progress of an operation. */
export interface Progress {
  /** Entries processed so far, or runs if the operation works on runs. */
  readonly done: number
  /** The number to process, if known. */
  readonly total?: number
}

/** Options of every operation. */
export interface OperationOptions extends CallOptions {
  /** Called after every batch. If it throws, the operation ends with that error. */
  readonly onProgress?: ((progress: Progress) => void) | undefined
  /**
   * The most entries, or runs, held at once, from 1 to 10 000; 400 by default. Memory is bounded by a small multiple of
   * it, so lower it if values are large.
   */
  readonly batch?: number | undefined
}

/** Options of operations on a whole store. */
export interface StoreWideOptions extends OperationOptions {
  /** Only what belongs to this tenant; everything by default. */
  readonly tenant?: string | undefined
}

/** The options of every operation. */
export const OPERATION: Known<OperationOptions> = { signal: true, onProgress: true, batch: true }
/** The options of operations on a whole store. */
export const STORE_WIDE: Known<StoreWideOptions> = { ...OPERATION, tenant: true }

const DEFAULT_BATCH = 400
const MAX_BATCH = 10_000

/**
 * The size of a batch, at most a page of the backend.
 *
 * @throws `INVALID_ARGUMENT` for a malformed `batch`
 */
export const batchOf = ({ batch = DEFAULT_BATCH }: OperationOptions, { rangeEntries }: Limits): number =>
  Math.min(requireInteger(batch, 'batch', 1, MAX_BATCH), rangeEntries)

/**
 * Checks that entries come in the order of their names, so that two stores can be compared.
 *
 * @throws `UNSUPPORTED` if the driver hides names, which gives each store its own order
 */
export function requireOrder({ capabilities }: Pick<Driver, 'capabilities'>): void {
  if (capabilities.idOrder === undefined) return
  throw new HoldfastError(
    'UNSUPPORTED',
    'The driver hides names, so stores cannot be compared in order; pass the driver inside it, and entries stay encrypted',
  )
}
