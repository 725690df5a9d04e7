/** Checks the integrity of a store. @module */
import { type Known, requireOptions } from '../core/arguments.ts'
import type { Database } from '../core/database.ts'
import type { Entry } from '../core/driver.ts'
import { EVERYTHING, type PartName, RUN, type TenantParts, partName, tenantParts } from '../core/keys.ts'
import { STORE_WIDE, type StoreWideOptions } from './options.ts'
import type { Problem, Report } from './problems.ts'
import { scan } from './scan.ts'
import { type IndexCheck, checkIndexEntries, checkMarks, checkRunIndexes, checkTokens } from './verify-indexes.ts'
import { type RunCheck, runCheck } from './verify-run.ts'

/** Options of {@link verify}. */
export interface VerifyOptions extends StoreWideOptions {
  /** Repairs indexes; `false` by default. Nothing else is ever changed. */
  readonly repair?: boolean | undefined
  /** Called for every problem as it is found. */
  readonly onProblem?: ((problem: Problem) => void) | undefined
}

const VERIFY: Known<VerifyOptions> = { ...STORE_WIDE, repair: true, onProblem: true }

/** The result of {@link verify}. */
export interface VerifyReport {
  readonly entries: number
  readonly runs: number
  /** How many problems were found, including repaired ones. */
  readonly problems: number
  readonly repaired: number
  /** The first hundred; all of them go to `onProblem`. */
  readonly first: readonly Problem[]
}

const FIRST = 100

/**
 * Checks a store, or one tenant of it: index entries and runs match in both directions, logs have no gaps, values can
 * be decoded, and the entries of a run agree. Indexes are compared from one view, so they can be checked and repaired
 * while the store is in use. A run that is written to meanwhile may look wrong inside; verify again. Values that
 * callers stored as raw text or bytes cannot be checked.
 *
 * @param db - the store
 * @param options - `repair`, `tenant`, `batch`, `onProgress`, `onProblem`, `signal`
 * @returns how much was checked, and the problems. If there are none, the store is sound
 * @throws `INVALID_ARGUMENT`, `ABORTED`, `CLOSED`, and errors of the backend
 *
 * @example
 * ```ts
 * import { createHoldfast, memory } from 'holdfast'
 * import { verify } from 'holdfast/ops'
 *
 * const { db, persistence } = createHoldfast({ driver: memory() })
 * await persistence.append({ runId: 'order-17', workflow: 'order', kind: 'shipped' })
 * const { runs, problems } = await verify(db)
 * console.log(runs, problems) // 1 0
 * ```
 */
export async function verify(db: Database, options: VerifyOptions = {}): Promise<VerifyReport> {
  requireOptions(options, VERIFY)
  const { repair = false, signal, onProgress, onProblem } = options
  const counts = { entries: 0, runs: 0, problems: 0, repaired: 0 }
  const first: Problem[] = []
  const report: Report = ({ repaired = false, ...problem }) => {
    const whole = { ...problem, repaired }
    counts.problems++
    if (repaired) counts.repaired++
    if (first.length < FIRST) first.push(whole)
    onProblem?.(whole)
  }
  let parts: { readonly tenant: string; readonly of: TenantParts } | undefined
  let run: { readonly part: string; readonly check: RunCheck } | undefined

  const checkOf = (name: PartName): IndexCheck => {
    if (parts?.tenant !== name.tenant) parts = { tenant: name.tenant, of: tenantParts(name.tenant) }
    return { db, parts: parts.of, report, repair, options: { signal } }
  }

  async function takeRun(name: PartName, part: string, entries: readonly Entry[], isLast: boolean): Promise<void> {
    if (run?.part !== part) run = { part, check: runCheck(db, part, report, { signal }) }
    await run.check.take(entries)
    if (!isLast) return
    counts.runs++
    const record = run.check.end()
    run = undefined
    if (record) await checkRunIndexes(checkOf(name), { part, key: RUN }, record)
  }

  for await (const slices of scan(db, options)) {
    for (const { part, end, entries } of slices) {
      counts.entries += entries.length
      const name = partName(part)
      if (!name)
        report({ kind: 'unknown', part, message: 'The part belongs to no tenant; verify it through its prefix' })
      else if (name.family === 'run') await takeRun(name, part, entries, end === EVERYTHING.end)
      else if (name.family === 'marks' || name.family === 'marked') await checkMarks(checkOf(name), part, entries)
      else if (name.family === 'tokens') checkTokens(report, part, entries)
      else if (name.family !== 'values') await checkIndexEntries(checkOf(name), part, entries)
    }
    onProgress?.({ done: counts.entries })
  }
  return { ...counts, first }
}
