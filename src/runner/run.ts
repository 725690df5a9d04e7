/**
 * Runs a workflow so that it survives whatever runs it: what was done is in the run's log, and is not done again.
 *
 * A workflow is an ordinary async function. It is called from its beginning each time, and finds the results of its steps
 * in the log; so what it does outside of steps must come out the same. Temporal and Restate work like this, too.
 *
 * @module
 */
import { abortable, sleep } from '../core/abort.ts'
import { requireGiven } from '../core/arguments.ts'
import { innerOf } from '../core/database.ts'
import { HoldfastError, isHoldfastError } from '../core/errors.ts'
import type { Holdfast } from '../holdfast.ts'
import type { Claim } from '../stores/claims/store.ts'
import type { Intervention } from '../stores/persistence/interventions.ts'
import type { RetryPolicy } from '../policies/retries.ts'
import type { SignalKind } from '../runs/state.ts'
import { type Completion, isTerminal } from '../runs/status.ts'
import type { Run } from '../stores/workflows/start.ts'
import { Halt, type Journal, StepError, WORK, createContext, messageOf } from './context.ts'
import { toMilliseconds } from '../core/duration.ts'
import type { RunOptions, RunOutcome, Workflow } from './types.ts'

const DEFAULT_RETRY: RetryPolicy = { maxAttempts: 3 }
const CANCELLED = 'The run was cancelled'
/** So many signs of life that fail in a row are a lost claim; it is over one later. */
const MAX_MISSED = 3

/**
 * Runs a workflow until it ends or has to wait, beginning where it stopped last.
 *
 * @param holdfast - the stores of the run's tenant
 * @param options - which run, and how
 * @param workflow - what to do
 * @returns how far it came; what failed is an outcome, and no error
 * @throws `DEFINITION_MISMATCH`, `WORKFLOW_MISMATCH`; `CLAIM_LOST` where another process took over; `ABORTED`; what the
 *   backend throws
 *
 * @example
 * ```ts
 * import { createHoldfast, memory } from 'holdfast'
 * import { run } from 'holdfast/run'
 *
 * const holdfast = createHoldfast({ driver: memory() })
 * const order = { runId: 'order-17', workflow: 'order', input: { cents: 4200 } }
 * const outcome = await run(holdfast, order, async (ctx) => {
 *   const payment = await ctx.step('charge', () => ({ id: 'ch_1', cents: ctx.input.cents }), {
 *     compensate: ({ id }) => console.log('refund', id),
 *   })
 *   await ctx.step('ship', () => 'a parcel', { retry: { maxAttempts: 5, initialDelay: 200 } })
 *   return payment.id
 * })
 * console.log(outcome) // { status: 'completed', result: 'ch_1' }
 * ```
 */
