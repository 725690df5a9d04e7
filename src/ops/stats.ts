/** Counts of a store. @module */
import { type Known, requireOptions } from '../core/arguments.ts'
import type { Database } from '../core/database.ts'
import { EVENTS, STEPS, partName, trimmedKey, utf8Bytes } from '../core/keys.ts'
import { type RunStatus, isRunStatus } from '../runs/status.ts'
import { STORE_WIDE, type StoreWideOptions } from './options.ts'
import { scan } from './scan.ts'

/** Options of {@link stats}. */
export interface StatsOptions extends StoreWideOptions {
  /** Reads values, too, to add up their sizes; `false` by default. */
  readonly sizes?: boolean | undefined
}

const STATS: Known<StatsOptions> = { ...STORE_WIDE, sizes: true }

/** The counts of a tenant. */
export interface TenantStats {
  readonly entries: number
  /** The number of runs by status. */
  readonly runs: Readonly<Partial<Record<RunStatus, number>>>
  /** Values of the tenant itself, not of its runs. */
  readonly values: number
  readonly events: number
  readonly steps: number
  readonly marks: number
  /** The size of keys and values, in UTF-8 bytes; the backend needs more. Only with `sizes`. */
  readonly bytes?: number
}

/** The result of {@link stats}. */
export interface Stats {
  readonly entries: number
  readonly tenants: Readonly<Record<string, TenantStats>>
  /** Entries in parts that belong to no tenant, such as parts under a prefix. */
  readonly foreign: number
}

type Counts = { -readonly [K in keyof TenantStats]: TenantStats[K] } & { runs: Partial<Record<RunStatus, number>> }

/**
 * Counts the contents of a store, or of one tenant, in bounded memory. It reads all keys once.
 *
 * @param db - the store
 * @param options - `tenant`, `sizes`, `batch`, `onProgress`, `signal`
 * @returns the counts by tenant
 * @throws `INVALID_ARGUMENT`, `ABORTED`, `CLOSED`, and errors of the backend
 *
 * @example
 * ```ts
 * import { createHoldfast, memory } from 'holdfast'
 * import { stats } from 'holdfast/ops'
 *
 * const { db, persistence } = createHoldfast({ driver: memory() })
 * await persistence.append({ runId: 'order-17', workflow: 'order', kind: 'shipped' })
 * console.log((await stats(db)).tenants['default']?.runs) // { running: 1 }
 * ```
 */
export async function stats(db: Database, options: StatsOptions = {}): Promise<Stats> {
  requireOptions(options, STATS)
  const { sizes = false, onProgress } = options
  const tenants = new Map<string, Counts>()
  let entries = 0
  let foreign = 0
  for await (const slices of scan(db, { ...options, keysOnly: !sizes })) {
    for (const { part, entries: found } of slices) {
      entries += found.length
      const name = partName(part)
      if (!name) {
        foreign += found.length
        continue
      }
      const counts = tenants.get(name.tenant) ?? fresh(sizes)
      tenants.set(name.tenant, counts)
      counts.entries += found.length
      for (const { key, value } of found) {
        count(counts, name.family, key)
        if (sizes)
          counts.bytes! += part.length + key.length + (typeof value === 'string' ? utf8Bytes(value) : value.length)
      }
    }
    onProgress?.({ done: entries })
  }
  return { entries, tenants: Object.fromEntries(tenants), foreign }
}

const fresh = (sizes: boolean): Counts => ({
  entries: 0,
  runs: {},
  values: 0,
  events: 0,
  steps: 0,
  marks: 0,
  ...(sizes && { bytes: 0 }),
})

function count(counts: Counts, family: string, key: string): void {
  if (family === 'values') counts.values++
  else if (family === 'marks') counts.marks++
  else if (family === 'run' && key.startsWith(EVENTS)) counts.events += key === trimmedKey(EVENTS) ? 0 : 1
  else if (family === 'run' && key.startsWith(STEPS)) counts.steps++
  else if (family === 'status') {
    const status = key.slice(0, key.indexOf('!'))
    if (isRunStatus(status)) counts.runs[status] = (counts.runs[status] ?? 0) + 1
  }
}
