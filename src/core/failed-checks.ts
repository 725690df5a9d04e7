/** Fills in the values that an answer had no room for. @module */
import type { Database } from './database.ts'
import type { CallOptions, Check, Entry, FailedCheck } from './driver.ts'

/** A failed check that includes the value of its entry. */
export interface WholeFailedCheck extends FailedCheck {
  readonly current: Entry | null | { readonly last: number }
}

const isWhole = (failed: FailedCheck): failed is WholeFailedCheck => {
  const { current } = failed
  return current === null || 'last' in current || current.value !== undefined
}

/**
 * Reads the values that were left out of failed checks. A value may be newer than the failed check.
 *
 * @param db - the database that made the commit
 * @param checks - the checks of the commit
 * @param failed - the failed ones
 * @returns the same failed checks with their values; if any were missing, as many more requests as the reads need
 */
export async function withValues(
  db: Pick<Database, 'read' | 'driver'>,
  checks: readonly Check[],
  failed: readonly FailedCheck[],
  { signal }: CallOptions = {},
): Promise<readonly WholeFailedCheck[]> {
  if (failed.every(isWhole)) return failed
  const { requestReads } = db.driver.capabilities.limits
  const missing = failed.filter((it) => !isWhole(it))
  const entries = new Map<FailedCheck, Entry | null>()
  for (let from = 0; from < missing.length; from += requestReads) {
    const some = missing.slice(from, from + requestReads)
    const found = await db.read(
      some.map(({ check }) => ({ get: (checks[check] as Extract<Check, { at: unknown }>).at })),
      { signal },
    )
    some.forEach((it, i) => entries.set(it, found[i]!))
  }
  return failed.map((it) => (isWhole(it) ? it : { ...it, current: entries.get(it)! }))
}
