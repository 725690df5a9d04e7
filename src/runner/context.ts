/** What a workflow is given to work with: steps, sleeps and messages that survive it. @module */
import { sleep } from '../core/abort.ts'
import { invalid } from '../core/errors.ts'
import { utf8Bytes } from '../core/keys.ts'
import type { Holdfast } from '../holdfast.ts'
import type { Claim } from '../stores/claims/store.ts'
import { type RetryPolicy, nextRetry } from '../policies/retries.ts'
import type { RunEvent } from '../runs/events.ts'
import type { SignalKind } from '../runs/state.ts'
import { type Position, wakeAtOf } from '../runs/status.ts'
import type { Run } from '../stores/workflows/start.ts'
import { type Duration, toMilliseconds } from '../core/duration.ts'
import type { Context, RunOutcome, StepInfo } from './types.ts'

/** A step failed for the last time. */
export class StepError extends Error {
  override readonly name = 'StepError'
  readonly stepId: string

  constructor(stepId: string, message: string, cause?: unknown) {
    super(message, { cause })
    this.stepId = stepId
  }
}

/** The workflow stops before its end. It never sees this. */
export class Halt extends Error {
  readonly outcome: Extract<RunOutcome<never>, { readonly status: 'waiting' | 'paused' | 'cancelled' }>

  constructor(outcome: Halt['outcome']) {
    super(outcome.status)
    this.outcome = outcome
  }
}

/** What happened to each step last. */
export type Journal = Map<string, Pick<RunEvent, 'kind' | 'payload' | 'seq'>>

/** What a context is made of. */
export interface ContextParts {
  readonly holdfast: Holdfast
  readonly run: Run
  readonly claim: Claim
  readonly journal: Journal
  /** For what the workflow does: aborted when it is to stop. */
  readonly signal: AbortSignal
  /** For what undoes it: aborted when nothing must be done any more. */
  readonly over: AbortSignal
  readonly retry: RetryPolicy
  /** For how long a wait may keep this process, and how often it looks up, in milliseconds. */
  readonly maxWait: number
  readonly beat: number
  /** The signal that somebody saw pending, and who is told of one. */
  pending(): SignalKind | undefined
  notice(found: SignalKind | undefined): void
}

/** A step of the runner's own, where a run is while it is worked on. */
export const WORK: Position = { kind: 'step', stepId: 'work' }

/** What is thrown, as text. */
export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

