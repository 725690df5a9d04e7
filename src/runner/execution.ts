/**
 * One delivery of a run: it calls the workflow, delivers the log to it, and does the new calls, until the workflow ends or
 * only waits.
 *
 * @module
 */
import { sleep } from '../core/abort.ts'
import { HoldfastError } from '../core/errors.ts'
import { nextTurn } from '../core/event-loop.ts'
import type { Inbox } from '../runs/inbox.ts'
import type { RunRecord, SignalKind } from '../runs/state.ts'
import { createContext } from './context.ts'
import { type EventQueue, eventQueue } from './event-queue.ts'
import { INTERVENTION, type LogEvent, UNDOING, callOf, keyOf } from './events.ts'
import { numbering } from './ids.ts'
import { outside } from './inside-step.ts'
import type { Journal } from './journal.ts'
import type { Execution, Others } from './execution-state.ts'
import type { AnyWorkflow, StepRetry } from './types.ts'
import { type Pause, type Wait, waiting } from './waits.ts'

/** Report a workflow that awaits something other than its context for this long, in milliseconds. */
const STALLED = 30_000

/** How a delivery ends. */
export type Verdict =
  | { readonly kind: 'ended'; readonly value: unknown }
  | { readonly kind: 'failed'; readonly error: unknown }
  | { readonly kind: 'continued'; readonly input: unknown }
  | { readonly kind: 'cancel' }
  | { readonly kind: 'pause' }
  | { readonly kind: 'park'; readonly until: number | undefined; readonly waits: readonly Wait[] }
  /** Only in a replay: the log is at its end, and the workflow would continue. */
  | { readonly kind: 'open' }

/** Options of {@link execute}. */
export interface ExecutionOptions {
  now(): number
  readonly others: Others
  readonly definition: AnyWorkflow
  readonly run: RunRecord
  readonly input: unknown
  readonly events: readonly LogEvent[]
  /** Creates the journal, which passes each recorded event to `onEvent`. */
  journal(onEvent: (event: LogEvent) => void): Journal
  readonly inbox: Inbox
  readonly retry: StepRetry
  readonly grace: number
  readonly maxWait: number
  readonly pollInterval: number
  readonly pause: Pause
  readonly stop: AbortController
  readonly over: AbortSignal
  /** The pending signal, as last seen. */
  pending(): SignalKind | undefined
  /** Returns the waits that are over. */
  look(waits: readonly Wait[]): Promise<readonly Wait[]>
  /** Records at once that the run is paused, if that is still requested. */
  pauseNow(journal: Journal): Promise<void>
  tell(error: unknown): void
  /** Only compares the code with the log: no call begins. */
  readonly isReplay?: boolean
}

/** A delivery in progress. */
export interface Delivery {
  readonly it: Execution
  /** Rejects if an error interrupts the run. */
  readonly verdict: Promise<Verdict>
  /** Rejects if an error interrupts the run, also after the verdict. */
  readonly interrupted: Promise<never>
  /** Attends to the waits of the steps that undo the run. */
  attendUndoing(): void
  /** Whether work is in progress that may take effect. */
  readonly isActive: boolean
  /** Call it when a signal was seen, or a wait may be over. */
  hint(): void
  /** Stops the workflow: nothing more is delivered or begins. */
  stopAll(): void
}

