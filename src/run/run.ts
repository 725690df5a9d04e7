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
import { HoldfastError, isHoldfastError } from '../core/errors.ts'
import type { Holdfast } from '../holdfast.ts'
import type { Claim } from '../stores/claims.ts'
import type { RetryPolicy } from '../stores/retries.ts'
import type { SignalKind } from '../stores/run-state.ts'
import { isTerminal } from '../stores/status.ts'
import type { Run } from '../stores/workflow.ts'
import { type Halt, StepError, WORK, createContext } from './context.ts'
import { toMilliseconds } from './duration.ts'
import { openJournal } from './journal.ts'
import type { RunOptions, RunOutcome, Workflow } from './types.ts'

const DEFAULT_RETRY: RetryPolicy = { maxAttempts: 3 }
/** Signs of life that may fail in a row before the claim counts as lost. */
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
  const { runId, workflow: name, input, definitionVersion, definitionHash, tags } = requireGiven(options, 'options')
  const { workerId = holdfast.db.newId(), retry = DEFAULT_RETRY } = options
  const lease = toMilliseconds(options.lease ?? '30 s', 'lease')
  const maxWait = toMilliseconds(options.maxWait ?? 0, 'maxWait')
  const beat = Math.max(1, Math.trunc(lease / 3))
  const { workflows, claims, signals, persistence } = holdfast
  const started = await workflows.prepareRun(
    {
      runId,
      workflow: name,
      input,
      definitionVersion,
      definitionHash,
      tags,
      status: 'running',
      position: WORK,
      policy: 'useExisting',
    },
    { signal: options.signal },
  )
  if (isTerminal(started.run.status)) return pastOutcome(holdfast, started.run)
  const claim = await claims.claimTask({ runId, workerId, ttl: lease }, { signal: options.signal })
  if (!claim) return { status: 'busy' }

  /** Stops the steps under way, and with them everything that waits. */
  const stop = new AbortController()
  const onAbort = (): void => stop.abort(options.signal?.reason)
  options.signal?.addEventListener('abort', onAbort)
  let pending: SignalKind | undefined
  let onHalt: ((halt: Halt) => void) | undefined
  const halted = new Promise<Halt>((resolve) => (onHalt = resolve))
  const over = new AbortController()
  const lost = watch(holdfast, claim, lease, beat, over.signal, (found) => {
    pending = found
    if (found === 'cancel') stop.abort(new Error('The run is cancelled'))
  })

  async function proceed(): Promise<RunOutcome<R>> {
    const run = await workflows.getRun(runId)
    if (!run) throw new HoldfastError('NOT_FOUND', 'The run was deleted')
    if (isTerminal(run.status)) return pastOutcome(holdfast, run)
    pending = run.signals?.cancel ? 'cancel' : run.signals?.pause && 'pause'
    if (run.status === 'paused' && pending !== 'cancel') return { status: 'paused' }
    const journal = await openJournal(holdfast, { runId, workflow: name }, claim!, stop.signal)
    const it = createContext<I>({
      holdfast,
      run: { runId, input: run.input as I },
      claim: claim!,
      journal,
      signal: stop.signal,
      retry,
      maxWait,
      beat,
      pending: () => pending ?? journal.pending(),
      halt: (halt) => onHalt?.(halt),
    })
    let reason: string
    try {
      const end = await Promise.race([workflow(it.context).then((result) => ({ result })), halted])
      if ('result' in end) {
        const event = { kind: 'run.completed', payload: end.result }
        await persistence.complete(runId, 'completed', { claim, event })
        return { status: 'completed', result: end.result }
      }
      if (end.status !== 'cancelled') return end
      reason = 'The run was cancelled'
    } catch (error) {
      if (isHoldfastError(error)) throw error
      reason = error instanceof Error ? error.message : String(error)
    }
    return undo(reason, it)
  }

  /** Undoes what was done, the last first, and ends the run. */
  async function undo(error: string, it: ReturnType<typeof createContext>): Promise<RunOutcome<R>> {
    // What is done at this moment is to be undone, too.
    await it.idle()
    const { undos, attempt } = it
    let status: 'failed' | 'compensated' = undos.length > 0 ? 'compensated' : 'failed'
    for (const { stepId, hook } of undos.toSorted((a, b) => b.seq - a.seq)) {
      try {
        await attempt(`undo ${stepId}`, hook)
      } catch (cause) {
        if (!(cause instanceof StepError)) throw cause
        status = 'failed'
        break
      }
    }
    if (status === 'failed' && pending === 'cancel' && undos.length === 0) {
      await signals.checkAndCancel(runId, {}, { claim: claim! })
      return { status: 'cancelled' }
    }
    await persistence.complete(runId, status, { claim: claim!, event: { kind: `run.${status}`, payload: error } })
    return { status, error }
  }

  return abortable(Promise.race([proceed(), lost]), options.signal).finally(async () => {
    over.abort()
    stop.abort()
    options.signal?.removeEventListener('abort', onAbort)
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
  onSignal: (signal: SignalKind) => void,
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
      if (cancel) onSignal('cancel')
      else if (pause) onSignal('pause')
    } catch (error) {
      if (over.aborted) return new Promise(() => {})
      const isLost = isHoldfastError(error, 'CLAIM_LOST') || isHoldfastError(error, 'NOT_FOUND')
      if (isLost || ++missed >= MAX_MISSED) {
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
