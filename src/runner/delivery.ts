/** One delivery of a claimed run: from reading its log to its outcome. @module */
import { abortable } from '../core/abort.ts'
import { innerOf } from '../core/database.ts'
import type { Check } from '../core/driver.ts'
import { HoldfastError, isHoldfastError } from '../core/errors.ts'
import { RUN, type TenantParts, encodeNumber } from '../core/keys.ts'
import type { Holdfast } from '../holdfast.ts'
import { type Inbox, cursorOf, inboxes, messagesOf } from '../runs/inbox.ts'
import { pendingSignal } from '../runs/indexes.ts'
import { type RunRecords, decodeRun } from '../runs/record.ts'
import type { SignalKind } from '../runs/state.ts'
import { isTerminal } from '../runs/status.ts'
import { stepRecords } from '../runs/step-record.ts'
import type { Claim } from '../stores/claims/store.ts'
import type { Intervention } from '../stores/persistence/interventions.ts'
import { undoAll } from './compensation.ts'
import { applySignal, complete, continueAsNew, park, putAside, release, takeUp } from './endings.ts'
import { type StoredError, StepError, isUnstorable, toStored, unstorable } from './errors.ts'
import { INTERVENTION, type LogEvent } from './events.ts'
import { type Delivery, execute } from './execution.ts'
import { hold } from './hold-claim.ts'
import { type Journal, journal } from './journal.ts'
import { type Loaded, load } from './load.ts'
import { CANCELLED, outcomeOf, readEnd } from './outcomes.ts'
import type { Settings } from './settings.ts'
import { startRun } from './start.ts'
import type { AnyWorkflow, RunOutcome } from './types.ts'
import type { Wait } from './waits.ts'

/** Options of {@link deliver}. */
export interface DeliverOptions {
  readonly holdfast: Holdfast
  readonly parts: TenantParts
  readonly runs: RunRecords
  readonly definition: AnyWorkflow
  readonly claim: Claim
  readonly settings: Settings
}

/** The same holder delivers the run again: a message came meanwhile, or the next life begins. */
const AGAIN = Symbol('again')

/**
 * Delivers a run, and releases the claim.
 *
 * @returns the outcome
 * @throws `CLAIM_LOST` if another process took over; `ABORTED` by the signal; `NON_DETERMINISTIC` if other code wrote the
 *   log; `SERIALIZATION` if the run cannot be read; also the errors of the backend
 */
