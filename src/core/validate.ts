/**
 * What a request must be before any I/O: the same for every driver, so that drivers check nothing and one poisoned
 * commit cannot take its neighbours down.
 *
 * @module
 */
import type { Commit, Limits, Value } from './driver.ts'
import { HoldfastError, invalid } from './errors.ts'
import { utf8Bytes } from './keys.ts'

/** Exact where it matters: text that cannot be over the limit is not measured, but counted at its most. */
function sizeOf(value: Value, limit: number): number {
  const most = value.length * (typeof value === 'string' ? 3 : 1)
  return most > limit && typeof value === 'string' ? utf8Bytes(value) : most
}

/**
 * Checks commits that travel together against the driver's limits.
 *
 * @returns the size of their values in bytes, at most
 * @throws `PAYLOAD_TOO_LARGE`, and `INVALID_ARGUMENT` for a commit that touches a key twice
 */
export function validate(commits: readonly Commit[], limits: Limits): number {
  const within = (limit: keyof Limits, size: number): number => {
    const most = limits[limit]
    if (size <= most) return size
    throw new HoldfastError('PAYLOAD_TOO_LARGE', `${limit} must be at most ${most}, not ${size}`, {
      details: { limit, most, size },
    })
  }
  let bytes = 0
  within('requestCommits', commits.length)
  for (const { checks, ops } of commits) {
    within('commitKeys', checks.length + ops.length)
    const seen = new Set<string>()
    for (const op of ops) {
      if ('value' in op) bytes += within('valueBytes', sizeOf(op.value, limits.valueBytes))
      const at = 'put' in op ? op.put : 'delete' in op ? op.delete : undefined
      // An append has no key yet, and a single op none to share.
      if (at === undefined || ops.length === 1) continue
      const name = `${at.part}\n${at.key}`
      if (seen.has(name)) throw invalid(`A commit must touch ${at.key} once`)
      seen.add(name)
    }
  }
  return within('requestBytes', bytes)
}
