/**
 * Claims: who works on a run or on a step, for how long, and what fences off everybody else.
 *
 * The surface is sayiir's `TaskClaimStore`. Leases are judged by the backend's clock alone, carry a token that only ever
 * grows, and fence every write of every store through `claim` in its options.
 *
 * @module
 */
import { type Known, requireGiven, requireInteger, requireOptions } from '../../core/arguments.ts'
import { cells } from '../../core/cells.ts'
import { decode, encode } from '../../core/codec.ts'
import { type Database, innerOf } from '../../core/database.ts'
import type { CallOptions, Entry, Op } from '../../core/driver.ts'
import { type Duration, expiryOf, toMilliseconds } from '../../core/duration.ts'
import { HoldfastError, isHoldfastError } from '../../core/errors.ts'
import type { WholeFailedCheck } from '../../core/failed-checks.ts'
import { type Lease, requireLease } from '../../core/fence.ts'
import { encodeId, tenantParts } from '../../core/keys.ts'
import { hasher } from '../../core/hash.ts'
import { defined } from '../../core/objects.ts'
import { type AvailableTask, type DispatchStore, claimAt, dispatchStore, offersOf } from '../../runs/dispatch.ts'
import { CALL, STORE, type StoreOptions, WRITE, type WriteOptions } from '../../core/options.ts'
import { remove } from '../../core/remove.ts'
import { changed, noRun, runRecords } from '../../runs/record.ts'
import type { RunRecord } from '../../runs/state.ts'
import { isTerminal } from '../../runs/status.ts'

/** What to claim. An offer with a `workerId` and a `ttl` is one. */
export interface ClaimRequest {
  readonly runId: string
  /** Left out: the run as a whole. Claims of a run and of its steps do not exclude each other. */
  readonly stepId?: string | undefined
  readonly workerId: string
  /** For how long: from 0, which is over at once, to 8.64e15 ms; by default until it is released. */
  readonly ttl?: Duration | undefined
  /** As an offer says: claims only where what was offered is still to be done, and not done meanwhile by another. */
  readonly since?: number | undefined
  /**
   * Claims the run to run it: in the same commit it is counted as delivered once more, which its next event takes back,
   * and a run that is pending or waits is running from then on; `false` by default.
   */
  readonly deliver?: boolean | undefined
  /**
   * Takes a claim over that the same worker has taken before this time, in milliseconds since 1970: for a worker that was
   * started again. Whoever had it is fenced off.
   */
  readonly takeBackBefore?: number | undefined
}

/** A claim: plain data, which can be stored and sent, and is given as `claim` to the writes that it is to fence. */
export interface Claim extends Lease {
  readonly runId: string
  /** Absent where the run as a whole is claimed. */
  readonly stepId?: string
  readonly workerId: string
  /**
   * The fencing token, for services outside: larger than that of every earlier claim of the same run id or step,
   * whatever became of the run in between. About the backend's clock in milliseconds.
   */
  readonly token: number
  /** In milliseconds since 1970 by the backend's clock, as far as it was known. */
  readonly claimedAt: number
  /**
   * When it is over, in milliseconds since 1970; absent where it does not expire. From `getClaim` it is exact, otherwise
   * as far as the backend's clock was known.
   */
  readonly expiresAt?: number
}

/** Which claim of a run: options of {@link TaskClaimStore.getClaim}. */
export interface GetClaimOptions extends CallOptions {
  /** The step that is claimed; the run as a whole by default. */
  readonly stepId?: string | undefined
}

/** Options of {@link TaskClaimStore.forceReleaseClaim}. */
export interface ForceReleaseOptions extends WriteOptions, GetClaimOptions {}

const GET: Known<GetClaimOptions> = { ...CALL, stepId: true }
const FORCE: Known<ForceReleaseOptions> = { ...WRITE, stepId: true }

/**
 * Claims of one tenant, and what there is to claim.
 *
 * Every method throws `INVALID_ARGUMENT` for a malformed argument, `ABORTED` for an aborted signal, and `CLOSED` after
 * the close. A call that is refused has changed nothing.
 */
