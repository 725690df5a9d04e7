/**
 * Fencing: a commit that names a lease takes effect only while that lease is live and in the same hands.
 *
 * A lease is an entry that expires by the backend's clock and whose JSON value has an `id`. The check is one of the
 * commit's own, so nothing can come between: a process that was stopped for an hour and goes on finds its writes refused.
 * Martin Kleppmann's "How to do distributed locking" tells why a lock without this is none.
 *
 * @module
 */
import type { Check, Entry, Key, Outcome } from './driver.ts'
import { HoldfastError, invalid } from './errors.ts'

/** Names a lease, in a form that can be stored and sent. */
export interface Lease {
  /** Where it is. */
  readonly at: Key
  /** Of whoever took it, globally unique; also the version that its entry had then. */
  readonly id: string
}

/** `CLAIM_LOST`: the lease has expired, was released, or is in other hands. */
export const lost = (): HoldfastError => new HoldfastError('CLAIM_LOST', 'The claim is lost: another may have it now')

/** Whether an entry is this lease. */
export function isLease(entry: Entry | null, { id }: Lease): entry is Entry {
  try {
    return (JSON.parse(String(entry?.value)) as { id?: unknown }).id === id
  } catch {
    return false
  }
}

/** @throws `INVALID_ARGUMENT` for what cannot be a lease */
export function requireLease(lease: Lease): void {
  if (typeof lease?.id === 'string' && typeof lease.at?.part === 'string' && typeof lease.at.key === 'string') return
  throw invalid('claim must be one that was given, such as by claimTask')
}

/**
 * Makes what commits under a lease. An extension changes the version of the lease's entry: it is remembered, and learnt
 * from the failed check where somebody else extended it.
 */
export function fence<D extends { readonly checks?: readonly Check[] }>(): (
  drafts: readonly D[],
  lease: Lease,
  commit: (drafts: readonly D[]) => Promise<readonly Outcome[]>,
) => Promise<readonly Outcome[]> {
  const versions = new Map<string, string>()
  return async (drafts, lease, commit) => {
    for (;;) {
      const check = { at: lease.at, version: versions.get(lease.id) ?? lease.id }
      const outcomes = await commit(drafts.map((draft) => ({ ...draft, checks: [...(draft.checks ?? []), check] })))
      const failed = outcomes.flatMap((outcome, i) =>
        outcome.ok ? [] : outcome.failed.filter((it) => it.check === (drafts[i]!.checks ?? []).length),
      )[0]
      if (failed === undefined) return outcomes
      const current = failed.current as Entry | null
      versions.delete(lease.id)
      if (!isLease(current, lease)) throw lost()
      versions.set(lease.id, current.version)
      // The longest known goes: at worst it is learnt again.
      if (versions.size > MAX_REMEMBERED) versions.delete(versions.keys().next().value!)
    }
  }
}

const MAX_REMEMBERED = 1000
