/**
 * Idempotency marks: what was compensated already, and who is at it.
 *
 * The surface is that of Ranvier's compensation idempotency store, with a lease in front: of several processes that want
 * to compensate the same thing, one begins. A process that dies in between leaves a lease that expires, and what it had
 * done is done again by the next: at least once, never twice at the same time while the lease is held.
 *
 * @module
 */
import { type Known, requireGiven, requireInteger, requireOptions } from '../../core/arguments.ts'
import { decode, encode } from '../../core/codec.ts'
import { type Database, type Draft, type InnerDatabase, innerOf } from '../../core/database.ts'
import type { CallOptions, Check, Entry, EntryKey, Op } from '../../core/driver.ts'
import { type Duration, expiryOf, toMilliseconds } from '../../core/duration.ts'
import { invalid } from '../../core/errors.ts'
import { withValues } from '../../core/failed-checks.ts'
import { type Lease, lost } from '../../core/fence.ts'
import { DIGITS, EVERYTHING, keyAfter, encodeId, encodeNumber, tenantParts } from '../../core/keys.ts'
import { defined } from '../../core/objects.ts'
import { CALL, STORE, type StoreOptions, WRITE, type WriteOptions } from '../../core/options.ts'

/**
 * What is compensated. Keys that differ in any member are different, whatever characters are in it; one that is left out
 * differs from every one that is given.
 */
export interface CompensationKey {
  readonly runId: string
  readonly workflow: string
  /** Why, such as `failed` or `cancelled`. */
  readonly kind: string
  /** The step that is undone, so that another one of the run is another key. */
  readonly stepId?: string | undefined
  /** The number of the event that led to it, so that a second time is another key. */
  readonly seq?: number | undefined
}

/** A compensation that is ours to do; it can be stored and sent. */
export interface BegunCompensation {
  readonly state: 'begun'
  /** Given as the option `claim` of other calls, it lets them write only while the lease is held. */
  readonly lease: Lease
  /** When the lease expires, in milliseconds since 1970 by the backend's clock. */
  readonly until: number
}

/** Whether to compensate: it is ours to do, somebody else is at it, or it is done. */
export type CompensationStart =
  | BegunCompensation
  /** Until then, in milliseconds since 1970 by the backend's clock, unless it is done or released before. */
  | { readonly state: 'pending'; readonly until: number }
  /** Since then. */
  | { readonly state: 'done'; readonly at: number }

/** Options of calls that mark something as compensated. */
export interface MarkOptions extends WriteOptions {
  /** For how long that is remembered, by the backend's clock: from 1 ms to 8.64e15 ms; for ever by default. */
  readonly ttl?: Duration | undefined
}

/** Options of {@link IdempotencyStore.beginCompensation}. */
export interface BeginOptions extends WriteOptions {
  /** How long it may take, by the backend's clock: from 1 ms to 8.64e15 ms; a minute by default. */
  readonly lease?: Duration | undefined
}

/** Options of {@link IdempotencyStore.purgeOlderThan}. */
export interface PurgeMarksOptions extends WriteOptions {
  /** The most marks that this call removes, from 1; all by default. */
  readonly limit?: number | undefined
}

const MARK: Known<MarkOptions> = { ...WRITE, ttl: true }
const BEGIN: Known<BeginOptions> = { ...WRITE, lease: true }
const PURGE: Known<PurgeMarksOptions> = { ...WRITE, limit: true }

/**
 * What was compensated in one tenant's runs.
 *
 * Every method throws `INVALID_ARGUMENT` for a malformed argument, `ABORTED` for an aborted signal, and `CLOSED` after
 * the close, before any I/O. Marks are not deleted with their run: they are there to outlive it, until they expire or are
 * purged.
 */
