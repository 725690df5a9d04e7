/**
 * Has a store hold what slices of another say: the half of `restore` and `copy` that writes.
 *
 * An entry keeps its version: it is written by a commit of the id that wrote it before. So an entry that is there with
 * the same version is the same entry, and an operation that was cut off goes on where it was by being called again.
 *
 * @module
 */
import type { Known } from '../core/arguments.ts'
import type { Database } from '../core/database.ts'
import type { Check, Current, Entry, FailedCheck, Limits, Op } from '../core/driver.ts'
import { HoldfastError } from '../core/errors.ts'
import { tenantBounds } from '../core/keys.ts'
import type { WriteOptions } from '../core/options.ts'
import { STORE_WIDE, type StoreWideOptions, batchOf } from './options.ts'
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

/** The options of operations that fill a store. */
export const FILL: Known<FillOptions> = { ...STORE_WIDE, durability: true, overwrite: true }

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

  /** What has to be written for a key; nothing where it is there, or has expired. */
  function changeOf(pair: Pair): Change | undefined {
    const { part, key, source: wanted, target: there } = pair
    if (isSame(pair)) {
      counts.present++
      return undefined
    }
    if (there !== undefined && !overwrite) throw taken(pair, 'The store was written to meanwhile')
    const at = { part, key }
    const check = { at, version: there?.version ?? null }
    if (wanted === undefined) return { pair, check, op: { delete: at } }
    const { version: id, value, expiresAt } = wanted
    if (expiresAt !== null && expiresAt <= target.now()) {
      counts.expired++
      return undefined
    }
    const expires = expiresAt === null ? undefined : { at: expiresAt }
    return { pair, check, op: { put: at, value, expires }, id }
  }

  async function write(group: readonly Change[]): Promise<void> {
    const { id } = group[0]!
    const draft = { checks: group.map(({ check }) => check), ops: group.map(({ op }) => op), ...(id && { id }) }
    // Without the signal: a batch of writes is short, and its outcome should be known.
    const outcome = await target.commit(draft, { durability })
    const left = outcome.ok ? [] : leftOf(group, outcome.failed)
    if (id === undefined) counts.removed += group.length - left.length
    else counts.written += group.length - left.length
    if (left.length > 0) await write(left)
  }

  const bounds = tenantBounds(options.tenant)
  const { limits } = target.driver.capabilities
  const batch = batchOf(options, limits)
  let done = 0
  for await (const found of pairs(source, target, { bounds, batch, keysOnly: true, signal })) {
    const changes = found.map(changeOf).filter((change) => change !== undefined)
    // Made together they leave together; and nothing is under way any more when one has failed.
    const settled = await Promise.allSettled(together(changes, limits).map(write))
    for (const it of settled) if (it.status === 'rejected') throw it.reason
    done += found.filter((pair) => pair.source).length
    onProgress?.({ done, ...(total !== undefined && { total }) })
  }
  return counts
}

/** What is to be done about a key. */
interface Change {
  readonly pair: Pair
  readonly check: Check
  readonly op: Op
  /** Of the commit that wrote the entry; absent where it is removed. */
  readonly id?: string
}

/** Text takes as many bytes as this per character, at most. */
const WIDEST = 3

/** Entries that one commit has written are written by one commit again, as far as that fits: most commits write several. */
function together(changes: readonly Change[], { commitKeys, requestBytes }: Limits): readonly (readonly Change[])[] {
  const groups: Change[][] = []
  const open = new Map<string, { readonly group: Change[]; bytes: number }>()
  for (const change of changes) {
    const { id, op } = change
    const bytes = 'put' in op ? WIDEST * op.value.length : 0
    const last = id === undefined ? undefined : open.get(id)
    // A check and an op each, and the keys take some of the request, too.
    if (last && 2 * last.group.length + 2 <= commitKeys && last.bytes + bytes <= requestBytes / 2) {
      last.group.push(change)
      last.bytes += bytes
      continue
    }
    const group = [change]
    groups.push(group)
    if (id !== undefined) open.set(id, { group, bytes })
  }
  return groups
}

/** What still has to be done where an attempt whose answer was lost, or that was cut off, has done the rest by now. */
function leftOf(group: readonly Change[], failed: readonly FailedCheck[]): readonly Change[] {
  const current = new Map(failed.map((it) => [it.check, it.current as Current | null]))
  const other = group.find(({ pair }, i) => current.has(i) && current.get(i)?.version !== pair.source?.version)
  if (other) throw taken(other.pair, 'The store was written to meanwhile')
  return group.filter((_, i) => !current.has(i))
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
