/** What a workflow is given to work with: steps, sleeps and messages that survive it. @module */
import { sleep } from '../core/abort.ts'
import { invalid } from '../core/errors.ts'
import { utf8Bytes } from '../core/keys.ts'
import type { Holdfast } from '../holdfast.ts'
import type { Claim } from '../stores/claims.ts'
import { type RetryPolicy, nextRetry } from '../stores/retries.ts'
import type { Position } from '../stores/status.ts'
import { type Duration, toMilliseconds } from './duration.ts'
import type { Journal } from './journal.ts'
import type { Context, StepInfo } from './types.ts'

/** A step failed for the last time. */
export class StepError extends Error {
  override readonly name = 'StepError'
  readonly stepId: string

  constructor(stepId: string, message: string, cause?: unknown) {
    super(message, { cause })
    this.stepId = stepId
  }
}

/** Why a workflow stops before its end. */
export type Halt =
  | { readonly status: 'waiting'; readonly until?: number | undefined }
  | { readonly status: 'paused' }
  | { readonly status: 'cancelled' }

/** What a context is made of. */
export interface ContextParts<I> {
  readonly holdfast: Holdfast
  readonly run: { readonly runId: string; readonly input: I }
  readonly claim: Claim
  readonly journal: Journal
  readonly signal: AbortSignal
  readonly retry: RetryPolicy
  /** For how long a wait may keep this process, and how often it looks up, in milliseconds. */
  readonly maxWait: number
  readonly beat: number
  /** The signal that somebody saw pending. */
  pending(): 'cancel' | 'pause' | undefined
  /** Ends the workflow; nothing of it goes on afterwards. */
  halt(halt: Halt): void
}

/** How to undo a step. */
export interface Undo {
  readonly stepId: string
  readonly seq: number
  readonly hook: (info: StepInfo) => unknown
}

/** Thrown to get out of what the workflow called; it never sees it. */
const HALTED = new Error('The workflow was stopped')

/** A step of the runner's own, where a run is while it is worked on. */
export const WORK: Position = { kind: 'step', stepId: 'work' }

