/**
 * Idempotency marks: which compensations are done, and which are under way.
 *
 * The interface is that of Ranvier's compensation idempotency store, with a lease added. If several processes want to
 * make the same compensation, one of them begins. If it dies, its lease expires and the next process begins again. So a
 * compensation is made at least once, and never by two at a time while the lease is held.
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
 * Names a compensation. Two keys are different if any member differs, whatever characters it contains. A member left
 * out differs from every given one.
 */
export interface CompensationKey {
  readonly runId: string
  readonly workflow: string
  /** The reason, such as `failed` or `cancelled`. */
  readonly kind: string
  /** The step to undo. Each step of a run is a key of its own. */
  readonly stepId?: string | undefined
  /** The seq of the event that caused it. A second cause is a key of its own. */
  readonly seq?: number | undefined
}

/** A compensation that this caller is to make. It can be stored and sent. */
export interface BegunCompensation {
  readonly state: 'begun'
  /** Pass it as `claim` to other calls, so that they write only while the lease is held. */
  readonly lease: Lease
  /** When the lease expires, in milliseconds since 1970 by the backend's clock. */
  readonly until: number
}

/** The answer to {@link IdempotencyStore.beginCompensation}: yours to make, under way elsewhere, or done. */
export type CompensationStart =
  | BegunCompensation
  /** `until` is when the lease of the other caller expires, in milliseconds since 1970 by the backend's clock. */
  | { readonly state: 'pending'; readonly until: number }
  /** `at` is when it was marked, in milliseconds since 1970 by the backend's clock. */
  | { readonly state: 'done'; readonly at: number }

/** Options of calls that mark a compensation as done. */
export interface MarkOptions extends WriteOptions {
  /** How long the mark is kept by the backend's clock, from 1 ms to 8.64e15 ms; for ever by default. */
  readonly ttl?: Duration | undefined
}

/** Options of {@link IdempotencyStore.beginCompensation}. */
export interface BeginOptions extends WriteOptions {
  /** How long the compensation may take by the backend's clock, from 1 ms to 8.64e15 ms; a minute by default. */
  readonly lease?: Duration | undefined
}

/** Options of {@link IdempotencyStore.purgeOlderThan}. */
export interface PurgeMarksOptions extends WriteOptions {
  /** The most marks to delete, from 1; all by default. */
  readonly limit?: number | undefined
}

const MARK: Known<MarkOptions> = { ...WRITE, ttl: true }
const BEGIN: Known<BeginOptions> = { ...WRITE, lease: true }
const PURGE: Known<PurgeMarksOptions> = { ...WRITE, limit: true }

/**
 * The compensations of one tenant's runs.
 *
 * Every method throws `INVALID_ARGUMENT` for a malformed argument, `ABORTED` for an aborted signal, and `CLOSED` once
 * the database is closed, before any I/O. Marks outlive their run: they stay until they expire or are purged.
 */
export interface IdempotencyStore {
  /**
   * Returns whether the compensation is done; one that is under way is not. Before you compensate, call
   * `beginCompensation` instead: two callers may read the same answer here.
   */
  wasCompensated(key: CompensationKey, options?: CallOptions): Promise<boolean>
  /**
   * Marks a compensation as done, even if another caller holds its lease. The first mark stays, with its time to live.
   *
   * @param key - the compensation
   * @param options - `ttl` removes the mark after that time
   * @returns `true` if this call made the mark, `false` if there was one
   */
  markCompensated(key: CompensationKey, options?: MarkOptions): Promise<boolean>
  /**
   * Asks for the right to make a compensation. If several callers ask, one gets it, until its lease expires. If that
   * process dies before it finishes, the next caller after the expiry begins again: at least once.
   *
   * @param key - the compensation
   * @param options - `lease` is the time that it may take
   * @returns whether it is yours to make, under way elsewhere, or done
   */
  beginCompensation(key: CompensationKey, options?: BeginOptions): Promise<CompensationStart>
  /**
   * Marks a compensation that was begun as done. Doing so again succeeds.
   *
   * @param begun - the result of {@link beginCompensation}
   * @param options - `ttl` removes the mark after that time
   * @throws `CLAIM_LOST` if the lease has expired or was released: another caller may have begun
   */
  finishCompensation(begun: BegunCompensation, options?: MarkOptions): Promise<void>
  /**
   * Gives up a compensation that was begun, so that the next caller can begin at once.
   *
   * @param begun - the result of {@link beginCompensation}
   * @returns whether the lease was still held
   */
  releaseCompensation(begun: BegunCompensation, options?: WriteOptions): Promise<boolean>
  /**
   * Deletes old marks in bounded batches, oldest first. Compensations under way stay.
   *
   * @param cutoff - marks made before this time are deleted, in milliseconds since 1970
   * @param options - `limit` is the most marks to delete
   * @returns how many were deleted
   */
  purgeOlderThan(cutoff: number, options?: PurgeMarksOptions): Promise<number>
}

const DEFAULT_LEASE = 60_000
/** The most marks deleted by one request. */
const BATCH = 100

/** A stored mark: done, or under way. */
type Mark =
  | { readonly at: number; /** The lease it was done under. */ readonly by?: string }
  // The id of its lease.
  | { readonly id: string }

/**
 * Creates a store of idempotency marks.
 *
 * @param database - the database that holds the marks
 * @param options - the tenant; `default` if left out
 * @returns the store. Creating one is cheap and does no I/O
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
 *   // Pay the money back here.
 *   await marks.finishCompensation(begun)
 * }
 * console.log(await marks.wasCompensated(key)) // true
 * ```
 */
export function idempotencyStore(database: Database, options?: StoreOptions): IdempotencyStore {
  const db = innerOf(database)
  const parts = tenantParts(requireOptions(options, STORE).tenant)
  const at = (key: CompensationKey): EntryKey => ({ part: parts.marks, key: encodeKey(key) })

  /** The mark, and its entry in the index by time. Both expire together. */
  function markOps(put: EntryKey, by: string | undefined, ttl: Duration | undefined): Op[] {
    const now = db.now()
    const expires = expiryOf(ttl)
    return [
      { put, value: encode(defined({ at: now, by })), expires },
      { put: { part: parts.marked, key: `${encodeNumber(now)}!${put.key}` }, value: '', expires },
    ]
  }

  /** Deletes the marks of a page of the index. A mark that was deleted and made again meanwhile stays. */
  async function removeMarks(db: InnerDatabase, entries: readonly Entry[], options: WriteOptions): Promise<number> {
    const drafts = entries.map(({ key, version }) => {
      const mark = { part: parts.marks, key: key.slice(DIGITS + 1) }
      // The same commit wrote the mark and its index entry, so they share a version.
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
      throw invalid('begun must be the result of beginCompensation for this tenant')
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
          // Another caller has begun, or the lease is gone. Try again over that.
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

/** Encodes a key as a tuple. A missing member is empty, which no id and no number is. */
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

/** Commits under one check. @returns the entry that made the check fail; `undefined` if the commit took effect */
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
