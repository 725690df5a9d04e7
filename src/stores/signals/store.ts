/**
 * The signal store: requests to cancel or pause a run, the checks that apply them, and the messages to runs.
 *
 * Its interface is that of sayiir's `SignalStore`. A request is part of the run's record, so it is validated, applied
 * and cleared in one commit with its effect. A run with a request is offered to workers, even if it has no work.
 *
 * @module
 */
import { type Known, requireOptions, shown } from '../../core/arguments.ts'
import { type Database, innerOf } from '../../core/database.ts'
import type { CallOptions } from '../../core/driver.ts'
import { HoldfastError, invalid } from '../../core/errors.ts'
import { RUN, encodeId, tenantParts } from '../../core/keys.ts'
import { defined } from '../../core/objects.ts'
import { CALL, STORE, type StoreOptions, WRITE, type WriteOptions } from '../../core/options.ts'
import { movedOn, signalsWithout, stopped } from '../../runs/advance.ts'
import { inboxes } from '../../runs/inbox.ts'
import { type MessageStore, messageStore } from './messages.ts'
import { type RunProposal, changed, decodeRun, ended, runRecords } from '../../runs/record.ts'
import type { RunRecord, SignalKind, SignalRequest } from '../../runs/state.ts'
import { type RunStatus, isTerminal, statusAt } from '../../runs/status.ts'
import { stepRecords } from '../../runs/step-record.ts'

/** Options of {@link SignalStore.storeSignal}: who asks, and why. */
export interface StoreSignalOptions extends WriteOptions {
  readonly reason?: string | undefined
  readonly requestedBy?: string | undefined
}

/** Options of the checks that may cancel a run. */
export interface CheckOptions extends WriteOptions {
  /** The step that is interrupted. */
  readonly interruptedAt?: string | undefined
}

const STORE_SIGNAL: Known<StoreSignalOptions> = { ...WRITE, reason: true, requestedBy: true }
const CHECK: Known<CheckOptions> = { ...WRITE, interruptedAt: true }

/**
 * The signals and messages of one tenant's runs.
 *
 * Every method throws `INVALID_ARGUMENT` for a malformed argument, `ABORTED` for an aborted signal, and `CLOSED` once
 * the database is closed, before any I/O. A refused call changes nothing.
 */
export interface SignalStore extends MessageStore {
  /**
   * Asks to cancel or pause a run. The run follows at its next check; a run that nobody works on is offered to workers
   * for that. A later request of the same kind replaces an earlier one. Pausing a paused run or cancelling a cancelled
   * one succeeds without effect.
   *
   * @param runId - the run
   * @param kind - `cancel` or `pause`
   * @param options - who asks, and why
   * @throws `NOT_FOUND` if the run does not exist; `ALREADY_COMPLETED` if it has ended, see {@link
   *   requireSignalAllowed}; `CLAIM_LOST`
   */
  storeSignal(runId: string, kind: SignalKind, options?: StoreSignalOptions): Promise<void>
  /** Reads a request that has not taken effect yet; `undefined` if there is none, or no such run. */
  getSignal(runId: string, kind: SignalKind, options?: CallOptions): Promise<SignalRequest | undefined>
  /**
   * Withdraws a request. A request of the other kind stays.
   *
   * @param runId - the run
   * @param kind - `cancel` or `pause`
   * @returns whether there was one
   * @throws `CLAIM_LOST`
   */
  clearSignal(runId: string, kind: SignalKind, options?: WriteOptions): Promise<boolean>
  /**
   * Cancels the run if a request asks for it, even if the run is paused or waits. Both kinds of request are cleared.
   *
   * @param runId - the run
   * @param options - `interruptedAt` names the step that is interrupted
   * @returns whether the run was cancelled now; `false` for a run that has ended, and its request stays
   * @throws `NOT_FOUND` if the run does not exist, `CLAIM_LOST`
   */
  checkAndCancel(runId: string, options?: CheckOptions): Promise<boolean>
  /**
   * Pauses the run if a request asks for it. Its position stays, and its status is kept for `unpause`.
   *
   * @param runId - the run
   * @returns whether the run was paused now; `false` for a run that has ended, and its request stays
   * @throws `NOT_FOUND` if the run does not exist, `CLAIM_LOST`
   */
  checkAndPause(runId: string, options?: WriteOptions): Promise<boolean>
  /**
   * Cancels or pauses the run if a request asks for it, in one commit. Cancelling comes first.
   *
   * @param runId - the run
   * @param options - `interruptedAt` names the step that is interrupted
   * @returns the new status; `undefined` if the run goes on
   * @throws `NOT_FOUND` if the run does not exist, `CLAIM_LOST`
   */
  checkControlSignals(runId: string, options?: CheckOptions): Promise<'cancelled' | 'paused' | undefined>
  /**
   * Lets a paused run go on with its earlier status. If it waits for a message, it takes the oldest stored one in the
   * same commit; if its time is over, it is due. A pause request is cleared, a cancel request stays.
   *
   * @param runId - the run
   * @returns the new status
   * @throws `NOT_FOUND` if the run does not exist; `ALREADY_COMPLETED` if it has ended; `CANNOT_UNPAUSE` if it is not
   *   paused, with its status in `details.status`; `CLAIM_LOST`
   */
  unpause(runId: string, options?: WriteOptions): Promise<RunStatus>
}

