/** Copies a store into another, over any two drivers. @module */
import { type Known, requireOptions } from '../core/arguments.ts'
import { type Database, innerOf } from '../core/database.ts'
import { FILL, type FillOptions, type FillResult, differences, mirror, requireRoom } from './mirror.ts'
import { requireOrder, sameValue } from './options.ts'
import { scan } from './scan.ts'

/** Options of {@link copy}. */
export interface CopyOptions extends FillOptions {
  /** Whether both stores are read once more and compared, values too; `true` by default. */
  readonly verify?: boolean | undefined
}

const COPY: Known<CopyOptions> = { ...FILL, verify: true }

/** What {@link copy} came to. */
export interface CopyResult extends FillResult {
  /**
   * Entries in which the stores differ afterwards: 0, unless the source was written to meanwhile; call again with `overwrite` then. Left
   * out where it was not verified.
   */
  readonly differing?: number
}

/**
 * Copies everything, or one tenant: values, their expiry, the numbers of logs, and the versions of entries, so that
 * claims, leases and cursors hold in the copy.
 *
 * A copy that was cut off is resumed by calling it again: what is there is not written twice. Stop what writes to the
 * source; or call again with `overwrite`, which brings the copy up to date, until nothing differs. Nothing should use the
 * target before that.
 *
 * @param from - the source; nothing is written there
 * @param to - the target
 * @param options - tenant, `overwrite`, `verify`, batch, durability, progress, signal
 * @returns how many entries were written, present and removed, and in how many the stores differ
 * @throws `CONFLICT` where the target holds something else, told in `details`, and then nothing has changed;
 *   `PAYLOAD_TOO_LARGE` where an entry does not fit into the target; `UNSUPPORTED` where names are hidden; `INVALID_ARGUMENT`, `ABORTED`, `CLOSED`
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
  return { ...result, differing: await differences(source(), to, options, sameValue) }
}
