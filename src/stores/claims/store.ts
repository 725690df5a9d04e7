/**
 * Claims: the right of one worker to work on a run or a step for a time, while the writes of others are rejected.
 *
 * The interface is sayiir's `TaskClaimStore`. Claims expire by the backend's clock alone, carry a token that only
 * grows, and fence the writes of every store through the option `claim`.
 *
 * @module
 */
import { type Known, requireGiven, requireInteger, requireOptions } from '../../core/arguments.ts'
import { decode, encode } from '../../core/codec.ts'
import { type Database, innerOf } from '../../core/database.ts'
import type { CallOptions, Entry, Op } from '../../core/driver.ts'
import { type Duration, expiryOf, toMilliseconds } from '../../core/duration.ts'
import { HoldfastError, isHoldfastError } from '../../core/errors.ts'
import type { WholeFailedCheck } from '../../core/failed-checks.ts'
import { type Lease, requireLease } from '../../core/fence.ts'
import { encodeId, tenantParts } from '../../core/keys.ts'
import { defined } from '../../core/objects.ts'
import { type AvailableTask, claimAt, offersOf } from '../../runs/dispatch.ts'
import { type DispatchStore, dispatchStore } from './dispatch.ts'
import { fencingTokens } from './fencing-token.ts'
import { CALL, STORE, type StoreOptions, WRITE, type WriteOptions } from '../../core/options.ts'
import { remove } from '../../core/remove.ts'
import { changed, noRun, runRecords } from '../../runs/record.ts'
import type { RunRecord } from '../../runs/state.ts'
import { WORK, isTerminal } from '../../runs/status.ts'

/** A claim to take. An offered task with a `workerId` and a `ttl` will do. */
export interface ClaimRequest {
  readonly runId: string
  /** The step to claim; the whole run if left out. Claims of a run and of its steps do not exclude each other. */
  readonly stepId?: string | undefined
  readonly workerId: string
  /** Time until the claim expires, from 0, which expires at once, to 8.64e15 ms; by default it does not expire. */
  readonly ttl?: Duration | undefined
  /** The `since` of an offer: claims only if that work is still to be done. */
  readonly since?: number | undefined
  /**
   * Claims the run to execute it. The same commit counts one more delivery, a count that the run's next event resets,
   * and sets a pending or waiting run to running; `false` by default.
   */
  readonly deliver?: boolean | undefined
  /**
   * Takes over a claim that the same worker took before this time, in milliseconds since 1970: for a worker that was
   * restarted. The earlier holder is fenced off.
   */
  readonly takeBackBefore?: number | undefined
}

/** A claim. It is plain data that can be stored and sent. Pass it as `claim` to the writes that it is to fence. */
export interface Claim extends Lease {
  readonly runId: string
  /** Absent if the whole run is claimed. */
  readonly stepId?: string
  readonly workerId: string
  /**
   * The fencing token, for outside services. It is larger than the token of every earlier claim of the same run id or
   * step, even if the run was deleted meanwhile. It is close to the backend's clock in milliseconds.
   */
  readonly token: number
  /** In milliseconds since 1970 by the backend's clock, as far as this process knew it. */
  readonly claimedAt: number
  /**
   * When the claim expires, in milliseconds since 1970; absent if it does not. `getClaim` returns the exact time; other
   * calls return it as far as this process knew the backend's clock.
   */
  readonly expiresAt?: number
}

/** Options of {@link TaskClaimStore.getClaim}. */
export interface GetClaimOptions extends CallOptions {
  /** The claimed step; the whole run by default. */
  readonly stepId?: string | undefined
}

/** Options of {@link TaskClaimStore.forceReleaseClaim}. */
export interface ForceReleaseOptions extends WriteOptions, GetClaimOptions {}

const GET: Known<GetClaimOptions> = { ...CALL, stepId: true }
const FORCE: Known<ForceReleaseOptions> = { ...WRITE, stepId: true }

/**
 * The claims of one tenant, and the work to claim.
 *
 * Every method throws `INVALID_ARGUMENT` for a malformed argument, `ABORTED` for an aborted signal, and `CLOSED` once
 * the database is closed. A refused call changes nothing.
 */
