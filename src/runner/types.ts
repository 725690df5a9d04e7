/** What a workflow is made of, and what becomes of it. @module */
import type { RetryPolicy } from '../policies/retries.ts'
import type { Duration } from '../core/duration.ts'

/** What a step's function is given. */
export interface StepInfo {
  /** Aborted when the run is cancelled, or its claim is lost: what the step does then is for nothing. */
  readonly signal: AbortSignal
  /** From 1. */
  readonly attempt: number
  /** The same for every attempt at this step, and for no other: for services that recognise repeated requests. */
  readonly idempotencyKey: string
}

/** Options of {@link Context.step}. */
export interface StepOptions<R> {
  /** How often and when it is tried again; the run's policy by default. */
  readonly retry?: RetryPolicy
  /**
   * Undoes it where the run fails or is cancelled later; the last step is undone first, each once. Where it fails it is
   * tried again by the run's policy, and waits for that in the process; what fails in the end leaves the run failed.
   */
  readonly compensate?: (result: R, info: StepInfo) => unknown
}

/** What a workflow is given. */
export interface Context<I = unknown> {
  readonly runId: string
  /** What the run was started with. */
  readonly input: I
  readonly signal: AbortSignal
  /**
   * Does something once: its result is recorded, and given back without doing it again when the workflow is run again. A
   * crash between the deed and its record repeats it.
   *
   * @param name - of the step, at most 200 bytes; a name used again gets a number
   * @param fn - returns any structured value, see `setJson`
   * @throws what `fn` threw, as `StepError`, when it failed for the last time. Nothing else of what goes wrong is seen by
   *   the workflow: a result that cannot be stored, a lost claim and a failing backend are thrown by `run`
   */
  step<R>(name: string, fn: (info: StepInfo) => R | Promise<R>, options?: StepOptions<R>): Promise<R>
  /** Waits, also over restarts: by the backend's clock, from the first time the workflow comes here. */
  sleep(duration: Duration): Promise<void>
  /**
   * Waits for a message of this name, also over restarts, and takes it: every message is received once.
   *
   * @returns its payload; `undefined` when none came in time
   */
  message<T = unknown>(name: string, options?: { readonly timeout?: Duration }): Promise<T | undefined>
}

/** Options of `run`. */
export interface RunOptions<I = unknown> {
  readonly runId: string
  /** The name of the workflow; a run keeps the one it was started with. */
  readonly workflow: string
  /** What the workflow is given; kept from the first call for this run. */
  readonly input?: I
  /** Compared with that of the run: another one is refused with `DEFINITION_MISMATCH`. */
  readonly definitionVersion?: string
  readonly definitionHash?: string
  /** What a worker must have to be offered the run, see `TaskClaimStore.findAvailableTasks`. */
  readonly tags?: readonly string[]
  /** Whose claim it is; by default an id made for this call. */
  readonly workerId?: string
  /** For how long the claim holds without a sign of life of this process; `'30 s'` by default. */
  readonly lease?: Duration
  /** How often steps that do not say so are tried; three times by default, after 1 s and 2 s. */
  readonly retry?: RetryPolicy
  /**
   * Whether the run is ended with its workflow; by default it is. Otherwise it stays open, and the outcome tells what it
   * would have ended as: `PersistenceStore.complete` is left to the caller.
   */
  readonly autoComplete?: boolean
  /** For how long a sleep, a message or the retry of a step may keep this process; by default 0: then `run` returns at once. */
  readonly maxWait?: Duration
  /** Stops the work of this process; the run itself goes on where somebody runs it again. */
  readonly signal?: AbortSignal
}

/** How far a call of `run` came. */
export type RunOutcome<R> =
  | { readonly status: 'completed'; readonly result: R }
  /** `compensated`: it failed or was cancelled, and what it had done was undone. */
  | { readonly status: 'failed' | 'compensated'; readonly error: string }
  | { readonly status: 'cancelled' }
  | { readonly status: 'paused' }
  /** Run it again then, or when the message has come: `work` does. */
  | { readonly status: 'waiting'; readonly until?: number | undefined }
  /** Somebody else has the claim. */
  | { readonly status: 'busy' }

/** A workflow. */
export type Workflow<R = unknown, I = unknown> = (context: Context<I>) => Promise<R>