/**
 * Checks that a run with this status accepts a signal.
 *
 * | status | `cancel` | `pause` |
 * | --- | --- | --- |
 * | `pending`, `running`, `waiting`, `paused` | yes | yes |
 * | `cancelled` | yes | no |
 * | `completed`, `failed`, `compensated` | no | no |
 * | a status of a later release | yes | yes |
 *
 * @param status - the status of the run
 * @param kind - `cancel` or `pause`
 * @throws `ALREADY_COMPLETED` if it does not, with the status in `details.completion`
 *
 * @example
 * ```ts
 * import { isHoldfastError, requireSignalAllowed } from 'holdfast'
 *
 * requireSignalAllowed('waiting', 'cancel')
 * try {
 *   requireSignalAllowed('completed', 'pause')
 * } catch (error) {
 *   console.log(isHoldfastError(error, 'ALREADY_COMPLETED')) // true
 * }
 * ```
 */
export function requireSignalAllowed(status: RunStatus | (string & {}), kind: SignalKind): void {
  if (isSignalAllowed(status, kind)) return
  throw new HoldfastError('ALREADY_COMPLETED', `The run has ended: ${status}`, { details: { completion: status } })
}

const isSignalAllowed = (status: string, kind: SignalKind): boolean =>
  !isTerminal(status) || (kind === 'cancel' && status === 'cancelled')

/**
 * Creates a signal store.
 *
 * @param database - the database that holds the runs
 * @param options - the tenant; `default` if left out
 * @returns the store. Creating one is cheap and does no I/O
 * @throws `INVALID_ARGUMENT` for a malformed tenant
 *
 * @example
 * ```ts
 * import { createDatabase, memory, persistenceStore, signalStore } from 'holdfast'
 *
 * const db = createDatabase({ driver: memory() })
 * const log = persistenceStore(db, { tenant: 'acme' })
 * const signals = signalStore(db, { tenant: 'acme' })
 * await log.append({ runId: 'order-17', workflow: 'order', kind: 'begun' })
 *
 * // The run waits for a message, and goes on with it.
 * await signals.park('order-17', { kind: 'message', stepId: 'wait', name: 'paid', next: 'ship' })
 * await signals.sendMessage('order-17', 'paid', { amount: 42n }, { idempotencyKey: 'payment-5' })
 *
 * // Somebody asks to cancel it. The worker checks for that between two steps.
 * await signals.storeSignal('order-17', 'cancel', { reason: 'Out of stock', requestedBy: 'ada' })
 * console.log(await signals.checkControlSignals('order-17', { interruptedAt: 'ship' })) // cancelled
 * ```
 */
