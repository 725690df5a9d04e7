/** Retention: removes runs that have ended. @module */
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
  /** Whose runs; `default` by default. */
  readonly tenant?: string | undefined
  /** Which runs, all of which have ended; all that have by default. */
  readonly status?: Completion | readonly Completion[] | undefined
  /** Only runs that ended before this moment, in milliseconds since 1970 by the backend's clock. */
  readonly completedBefore?: number | undefined
  /** Of each status, keeps so many of the runs that ended last, from 0. */
  readonly keepLast?: number | undefined
  /** Only counts; `false` by default. */
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

/** What {@link purge} came to. */
export interface PurgeResult {
  /** Runs that were removed; with `dryRun`, that would be. */
  readonly runs: number
  /** The same by status. */
  readonly byStatus: Readonly<Partial<Record<Completion, number>>>
}

const COMPLETIONS: readonly Completion[] = ['completed', 'failed', 'cancelled', 'compensated']

/**
 * Removes runs that have ended, oldest first, found by the index of status and time. A run goes with everything of it in
 * one commit, which makes sure that it still is as it was found: never one that goes on, never half of one. What was cut
 * off goes on by being called again. Idempotency marks are there to outlive their run: `purgeOlderThan` removes them.
 *
 * @param db - the store
 * @param options - `completedBefore` or `keepLast`, one of them; status, tenant, `dryRun`, batch (runs removed at once),
 *   durability, progress (in runs), signal
 * @returns how many runs were removed
 * @throws `INVALID_ARGUMENT`, `ABORTED`, `CLOSED`, whatever the backend throws
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
    throw invalid('Either completedBefore or keepLast must be given')
  }
  if (completedBefore !== undefined) requireInteger(completedBefore, 'completedBefore')
  if (keepLast !== undefined) requireInteger(keepLast, 'keepLast')
  const statuses = [options.status ?? COMPLETIONS].flat()
  if (!statuses.every(isTerminal)) throw invalid('status must be one of a run that has ended')
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

  /** The index of a status up to there, oldest first. */
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

  /** Where the runs begin that are kept. */
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
    // Made together they leave together; and nothing is under way any more when one has failed.
    const settled = await Promise.allSettled(entries.map(({ key }) => remove(records, key)))
    let count = 0
    for (const it of settled) {
      if (it.status === 'rejected') throw it.reason
      if (it.value) count++
    }
    return count
  }

  /** Removes the run that is found under a key, unless it is not as it was found; tells whether it did. */
  function remove(records: RunRecords, key: string): Promise<boolean> {
    const runId = decodeId(key.slice(key.lastIndexOf('!') + 1))
    return records.change(
      runId,
      (run) =>
        run && isTerminal(run.status) && isAt(parts, run, key)
          ? { next: null, ops: [{ deletePart: parts.run(runId) }], done: () => true }
          : { done: () => false },
      // Without the signal: a batch is short, and its outcome should be known.
      { durability: options.durability },
    )
  }
}

/** Whether a run is found under this key of the index of status and time. */
const isAt = (parts: TenantParts, run: RunRecord, key: string): boolean =>
  [...indexEntries(parts, run)].some(({ at }) => at.part === parts.status && at.key === key)

const cutOf = (status: Completion, before: number): string => `${status}!${encodeNumber(before)}`