/** Calls the workflow and delivers its log. */
export function execute(options: ExecutionOptions): Delivery {
  const { definition, run, input, over, stop, pending, isReplay = false } = options
  const { runId, life = runId } = run
  const turn = nextTurn()
  const attending = new AbortController()
  let settled: Extract<Verdict, { readonly kind: 'ended' | 'failed' | 'continued' }> | undefined
  let isCodeStopped = false
  let hasVerdict = false
  /** Whether the next event concerns the whole run, and waits for the workflow's end. */
  let isEndAwaited = false
  let isPausing = false
  let underWay = 0
  /** Events recorded by this delivery. */
  let live = 0
  let give: (verdict: Verdict) => void
  let interrupt: (error: unknown) => void
  let onInterrupt: (error: unknown) => void
  const interrupted = new Promise<never>((_, reject) => (onInterrupt = reject))
  interrupted.catch(() => {})
  const verdict = new Promise<Verdict>((resolve, reject) => {
    give = (it) => {
      if (hasVerdict) return
      hasVerdict = true
      isCodeStopped = true
      attending.abort()
      resolve(it)
    }
    interrupt = (error) => {
      hasVerdict = true
      isCodeStopped = true
      attending.abort()
      queue.stop()
      reject(error)
      onInterrupt(error)
    }
  })

  const decisions = new Map<string, { readonly value: unknown }>()
  const log: LogEvent[] = []
  for (const event of options.events) {
    if (event.kind === INTERVENTION) decisions.set(event.stepId!, event.payload as { readonly value: unknown })
    else if (callOf(event) !== undefined) log.push(event)
  }

  const mayBegin = (): boolean => !isReplay && !isCodeStopped && pending() === undefined
  const queue: EventQueue = eventQueue({
    runId,
    events: log,
    grace: options.grace,
    turn,
    pause: sleep,
    // After the verdict only the steps that undo the run begin.
    mayBegin: () => !isReplay && (hasVerdict || pending() === undefined),
    hasEnded: () => settled !== undefined,
    meet(event) {
      if (event.kind === UNDOING && (event.payload as { readonly cancelled?: true }).cancelled) give({ kind: 'cancel' })
      isEndAwaited ||= event.kind.startsWith('run.')
      look()
      return queue.has(callOf(event)!)
    },
    onMismatch: (error: HoldfastError) => interrupt(error),
    onRest: () => look(),
  })

  const isStill = (): boolean => underWay === 0 && !queue.isBusy
  const it: Execution = {
    now: options.now,
    others: options.others,
    runId,
    life,
    queue,
    journal: options.journal((event) => {
      live++
      // No call waits for the end of the run.
      if (callOf(event) !== keyOf('run', 'end')) queue.push(event)
    }),
    inbox: options.inbox,
    retry: options.retry,
    signal: stop.signal,
    over,
    undos: [],
    children: [],
    started: new Set(),
    number: numbering(),
    arm: (wait) => waits.arm(wait),
    guard(work) {
      underWay++
      void (async () => {
        try {
          await work()
        } catch (error) {
          interrupt(error)
        } finally {
          underWay--
          look()
        }
      })()
    },
    get isOver() {
      return settled !== undefined || isCodeStopped
    },
    mayBegin,
    cutOff: () => (live === 0 ? Math.max((run.deliveries ?? 1) - 1, 0) : 0),
    decided(target) {
      const found = decisions.get(target)
      decisions.delete(target)
      return found
    },
    tell: options.tell,
    unfinished: new Set(),
    failures: new Map(),
  }

  /** Gives the verdict, if there is one. */
  function look(): void {
    if (hasVerdict) return
    if (pending() === 'pause' && !isPausing && !isReplay) {
      isPausing = true
      it.guard(() => options.pauseNow(it.journal))
    }
    if (isStill() || isEndAwaited) {
      const signal = pending()
      const isWhole = settled && [...it.unfinished].every((promise) => promise.isHandled)
      if (signal !== undefined && !isEndAwaited) return give({ kind: signal })
      if (settled && (isWhole || isEndAwaited)) return give(withForgotten(settled))
      if (isReplay && !isEndAwaited && queue.past === 0) {
        // The workflow may be about to end.
        void openAfter(2)
      }
    }
    waits.ring()
  }

  /** Gives the verdict `open`, unless the workflow ends within this many turns of the event loop. */
  async function openAfter(turns: number): Promise<void> {
    for (let i = 0; i < turns; i++) await turn()
    if (isStill() && !settled) give({ kind: 'open' })
  }

  /** A failed step whose promise nobody awaited fails the run. */
  function withForgotten(end: NonNullable<typeof settled>): Verdict {
    if (end.kind === 'failed') return end
    for (const [promise, error] of it.failures) if (!promise.isHandled) return { kind: 'failed', error }
    return end
  }

  const waits = waiting({
    now: options.now,
    maxWait: options.maxWait,
    pollInterval: options.pollInterval,
    isStill: () => !hasVerdict && isStill() && pending() === undefined,
    isQuiet: isStill,
    turn,
    look: options.look,
    onPark: (until) => give({ kind: 'park', until, waits: [...waits.armed] }),
    onError: (error) => interrupt(error),
    pause: options.pause,
  })

  /** Reports a workflow that waits for something else than its calls: nothing will ever wake it after a restart. */
  async function reportStall(): Promise<void> {
    for (;;) {
      const before = queue.delivered
      await sleep(STALLED, attending.signal)
      const isStalled = isStill() && queue.delivered === before && waits.armed.size === 0
      if (!isStalled || settled !== undefined || pending() !== undefined) continue
      const message = `The workflow has waited for ${STALLED / 1000} s, but for no call of its context. Outside of steps, await only such calls`
      options.tell(new HoldfastError('TIMEOUT', message, { details: { runId } }))
      return
    }
  }

  const context = createContext({
    it,
    input,
    hasEnded: () => settled !== undefined,
    patches: new Set(log.filter(({ kind }) => kind === 'patch.passed').map(({ stepId }) => stepId!)),
    startedAt: run.createdAt,
    continueAs(next) {
      settled ??= { kind: 'continued', input: next }
      look()
    },
  })
  const settle = (end: NonNullable<typeof settled>): void => {
    settled ??= end
    look()
  }
  // Outside of any step: a step may run another workflow.
  void outside(async () => definition.fn(context, input)).then(
    (value) => settle({ kind: 'ended', value }),
    (error: unknown) => settle({ kind: 'failed', error }),
  )
  queue.pump()
  if (!isReplay) {
    void waits.attend(attending.signal)
    // It ends by the signal.
    void reportStall().catch(() => {})
  }

  return {
    it,
    verdict,
    interrupted,
    attendUndoing: () => void waits.attend(over),
    get isActive() {
      return underWay > 0
    },
    hint() {
      if (pending() === 'cancel') stop.abort(new Error('The run was cancelled'))
      waits.hint()
      queue.pump()
      look()
    },
    stopAll() {
      isCodeStopped = true
      hasVerdict = true
      queue.stop()
      attending.abort()
    },
  }
}