export interface TaskClaimStore extends DispatchStore {
  /**
   * Claims a run or a step: of several callers, exactly one gets it. Whether the step is there to be done plays no part,
   * but with `since`.
   *
   * @returns `undefined` where it is claimed, also by the same worker, or the run has ended
   * @throws `NOT_FOUND` where there is no such run
   */
  claimTask(request: ClaimRequest, options?: WriteOptions): Promise<Claim | undefined>
  /**
   * Gives a claim back.
   *
   * @throws `NOT_FOUND` where nobody has it: it was released, or has expired. `CLAIM_LOST` where another one has it
   */
  releaseTaskClaim(claim: Claim, options?: WriteOptions): Promise<void>
  /**
   * Has a claim last for so long from now on, be that longer or shorter; one that does not expire stays so.
   *
   * @param ttl - from 0 to 8.64e15 ms
   * @returns the same claim with its new end; the old one is as good to name it
   * @throws `NOT_FOUND` where nobody has it, `CLAIM_LOST` where another one has it: what has expired is never revived
   */
  extendTaskClaim(claim: Claim, ttl: Duration, options?: WriteOptions): Promise<Claim>
  /** Takes a claim away from whoever has it, whose writes are refused from then on; tells whether there was one. */
  forceReleaseClaim(runId: string, options?: ForceReleaseOptions): Promise<boolean>
  /** The claim of a run, or of a step; `undefined` where there is none. */
  getClaim(runId: string, options?: GetClaimOptions): Promise<Claim | undefined>
}

/** What is stored of a claim, besides its expiry. */
type ClaimRecord = Pick<Claim, 'id' | 'workerId' | 'token' | 'claimedAt'>

/**
 * How long a fencing token is kept after the last claim, in milliseconds: 30 days. After that the clock is ahead of it, and
 * tokens go on from there.
 */
const TOKEN_TTL = 2_592_000_000

/** A hash, because tokens outlive their runs, and of a deleted run no name must be left. Two that share one share a counter. */
function tokenKey(runId: string, stepId: string | undefined): string {
  const hash = hasher()
  hash.text(runId)
  hash.text(stepId ?? '')
  return hash.finish()
}

/** A run that is about to be run. */
function delivered(run: RunRecord, now: number): RunRecord {
  const deliveries = (run.deliveries ?? 0) + 1
  const isIdle = run.status === 'pending' || run.status === 'waiting'
  if (!isIdle || run.signals?.cancel) return { ...run, deliveries }
  const isThere = run.position?.kind === 'step'
  const position = isThere ? run.position : ({ kind: 'step', stepId: WORK } as const)
  return changed(run, { deliveries, status: 'running', position }, now)
}

/** The step of a run that is nowhere else in its work. */
const WORK = 'work'

/**
 * Makes a store of claims.
 *
 * @param database - where it is kept
 * @param options - the tenant
 * @returns the store; making one is cheap and does no I/O
 * @throws `INVALID_ARGUMENT` for a malformed tenant
 *
 * @example
 * ```ts
 * import { createDatabase, memory, persistenceStore, taskClaimStore } from 'holdfast'
 *
 * const db = createDatabase({ driver: memory() })
 * const log = persistenceStore(db)
 * const claims = taskClaimStore(db)
 * const run = { position: { kind: 'step', stepId: 'charge' } } as const
 * await log.append({ runId: 'order-17', workflow: 'order', kind: 'started' }, { run })
 *
 * for (const task of await claims.findAvailableTasks({ workerId: 'w1' })) {
 *   const claim = await claims.claimTask({ ...task, workerId: 'w1', ttl: '1 m' })
 *   if (!claim) continue // Another worker was faster.
 *   await log.append({ runId: task.runId, workflow: 'order', kind: 'charged' }, { claim, run: { position: null } })
 *   await claims.releaseTaskClaim(claim)
 * }
 * console.log(await claims.findAvailableTasks({ workerId: 'w1' })) // []
 * ```
 */