export async function deliver(options: DeliverOptions): Promise<RunOutcome<unknown>> {
  const { holdfast, parts, runs, definition, claim, settings } = options
  const { persistence, claims } = holdfast
  const db = innerOf(holdfast.db)
  const { runId } = claim
  const { signal } = settings
  /** `stop` ends the steps in progress. `over` ends everything, the undoing of steps too. */
  const stop = new AbortController()
  const over = new AbortController()
  const inbox: Inbox = inboxes(db, parts, stepRecords(db, parts))(runId)
  let pending: SignalKind | undefined
  let delivery: Delivery | undefined
  let current: Journal | undefined
  let isReleased = false
  let toldAt = 0
  /** Whether the record says that the run is paused. Steps in progress may still be finishing. */
  let isPaused = false

  function notice(found: SignalKind | undefined): void {
    // A cancellation that has begun cannot be taken back.
    if (pending === 'cancel' || pending === found || (isPaused && found !== 'cancel')) return
    pending = found
    delivery?.hint()
  }

  async function outcome(): Promise<RunOutcome<unknown> | typeof AGAIN> {
    let loaded = await load(holdfast, parts, runId, signal)
    if (loaded.hasInterventions) {
      // One commit each takes a decision of an operator and records it.
      const event = ({ targetStep, payload }: Intervention) => ({
        kind: INTERVENTION,
        stepId: targetStep,
        payload: { value: payload },
      })
      if (loaded.run.status !== 'paused') {
        while (await persistence.consumeIntervention(runId, { claim, event }));
        loaded = await load(holdfast, parts, runId, signal)
      }
    }
    const { run } = loaded
    if (isTerminal(run.status)) return outcomeOf((await readEnd(holdfast, runId))!)
    notice(pendingSignal(run).signal)
    const make = (onEvent: (event: LogEvent) => void): Journal =>
      (current = journal({
        db,
        parts,
        runs,
        steps: stepRecords(db, parts),
        runId,
        workflow: run.workflow ?? definition.name,
        claim,
        end: loaded.end,
        onSignal(found) {
          toldAt = performance.now()
          notice(found)
        },
        onEvent,
      }))
    const own = make(() => {})
    if (run.status === 'paused' && pending !== 'cancel') {
      if (run.aside?.code !== 'NON_DETERMINISTIC' || !settings.isAsked) {
        await finish(release(own))
        return { status: 'paused', ...(run.stopped?.reason !== undefined && { reason: run.stopped.reason }) }
      }
      await takeUp(own)
    }
    if ((run.deliveries ?? 0) > settings.maxDeliveries) {
      const reason = `The run was delivered ${settings.maxDeliveries} times and recorded nothing`
      await finish(putAside(own, { code: 'MAX_DELIVERIES', reason }))
      settings.onError(new HoldfastError('MAX_DELIVERIES', reason, { details: { runId } }), runId)
      return { status: 'paused', reason }
    }
    return proceed(loaded, make)
  }

  /** Awaits the commit that releases the claim. After it, this process must not write to the run. */
  async function finish<T>(ending: Promise<T>): Promise<T> {
    const result = await ending
    isReleased = true
    return result
  }

  async function proceed(
    loaded: Loaded,
    make: (onEvent: (event: LogEvent) => void) => Journal,
  ): Promise<RunOutcome<unknown> | typeof AGAIN> {
    const { run, input, events } = loaded
    const { life = runId } = run
    const it = execute({
      now: () => db.now(),
      others: {
        async start(workflow, options, isRepeat) {
          const { policy = 'useExisting' } = options
          const found =
            isRepeat && policy !== 'useExisting' ? await holdfast.workflows.getRun(options.runId) : undefined
          if (found?.parent?.runId === runId && found.parent.life === life) return
          await startRun(holdfast, workflow, options, { runId, life })
        },
        readEnd: (id) => readEnd(holdfast, id),
      },
      definition,
      run,
      input,
      events,
      journal: make,
      inbox,
      retry: settings.retry,
      grace: settings.grace,
      maxWait: settings.maxWait,
      pollInterval: settings.pollInterval,
      pause: settings.pause,
      stop,
      over: over.signal,
      pending: () => pending,
      look: (waits) => haveCome(options, waits, over.signal),
      async pauseNow(log) {
        isPaused = true
        isPaused = await applySignal(log, 'pause')
      },
      tell: (error) => settings.onError(error, runId),
    })
    delivery = it
    if (pending === 'cancel') stop.abort(new Error(CANCELLED.message))
    const log = it.it.journal
    const verdict = await it.verdict
    switch (verdict.kind) {
      case 'park': {
        it.stopAll()
        const looked = await lookedAt(options, verdict.waits)
        if (!looked || !(await park(log, inbox, verdict.waits, verdict.until, looked))) return AGAIN
        isReleased = true
        return { status: 'waiting', until: verdict.until }
      }
      case 'pause': {
        it.stopAll()
        await finish(release(log))
        return { status: isPaused ? 'paused' : 'waiting' }
      }
      case 'continued': {
        it.stopAll()
        try {
          await continueAsNew(log, parts, runId, db.newId(), verdict.input)
        } catch (error) {
          if (!isUnstorable(error)) throw error
          return fail(it, log, unstorable('Error', 'The input of the next life', verdict.input, error), error)
        }
        return AGAIN
      }
      case 'cancel':
        return cancel(it, log)
      case 'failed':
        return fail(it, log, toStored(verdict.error), verdict.error)
      case 'ended': {
        if (!settings.autoComplete) {
          await finish(release(log))
          return { status: 'completed', result: verdict.value }
        }
        try {
          const stored = await complete(log, 'completed', verdict.value)
          if (!stored) return cancel(it, log)
          isReleased = true
          return { status: 'completed', result: stored.payload }
        } catch (error) {
          if (!isUnstorable(error)) throw error
          return fail(it, log, unstorable('Error', 'The result of the workflow', verdict.value, error), error)
        }
      }
      default:
        throw new HoldfastError('BACKEND', `A run cannot be ${verdict.kind}`)
    }
  }

  /** Undoes the finished steps. Returns whether there were any, and whether it worked. */
  async function undo(it: Delivery, error: StoredError, cancelled?: true): Promise<'nothing' | 'undone' | 'stuck'> {
    it.attendUndoing()
    try {
      const done = await Promise.race([undoAll(it.it, { error, ...(cancelled && { cancelled }) }), it.interrupted])
      return done ? 'undone' : 'nothing'
    } catch (cause) {
      if (cause instanceof StepError) return 'stuck'
      throw cause
    }
  }

  async function fail(it: Delivery, log: Journal, error: StoredError, cause: unknown): Promise<RunOutcome<unknown>> {
    const status = (await undo(it, error)) === 'undone' ? 'compensated' : 'failed'
    if (settings.autoComplete) await finish(complete(log, status, { error }, { error }))
    else await finish(release(log))
    if (!(cause instanceof StepError)) settings.onError(cause, runId)
    return { status, error: error.message }
  }

  async function cancel(it: Delivery, log: Journal): Promise<RunOutcome<unknown>> {
    stop.abort(new Error(CANCELLED.message))
    pending = 'cancel'
    for (const child of it.it.children) {
      const request = { reason: 'The run that started this run was cancelled', requestedBy: runId }
      await holdfast.signals.storeSignal(child, 'cancel', request).catch((error: unknown) => {
        if (!isHoldfastError(error, 'NOT_FOUND') && !isHoldfastError(error, 'ALREADY_COMPLETED')) throw error
      })
    }
    const done = await undo(it, CANCELLED, true)
    if (done === 'nothing') {
      return { status: (await finish(applySignal(log, 'cancel', true))) ? 'cancelled' : 'waiting' }
    }
    const status = done === 'undone' ? 'compensated' : 'failed'
    const payload = { error: CANCELLED, cancelled: true }
    if (settings.autoComplete) await finish(complete(log, status, payload, { error: CANCELLED, cancelled: true }))
    else await finish(release(log))
    return status === 'failed'
      ? { status, error: CANCELLED.message }
      : { status, error: CANCELLED.message, cancelled: true }
  }

  async function deliveries(): Promise<RunOutcome<unknown>> {
    for (;;) {
      try {
        const found = await outcome()
        if (found !== AGAIN) return found
      } catch (error) {
        if (isHoldfastError(error, 'NON_DETERMINISTIC') && error.details?.['runId'] === runId && current && delivery) {
          await finish(putAside(current, { code: 'NON_DETERMINISTIC', reason: error.message }))
        }
        throw error
      }
    }
  }

  const lost = hold({
    holdfast,
    parts,
    runs,
    claim,
    lease: settings.lease,
    beat: settings.beat,
    over: over.signal,
    toldAt: () => toldAt,
    onSignal: notice,
    onHint: () => delivery?.hint(),
  })
  try {
    return await abortable(Promise.race([deliveries(), lost]), signal)
  } finally {
    const isActive = delivery?.isActive ?? false
    delivery?.stopAll()
    over.abort(new Error('This process no longer works on the run'))
    stop.abort(new Error('This process no longer works on the run'))
    if (!isReleased) {
      // An interrupted attempt counts as a delivery. Without one, the count is reset.
      const ending = isActive || !current ? claims.releaseTaskClaim(claim) : release(current)
      await ending.catch(() => {})
    }
  }
}