export function signalStore(database: Database, options?: StoreOptions): SignalStore {
  const db = innerOf(database)
  const parts = tenantParts(requireOptions(options, STORE).tenant)
  const runs = runRecords(db, parts)
  const steps = stepRecords(db, parts)
  const open = inboxes(db, parts, steps)

  /** Applies the first of these signals that is pending. Resolves to the new status of the run. */
  async function check(
    runId: string,
    kinds: readonly SignalKind[],
    { interruptedAt, ...options }: CheckOptions,
  ): Promise<RunStatus | undefined> {
    if (interruptedAt !== undefined) encodeId(interruptedAt, 'interruptedAt')
    return runs.changeExisting(
      runId,
      (run) => {
        let next: RunRecord | undefined
        for (const kind of kinds) next ??= stopped(run, kind, interruptedAt, db.now())
        return { next, done: () => next?.status }
      },
      options,
    )
  }

  return {
    async storeSignal(runId, kind, given) {
      const { reason, requestedBy, ...options } = requireOptions(given, STORE_SIGNAL)
      requireKind(kind)
      for (const [what, text] of Object.entries({ reason, requestedBy })) {
        if (text !== undefined && (typeof text !== 'string' || !text.isWellFormed())) {
          throw invalid(`${what} must be well-formed text`)
        }
      }
      return runs.changeExisting(
        runId,
        (run): RunProposal<void> => {
          if (!isSignalAllowed(run.status, kind)) throw ended(run)
          const now = db.now()
          const isThere = run.status === (kind === 'cancel' ? 'cancelled' : 'paused')
          const signals = { ...run.signals, [kind]: defined({ reason, requestedBy, requestedAt: now }) }
          return { next: isThere ? undefined : changed(run, { signals }, now), done: () => {} }
        },
        options,
      )
    },
    async getSignal(runId, kind, options) {
      requireKind(kind)
      const at = { part: parts.run(runId), key: RUN }
      const [record] = await db.read([{ get: at }], requireOptions(options, CALL))
      return record ? decodeRun(record.value).signals?.[kind] : undefined
    },
    async clearSignal(runId, kind, options) {
      requireKind(kind)
      return runs.change(
        runId,
        (run) =>
          run?.signals?.[kind]
            ? { next: changed(run, { signals: signalsWithout(run, kind) }, db.now()), done: () => true }
            : { done: () => false },
        requireOptions(options, WRITE),
      )
    },
    checkAndCancel: async (runId, options) =>
      (await check(runId, ['cancel'], requireOptions(options, CHECK))) !== undefined,
    checkAndPause: async (runId, options) =>
      (await check(runId, ['pause'], requireOptions(options, WRITE))) !== undefined,
    checkControlSignals: async (runId, options) =>
      (await check(runId, ['cancel', 'pause'], requireOptions(options, CHECK))) as 'cancelled' | 'paused' | undefined,
    async unpause(runId, given) {
      const options = requireOptions(given, WRITE)
      const inbox = open(runId)
      return runs.changeExisting(
        runId,
        (run): RunProposal<RunStatus> => {
          const { status, position } = run
          if (isTerminal(status)) throw ended(run)
          if (status !== 'paused') {
            throw new HoldfastError('CANNOT_UNPAUSE', `The run is not paused but ${status}`, { details: { status } })
          }
          const now = db.now()
          const freed = changed(
            run,
            { status: statusBehind(run), stopped: undefined, signals: signalsWithout(run, 'pause') },
            now,
          )
          if (position?.kind === 'wait') {
            // The workflow code looks at what has come meanwhile.
            const woken = movedOn(freed, position.next, now)
            return { next: woken, done: () => woken.status }
          }
          if (position?.kind !== 'message') return { next: freed, done: () => freed.status }
          const { proposal } = inbox.receive(freed, position, now)
          return { ...proposal, done: () => proposal.next.status }
        },
        options,
      )
    },
    // Last, because an object literal that begins with a spread takes ten times as long to create.
    ...messageStore(db, parts, runs, steps, open),
  }
}

/** The status after `unpause`: the earlier one, unless the run's position says that it waits. */
function statusBehind({ position, stopped }: RunRecord): RunStatus {
  const there = position && statusAt(position)
  return there === 'waiting' ? there : (stopped?.from ?? there ?? 'running')
}

function requireKind(kind: SignalKind): void {
  if (kind !== 'cancel' && kind !== 'pause') throw invalid(`kind must be cancel or pause, not ${shown(kind)}`)
}