export function taskClaimStore(database: Database, options?: StoreOptions): TaskClaimStore {
  const db = innerOf(database)
  const parts = tenantParts(requireOptions(options, STORE).tenant)
  const runs = runRecords(db, parts)
  const tokens = db.shared(`tokens of ${parts.runs}`, () => cells(db, (entry) => Number(entry.value)))

  /** Commits only while the claim is held. @throws `NOT_FOUND` where nobody has it, `CLAIM_LOST` where another has it */
  async function whileHeld(claim: Claim, ops: readonly Op[], options: WriteOptions): Promise<void> {
    const { id, runId, stepId } = claim
    try {
      await db.commitUnder([{ id, at: claimAt(parts, runId, stepId) }], [{ ops }], options)
    } catch (error) {
      if (!isHoldfastError(error, 'CLAIM_LOST') || error.details?.['free'] !== id) throw error
      throw new HoldfastError('NOT_FOUND', 'There is no such claim', { details: defined({ runId, stepId }) })
    }
  }

  return {
    async claimTask(request, given) {
      const options = requireOptions(given, WRITE)
      const { runId, stepId, workerId, since, deliver = false, takeBackBefore } = requireGiven(request, 'request')
      const at = claimAt(parts, runId, stepId)
      encodeId(workerId, 'workerId')
      const expires = expiryOf(request.ttl, 'ttl', 0)
      if (since !== undefined) requireInteger(since, 'since')
      const tokenAt = { part: parts.tokens, key: tokenKey(runId, stepId) }
      if (takeBackBefore !== undefined) requireInteger(takeBackBefore, 'takeBackBefore')
      /** What is there, where it may be taken over. */
      let own: string | null = null
      const isOwn = (entry: Entry | null): boolean => {
        if (entry === null || takeBackBefore === undefined) return false
        const held = decode(entry.value) as ClaimRecord
        return held.workerId === workerId && held.claimedAt < takeBackBefore
      }
      const judge = ([failure]: readonly WholeFailedCheck[]): null | undefined => {
        const there = failure!.current as Entry | null
        // Somebody has it, whatever else has changed.
        if (there !== null && !isOwn(there)) return null
        own = there && there.version
        return undefined
      }
      const claim = await runs.change<Claim | null>(
        runId,
        (run, id) => {
          if (run === undefined) {
            // Asks instead of refusing at once: where there is a run, this brings all that has to be known of it.
            const counter = tokens.along(tokenAt, () => undefined)
            const refuse = (): never => {
              throw noRun(runId)
            }
            const checks = [{ at, version: null }]
            return {
              checks,
              along: [counter],
              done: refuse,
              failed: (failures, stale) => (stale ? judge(failures) : refuse()),
            }
          }
          const isOffered = (it: AvailableTask): boolean => (stepId ?? it.stepId) === it.stepId && it.since === since
          const isGone = since !== undefined && !offersOf(parts, run).some(isOffered)
          if (isTerminal(run.status) || isGone) return { done: () => null }
          const claimedAt = db.now()
          let token = 0
          const counter = tokens.along(tokenAt, (last = 0) => {
            token = Math.max(last + 1, claimedAt)
            return { value: String(token), holds: token, expires: { in: TOKEN_TTL } }
          })
          const record: ClaimRecord = { id, workerId, token, claimedAt }
          const expiresAt = expires && claimedAt + expires.in
          return {
            next: deliver ? delivered(run, claimedAt) : undefined,
            checks: [{ at, version: own }],
            ops: [{ put: at, value: encode(record), expires }],
            along: [counter],
            done: () => defined({ runId, stepId, ...record, expiresAt, at }),
            failed: judge,
          }
        },
        options,
      )
      return claim ?? undefined
    },
    async releaseTaskClaim(claim, given) {
      const options = requireOptions(given, WRITE)
      requireLease(claim)
      const ops = [{ delete: claimAt(parts, claim.runId, claim.stepId) }]
      await whileHeld(claim, ops, options)
    },
    async extendTaskClaim(claim, ttl, given) {
      const options = requireOptions(given, WRITE)
      requireLease(claim)
      const expires = { in: toMilliseconds(ttl, 'ttl') }
      const { id, runId, stepId, workerId, token, claimedAt, expiresAt } = claim
      const at = claimAt(parts, runId, stepId)
      const record: ClaimRecord = { id, workerId, token, claimedAt }
      const ops = expiresAt === undefined ? [] : [{ put: at, value: encode(record), expires }]
      const now = db.now()
      await whileHeld(claim, ops, options)
      return expiresAt === undefined ? claim : { ...claim, expiresAt: now + expires.in }
    },
    async forceReleaseClaim(runId, given) {
      const { stepId, ...options } = requireOptions(given, FORCE)
      return remove(db, [claimAt(parts, runId, stepId)], options)
    },
    async getClaim(runId, given) {
      const { stepId, ...options } = requireOptions(given, GET)
      const at = claimAt(parts, runId, stepId)
      const [entry] = await db.read([{ get: at }], options)
      if (entry === null) return undefined
      const record = decode(entry.value) as ClaimRecord
      return defined({ runId, stepId, ...record, expiresAt: entry.expiresAt ?? undefined, at })
    },
    // At the end: an object that begins with a spread takes ten times as long to make.
    ...dispatchStore(db, parts),
  }
}