/** Makes what a workflow is given, and what ends and undoes it. */
export function createContext<I>(parts: ContextParts): {
  readonly context: Context<I>
  /** Rejects when the workflow must not go on: with a {@link Halt}, or what the backend threw. */
  readonly halted: Promise<never>
  /** Lets nothing new begin; resolves when no step is under way. */
  stop(): Promise<void>
  /** Undoes what was done, the last first; tells whether there was anything. @throws `StepError` */
  undo(): Promise<boolean>
} {
  const { holdfast, run, claim, journal, signal, over, maxWait, beat } = parts
  const { runId, workflow = '', input } = run
  const { db, persistence, signals, timers, workflows } = holdfast
  const undos: { readonly stepId: string; readonly hook: (info: StepInfo) => unknown }[] = []
  /** By id of a step, the last number given to its name. */
  const numbers = new Map<string, number>()
  let there = run.position
  const isAt = (it: Position): boolean => there?.stepId === it.stepId && wakeAtOf(there) === wakeAtOf(it)
  let isWaiting = false
  /** Parts of the workflow under way, and who waits for their end. */
  let busy = 0
  let onIdle: (() => void) | undefined
  let reason: unknown
  let reject: (reason: unknown) => void
  const halted = new Promise<never>((_, no) => (reject = no))

  /** The name, with a number from its second use on. */
  function unique(name: string): string {
    let id = name
    for (let n = numbers.get(name) ?? 1; numbers.has(id); id = `${name}#${n}`) numbers.set(name, ++n)
    numbers.set(id, 1)
    return id
  }

  function halt(why: unknown): void {
    reason ??= why
    reject(why)
  }

  /** Does a part of the workflow. Where that is to stop, it stays for ever: no code of the workflow runs any more. */
  async function guarded<R>(work: () => Promise<R>): Promise<R> {
    busy++
    try {
      return await work()
    } catch (error) {
      if (error instanceof StepError) throw error
      halt(error)
    } finally {
      if (--busy === 0) onIdle?.()
    }
    return new Promise(() => {})
  }

  /** Goes on only where nobody asked the run to stop. */
  async function gate(own: AbortSignal): Promise<void> {
    const pending = parts.pending()
    if (own === signal && reason !== undefined) throw reason
    if (own === signal && pending === 'cancel') throw new Halt({ status: 'cancelled' })
    if (own.aborted) throw new Halt({ status: 'waiting' })
    if (pending === 'pause' && (await signals.checkAndPause(runId, { claim }))) {
      throw new Halt({ status: 'paused' })
    }
  }

  /** Waits in this process, looking up now and then; ends the workflow where that would take too long. */
  async function pass(position: Position, start: number, own = signal): Promise<void> {
    await gate(own)
    const now = db.now()
    const wakeAt = wakeAtOf(position)
    // What is undone is not left half done.
    const end = own === signal ? start + maxWait : Infinity
    if (now >= end || (wakeAt !== undefined && wakeAt > end)) {
      isWaiting = true
      if (position.kind === 'delay' && !isAt(position)) await workflows.updateRun(runId, { position }, { claim })
      throw new Halt({ status: 'waiting', until: wakeAt })
    }
    // Whoever ends it is asked at the next gate.
    await sleep(Math.min((wakeAt ?? end) - now, end - now, beat), own).catch(() => {})
  }

  /** Records what happened to a step, and where the run is then, in one commit; where it waits, it stays there. */
  async function record(
    kind: string,
    stepId: string,
    payload?: unknown,
    position = isWaiting ? undefined : WORK,
  ): Promise<void> {
    // With a name of its own a write can be repeated: over a network its answer may be lost.
    const idempotencyKey = `${kind} ${stepId} ${journal.get(stepId)?.seq ?? 0}`
    const fields = position && !isAt(position) ? { position } : undefined
    if (position) there = position
    const event = { runId, workflow, kind, stepId, payload, idempotencyKey }
    const { seq, signal: pending } = await persistence.append(event, { claim, run: fields })
    journal.set(stepId, { kind, payload, seq })
    parts.notice(pending)
  }

  async function attempt<R>(
    stepId: string,
    fn: (info: StepInfo) => R | Promise<R>,
    retry: RetryPolicy,
    own: AbortSignal,
  ): Promise<R> {
    const past = journal.get(stepId)
    if (past?.kind === 'step.completed') return past.payload as R
    if (past?.kind === 'step.failed') throw new StepError(stepId, String(past.payload))
    let { attempt: failed = 0, retryAt = 0 } = (past?.payload ?? {}) as { attempt?: number; retryAt?: number }
    for (;;) {
      const start = db.now()
      while (db.now() < retryAt) await pass(delay(`retry ${stepId}`, retryAt), start, own)
      await gate(own)
      let result: R
      try {
        result = await fn({ signal: own, attempt: failed + 1, idempotencyKey: `${runId} ${stepId}` })
      } catch (cause) {
        // What fails after the run was told to stop did not fail by itself.
        if (own.aborted) await gate(own)
        failed++
        const error = messageOf(cause)
        const wait = nextRetry(retry, failed)
        if (wait === undefined) {
          await record('step.failed', stepId, error)
          throw new StepError(stepId, error, cause)
        }
        retryAt = db.now() + wait
        await record('step.retried', stepId, { attempt: failed, error, retryAt })
        continue
      }
      await record('step.completed', stepId, result)
      return result
    }
  }

  /** Waits are of the whole run: it can be in one place only. */
  async function waiting<R>(wait: () => Promise<R>): Promise<R> {
    if (isWaiting) throw invalid('A run waits for one thing at a time: await sleep and message one after the other')
    isWaiting = true
    return guarded(async () => {
      await gate(signal)
      const result = await wait()
      isWaiting = false
      return result
    })
  }

  const context: Context<I> = {
    runId,
    input: input as I,
    signal,
    async step(name, fn, { retry = parts.retry, compensate } = {}) {
      const stepId = unique(requireName(name))
      return guarded(async () => {
        const result = await attempt(stepId, fn, retry, signal)
        if (compensate) undos.push({ stepId, hook: (info) => compensate(result, info) })
        return result
      })
    },
    async sleep(duration) {
      const span = toMilliseconds(duration, 'duration')
      const stepId = unique('sleep')
      const past = journal.get(stepId)
      if (past && past.kind !== 'sleep.started') return
      await waiting(async () => {
        const start = db.now()
        const wakeAt = (past?.payload as number | undefined) ?? start + span
        const position = delay(stepId, wakeAt)
        if (!past) await record('sleep.started', stepId, wakeAt, position)
        while (db.now() < wakeAt) await pass(position, start)
        await record('sleep.completed', stepId, undefined, WORK)
      })
    },
    async message<T>(name: string, { timeout }: { readonly timeout?: Duration } = {}) {
      const span = timeout === undefined ? undefined : toMilliseconds(timeout, 'timeout')
      const stepId = unique(`message ${requireName(name)}`)
      const past = journal.get(stepId)
      if (past && past.kind !== 'message.awaited') return past.payload as T | undefined
      return waiting(async () => {
        const start = db.now()
        const wakeAt = past ? (past.payload as number | undefined) : span && start + span
        if (!past) await record('message.awaited', stepId, wakeAt)
        const position = { kind: 'message', stepId, name, wakeAt, next: WORK.stepId } as const
        await signals.park(runId, position, { claim })
        for (;;) {
          // Whether the time or a message came first is decided there, once.
          if (wakeAt !== undefined && db.now() >= wakeAt) await timers.advanceDue({ leaveSignalled: true })
          const step = await workflows.getStep(runId, stepId)
          if (step?.status === 'completed') {
            await record(step.timedOut ? 'message.timedOut' : 'message.received', stepId, step.result, WORK)
            return step.result as T | undefined
          }
          await pass(position, start)
        }
      })
    },
  }
  return {
    context,
    halted,
    async stop() {
      halt(new Halt({ status: 'waiting' }))
      for (;;) {
        if (busy > 0) await new Promise<void>((resolve) => (onIdle = resolve))
        // What is repeated from the log goes on at once, and may come to what is under way or is to be undone.
        await sleep(0)
        if (busy === 0) return
      }
    },
    async undo() {
      const seqOf = (undo: { readonly stepId: string }): number => journal.get(undo.stepId)!.seq
      for (const { stepId, hook } of undos.toSorted((a, b) => seqOf(b) - seqOf(a))) {
        await attempt(unique(`undo ${stepId}`), hook, parts.retry, over)
      }
      return undos.length > 0
    },
  }
}

const delay = (stepId: string, wakeAt: number): Position => ({ kind: 'delay', stepId, wakeAt, next: WORK.stepId })

function requireName(name: string): string {
  if (typeof name === 'string' && name !== '' && utf8Bytes(name) <= 200) return name
  throw invalid('The name of a step or message must be text of 1 to 200 UTF-8 bytes')
}
