/** What a workflow is made of, and what becomes of it. @module */
import type { RetryPolicy } from '../policies/retries.ts'
import type { Duration } from '../core/duration.ts'
import type { StartPolicy } from '../stores/workflows/start.ts'

/** What a step's function is given. */
export interface StepInfo {
  /** Aborted when the run is cancelled, its claim is lost, or the attempt takes too long: what is done then is for nothing. */
  readonly signal: AbortSignal
  /** From 1. An attempt that was cut off counts. */
  readonly attempt: number
  /**
   * The same for every attempt at this step, and for no other step, run or tenant, ever: for services that recognise
   * repeated requests.
   */
  readonly idempotencyKey: string
}

/** When a step is tried again. */
export interface StepRetry extends RetryPolicy {
  /** Whether what was thrown is worth another attempt; by default it is, but for a `NonRetryableError`. */
  readonly retryIf?: (error: unknown) => boolean
}

/** Options of {@link Context.step}. */
export interface StepOptions<R> {
  /** How often and when it is tried again; the run's policy by default. */
  readonly retry?: StepRetry
  /** For how long one attempt may take. Then its signal is aborted, and it has failed; there is no limit by default. */
  readonly timeout?: Duration
  /**
   * Records the beginning first, which costs one commit more. After a crash the step is not done again: it fails with the
   * code `INTERRUPTED`. `false` by default.
   */
  readonly atMostOnce?: boolean
  /**
   * Undoes it if the run fails or is cancelled later; the last step is undone first, each once. If it fails it is tried
   * again by the run's policy, and waits for that in the process; what fails in the end leaves the run failed.
   */
  readonly compensate?: (result: R, info: StepInfo) => unknown
}

/** Names and payloads of the messages that a workflow takes. */
export type Messages = Readonly<Record<string, unknown>>

/** Options of {@link Context.message}. */
export interface MessageOptions {
  /** For how long to wait. Then the message is `undefined`. */
  readonly timeout?: Duration | undefined
}

/** `unknown` for what can be stored; otherwise a type that no function has, which names the fault. */
export type Checked<R> = IsStorable<R> extends true ? unknown : { readonly 'A step cannot return this': R }

/** Functions, symbols, promises and objects with methods, such as class instances, cannot be stored. */
type IsStorable<R> = 0 extends 1 & R
  ? true
  : [R] extends [never]
    ? true
    : false extends (R extends unknown ? IsStorableOne<R> : never)
      ? false
      : true
type IsStorableOne<R> = unknown extends R
  ? true
  : R extends string | number | boolean | bigint | null | undefined | void | Date | Uint8Array | ArrayBuffer
    ? true
    : R extends symbol | ((...args: never[]) => unknown) | Promise<unknown>
      ? false
      : R extends ReadonlyMap<unknown, unknown> | ReadonlySet<unknown>
        ? true
        : R extends readonly unknown[]
          ? true
          : true extends { [K in keyof R]-?: R[K] extends (...args: never[]) => unknown ? true : false }[keyof R]
            ? false
            : true