/** Returns the waits that are over: their message has come, or their run has ended. */
async function haveCome(
  { holdfast, parts, claim }: DeliverOptions,
  waits: readonly Wait[],
  signal: AbortSignal,
): Promise<readonly Wait[]> {
  const db = innerOf(holdfast.db)
  const part = parts.run(claim.runId)
  const names = [...new Set(waits.flatMap(({ name }) => name ?? []))]
  const runIds = [...new Set(waits.flatMap(({ runId }) => runId ?? []))]
  const found = await db.hold(async (held) => {
    const first = await held.read(
      [
        ...names.map((name) => ({ get: { part, key: cursorOf(name) } })),
        ...runIds.map((runId) => ({ get: { part: parts.run(runId), key: RUN } })),
      ],
      { signal },
    )
    const messages = names.map((name, i) => ({
      get: { part, key: messagesOf(name) + encodeNumber(Number(first[i]?.value ?? 0) + 1) },
    }))
    const second = messages.length > 0 ? await held.read(messages, { signal }) : []
    const come = new Set<string>()
    names.forEach((name, i) => second[i] && come.add(`name ${name}`))
    runIds.forEach((runId, i) => {
      const entry = first[names.length + i]
      if (!entry || isTerminal(decodeRun(entry.value).status)) come.add(`run ${runId}`)
    })
    return come
  })
  return waits.filter(({ name, runId }) => found.has(name === undefined ? `run ${runId}` : `name ${name}`))
}

/**
 * Returns checks that the runs waited for are unchanged when this run parks; `undefined` if one of them has already
 * ended.
 */
async function lookedAt(
  { holdfast, parts }: DeliverOptions,
  waits: readonly Wait[],
): Promise<readonly Check[] | undefined> {
  const runIds = [...new Set(waits.flatMap(({ runId }) => runId ?? []))]
  if (runIds.length === 0) return []
  const keys = runIds.map((runId) => ({ part: parts.run(runId), key: RUN }))
  const entries = await holdfast.db.read(keys.map((get) => ({ get })))
  if (entries.some((entry) => !entry || isTerminal(decodeRun(entry.value).status))) return undefined
  return keys.map((at, i) => ({ at, version: entries[i]!.version }))
}
