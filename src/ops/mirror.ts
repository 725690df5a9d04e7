/**
 * The writing half of `restore` and `copy`: makes a store equal to slices of another.
 *
 * An entry keeps its version, because it is written by a commit with the id of its original commit. So an entry with
 * the same version is the same entry, and an operation that was cut off continues when it is called again.
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
import { type Pair, pairs } from './compare.ts'
import type { Slice } from './scan.ts'

/** Options of operations that fill a store. */
export interface FillOptions extends StoreWideOptions, Pick<WriteOptions, 'durability'> {
  /**
   * Replaces what the store holds, and removes what the source lacks. `false` by default: the store must then be empty,
   * or hold only entries that an earlier attempt has written.
   */
  readonly overwrite?: boolean | undefined
}

/** The options of operations that fill a store. */
export const FILL: Known<FillOptions> = { ...STORE_WIDE, durability: true, overwrite: true }

/** The result of filling a store, in entries. */
export interface FillResult {
  readonly written: number
  /** Already there, from an earlier attempt. */
  readonly present: number
  /** Removed, because the source lacks them. */
  readonly removed: number
  /** Not written, because they have expired. */
  readonly expired: number
}

/** Whether the target has the same entry with the same expiry. */
const isSame = ({ source, target }: Pair): boolean =>
  source !== undefined &&
  target !== undefined &&
  source.version === target.version &&
  source.expiresAt === target.expiresAt

const taken = ({ part, key }: Pick<Pair, 'part' | 'key'>, message: string): HoldfastError =>
  new HoldfastError('CONFLICT', message, { details: { part, key } })

/**
 * Checks that a store holds nothing that the source lacks.
 *
 * @throws `CONFLICT` with the part and key of the first such entry
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
    if (other) throw taken(other, 'The store holds other entries; use an empty one, or overwrite it')
  }
}

/** Writes missing entries. With `overwrite`, also replaces and removes entries that differ. */
export async function mirror(
  source: AsyncIterable<readonly Slice[]>,
  target: Database,
  options: FillOptions,
  total?: number,
): Promise<FillResult> {
  const { overwrite = false, signal, durability, onProgress } = options
  const counts = { written: 0, present: 0, removed: 0, expired: 0 }

  /** The change for a key; `undefined` if the target has the entry, or it has expired. */
  function changeOf(pair: Pair): Change | undefined {
    const { part, key, source: wanted, target: there } = pair
    if (isSame(pair)) {
      counts.present++
      return undefined
    }
    if (there !== undefined && !overwrite) throw taken(pair, 'Another program wrote to the store meanwhile')
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
    // Without the signal: a batch of writes is short, and its outcome must be known.
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
    // Writes started together share requests. All must settle, so that none is under way after an error.
    const settled = await Promise.allSettled(together(changes, limits).map(write))
    for (const it of settled) if (it.status === 'rejected') throw it.reason
    done += found.filter((pair) => pair.source).length
    onProgress?.({ done, ...(total !== undefined && { total }) })
  }
  return counts
}

/** A change of one key. */
interface Change {
  readonly pair: Pair
  readonly check: Check
  readonly op: Op
  /** The id of the commit that wrote the entry; absent for a removal. */
  readonly id?: string
}

/** The most bytes that one character of text takes. */
const WIDEST = 3

/** Groups the entries of one original commit into one commit again, if it fits. Most commits wrote several entries. */
function together(changes: readonly Change[], { commitKeys, requestBytes }: Limits): readonly (readonly Change[])[] {
  const groups: Change[][] = []
  const open = new Map<string, { readonly group: Change[]; bytes: number }>()
  for (const change of changes) {
    const { id, op } = change
    const bytes = 'put' in op ? WIDEST * op.value.length : 0
    const last = id === undefined ? undefined : open.get(id)
    // Each change takes a check and an op. Half of the request is left for keys.
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

/** The changes left to do, if an earlier attempt, whose answer was lost, has done the others. */
function leftOf(group: readonly Change[], failed: readonly FailedCheck[]): readonly Change[] {
  const current = new Map(failed.map((it) => [it.check, it.current as Current | null]))
  const other = group.find(({ pair }, i) => current.has(i) && current.get(i)?.version !== pair.source?.version)
  if (other) throw taken(other.pair, 'Another program wrote to the store meanwhile')
  return group.filter((_, i) => !current.has(i))
}

/** Counts the entries that differ between a store and the source, including their values. */
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