export async function run<R, I = unknown>(
  holdfast: Holdfast,
  options: RunOptions<I>,
  workflow: Workflow<R, I>,
): Promise<RunOutcome<R>> {
  const { signal, retry = DEFAULT_RETRY, autoComplete = true, ...order } = requireGiven(options, 'options')
  const { runId, workerId = innerOf(holdfast.db).newId() } = order
  const lease = toMilliseconds(order.lease ?? '30 s', 'lease')
  const maxWait = toMilliseconds(order.maxWait ?? 0, 'maxWait')
  const beat = Math.ceil(lease / (MAX_MISSED + 1))
  const { workflows, claims, signals, persistence } = holdfast
  const begun = { ...order, status: 'running', position: WORK, policy: 'useExisting' } as const
  const started = await workflows.prepareRun(begun, { signal })
  if (isTerminal(started.run.status)) return pastOutcome(holdfast, started.run)
  const claim = await claims.claimTask({ runId, workerId, ttl: lease }, { signal })
  if (!claim) return { status: 'busy' }

  /** Ends the steps under way; and when nothing must be done any more, what undoes them. */
  const stop = new AbortController()
  const over = new AbortController()
  let pending: SignalKind | undefined
  function notice(found: SignalKind | undefined): void {
    // Once it is being cancelled there is no way back.
    if (pending !== 'cancel') pending = found
    if (found === 'cancel') stop.abort(new Error(CANCELLED))
  }

  const end = async (status: Completion, payload: unknown): Promise<void> => {
    if (autoComplete) await persistence.complete(runId, status, { claim, event: { kind: `run.${status}`, payload } })
  }

  async function proceed(held: Claim): Promise<RunOutcome<R>> {
    const run = await workflows.getRun(runId)
    if (!run) throw new HoldfastError('NOT_FOUND', 'The run was deleted')
    if (isTerminal(run.status)) return pastOutcome(holdfast, run)
    notice(run.signals?.cancel ? 'cancel' : run.signals?.pause && 'pause')
    if (run.status === 'paused' && pending !== 'cancel') return { status: 'paused' }
    // What an operator decided takes the place of what the step did.
    const event = ({ targetStep, payload }: Intervention) => ({ kind: 'step.completed', stepId: targetStep, payload })
    while (await persistence.consumeIntervention(runId, { claim, event }));
    const journal: Journal = new Map()
    for await (const event of persistence.events(runId, { limit: 1000, signal: over.signal })) {
      if (event.stepId !== undefined) journal.set(event.stepId, event)
    }
    const it = createContext<I>({
      holdfast,
      run,
      claim: held,
      journal,
      signal: stop.signal,
      over: over.signal,
      retry,
      maxWait,
      // A message is looked for more often.
      beat: Math.min(beat, 1000),
      pending: () => pending,
      notice,
    })
    let error: string
    try {
      const result = await Promise.race([workflow(it.context), it.halted])
      await end('completed', result)
      return { status: 'completed', result }
    } catch (cause) {
      if (isHoldfastError(cause)) throw cause
      // What is done at this moment is kept, and undone, too.
      await it.stop()
      if (cause instanceof Halt && cause.outcome.status !== 'cancelled') return cause.outcome
      error = cause instanceof Halt ? CANCELLED : messageOf(cause)
    }
    let status: 'compensated' | 'failed' = 'failed'
    try {
      if (await it.undo()) status = 'compensated'
      // Who asked for it, and why, becomes part of the run; it may have been taken back just now.
      else if (pending === 'cancel') {
        return { status: (await signals.checkAndCancel(runId, { claim })) ? 'cancelled' : 'waiting' }
      }
    } catch (cause) {
      if (cause instanceof Halt) return cause.outcome
      if (!(cause instanceof StepError)) throw cause
    }
    await end(status, error)
    return { status, error }
  }

  const lost = watch(holdfast, claim, lease, beat, over.signal, notice)
  return abortable(Promise.race([proceed(claim), lost]), signal).finally(async () => {
    over.abort()
    stop.abort()
    await claims.releaseTaskClaim(claim).catch(() => {})
  })
}

/** Extends the claim and looks for signals at every beat; rejects when the claim is lost. */
async function watch(
  { claims, signals }: Holdfast,
  claim: Claim,
  lease: number,
  beat: number,
  over: AbortSignal,
  onSignal: (pending: SignalKind | undefined) => void,
): Promise<never> {
  for (let missed = 0; ;) {
    await sleep(beat, over).catch(() => new Promise(() => {}))
    try {
      const { runId } = claim
      const [, cancel, pause] = await Promise.all([
        claims.extendTaskClaim(claim, lease),
        signals.getSignal(runId, 'cancel'),
        signals.getSignal(runId, 'pause'),
      ])
      missed = 0
      onSignal(cancel ? 'cancel' : pause && 'pause')
    } catch (error) {
      if (over.aborted) return new Promise(() => {})
      if (isHoldfastError(error) && ['CLAIM_LOST', 'NOT_FOUND'].includes(error.code)) missed = MAX_MISSED
      if (++missed >= MAX_MISSED) {
        throw new HoldfastError('CLAIM_LOST', 'The claim of the run is lost', { cause: error })
      }
    }
  }
}

/** What became of a run that has ended. */
async function pastOutcome<R>({ persistence }: Holdfast, { runId, status }: Run): Promise<RunOutcome<R>> {
  if (status === 'cancelled') return { status }
  const seq = (await persistence.getLatestSeq(runId)) ?? 1
  const { items } = await persistence.loadEventsAfter(runId, seq - 1)
  // The last event of a run that was ended by other means may be any.
  const payload = items[0]?.kind === `run.${status}` ? items[0].payload : undefined
  return status === 'failed' || status === 'compensated'
    ? { status, error: typeof payload === 'string' ? payload : `The run has ${status}` }
    : { status: 'completed', result: payload as R }
}
