/**
 * Fencing: a commit that names a lease takes effect only while that lease is live and in the same hands.
 *
 * A lease is an entry that expires by the backend's clock and whose JSON value has an `id`. The check is one of the
 * commit's own, so nothing can come between: a process that was stopped for an hour and goes on finds its writes refused.
 * Martin Kleppmann's "How to do distributed locking" tells why a lock without this is none.
 *
 * @module
 */
import type { Check, Current, Entry, EntryKey, Op, Outcome } from './driver.ts'
import { HoldfastError, invalid } from './errors.ts'

/** Names a lease, in a form that can be stored and sent. */
export interface Lease {
  /** Where it is. */
  readonly at: EntryKey
  /** Of whoever took it, globally unique; also the version that its entry had then. */
  readonly id: string
}

/**
 * `CLAIM_LOST`: the lease has expired, was released, or is in other hands.
 *
 * @param free - the id of the lease, where nobody has it any more
 */
export const lost = (free?: string): HoldfastError =>
  new HoldfastError(
    'CLAIM_LOST',
    `The claim ${free === undefined ? 'is lost: another has it now' : 'has expired or was released'}; the write was rejected`,
    { details: { free } },
  )

/** Whether an entry is this lease. */
function isLease({ value }: Pick<Entry, 'value'>, { id }: Lease): boolean {
  try {
    return (JSON.parse(String(value)) as { id?: unknown } | null)?.id === id
  } catch {
    return false
  }
}

/** @throws `INVALID_ARGUMENT` for what cannot be a lease */
export function requireLease(lease: Lease): void {
  if (typeof lease?.id === 'string' && typeof lease.at?.part === 'string' && typeof lease.at.key === 'string') return
  throw invalid('claim must be one that was given, such as by claimTask')
}

/** A commit under a lease; its id is known, because it may be the lease's next version. */
export interface FencedDraft {
  readonly id: string
  readonly checks?: readonly Check[]
  readonly ops?: readonly Op[]
}

/** What a fence asks of the database. */
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
 * Makes what commits under leases. An extension changes the version of a lease's entry: it is remembered, and learnt from
 * the failed check where somebody else extended it.
 *
 * @returns a function that throws `CLAIM_LOST` where a lease is not held; then nothing has changed
 */
export function fence(): Fence {
  const versions = new Map<string, string>()

  function remember({ id }: Lease, version: string | undefined): void {
    versions.delete(id)
    if (version === undefined || version === id) return
    versions.set(id, version)
    // Evict the oldest; learning it again costs one round trip.
    if (versions.size > MAX_REMEMBERED) versions.delete(versions.keys().next().value!)
  }

  /** The lease's entry is another than was believed. @throws `CLAIM_LOST` unless it is the same lease, extended */
  async function learn(lease: Lease, current: Current | null, by: FencedBy): Promise<void> {
    const entry = current && (current.value === undefined ? await by.read(lease.at) : (current as Entry))
    remember(lease, undefined)
    if (entry === null || !isLease(entry, lease)) throw lost(entry === null ? lease.id : undefined)
    remember(lease, entry.version)
  }

  return async (drafts, leases, by) => {
    const held = distinct(leases)
    const outcomes: Outcome[] = []
    /** What has no outcome yet. */
    let open = [...drafts.keys()]
    while (open.length > 0) {
      const versionOf = ({ id }: Lease): string => versions.get(id) ?? id
      // A commit may check the lease's entry itself. One check serves both, and where it expects another version than
      // the lease has now, it cannot hold.
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
          // What follows in the same request sees what this one writes.
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

/** The leases without repetitions. @throws `CLAIM_LOST` for two in one place: one of them is over */
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

/** Whether a commit writes the lease anew: anything else in its place ends it. */
const renews = ({ ops = [] }: FencedDraft, lease: Lease): boolean =>
  ops.some((op) => 'put' in op && isAt(op.put, lease.at) && isLease(op, lease))

/** What a check found instead; `undefined` where it held. */
const currentOf = (outcome: Outcome, index: number): Current | null | undefined =>
  outcome.ok ? undefined : (outcome.failed.find(({ check }) => check === index)?.current as Current | null | undefined)
