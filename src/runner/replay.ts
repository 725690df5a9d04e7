/** Replays a recorded run to check changed code, without side effects. @module */
import type { AnyWorkflow } from './types.ts'
import { requireGiven, requireOptions, shown } from '../core/arguments.ts'
import { HoldfastError, invalid } from '../core/errors.ts'
import { tenantParts } from '../core/keys.ts'
import { nextTurn } from '../core/event-loop.ts'
import type { Holdfast } from '../holdfast.ts'
import { undoAll } from './compensation.ts'
import { type Duration, toMilliseconds } from '../core/duration.ts'
import { toStored } from './errors.ts'
import { type LogEvent, UNDOING, callOf, keyOf } from './events.ts'
import { type Verdict, execute } from './execution.ts'
import { load } from './load.ts'
import { otherEnding } from './mismatch.ts'
import { CANCELLED } from './outcomes.ts'
import { requireDefinition } from './options.ts'
import { realPause } from './waits.ts'

/** A recorded run: its log, its input, and the facts that its context returns. */
export interface RecordedRun {
  readonly runId: string
  readonly input?: unknown
  /** The whole log, as `persistence.load` returns it. */
  readonly events: readonly LogEvent[]
  /** In milliseconds since 1970; 0 by default. `ctx.now()` returns this before the first event. */
  readonly createdAt?: number
  /** The id from which `ctx.random()` and `ctx.uuid()` are derived. */
  readonly life?: string
}

/**
 * Reads a recorded run, for {@link replay}.
 *
 * @param holdfast - the stores of the run's tenant
 * @param runId - the run's id
 * @returns the run with its whole log
 * @throws `NOT_FOUND` if the run does not exist; `SERIALIZATION` if it cannot be read
 */
export async function recordedRun(holdfast: Holdfast, runId: string): Promise<RecordedRun> {
  const { run, input, events } = await load(holdfast, tenantParts(holdfast.tenant), runId)
  const { createdAt, life } = run
  return { runId, input, events, createdAt, ...(life !== undefined && { life }) }
}

/** The outcome of a replay. */
export type Replayed =
  | { readonly status: 'completed'; readonly result: unknown }
  | { readonly status: 'failed' | 'compensated'; readonly error: string }
  /** The workflow fits the whole log, and would continue. */
  | { readonly status: 'open' }

/**
 * Checks whether a workflow fits a recorded log. No step is called, nothing is stored, and sleeps do not wait. Use it in
 * tests, and before a deploy that changes the code of runs in progress.
 *
 * @param workflow - the code to check, made by `defineWorkflow`
 * @param recorded - the run, see {@link recordedRun}
 * @param options - `grace`: how long to wait for code that awaits anything but its context, `'1 s'` by default
 * @returns how the workflow ends, or that it would continue
 * @throws `NON_DETERMINISTIC` if other code wrote the log; `INVALID_ARGUMENT` for a malformed argument
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
  options?: { readonly grace?: Duration },
): Promise<Replayed> {
  const definition = requireDefinition(workflow)
  const { grace = '1 s' } = requireOptions(options, { grace: true })
  const { runId, input, events, createdAt = 0, life } = requireGiven(recorded, 'recorded')
  if (!Array.isArray(events)) throw invalid(`events must be the log of the run, not ${shown(events)}`)
  const nothing = (): never => {
    throw new HoldfastError('BACKEND', 'A replay has no effects')
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
    const { queue } = delivery.it
    if (isUndone) {
      const error = verdict.kind === 'failed' ? toStored(verdict.error) : CANCELLED
      // If the log ends before the last undo, a replay stops there.
      void undoAll(delivery.it, { error }).catch(() => {})
    }
    if (end) queue.add({ key: keyOf('run', 'end'), begin() {}, take() {} })
    const turn = nextTurn()
    while (queue.past > 0) await Promise.race([turn(), delivery.interrupted])
    if (end) requireSame(runId, end, verdict)
    return replayed(verdict, isUndone)
  } finally {
    delivery.stopAll()
    stop.abort()
  }
}

/** @throws `NON_DETERMINISTIC` if the workflow ends in another way than the log says */
function requireSame(runId: string, end: LogEvent, { kind }: Verdict): void {
  const isStored =
    (end.payload as { readonly error?: { readonly code?: string } } | undefined)?.error?.code === undefined
  const isOther =
    (kind === 'failed' && end.kind === 'run.completed') || (kind === 'ended' && end.kind === 'run.failed' && isStored)
  if (isOther) throw otherEnding(runId, end, kind)
}

function replayed(verdict: Verdict, isUndone: boolean): Replayed {
  if (verdict.kind === 'ended') return { status: 'completed', result: verdict.value }
  if (verdict.kind === 'failed')
    return { status: isUndone ? 'compensated' : 'failed', error: toStored(verdict.error).message }
  if (verdict.kind === 'cancel') return { status: 'compensated', error: CANCELLED.message }
  return { status: 'open' }
}
