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
 * @returns the same failed checks with their values; one more request if any were missing
 */
export async function withValues(
  db: Pick<Database, 'read'>,
  checks: readonly Check[],
  failed: readonly FailedCheck[],
  { signal }: CallOptions = {},
): Promise<readonly WholeFailedCheck[]> {
  if (failed.every(isWhole)) return failed
  const missing = failed.filter((it) => !isWhole(it))
  const entries = await db.read(
    missing.map(({ check }) => ({ get: (checks[check] as Extract<Check, { at: unknown }>).at })),
    { signal },
  )
  return failed.map((it) => (isWhole(it) ? it : { ...it, current: entries[missing.indexOf(it)]! }))
}