export interface IdempotencyStore {
  /** Whether the compensation was finished; one that is only begun was not. To act on it, begin: two may read the same. */
  wasCompensated(key: CompensationKey, options?: CallOptions): Promise<boolean>
  /**
   * Marks something as compensated, also what somebody else is at. The first mark stays, with its time to live.
   *
   * @returns whether it is news
   */
  markCompensated(key: CompensationKey, options?: MarkOptions): Promise<boolean>
  /**
   * Asks for the right to compensate: of several callers, one gets it, until its lease expires. Where the process dies
   * before it has finished, the next one after that begins again: at least once.
   */
  beginCompensation(key: CompensationKey, options?: BeginOptions): Promise<CompensationStart>
  /**
   * Marks what was begun as compensated. Doing so again is a success.
   *
   * @param begun - what {@link beginCompensation} returned
   * @throws `CLAIM_LOST` where the lease has expired or was released: another may have begun
   */
  finishCompensation(begun: BegunCompensation, options?: MarkOptions): Promise<void>
  /**
   * Gives up what was begun, so that the next caller can begin at once.
   *
   * @param begun - what {@link beginCompensation} returned
   * @returns whether the lease was still held
   */
  releaseCompensation(begun: BegunCompensation, options?: WriteOptions): Promise<boolean>
  /**
   * Removes old marks, in batches of a bounded size, oldest first. What is only begun stays.
   *
   * @param cutoff - marks made before this are removed, in milliseconds since 1970; one made just then stays
   * @returns how many were removed
   */
  purgeOlderThan(cutoff: number, options?: PurgeMarksOptions): Promise<number>
}

const DEFAULT_LEASE = 60_000
/** The most marks removed by one request. */
const BATCH = 100

/** A stored mark, done or only begun. */
type Mark =
  | { readonly at: number; /** The lease it was done under. */ readonly by?: string }
  // What makes it a lease.
  | { readonly id: string }

/**
 * Makes a store of idempotency marks.
 *
 * @param database - where it is kept
 * @param options - the tenant
 * @returns the store; making one is cheap and does no I/O
 * @throws `INVALID_ARGUMENT` for a malformed tenant
 *
 * @example
 * ```ts
 * import { createDatabase, idempotencyStore, memory } from 'holdfast'
 *
 * const marks = idempotencyStore(createDatabase({ driver: memory() }), { tenant: 'acme' })
 * const key = { runId: 'order-17', workflow: 'order', kind: 'failed', stepId: 'charge' }
 * const begun = await marks.beginCompensation(key, { lease: '30 s' })
 * console.log((await marks.beginCompensation(key)).state) // pending
 * if (begun.state === 'begun') {
 *   // Here the money is paid back.
 *   await marks.finishCompensation(begun)
 * }
 * console.log(await marks.wasCompensated(key)) // true
 * ```
 */