/** Makes what a workflow is given, and what undoes its steps. */
export function createContext<I>(parts: ContextParts<I>): {
  readonly context: Context<I>
  readonly undos: readonly Undo[]
  /** Resolves when no step is under way. */
  idle(): Promise<void>
  /** Does a step under an id of its own, whatever the run was told. */
  attempt<R>(stepId: string, fn: (info: StepInfo) => R | Promise<R>): Promise<R>
} {
  const { holdfast, run, claim, journal, signal, maxWait, beat } = parts
  const { db } = holdfast
  const { runId } = run
  const undos: Undo[] = []
  const counts = new Map<string, number>()
  let isWaiting = false
  /** Parts of the workflow under way, and who waits for their end. */
  let busy = 0
  let onIdle: (() => void) | undefined

  /** The name, with a number from its second use on. */
  function unique(name: string): string {
    if (typeof name !== 'string' || name === '' || utf8Bytes(name) > 200) {
      throw invalid('The name of a step must be text of 1 to 200 UTF-8 bytes')
    }
    const count = (counts.get(name) ?? 0) + 1
    counts.set(name, count)
    return count === 1 ? name : `${name}#${count}`
  }

  /** Does a part of the workflow. Where that is to stop, it stays for ever: no code of the workflow runs any more. */
  async function guarded<R>(work: () => Promise<R>): Promise<R> {
    busy++
    try {
      return await work()
    } catch (error) {
      if (error !== HALTED) throw error
    } finally {
      if (--busy === 0) onIdle?.()
    }
    return new Promise(() => {})
  }

  function halt(reason: Halt): never {
    parts.halt(reason)
    throw HALTED
  }

  /** Goes on only where nobody asked the run to stop. */
  async function gate(): Promise<void> {
    const pending = parts.pending()
    if (pending === 'cancel') halt({ status: 'cancelled' })
    if (signal.aborted) throw HALTED
    if (pending === 'pause' && (await holdfast.signals.checkAndPause(runId, { claim }))) halt({ status: 'paused' })
  }

  /** Waits in this process, looking up now and then; ends the workflow where that would take too long. */
  async function pass(until: number | undefined, start: number): Promise<void> {
    await gate()
    const left = Math.min(until ?? Number.POSITIVE_INFINITY, start + maxWait) - db.now()
    if (left <= 0 || (until !== undefined && until - start > maxWait)) halt({ status: 'waiting', until })
    await sleep(Math.min(left, beat), signal)
  }

  async function attempt<R>(
    stepId: string,
    fn: (info: StepInfo) => R | Promise<R>,
    retry: RetryPolicy,
    signal: AbortSignal,
  ): Promise<R> {
    const past = journal.last(stepId)
    if (past?.kind === 'step.completed') return past.payload as R
    if (past?.kind === 'step.failed') throw new StepError(stepId, String(past.payload))
    let { attempt: failed = 0, retryAt = 0 } = (past?.payload ?? {}) as { attempt?: number; retryAt?: number }
    for (;;) {
      const start = db.now()
      while (db.now() < retryAt) await pass(retryAt, start)
      if (signal === parts.signal) await gate()
      let result: R
      try {
        result = await fn({ signal, attempt: failed + 1, idempotencyKey: `${runId} ${stepId}` })
      } catch (cause) {
        // What fails after the run was told to stop did not fail by itself.
        if (signal.aborted) await gate()
        failed++
        const error = cause instanceof Error ? cause.message : String(cause)
        const delay = nextRetry(retry, failed)
        if (delay === undefined) {
          await journal.write({ kind: 'step.failed', stepId, payload: error })
          throw new StepError(stepId, error, cause)
        }
        retryAt = db.now() + delay
        const position: Position =
          delay > maxWait ? { kind: 'delay', stepId, wakeAt: retryAt, next: WORK.stepId } : WORK
        await journal.write(
          { kind: 'step.retried', stepId, payload: { attempt: failed, error, retryAt } },
          { position },
        )
        continue
      }
      await journal.write({ kind: 'step.completed', stepId, payload: result })
      return result
    }
  }

  /** Waits are of the whole run: it can be in one place only. */
  async function waiting<R>(wait: () => Promise<R>): Promise<R> {
    if (isWaiting) throw invalid('A run can wait for one thing at a time: await sleep and message one after the other')
    isWaiting = true
    return guarded(async () => {
      await gate()
      const result = await wait()
      isWaiting = false
      return result
    })
  }

  const context: Context<I> = {
    ...run,
    signal,
    async step(name, fn, { retry = parts.retry, compensate } = {}) {
      const stepId = unique(name)
      return guarded(async () => {
        const result = await attempt(stepId, fn, retry, signal)
        if (compensate) {
          undos.push({ stepId, seq: journal.last(stepId)!.seq, hook: (info) => compensate(result, info) })
        }
        return result
      })
    },
    async sleep(duration) {
      const span = toMilliseconds(duration, 'duration')
      const stepId = unique('sleep')
      const past = journal.last(stepId)
      if (past?.kind === 'sleep.completed') return
      await waiting(async () => {
        const start = db.now()
        const wakeAt = (past?.payload as number | undefined) ?? start + span
        const position: Position = { kind: 'delay', stepId, wakeAt, next: WORK.stepId }
        if (!past) await journal.write({ kind: 'sleep.started', stepId, payload: wakeAt }, { position })
        while (db.now() < wakeAt) await pass(wakeAt, start)
        await journal.write({ kind: 'sleep.completed', stepId }, { position: WORK })
      })
    },
    async message<T>(name: string, { timeout }: { readonly timeout?: Duration } = {}) {
      const span = timeout === undefined ? undefined : toMilliseconds(timeout, 'timeout')
      const stepId = unique(`message ${name}`)
      const past = journal.last(stepId)
      if (past?.kind === 'message.received') return past.payload as T
      if (past?.kind === 'message.timedOut') return undefined
      return waiting(async () => {
        const start = db.now()
        const wakeAt = past ? (past.payload as number | undefined) : span && start + span
        if (!past) await journal.write({ kind: 'message.awaited', stepId, payload: wakeAt })
        const position = { kind: 'message', stepId, name, wakeAt, next: WORK.stepId } as const
        for (;;) {
          const step = await holdfast.workflows.getStep(runId, stepId)
          if (step?.status === 'completed') {
            const kind = step.timedOut ? 'message.timedOut' : 'message.received'
            await journal.write({ kind, stepId, payload: step.result }, { position: WORK })
            return step.result as T | undefined
          }
          if ((await holdfast.signals.park(runId, position, { claim })) === 'delivered') continue
          if (wakeAt !== undefined && db.now() >= wakeAt) await holdfast.timers.advanceDue()
          else await pass(wakeAt, start)
        }
      })
    },
  }
  return {
    context,
    undos,
    attempt: (stepId, fn) => attempt(stepId, fn, parts.retry, new AbortController().signal),
    idle: async () => {
      if (busy > 0) await new Promise<void>((resolve) => (onIdle = resolve))
    },
  }
}
