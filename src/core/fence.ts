/**
 * Fencing: a commit that names a lease takes effect only while that lease is held by the same holder.
 *
 * A lease is an entry that expires by the backend's clock and whose JSON value has an `id`. The commit itself checks
 * the lease, so nothing can come between check and write: a process that was suspended for an hour finds its writes
 * rejected. Martin Kleppmann's "How to do distributed locking" explains why a lock without fencing is unsafe.
 *
 * @module
 */
import type { Check, Current, Entry, EntryKey, Op, Outcome } from './driver.ts'
import { HoldfastError, invalid } from './errors.ts'

/** A lease, in a form that can be stored and sent. */
export interface Lease {
  /** The key of the lease's entry. */
  readonly at: EntryKey
  /** The globally unique id of this holder's lease. It was also the version of the entry when the lease was taken. */
  readonly id: string
}

/**
 * `CLAIM_LOST`: the lease has expired, was released, or has another holder.
 *
 * @param free - the id of the lease if nobody holds it now
 */
export const lost = (free?: string): HoldfastError =>
  new HoldfastError(
    'CLAIM_LOST',
    `The claim ${free === undefined ? 'was lost: another worker holds it now' : 'has expired or was released'}; the write was rejected`,
    { details: { free } },
  )

function isLease({ value }: Pick<Entry, 'value'>, { id }: Lease): boolean {
  try {
    return (JSON.parse(String(value)) as { id?: unknown } | null)?.id === id
  } catch {
    return false
  }
}

/** @throws `INVALID_ARGUMENT` unless `lease` has the form of a {@link Lease} */
export function requireLease(lease: Lease): void {
  if (typeof lease?.id === 'string' && typeof lease.at?.part === 'string' && typeof lease.at.key === 'string') return
  throw invalid('claim must be a claim that a store returned, such as one from claimTask')
}

/** A commit under a lease. Its id is given, because it may become the lease's next version. */
export interface FencedDraft {
  readonly id: string
  readonly checks?: readonly Check[]
  readonly ops?: readonly Op[]
}

/** The database calls that a fence makes. */
export interface FencedBy {
  commit(drafts: readonly FencedDraft[]): Promise<readonly Outcome[]>
  read(at: EntryKey): Promise<Entry | null>
}

/** Commits drafts while all of the leases are held. */
export type Fence = (
  drafts: readonly FencedDraft[],
  leases: readonly Lease[],
  by: FencedBy,
) => Promise<readonly Outcome[]>

/**
 * Makes a function that commits under leases. Extending a lease changes the version of its entry. The new version is
 * remembered, or learned from a failed check if somebody else extended the lease.
 *
 * @returns a function that throws `CLAIM_LOST` and changes nothing if a lease is not held
 */
export function fence(): Fence {
  const versions = new Map<string, string>()

  function remember({ id }: Lease, version: string | undefined): void {
    versions.delete(id)
    if (version === undefined || version === id) return
    versions.set(id, version)
    // Evict the oldest; relearning it costs one round trip.
    if (versions.size > MAX_REMEMBERED) versions.delete(versions.keys().next().value!)
  }

  /** Corrects a wrong version. @throws `CLAIM_LOST` unless the entry still is this lease, extended */
  async function learn(lease: Lease, current: Current | null, by: FencedBy): Promise<void> {
    const entry = current && (current.value === undefined ? await by.read(lease.at) : (current as Entry))
    remember(lease, undefined)
    if (entry === null || !isLease(entry, lease)) throw lost(entry === null ? lease.id : undefined)
    remember(lease, entry.version)
  }

  return async (drafts, leases, by) => {
    const held = distinct(leases)
    const outcomes: Outcome[] = []
    /** Indexes of the drafts without an outcome. */
    let open = [...drafts.keys()]
    while (open.length > 0) {
      const versionOf = ({ id }: Lease): string => versions.get(id) ?? id
      // A commit may check the lease's entry itself. One check then serves both. If the commit expects a version other
      // than the lease's current one, its check fails.
      for (const lease of held) {
        const isOther = (i: number): boolean => {
          const own = checkAt(drafts[i]!, lease.at)
          return own !== undefined && own.version !== versionOf(lease)
        }
        if (!open.some(isOther)) continue
        const current = await by.read(lease.at)
        await learn(lease, current, by)
        for (const i of open.filter(isOther)) {
          outcomes[i] = { ok: false, failed: [{ check: indexAt(drafts[i]!.checks!, lease.at), current }] }
        }
        open = open.filter((i) => outcomes[i] === undefined)
      }
      const expected = held.map(versionOf)
      const fenced = open.map((i) => {
        const draft = drafts[i]!
        const checks = [...(draft.checks ?? [])]
        held.forEach((lease, n) => {
          const { at } = lease
          if (indexAt(checks, at) < 0) checks.push({ at, version: expected[n]! })
          // Later commits of the same request see this one's write.
          if (renews(draft, lease)) expected[n] = draft.id
        })
        return { ...draft, checks }
      })
      const found = await by.commit(fenced)
      const refused = new Map<Lease, Current | null>()
      open = open.filter((i, n) => {
        const outcome = found[n]!
        const failed = held.filter((lease) => {
          const current = currentOf(outcome, indexAt(fenced[n]!.checks, lease.at))
          if (current !== undefined && !refused.has(lease)) refused.set(lease, current)
          return current !== undefined
        })
        if (failed.length > 0) return true
        if (outcome.ok) for (const lease of held) if (renews(drafts[i]!, lease)) remember(lease, drafts[i]!.id)
        outcomes[i] = outcome
        return false
      })
      for (const [lease, current] of refused) await learn(lease, current, by)
    }
    return outcomes
  }
}

const MAX_REMEMBERED = 1000

/** The leases without repetitions. @throws `CLAIM_LOST` for two leases with one key: one of them is over */
function distinct(leases: readonly Lease[]): readonly Lease[] {
  const found: Lease[] = []
  for (const lease of leases) {
    const other = found.find(({ at }) => isAt(at, lease.at))
    if (other && other.id !== lease.id) throw lost()
    if (!other) found.push(lease)
  }
  return found
}

const isAt = (a: EntryKey, b: EntryKey): boolean => a.part === b.part && a.key === b.key

const indexAt = (checks: readonly Check[], at: EntryKey): number =>
  checks.findIndex((check) => 'at' in check && isAt(check.at, at))

const checkAt = ({ checks = [] }: FencedDraft, at: EntryKey): Extract<Check, { at: EntryKey }> | undefined =>
  checks[indexAt(checks, at)] as Extract<Check, { at: EntryKey }> | undefined

/** Whether a commit writes the lease again. Any other write to its key ends the lease. */
const renews = ({ ops = [] }: FencedDraft, lease: Lease): boolean =>
  ops.some((op) => 'put' in op && isAt(op.put, lease.at) && isLease(op, lease))

/** The current state that a failed check reports; `undefined` if the check held. */
const currentOf = (outcome: Outcome, index: number): Current | null | undefined =>
  outcome.ok ? undefined : (outcome.failed.find(({ check }) => check === index)?.current as Current | null | undefined)
