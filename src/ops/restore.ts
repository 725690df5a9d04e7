/** Fills a store from a backup. @module */
import { type Known, requireOptions, shown } from '../core/arguments.ts'
import { type Database, innerOf } from '../core/database.ts'
import { HoldfastError, invalid } from '../core/errors.ts'
import { EVERYTHING, keyAfter, utf8Bytes } from '../core/keys.ts'
import type { BackupSummary } from './backup.ts'
import type { Header, StoredEntry } from './format.ts'
import { type FillOptions, type FillResult, mirror, requireRoom } from './mirror.ts'
import { OPERATION, type OperationOptions, requireOrder } from './options.ts'
import { type BackupSource, readBackup } from './read-backup.ts'
import type { Slice } from './scan.ts'

/** Options of {@link restore}. */
export type RestoreOptions = Omit<FillOptions, 'tenant'>

/** Options of {@link verifyBackup}. */
export type VerifyBackupOptions = Pick<OperationOptions, 'onProgress' | 'signal'>

const RESTORE: Known<RestoreOptions> = { ...OPERATION, durability: true, overwrite: true }
const VERIFY: Known<VerifyBackupOptions> = { signal: true, onProgress: true }

/** The result of {@link restore}. */
export interface RestoreResult extends FillResult, BackupSummary {
  /** The tenant of the backup; absent if it holds all tenants. */
  readonly tenant?: string
}

/** The result of {@link verifyBackup}. */
export interface VerifiedBackup extends BackupSummary {
  readonly tenant?: string
  /** The size of the largest value in bytes; for text, of its UTF-8. */
  readonly largestValue: number
}

/**
 * Reads a whole backup and checks every seal.
 *
 * @param source - text or bytes, from the beginning, decompressed
 * @param options - `onProgress`, `signal`
 * @returns a summary of the backup
 * @throws `SERIALIZATION` if it is damaged, cut off, of a newer format, or not a backup: `details.reason` is
 *   `checksum`, `truncated`, `unsupported_version` or `malformed`, and `details.line` is the line; `ABORTED`
 *
 * @example
 * ```ts
 * import { createHoldfast, memory } from 'holdfast'
 * import { backup, verifyBackup } from 'holdfast/ops'
 *
 * const { db, state } = createHoldfast({ driver: memory() })
 * await state.set('greeting', 'hello')
 * console.log((await verifyBackup(backup(db))).entries) // 1
 * ```
 */
export async function verifyBackup(source: BackupSource, options?: VerifyBackupOptions): Promise<VerifiedBackup> {
  const { onProgress, signal } = requireOptions(options, VERIFY)
  let header: Header | undefined
  let entries = 0
  let consistent = false
  let largestValue = 0
  for await (const chunk of readBackup(source)) {
    if (signal?.aborted) throw new HoldfastError('ABORTED', 'The call was aborted', { cause: signal.reason })
    header ??= chunk.header
    entries += chunk.entries.length
    consistent = chunk.trailer?.consistent === true
    for (const { value } of chunk.entries) {
      largestValue = Math.max(largestValue, typeof value === 'string' ? utf8Bytes(value) : value.length)
    }
    onProgress?.({ done: entries })
  }
  const { createdAt, tenant } = header!
  return { entries, consistent, createdAt, largestValue, ...(tenant !== undefined && { tenant }) }
}

/**
 * Fills a store from a backup: values, their expiry, the seqs of logs, and the versions of entries. The backup is read
 * twice: nothing is written before all of it was verified. To resume a restore that was cut off, call it again.
 *
 * @param db - the store; nothing else should use it meanwhile
 * @param open - returns the backup from its beginning, decompressed, at each call
 * @param options - `overwrite`, `batch`, `durability`, `onProgress`, `signal`
 * @returns how many entries were written, present, removed and expired, and the summary of the backup
 * @throws `SERIALIZATION` as {@link verifyBackup}; `CONFLICT` if the store holds other entries, with the first in
 *   `details`; `PAYLOAD_TOO_LARGE` if a value does not fit into the store. In all of these cases nothing has changed.
 *   `UNSUPPORTED` if the driver hides names; `INVALID_ARGUMENT`, `ABORTED`, `CLOSED`
 *
 * @example
 * ```ts
 * import { createHoldfast, memory } from 'holdfast'
 * import { backup, restore } from 'holdfast/ops'
 *
 * const { db, state } = createHoldfast({ driver: memory() })
 * await state.set('greeting', 'hello')
 * const lines: string[] = []
 * for await (const chunk of backup(db)) lines.push(chunk)
 * await state.set('greeting', 'good bye')
 * await restore(db, () => lines, { overwrite: true })
 * console.log(await state.get('greeting')) // hello
 * ```
 */
export async function restore(
  db: Database,
  open: () => BackupSource,
  options: RestoreOptions = {},
): Promise<RestoreResult> {
  requireOptions(options, RESTORE)
  if (typeof open !== 'function') throw invalid(`open must be a function that returns the backup, not ${shown(open)}`)
  requireOrder(db.driver)
  return innerOf(db).hold(async (held) => {
    const { largestValue, ...summary } = await verifyBackup(open(), { signal: options.signal })
    const { valueBytes } = held.driver.capabilities.limits
    if (largestValue > valueBytes) {
      throw new HoldfastError(
        'PAYLOAD_TOO_LARGE',
        `The backup holds a value of ${largestValue} bytes; this backend stores at most ${valueBytes} per value`,
        {
          details: { limit: 'valueBytes', most: valueBytes, size: largestValue },
        },
      )
    }
    const { tenant } = summary
    if (!options.overwrite) await requireRoom(() => slicesOf(open()), held, { ...options, tenant })
    const result = await mirror(slicesOf(open()), held, { ...options, tenant }, summary.entries)
    return { ...summary, ...result }
  }, options)
}

/** The entries of a backup as slices that cover their parts. */
async function* slicesOf(source: BackupSource): AsyncGenerator<readonly Slice[], void> {
  /** Held back, because a slice ends where the next one of its part begins. */
  let last: Slice | undefined
  for await (const { entries } of readBackup(source)) {
    const slices: Slice[] = []
    for (const { part, entries: found } of byPart(entries)) {
      const goesOn = last?.part === part
      const start = goesOn ? keyAfter(last!.entries.at(-1)!.key) : EVERYTHING.start
      if (last) slices.push(goesOn ? { ...last, end: start } : last)
      last = { part, start, end: EVERYTHING.end, entries: found }
    }
    yield slices
  }
  if (last) yield [last]
}

/** Groups neighbouring entries of the same part. */
function byPart(entries: readonly StoredEntry[]): { readonly part: string; readonly entries: StoredEntry[] }[] {
  const groups: { readonly part: string; readonly entries: StoredEntry[] }[] = []
  for (const entry of entries) {
    const group = groups.at(-1)
    if (group?.part === entry.part) group.entries.push(entry)
    else groups.push({ part: entry.part, entries: [entry] })
  }
  return groups
}