/** What a workflow is given. */
export interface Context<I = unknown, M extends Messages = Messages> {
  readonly runId: string
  /** What the run was started with. */
  readonly input: I
  /** Aborted when the run is cancelled, or this process must not go on with it. */
  readonly signal: AbortSignal
  /**
   * Does something once: its result is recorded, and given back without doing it again when the workflow is run again. A
   * crash between the deed and its record repeats it, under the same idempotency key.
   *
   * @param name - of the step, 1 to 200 bytes; a name used again gets a number
   * @param fn - returns any structured value. What it returns is stored, and the workflow gets what was stored
   * @param options - how it is tried again, and what undoes it
   * @returns the result
   * @throws `StepError` when it failed for the last time, or its result cannot be stored; `INVALID_ARGUMENT` for a
   *   malformed name or option, and inside of another step
   */
  step<R>(name: string, fn: ((info: StepInfo) => R | Promise<R>) & Checked<R>, options?: StepOptions<R>): Promise<R>
  /**
   * Waits, also over restarts: by the backend's clock, from the first time the workflow comes here.
   *
   * @throws `INVALID_ARGUMENT` for a malformed duration, and inside of a step
   */
  sleep(duration: Duration): Promise<void>
  /**
   * Waits for a message of this name, also over restarts, and takes it: every message is received once. A wait that nobody
   * asks for any more, as one that lost a race, still takes the next message: give it a `timeout` instead.
   *
   * @returns its payload; `undefined` where none came in time
   * @throws `INVALID_ARGUMENT` for a malformed name or timeout, and inside of a step
   */
  message<K extends keyof M & string>(name: K, options?: { readonly timeout?: undefined }): Promise<M[K]>
  /** The same with a timeout. */
  message<K extends keyof M & string>(name: K, options: MessageOptions): Promise<M[K] | undefined>
  /** The same for a message that the workflow does not declare. */
  message<T = unknown>(name: string, options?: MessageOptions): Promise<T | undefined>
  /**
   * Starts another run, once. It goes on by itself; when this run is cancelled it is cancelled, too, unless it is detached.
   *
   * @param workflow - of the other run
   * @param options - its input, and its id, which follows from this run by default
   * @returns its handle; `result()` is a wait of this workflow, and survives it
   */
  start<CI, CR, CM extends Messages>(
    workflow: WorkflowDefinition<CI, CR, CM>,
    options: ChildOptions<CI>,
  ): Promise<Child<CR>>
  /**
   * Ends this life of the run and begins the next under the same id, with another input and an empty log: for runs that go
   * on for ever. Messages that were not taken are kept. Return what it gives.
   */
  continueAsNew(input: I): Promise<never>
  /**
   * Whether this run takes the new way: `true` where it comes here for the first time, which is recorded, and `false`
   * where its log is past this place. So code can change under runs that have begun.
   *
   * @param id - of the change, 1 to 200 bytes
   */
  patch(id: string): boolean
  /** The time of the event that was delivered last, in milliseconds since 1970: the same in every replay. */
  now(): number
  /** A number from 0 to below 1, the same in every replay. Not for secrets. */
  random(): number
  /** A UUID, the same in every replay. Not for secrets. */
  uuid(): string
}

/** Options of {@link Context.start}. */
export interface ChildOptions<I> extends StartOptions<I> {
  /** Goes on when this run is cancelled; `false` by default. */
  readonly detached?: boolean
}

/** A run that a workflow has started. */
export interface Child<R> {
  readonly runId: string
  /**
   * Waits for its end, also over restarts.
   *
   * @throws `RunError` where it did not complete
   */
  result(): Promise<R>
}

/** How runs are worked on. */
export interface Working {
  /** Whose claim it is. A worker that names itself takes its own runs back at once when it is started again. */
  readonly workerId?: string
  /** For how long the claim holds without a sign of life of this process; `'30 s'` by default. */
  readonly lease?: Duration
  /** How often steps that do not say so are tried; three times by default, after 1 s and 2 s. */
  readonly retry?: StepRetry
  /** So many deliveries without an event in between put a run aside, from 1; 10 by default. */
  readonly maxDeliveries?: number
  /** How long code that awaits something else than its context may keep the log waiting in a replay; `'1 s'` by default. */
  readonly grace?: Duration
  /**
   * Told of what went wrong and is no outcome of a run: a lost claim, a backend that fails, a run that cannot be read or was
   * put aside, and what a step threw. By default it is one line on `console.error`.
   */
  readonly onError?: (error: unknown, runId: string | undefined) => void
  /** Stops the work of this process; the run itself goes on where somebody runs it again. */
  readonly signal?: AbortSignal
}

