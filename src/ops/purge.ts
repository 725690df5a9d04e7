/** Retention: deletes runs that have ended. @module */
import { type Known, requireInteger, requireOptions } from '../core/arguments.ts'
import { type Database, innerOf } from '../core/database.ts'
import type { Entry } from '../core/driver.ts'
import { invalid } from '../core/errors.ts'
import { type TenantParts, keyAfter, decodeId, encodeNumber, tenantParts, under } from '../core/keys.ts'
import type { WriteOptions } from '../core/options.ts'
import { indexEntries } from '../runs/indexes.ts'
import { type RunRecords, runRecords } from '../runs/record.ts'
import type { RunRecord } from '../runs/state.ts'
import { type Completion, isTerminal } from '../runs/status.ts'
import { OPERATION, type OperationOptions, batchOf } from './options.ts'

/** Options of {@link purge}. */
export interface PurgeOptions extends OperationOptions, Pick<WriteOptions, 'durability'> {
  /** The tenant of the runs; `default` if left out. */
  readonly tenant?: string | undefined
  /** Only runs that ended this way; all ended runs by default. */
  readonly status?: Completion | readonly Completion[] | undefined
  /** Only runs that ended before this time, in milliseconds since 1970 by the backend's clock. */
  readonly completedBefore?: number | undefined
  /** Keeps this many of the latest runs of each status, from 0. */
  readonly keepLast?: number | undefined
  /** Counts without deleting; `false` by default. */
  readonly dryRun?: boolean | undefined
}

const PURGE: Known<PurgeOptions> = {
  ...OPERATION,
  durability: true,
  tenant: true,
  status: true,
  completedBefore: true,
  keepLast: true,
  dryRun: true,
}

/** The result of {@link purge}. */
export interface PurgeResult {
  /** The number of runs deleted, or with `dryRun`, to delete. */
  readonly runs: number
  /** The same number by status. */
  readonly byStatus: Readonly<Partial<Record<Completion, number>>>
}

const COMPLETIONS: readonly Completion[] = ['completed', 'failed', 'cancelled', 'compensated']

/**
 * Deletes runs that have ended, the oldest first. Each run is deleted whole, in one commit that checks that it has not
 * changed: never a running one, never half of one. If a purge is cut off, call it again. Idempotency marks outlive
 * their runs; `purgeOlderThan` deletes them.
 *
 * @param db - the store
 * @param options - either `completedBefore` or `keepLast`; also `status`, `tenant`, `dryRun`, `batch` (runs deleted at
 *   once), `durability`, `onProgress` (in runs), `signal`
 * @returns how many runs were deleted
 * @throws `INVALID_ARGUMENT`, `ABORTED`, `CLOSED`, and errors of the backend
 *
 * @example
 * ```ts
 * import { createHoldfast, memory } from 'holdfast'
 * import { purge } from 'holdfast/ops'
 *
 * const { db, persistence } = createHoldfast({ driver: memory() })
 * await persistence.append({ runId: 'order-17', workflow: 'order', kind: 'shipped' })
 * await persistence.complete('order-17', 'completed')
 * console.log(await purge(db, { status: 'completed', keepLast: 0 })) // { runs: 1, byStatus: { completed: 1 } }
 * ```
 */
export async function purge(db: Database, options: PurgeOptions = {}): Promise<PurgeResult> {
  requireOptions(options, PURGE)
  const { completedBefore, keepLast, dryRun = false, onProgress } = options
  if ((completedBefore === undefined) === (keepLast === undefined)) {
    throw invalid('Give either completedBefore or keepLast, not both')
  }
  if (completedBefore !== undefined) requireInteger(completedBefore, 'completedBefore')
  if (keepLast !== undefined) requireInteger(keepLast, 'keepLast')
  const statuses = [options.status ?? COMPLETIONS].flat()
  if (!statuses.every(isTerminal)) throw invalid('status must be completed, failed, cancelled or compensated')
  const parts = tenantParts(options.tenant)
  const batch = batchOf(options, db.driver.capabilities.limits)
  const byStatus: Partial<Record<Completion, number>> = {}
  let runs = 0
  await innerOf(db).hold(async (held) => {
    const records = runRecords(held, parts)
    for (const status of new Set(statuses)) {
      const end = keepLast === undefined ? cutOf(status, completedBefore!) : await endOf(held, status, keepLast)
      for await (const entries of pages(held, status, end)) {
        const count = dryRun ? entries.length : await removeAll(records, entries)
        byStatus[status] = (byStatus[status] ?? 0) + count
        runs += count
        onProgress?.({ done: runs })
      }
    }
  }, options)
  return { runs, byStatus }

  /** The index entries of a status up to a key, oldest first. */
  async function* pages(held: Database, status: Completion, end: string): AsyncGenerator<readonly Entry[], void> {
    let { start } = under(`${status}!`)
    for (let more = start < end; more;) {
      const range = { part: parts.status, start, end, limit: batch, keysOnly: true }
      const [page] = await held.read([{ range }], options)
      if (page.entries.length > 0) yield page.entries
      more = page.more
      start = keyAfter(page.entries.at(-1)?.key ?? start)
    }
  }

  /** The key of the first run to keep. */
  async function endOf(held: Database, status: Completion, kept: number): Promise<string> {
    let { start, end } = under(`${status}!`)
    for (let left = kept; left > 0;) {
      const limit = Math.min(left, batch)
      const range = { part: parts.status, start, end, limit, reverse: true, keysOnly: true }
      const [page] = await held.read([{ range }], options)
      left -= page.entries.length
      if (page.entries.length > 0) end = page.entries.at(-1)!.key
      if (!page.more) return left > 0 ? start : end
    }
    return end
  }

  async function removeAll(records: RunRecords, entries: readonly Entry[]): Promise<number> {
    // Changes started together share requests. All must settle, so that none is under way after an error.
    const settled = await Promise.allSettled(entries.map(({ key }) => remove(records, key)))
    let count = 0
    for (const it of settled) {
      if (it.status === 'rejected') throw it.reason
      if (it.value) count++
    }
    return count
  }

  /** Deletes the run of an index entry, unless the run has changed. Resolves to whether it was deleted. */
  function remove(records: RunRecords, key: string): Promise<boolean> {
    const runId = decodeId(key.slice(key.lastIndexOf('!') + 1))
    return records.change(
      runId,
      (run) =>
        run && isTerminal(run.status) && isAt(parts, run, key)
          ? { next: null, ops: [{ deletePart: parts.run(runId) }], done: () => true }
          : { done: () => false },
      // Without the signal: a batch is short, and its outcome must be known.
      { durability: options.durability },
    )
  }
}

/** Whether a run has this key in the index by status and time. */
const isAt = (parts: TenantParts, run: RunRecord, key: string): boolean =>
  [...indexEntries(parts, run)].some(({ at }) => at.part === parts.status && at.key === key)

const cutOf = (status: Completion, before: number): string => `${status}!${encodeNumber(before)}`
