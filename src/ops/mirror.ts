/**
 * Has a store hold what slices of another say: the half of `restore` and `copy` that writes.
 *
 * An entry keeps its version: it is written by a commit of the id that wrote it before. So an entry that is there with
 * the same version is the same entry, and an operation that was cut off goes on where it was by being called again.
 *
 * @module
 */
import type { Database, WriteOptions } from '../core/database.ts'
import type { Entry, Outcome } from '../core/driver.ts'
import { HoldfastError } from '../core/errors.ts'
import { tenantBounds } from '../core/keys.ts'
import { type StoreWideOptions, batchOf } from './options.ts'
import { type Pair, pairs } from './pairs.ts'
import type { Slice } from './scan.ts'

/** Options of operations that fill a store. */
export interface FillOptions extends StoreWideOptions, Pick<WriteOptions, 'durability'> {
  /**
   * Whether what the store holds is replaced, and what the source does not have removed. `false` by default: then the
   * store must be empty, or hold nothing but what an earlier attempt has written.
   */
  readonly overwrite?: boolean | undefined
}

/** What filling a store came to, in entries. */
export interface FillResult {
  readonly written: number
  /** Were there already, from an earlier attempt. */
  readonly present: number
  /** Were there, and are not in the source. */
  readonly removed: number
  /** Had expired, or did meanwhile. */
  readonly expired: number
}

/** Whether the target has the entry, and for as long. */
const isSame = ({ source, target }: Pair): boolean =>
  source !== undefined &&
  target !== undefined &&
  source.version === target.version &&
  source.expiresAt === target.expiresAt

const taken = ({ part, key }: Pick<Pair, 'part' | 'key'>, message: string): HoldfastError =>
  new HoldfastError('CONFLICT', message, { details: { part, key } })

/**
 * Requires a store to hold nothing that the source does not.
 *
 * @throws `CONFLICT` with the first such entry's part and key
 */
export async function requireRoom(
  source: () => AsyncIterable<readonly Slice[]>,
  target: Database,
  options: FillOptions,
): Promise<void> {
  const bounds = tenantBounds(options.tenant)
  const { signal } = options
  const [{ parts }] = await target.read([{ parts: { ...bounds, limit: 1 } }], { signal })
  if (parts.length === 0) return
  const batch = batchOf(options, target.driver.capabilities.limits)
  for await (const found of pairs(source(), target, { bounds, batch, keysOnly: true, signal })) {
    const other = found.find((pair) => pair.target !== undefined && !isSame(pair))
    if (other) throw taken(other, 'The store holds something else; name an empty one, or allow to overwrite')
  }
}

/** Writes what is missing, and with `overwrite` replaces and removes what differs. */
export async function mirror(
  source: AsyncIterable<readonly Slice[]>,
  target: Database,
  options: FillOptions,
  total?: number,
): Promise<FillResult> {
  const { overwrite = false, signal, durability, onProgress } = options
  const counts = { written: 0, present: 0, removed: 0, expired: 0 }
  // Without the signal: a batch of writes is short, and its outcome should be known.
  const write: WriteOptions = { durability }

  async function settle(pair: Pair): Promise<void> {
    const { part, key, source: wanted, target: there } = pair
    if (isSame(pair)) {
      counts.present++
      return
    }
    if (there !== undefined && !overwrite) throw taken(pair, 'The store was written to meanwhile')
    const at = { part, key }
    const checks = [{ at, version: there?.version ?? null }]
    if (wanted === undefined) {
      await held(pair, target.commit({ checks, ops: [{ delete: at }] }, write))
      counts.removed++
    } else if (wanted.expiresAt !== null && wanted.expiresAt <= target.now()) {
      counts.expired++
    } else {
      const { version: id, value, expiresAt } = wanted
      const expires = expiresAt === null ? undefined : { at: expiresAt }
      await held(pair, target.commit({ id, checks, ops: [{ put: at, value, expires }] }, write))
      counts.written++
    }
  }

  const bounds = tenantBounds(options.tenant)
  const batch = batchOf(options, target.driver.capabilities.limits)
  let done = 0
  for await (const found of pairs(source, target, { bounds, batch, keysOnly: true, signal })) {
    // Made together they leave together; and nothing is under way any more when one has failed.
    const settled = await Promise.allSettled(found.map(settle))
    for (const it of settled) if (it.status === 'rejected') throw it.reason
    done += found.filter((pair) => pair.source).length
    onProgress?.({ done, ...(total !== undefined && { total }) })
  }
  return counts
}

/** Requires a commit to have taken effect, now or in an attempt whose answer was lost. */
async function held({ part, key, source }: Pair, commit: Promise<Outcome>): Promise<void> {
  const outcome = await commit
  if (outcome.ok) return
  const current = outcome.failed[0]!.current as Entry | null
  if (current?.version !== source?.version) throw taken({ part, key }, 'The store was written to meanwhile')
}

/** Counts the entries in which a store differs from the source, by their values. */
export async function differences(
  source: AsyncIterable<readonly Slice[]>,
  target: Database,
  options: StoreWideOptions,
  isEqual: (a: Entry, b: Entry) => boolean,
): Promise<number> {
  const bounds = tenantBounds(options.tenant)
  const batch = batchOf(options, target.driver.capabilities.limits)
  let differing = 0
  for await (const found of pairs(source, target, { bounds, batch, keysOnly: false, signal: options.signal })) {
    for (const pair of found) {
      if (!isSame(pair) || !isEqual(pair.source!, pair.target!)) differing++
    }
  }
  return differing
}