export interface TaskClaimStore extends DispatchStore {
  /**
   * Claims a run or a step. If several callers try at once, exactly one gets the claim. Without `since`, the call does
   * not check whether the step is ready.
   *
   * @param request - the run or step, the worker, and the time to live
   * @returns the claim; `undefined` if it is taken, even by the same worker, or if the run has ended
   * @throws `NOT_FOUND` if the run does not exist
   */
  claimTask(request: ClaimRequest, options?: WriteOptions): Promise<Claim | undefined>
  /**
   * Releases a claim.
   *
   * @param claim - the claim, as {@link claimTask} returned it
   * @throws `NOT_FOUND` if it was released or has expired, `CLAIM_LOST` if another worker holds the claim now
   */
  releaseTaskClaim(claim: Claim, options?: WriteOptions): Promise<void>
  /**
   * Sets the claim to expire `ttl` from now, later or earlier than before. A claim without expiry stays without one.
   *
   * @param claim - the claim, as {@link claimTask} returned it
   * @param ttl - from 0 to 8.64e15 ms
   * @returns the claim with its new expiry. The old object still works, too
   * @throws `NOT_FOUND` if it was released or has expired, `CLAIM_LOST` if another worker holds the claim now. An
   *   expired claim is never revived
   */
  extendTaskClaim(claim: Claim, ttl: Duration, options?: WriteOptions): Promise<Claim>
  /**
   * Takes a claim away from its holder, whose later writes are rejected.
   *
   * @param runId - the run
   * @param options - `stepId` for the claim of a step
   * @returns whether there was a claim
   */
  forceReleaseClaim(runId: string, options?: ForceReleaseOptions): Promise<boolean>
  /** Reads the claim of a run, or of a step; `undefined` if there is none. */
  getClaim(runId: string, options?: GetClaimOptions): Promise<Claim | undefined>
}

/** A stored claim, without its expiry. */
type ClaimRecord = Pick<Claim, 'id' | 'workerId' | 'token' | 'claimedAt'>

/** The run with one more delivery, set to running if it was idle. */
function delivered(run: RunRecord, now: number): RunRecord {
  const deliveries = (run.deliveries ?? 0) + 1
  const isIdle = run.status === 'pending' || run.status === 'waiting'
  if (!isIdle || run.signals?.cancel) return { ...run, deliveries }
  const isThere = run.position?.kind === 'step'
  const position = isThere ? run.position : WORK
  return changed(run, { deliveries, status: 'running', position }, now)
}

/**
 * Creates a claim store.
 *
 * @param database - the database that holds the runs
 * @param options - the tenant; `default` if left out
 * @returns the store. Creating one is cheap and does no I/O
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
  const tokens = fencingTokens(db, parts)

  /**
   * Commits only while the claim is held.
   * @throws `NOT_FOUND` if nobody holds it, `CLAIM_LOST` if another worker does
   */
  async function whileHeld(claim: Claim, ops: readonly Op[], options: WriteOptions): Promise<void> {
    const { id, runId, stepId } = claim
    try {
      await db.commitUnder([{ id, at: claimAt(parts, runId, stepId) }], [{ ops }], options)
    } catch (error) {
      if (!isHoldfastError(error, 'CLAIM_LOST') || error.details?.['free'] !== id) throw error
      throw new HoldfastError('NOT_FOUND', 'The claim was released or has expired', {
        details: defined({ runId, stepId }),
      })
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
      if (takeBackBefore !== undefined) requireInteger(takeBackBefore, 'takeBackBefore')
      /** The version of the existing claim, if it may be taken over. */
      let own: string | null = null
      const isOwn = (entry: Entry | null): boolean => {
        if (entry === null || takeBackBefore === undefined) return false
        const held = decode(entry.value) as ClaimRecord
        return held.workerId === workerId && held.claimedAt < takeBackBefore
      }
      const judge = ([failure]: readonly WholeFailedCheck[]): null | undefined => {
        const there = failure!.current as Entry | null
        // Another worker holds the claim, so nothing else matters.
        if (there !== null && !isOwn(there)) return null
        own = there && there.version
        return undefined
      }
      const claim = await runs.change<Claim | null>(
        runId,
        (run, id) => {
          if (run === undefined) {
            // A commit asks instead of refusing at once: if the run exists, the answer brings everything the claim
            // needs.
            const counter = tokens.look(runId, stepId)
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
          const { token, counter } = tokens.next(runId, stepId, claimedAt)
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
    // Last, because an object literal that begins with a spread takes ten times as long to create.
    ...dispatchStore(db, parts),
  }
}
