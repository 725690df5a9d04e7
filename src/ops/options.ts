/** What all operations share. @module */
import { type Known, requireInteger } from '../core/arguments.ts'
import type { CallOptions, Driver, Entry, Limits } from '../core/driver.ts'
import { HoldfastError } from '../core/errors.ts'

/** How far an operation has come. */
export interface Progress {
  /** Entries, or runs where the operation is about runs, that were gone through. */
  readonly done: number
  /** How many there are, where that is known. */
  readonly total?: number
}

/** Options of every operation. */
export interface OperationOptions extends CallOptions {
  /** Told after every batch. What it throws ends the operation. */
  readonly onProgress?: ((progress: Progress) => void) | undefined
  /**
   * The most entries, or runs, held at once, from 1 to 10 000; 400 by default. Memory is bounded by a few times that, so
   * lower it where values are large.
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
 * The size of a batch, no larger than the backend's pages.
 *
 * @throws `INVALID_ARGUMENT`
 */
export const batchOf = ({ batch = DEFAULT_BATCH }: OperationOptions, { rangeEntries }: Limits): number =>
  Math.min(requireInteger(batch, 'batch', 1, MAX_BATCH), rangeEntries)

/**
 * Requires a store whose entries can be put beside those of another.
 *
 * @throws `UNSUPPORTED` where names are hidden: they come in an order that no other store shares
 */
export function requireOrder({ capabilities }: Pick<Driver, 'capabilities'>): void {
  if (capabilities.idOrder === undefined) return
  throw new HoldfastError(
    'UNSUPPORTED',
    'Names are hidden here: use the driver underneath, what is carried stays hidden',
  )
}

/** Whether an entry holds the same value. */
export function sameValue({ value: a }: Entry, { value: b }: Entry): boolean {
  if (typeof a === 'string' || typeof b === 'string') return a === b
  return a.length === b.length && a.every((byte, i) => byte === b[i])
}
