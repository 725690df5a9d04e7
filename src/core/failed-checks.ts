/** Failed checks with the values that an answer had no room for. @module */
import type { Database } from './database.ts'
import type { CallOptions, Check, Entry, FailedCheck } from './driver.ts'

/** A failed check whose entry came with its value. */
export interface WholeFailedCheck extends FailedCheck {
  readonly current: Entry | null | { readonly last: number }
}

const isWhole = (failed: FailedCheck): failed is WholeFailedCheck => {
  const { current } = failed
  return current === null || 'last' in current || current.value !== undefined
}

/**
 * Reads the values that were left out of failed checks. What is there by now may be newer.
 *
 * @param db - where they are
 * @param checks - of the commit
 * @param failed - its failed checks
 * @returns the same failed checks, in one request more where values are missing
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