export function idempotencyStore(database: Database, options?: StoreOptions): IdempotencyStore {
  const db = innerOf(database)
  const parts = tenantParts(requireOptions(options, STORE).tenant)
  const at = (key: CompensationKey): EntryKey => ({ part: parts.marks, key: encodeKey(key) })

  /** What makes a mark, and finds it again by its time: both expire together. */
  function markOps(put: EntryKey, by: string | undefined, ttl: Duration | undefined): Op[] {
    const now = db.now()
    const expires = expiryOf(ttl)
    return [
      { put, value: encode(defined({ at: now, by })), expires },
      { put: { part: parts.marked, key: `${encodeNumber(now)}!${put.key}` }, value: '', expires },
    ]
  }

  /** Removes the marks of a page of the index; one that was removed and made anew in between stays. */
  async function removeMarks(db: InnerDatabase, entries: readonly Entry[], options: WriteOptions): Promise<number> {
    const drafts = entries.map(({ key, version }) => {
      const mark = { part: parts.marks, key: key.slice(DIGITS + 1) }
      // The commit that made the mark made its index entry.
      const checks = [{ at: mark, version }]
      return { checks, ops: [{ delete: mark }, { delete: { part: parts.marked, key } }] }
    })
    const outcomes = await db.commitAll(drafts, options)
    return outcomes.filter(({ ok }) => ok).length
  }

  async function purge(db: InnerDatabase, end: string, most: number, options: WriteOptions): Promise<number> {
    const { rangeEntries, requestCommits } = db.driver.capabilities.limits
    let { start } = EVERYTHING
    let removed = 0
    for (;;) {
      const limit = Math.min(most - removed, BATCH, rangeEntries, requestCommits)
      const range = { part: parts.marked, start, end, limit, keysOnly: true }
      const [{ entries, more }] = await db.read([{ range }], options)
      removed += await removeMarks(db, entries, options)
      if (!more || removed === most) return removed
      start = keyAfter(entries.at(-1)!.key)
    }
  }

  const heldBy = (begun: BegunCompensation): { readonly at: EntryKey; readonly version: string } => {
    const lease = begun?.lease
    if (typeof lease?.id !== 'string' || lease.at?.part !== parts.marks || typeof lease.at.key !== 'string') {
      throw invalid('begun must be what beginCompensation of this tenant returned')
    }
    return { at: { part: parts.marks, key: lease.at.key }, version: lease.id }
  }

  return {
    async wasCompensated(key, options) {
      const [entry] = await db.read([{ get: at(key) }], requireOptions(options, CALL))
      return entry !== null && 'at' in markIn(entry)
    },
    async markCompensated(key, given) {
      const { ttl, ...options } = requireOptions(given, MARK)
      const mark = at(key)
      const ops = markOps(mark, undefined, ttl)
      return db.hold(async (held) => {
        for (let version: string | null = null; ;) {
          const entry = await failedOf(held, { at: mark, version }, { ops }, options)
          if (entry === undefined) return true
          if (entry && 'at' in markIn(entry)) return false
          // Begun by somebody, or not any more.
          version = entry && entry.version
        }
      }, options)
    },
    async beginCompensation(key, given) {
      const { lease = DEFAULT_LEASE, ...options } = requireOptions(given, BEGIN)
      const put = at(key)
      const expires = { in: toMilliseconds(lease, 'lease', 1) }
      const id = db.newId()
      const ops = [{ put, value: encode({ id }), expires }]
      const entry = await failedOf(db, { at: put, version: null }, { id, ops }, options)
      if (entry === undefined) return { state: 'begun', lease: { at: put, id }, until: db.now() + expires.in }
      const mark = markIn(entry!)
      return 'at' in mark ? { state: 'done', at: mark.at } : { state: 'pending', until: entry!.expiresAt! }
    },
    async finishCompensation(begun, given) {
      const { ttl, ...options } = requireOptions(given, MARK)
      const check = heldBy(begun)
      const ops = markOps(check.at, check.version, ttl)
      const entry = await failedOf(db, check, { ops }, options)
      if (entry === undefined) return
      const mark = entry && markIn(entry)
      if (!(mark && 'at' in mark && mark.by === check.version)) throw lost()
    },
    async releaseCompensation(begun, given) {
      const options = requireOptions(given, WRITE)
      const check = heldBy(begun)
      return (await db.commit({ checks: [check], ops: [{ delete: check.at }] }, options)).ok
    },
    async purgeOlderThan(cutoff, given) {
      const { limit = Number.MAX_SAFE_INTEGER, ...options } = requireOptions(given, PURGE)
      const end = encodeNumber(requireInteger(cutoff, 'cutoff'))
      requireInteger(limit, 'limit', 1)
      return db.hold((held) => purge(held, end, limit, options), options)
    },
  }
}

/** A tuple in which what is missing is empty, as no id and no number is. */
function encodeKey(key: CompensationKey): string {
  const { runId, workflow, kind, stepId, seq } = requireGiven(key, 'key')
  return [
    encodeId(runId, 'runId'),
    encodeId(workflow, 'workflow'),
    encodeId(kind, 'kind'),
    stepId === undefined ? '' : encodeId(stepId, 'stepId'),
    seq === undefined ? '' : encodeNumber(requireInteger(seq, 'seq')),
  ].join('!')
}

const markIn = ({ value }: Entry): Mark => decode(value) as Mark

/** Commits under one check. @returns what is there where it failed; `undefined` where the commit took effect */
async function failedOf(
  db: InnerDatabase,
  check: Check,
  draft: Draft,
  options: WriteOptions,
): Promise<Entry | null | undefined> {
  const outcome = await db.commit({ ...draft, checks: [check] }, options)
  if (outcome.ok) return undefined
  const [failed] = await withValues(db, [check], outcome.failed, options)
  return failed!.current as Entry | null
}
