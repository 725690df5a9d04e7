/** Comparing code with what a run has recorded, without doing anything. @module */
import type { AnyWorkflow } from './types.ts'
import { requireGiven } from '../core/arguments.ts'
import { HoldfastError } from '../core/errors.ts'
import { tenantParts } from '../core/keys.ts'
import { nextTurn } from '../core/turns.ts'
import type { Holdfast } from '../holdfast.ts'
import { undoAll } from './compensation.ts'
import { type Duration, toMilliseconds } from '../core/duration.ts'
import { toStored } from './errors.ts'
import { type LogEvent, UNDOING, callOf, keyOf } from './events.ts'
import { type Verdict, execute } from './execution.ts'
import { load } from './load.ts'
import { CANCELLED } from './outcomes.ts'
import { requireDefinition } from './run.ts'
import { realPause } from './waits.ts'

/** A run as it was recorded: what `persistence.load` gives, with its input and its life. */
export interface RecordedRun {
  readonly runId: string
  readonly input?: unknown
  /** All of the log. */
  readonly events: readonly LogEvent[]
  /** In milliseconds since 1970, for workflows that ask for the time before their first event. */
  readonly createdAt?: number
  /** For workflows that use `ctx.random()` or `ctx.uuid()`. */
  readonly life?: string
}

/**
 * Reads a run as it was recorded, for {@link replay}.
 *
 * @param holdfast - the stores of the run's tenant
 * @throws `NOT_FOUND`, `SERIALIZATION` where it cannot be read
 */
export async function recordedRun(holdfast: Holdfast, runId: string): Promise<RecordedRun> {
  const { run, input, events } = await load(holdfast, tenantParts(holdfast.tenant), runId)
  const { createdAt, life } = run
  return { runId, input, events, createdAt, ...(life !== undefined && { life }) }
}

/** How far a replay came. */
export type Replayed =
  | { readonly status: 'completed'; readonly result: unknown }
  | { readonly status: 'failed' | 'compensated'; readonly error: string }
  /** The log is at its end, and the workflow would go on. */
  | { readonly status: 'open' }

/**
 * Runs a workflow against a recorded log, and does nothing: no step is done, nothing is waited for, nothing is stored. For
 * tests, and for the question whether a change of the code breaks what is running.
 *
 * @param workflow - the code
 * @param recorded - the run
 * @param options - how long code that awaits something else than its context may keep the log waiting
 * @returns how the workflow ends, or that it would go on
 * @throws `NON_DETERMINISTIC` where the code is not the code that wrote the log; `INVALID_ARGUMENT`
 *
 * @example
 * ```ts
 * import { createHoldfast, memory } from 'holdfast'
 * import { defineWorkflow, replay, run } from 'holdfast/run'
 *
 * const holdfast = createHoldfast({ driver: memory() })
 * const order = defineWorkflow({ name: 'order' }, async (ctx) => ctx.step('charge', () => 'charged'))
 * await run(holdfast, order, { runId: 'order-17' })
 *
 * const { events } = (await holdfast.persistence.load('order-17'))!
 * const renamed = defineWorkflow({ name: 'order' }, async (ctx) => ctx.step('bill', () => 'billed'))
 * console.log((await replay(order, { runId: 'order-17', events })).status) // completed
 * await replay(renamed, { runId: 'order-17', events }).catch((error) => console.log(error.code)) // NON_DETERMINISTIC
 * ```
 */
export async function replay(
  workflow: AnyWorkflow,
  recorded: RecordedRun,
  { grace = '1 s' }: { readonly grace?: Duration } = {},
): Promise<Replayed> {
  const definition = requireDefinition(workflow)
  const { runId, input, events, createdAt = 0, life } = requireGiven(recorded, 'recorded')
  const nothing = (): never => {
    throw new HoldfastError('BACKEND', 'A replay does nothing')
  }
  const stop = new AbortController()
  const delivery = execute({
    now: nothing,
    others: { start: nothing, readEnd: nothing },
    definition,
    run: {
      runId,
      tenant: '',
      createdAt,
      updatedAt: createdAt,
      status: 'running',
      since: createdAt,
      ...(life !== undefined && { life }),
    },
    input,
    events,
    journal: () => ({ record: nothing, defer() {} }),
    inbox: { take: nothing, peek: nothing, receive: nothing, learn: nothing, consume: nothing },
    retry: { maxAttempts: 1 },
    grace: toMilliseconds(grace, 'grace'),
    maxWait: Infinity,
    pollInterval: Infinity,
    pause: realPause,
    stop,
    over: stop.signal,
    pending: () => undefined,
    look: nothing,
    pauseNow: nothing,
    tell() {},
    isReplay: true,
  })
  try {
    const verdict = await delivery.verdict
    const isUndone = events.some(({ kind }) => kind === UNDOING)
    const end = events.find((event) => callOf(event) === keyOf('run', 'end'))
    const { deliveries } = delivery.it
    if (isUndone) {
      const error = verdict.kind === 'failed' ? toStored(verdict.error) : CANCELLED
      // What is missing of it would be done by a run.
      void undoAll(delivery.it, { error }).catch(() => {})
    }
    if (end) deliveries.add({ key: keyOf('run', 'end'), begin() {}, take() {} })
    const turn = nextTurn()
    while (deliveries.past > 0) await Promise.race([turn(), delivery.interrupted])
    if (end) requireSame(runId, end, verdict)
    return replayed(verdict, isUndone)
  } finally {
    delivery.stopAll()
    stop.abort()
  }
}

/** @throws `NON_DETERMINISTIC` */
function requireSame(runId: string, { seq, kind, payload }: LogEvent, verdict: Verdict): void {
  const isStored = (payload as { readonly error?: { readonly code?: string } } | undefined)?.error?.code === undefined
  const isOther =
    (verdict.kind === 'failed' && kind === 'run.completed') ||
    (verdict.kind === 'ended' && kind === 'run.failed' && isStored)
  if (!isOther) return
  throw new HoldfastError(
    'NON_DETERMINISTIC',
    `Run ${JSON.stringify(runId)} recorded ${kind}, as number ${seq}, but the workflow has ${verdict.kind}`,
    { details: { runId, seq, recorded: kind, stepId: '', waitsFor: [] } },
  )
}

function replayed(verdict: Verdict, isUndone: boolean): Replayed {
  if (verdict.kind === 'ended') return { status: 'completed', result: verdict.value }
  if (verdict.kind === 'failed')
    return { status: isUndone ? 'compensated' : 'failed', error: toStored(verdict.error).message }
  if (verdict.kind === 'cancel') return { status: 'compensated', error: CANCELLED.message }
  return { status: 'open' }
}