/** Options of `run`. */
export interface RunOptions<I = unknown> extends Working {
  readonly runId: string
  /** What the workflow is given; kept from the first call for this run. */
  readonly input?: I
  /** What a worker must have to be offered the run, see `TaskClaimStore.findAvailableTasks`. */
  readonly tags?: readonly string[]
  /**
   * For how long a sleep, a message, the retry of a step or the claim of another process may keep this process; by default
   * as long as it takes. With 0 `run` returns as soon as it would have to wait.
   */
  readonly maxWait?: Duration
  /**
   * Whether the run is ended with its workflow; by default it is. Otherwise it stays open, and the outcome tells what it
   * would have ended as: `PersistenceStore.complete` is left to the caller.
   */
  readonly autoComplete?: boolean
}

/** Options of `run` for a function without a definition. */
export interface FunctionRunOptions<I = unknown> extends RunOptions<I> {
  /** The name of the workflow; a run keeps the one it was started with. */
  readonly workflow: string
  /** Compared with that of the run: another one is refused with `DEFINITION_MISMATCH`. */
  readonly definitionVersion?: string
  readonly definitionHash?: string
}

/** How far a call of `run` came. */
export type RunOutcome<R> =
  | { readonly status: 'completed'; readonly result: R }
  | { readonly status: 'failed'; readonly error: string }
  /** It failed or was cancelled, and what it had done was undone. */
  | { readonly status: 'compensated'; readonly error: string; readonly cancelled?: true }
  | { readonly status: 'cancelled' }
  /** By somebody, or put aside; then the reason tells why. */
  | { readonly status: 'paused'; readonly reason?: string }
  /** Run it again then, or when the message has come: `work` does. */
  | { readonly status: 'waiting'; readonly until?: number | undefined }
  /** Somebody else has the claim: who, and until when at least, in milliseconds since 1970. */
  | { readonly status: 'busy'; readonly by?: string; readonly until?: number | undefined }

/** A workflow as a function. */
export type Workflow<R = unknown, I = unknown, M extends Messages = Messages> = (
  context: Context<I, M>,
  input: I,
) => Promise<R>

/** A schema of any library that follows Standard Schema, such as zod, valibot or arktype. */
export interface Schema<In = unknown, Out = In> {
  /** The interface of Standard Schema, version 1. */
  readonly '~standard': {
    /** Checks a value; returns it as the workflow gets it, or the issues. */
    readonly validate: (value: unknown) => Validated<Out> | Promise<Validated<Out>>
    readonly types?: { readonly input: In; readonly output: Out } | undefined
  }
}

/** What a schema says of a value: the value that it becomes, or what is wrong with it. */
export type Validated<Out> =
  | { readonly value: Out; readonly issues?: undefined }
  | { readonly issues: readonly { readonly message: string; readonly path?: readonly unknown[] | undefined }[] }

/** Any schema. */
// oxlint-disable-next-line typescript/no-explicit-any -- what goes into a schema is contravariant
export type AnySchema = Schema<any, any>

/** A workflow, as `run`, `start` and `work` take it. */
export interface WorkflowDefinition<I = unknown, R = unknown, M extends Messages = Messages> {
  readonly name: string
  readonly version: string | undefined
  readonly input: AnySchema | undefined
  readonly messages: Readonly<Record<string, AnySchema>> | undefined
  /** Calls it. */
  readonly fn: (context: Context<I, M>, input: I) => Promise<R>
}

/** Any workflow: what workers take lists of. */
// oxlint-disable-next-line typescript/no-explicit-any -- inputs are contravariant: no other type takes all of them
export type AnyWorkflow = WorkflowDefinition<any, any, any>

/** How a run is started. */
export interface StartOptions<I> {
  /** 1 to 256 bytes; a fresh id by default. */
  readonly runId?: string
  readonly input?: I
  /** What to do where a run of that id is there; `useExisting` by default. */
  readonly policy?: StartPolicy
  readonly tags?: readonly string[]
  /** From 1, the most urgent, to 5; 3 by default. */
  readonly priority?: 1 | 2 | 3 | 4 | 5
}
