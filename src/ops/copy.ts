/** Copies one store into another, with any two drivers. @module */
import { type Known, requireOptions } from '../core/arguments.ts'
import { isSameValue } from '../core/codec.ts'
import { type Database, innerOf } from '../core/database.ts'
import { FILL, type FillOptions, type FillResult, differences, mirror, requireRoom } from './mirror.ts'
import { requireOrder } from './options.ts'
import { scan } from './scan.ts'

/** Options of {@link copy}. */
export interface CopyOptions extends FillOptions {
  /** Reads both stores again and compares them, including values; `true` by default. */
  readonly verify?: boolean | undefined
}

const COPY: Known<CopyOptions> = { ...FILL, verify: true }

/** The result of {@link copy}. */
export interface CopyResult extends FillResult {
  /**
   * The number of entries that differ afterwards. It is 0 unless the source was written to meanwhile; in that case,
   * call again with `overwrite`. Absent without `verify`.
   */
  readonly differing?: number
}

/**
 * Copies everything, or one tenant: values, their expiry, the seqs of logs, and the versions of entries. So claims,
 * leases and cursors hold in the copy, too.
 *
 * To resume a copy that was cut off, call it again; existing entries are not written twice. Stop all writes to the
 * source, or call again with `overwrite` until nothing differs. Nothing should use the target before that.
 *
 * @param from - the source; nothing is written there
 * @param to - the target
 * @param options - `tenant`, `overwrite`, `verify`, `batch`, `durability`, `onProgress`, `signal`
 * @returns how many entries were written, present, removed and expired, and how many differ
 * @throws `CONFLICT` if the target holds other entries, with the first in `details`; nothing has changed then.
 *   `PAYLOAD_TOO_LARGE` if an entry does not fit into the target; `UNSUPPORTED` if a driver hides names;
 *   `INVALID_ARGUMENT`, `ABORTED`, `CLOSED`
 *
 * @example
 * ```ts
 * import { createHoldfast, memory } from 'holdfast'
 * import { copy } from 'holdfast/ops'
 *
 * const [old, next] = [createHoldfast({ driver: memory() }), createHoldfast({ driver: memory() })]
 * await old.state.set('greeting', 'hello')
 * console.log(await copy(old.db, next.db)) // { written: 1, present: 0, removed: 0, expired: 0, differing: 0 }
 * ```
 */
export async function copy(from: Database, to: Database, options: CopyOptions = {}): Promise<CopyResult> {
  requireOptions(options, COPY)
  const { tenant, batch, signal } = options
  for (const { driver } of [from, to]) requireOrder(driver)
  const source = () => scan(from, { tenant, batch, signal })
  const result = await innerOf(to).hold(async (held) => {
    if (!options.overwrite)
      await requireRoom(() => scan(from, { tenant, batch, signal, keysOnly: true }), held, options)
    return mirror(source(), held, options)
  }, options)
  if (options.verify === false) return result
  return { ...result, differing: await differences(source(), to, options, (a, b) => isSameValue(a.value, b.value)) }
}
