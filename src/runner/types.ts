/** The public types of workflows: context, steps, options and outcomes. @module */
import type { RetryPolicy } from '../policies/retries.ts'
import type { Duration } from '../core/duration.ts'
import type { StartPolicy } from '../stores/workflows/start.ts'

/** Passed to the function of a step. */
export interface StepInfo {
  /** Aborted if the run is cancelled, its claim is lost, or the attempt times out. Its result is then ignored. */
  readonly signal: AbortSignal
  /** The number of this attempt, from 1. Attempts that a crash interrupted count too. */
  readonly attempt: number
  /**
   * Pass this key to services that recognise repeated requests. Every attempt at this step has the same key; no other
   * step has it, in any run or tenant.
   */
  readonly idempotencyKey: string
}

/** Decides whether and when a failed step is tried again. */
export interface StepRetry extends RetryPolicy {
  /** Returns whether to retry after this error. By default, every error but a `NonRetryableError` is retried. */
  readonly retryIf?: (error: unknown) => boolean
}

/** Options of {@link Context.step}. */
export interface StepOptions<R> {
  /** How often and when to retry; the run's policy by default. */
  readonly retry?: StepRetry
  /**
   * The longest time that one attempt may take; unlimited by default. After that time the attempt's signal is aborted and
   * the attempt fails with the code `TIMEOUT`.
   */
  readonly timeout?: Duration
  /**
   * Runs the step at most once; `false` by default. The start is recorded first, which costs one more commit. A step that
   * a crash interrupts is not repeated: it fails with the code `INTERRUPTED`.
   */
  readonly atMostOnce?: boolean
  /**
   * Undoes the step if the run fails or is cancelled later. Steps are undone in reverse order, each once. A failed attempt
   * is retried by the run's policy, and the process waits for the retry. If the last attempt fails, the run ends as
   * `failed`.
   */
  readonly compensate?: (result: R, info: StepInfo) => unknown
}

/** The messages that a workflow receives: the payload type by name. */
export type Messages = Readonly<Record<string, unknown>>

/** Options of {@link Context.message}. */
export interface MessageOptions {
  /** The longest time to wait; unlimited by default. After that time the result is `undefined`. */
  readonly timeout?: Duration | undefined
}

/** `unknown` if `R` can be stored. Otherwise a type that no function has, so that the compiler's error names the fault. */
export type Checked<R> = IsStorable<R> extends true ? unknown : { readonly 'A step cannot return this': R }

/** `false` for functions, symbols, promises, and objects with methods such as class instances: they cannot be stored. */
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

/** Passed to a workflow: its input, and the calls that the log records. */
export interface Context<I = unknown, M extends Messages = Messages> {
  readonly runId: string
  /** The input that the run was started with. */
  readonly input: I
  /** Aborted if the run is cancelled, or if this process must stop working on it. */
  readonly signal: AbortSignal
  /**
   * Calls a function and records its result. A replay returns the recorded result without calling the function again. A
   * crash between the call and the record repeats the call, with the same idempotency key.
   *
   * @param name - the step's name, 1 to 200 bytes of text; the second step of a name gets the id `name#2`, and so on
   * @param fn - does the work, and returns any structured value
   * @param options - retries, timeout, and how to undo the step
   * @returns the result as it was stored
   * @throws `StepError` if the last attempt failed, or the result cannot be stored; `INVALID_ARGUMENT` for a malformed
   *   name or option, or if called inside another step
   */
  step<R>(name: string, fn: ((info: StepInfo) => R | Promise<R>) & Checked<R>, options?: StepOptions<R>): Promise<R>
  /**
   * Waits, even across restarts. The wait is measured by the backend's clock, from the first call.
   *
   * @param duration - from 0 ms
   * @throws `INVALID_ARGUMENT` for a malformed duration, or if called inside a step
   */
  sleep(duration: Duration): Promise<void>
  /**
   * Waits for a message of this name, even across restarts. Each message is received once.
   *
   * A wait that loses a `Promise.race` still takes the next message. Use `timeout` instead of a race.
   *
   * @param name - the message's name, 1 to 200 bytes of text
   * @param options - `timeout` ends the wait
   * @returns the payload; `undefined` if no message came in time
   * @throws `INVALID_ARGUMENT` for a malformed name or timeout, or if called inside a step
   */
  message<K extends keyof M & string>(name: K, options?: { readonly timeout?: undefined }): Promise<M[K]>
  /** Waits for a declared message, at most for `timeout`. */
  message<K extends keyof M & string>(name: K, options: MessageOptions): Promise<M[K] | undefined>
  /** Waits for a message that the workflow does not declare. */
  message<T = unknown>(name: string, options?: MessageOptions): Promise<T | undefined>
  /**
   * Starts another run, once. The new run works independently. Cancelling this run cancels the other one too, unless it
   * is detached.
   *
   * @param workflow - the workflow of the other run
   * @param options - the other run's input and id; by default the id is derived from this run
   * @returns the other run; `result()` waits for its end, even across restarts
   * @throws `StepError` if the start was refused, with the code as `code`; `INVALID_ARGUMENT` for a malformed workflow, or
   *   if called inside a step
   */
  start<CI, CR, CM extends Messages>(
    workflow: WorkflowDefinition<CI, CR, CM>,
    options: ChildOptions<CI> & InputOf<CI>,
  ): Promise<Child<CR>>
  /**
   * Restarts the run under the same id with a new input and an empty log, for runs that never end. Messages that were not
   * received are kept.
   *
   * @param input - any structured value
   * @returns a promise that never resolves: return it from the workflow
   * @throws `SERIALIZATION` if the input cannot be stored; `INVALID_ARGUMENT` if called inside a step
   */
  continueAsNew(input: I): Promise<never>
  /**
   * Guards a change of the code, so that runs in progress can continue with it.
   *
   * @param id - names the change, 1 to 200 bytes of text
   * @returns `true` if the run had not passed this place before the change, which is recorded; `false` if its log already
   *   continued past this place without the change
   * @throws `INVALID_ARGUMENT` for a malformed id, or if called inside a step
   */
  patch(id: string): boolean
  /** Returns the time of the last delivered event, in milliseconds since 1970. Every replay returns the same time. */
  now(): number
  /**
   * Returns a number from 0 up to but not including 1, the same in every replay. Not for secrets.
   *
   * @throws `INVALID_ARGUMENT` inside a step, where `Math.random` serves: the result of the step is recorded
   */
  random(): number
  /**
   * Returns a UUID, the same in every replay. Not for secrets.
   *
   * @throws `INVALID_ARGUMENT` inside a step, where `crypto.randomUUID` serves: the result of the step is recorded
   */
  uuid(): string
}

/** Options of {@link Context.start}. */
export interface ChildOptions<I> extends StartOptions<I> {
  /** Keeps the other run going if this run is cancelled; `false` by default. */
  readonly detached?: boolean
}

/** A run that a workflow started. */
export interface Child<R> {
  readonly runId: string
  /**
   * Waits for the end of the run, even across restarts.
   *
   * @returns the value that the other workflow returned
   * @throws `RunError` if the run did not complete
   */
  result(): Promise<R>
}

/** Options that `run`, `work` and `drain` share. */
export interface Working {
  /** Names this worker; a new id by default. A restarted worker with the same name takes its runs back at once. */
  readonly workerId?: string
  /** How long a claim lasts without a heartbeat of this process; `'30 s'` by default. */
  readonly lease?: Duration
  /** The retry policy of steps that set none. By default three attempts, with waits of 1 s and 2 s. */
  readonly retry?: StepRetry
  /** Puts a run aside after this many deliveries in a row that recorded no event, from 1; 10 by default. */
  readonly maxDeliveries?: number
  /** How long a replay waits for code that awaits anything but its context; `'1 s'` by default. */
  readonly grace?: Duration
  /**
   * Called for errors that no outcome reports: a lost claim, a failing backend, a run that cannot be read or was put aside,
   * an error thrown by a step. By default each is printed with `console.error`: one line, and the stack if your code
   * threw it.
   */
  readonly onError?: (error: unknown, runId: string | undefined) => void
  /** Stops the work of this process. The run continues when it is run again. */
  readonly signal?: AbortSignal
}

/** Options of `run`. */
export interface RunOptions<I = unknown> extends Working {
  /** 1 to 256 bytes of text. The first call creates the run. */
  readonly runId: string
  /** The workflow's input. A run keeps the input of its first call. */
  readonly input?: I
  /** Tags that a worker must have to be offered the run, see `TaskClaimStore.findAvailableTasks`. */
  readonly tags?: readonly string[]
  /**
   * The longest time that this process waits for a sleep, a message, a retry, or another process's claim; unlimited by
   * default. With 0, `run` returns instead of waiting.
   */
  readonly maxWait?: Duration
  /**
   * Ends the run when its workflow ends; `true` by default. With `false` the run stays open, and the outcome says how it
   * would have ended. End it with `PersistenceStore.complete`.
   */
  readonly autoComplete?: boolean
}

/** Options of `run` for a function without a definition. */
export interface FunctionRunOptions<I = unknown> extends RunOptions<I> {
  /** The name of the workflow, 1 to 200 bytes of text. It must be the one that the run was started with. */
  readonly workflow: string
  /** The version of the code. `run` fails with `DEFINITION_MISMATCH` if the run has another version. */
  readonly definitionVersion?: string
  /** The hash of the code. `run` fails with `DEFINITION_MISMATCH` if the run has another hash. */
  readonly definitionHash?: string
}

/** The outcome of a call of `run`. */
export type RunOutcome<R> =
  | { readonly status: 'completed'; readonly result: R }
  | { readonly status: 'failed'; readonly error: string }
  /** The run failed or was cancelled, and its steps were undone. */
  | { readonly status: 'compensated'; readonly error: string; readonly cancelled?: true }
  | { readonly status: 'cancelled' }
  /** The run was paused by request, or put aside; `reason` says why. */
  | { readonly status: 'paused'; readonly reason?: string }
  /** The run waits until this time, or for a message or another run. `work` continues it; so does another `run`. */
  | { readonly status: 'waiting'; readonly until?: number | undefined }
  /** Another worker has the claim: its `workerId`, and when the claim expires, in milliseconds since 1970. */
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
    /** Checks a value. Returns it as the workflow gets it, or the issues. */
    readonly validate: (value: unknown) => Validated<Out> | Promise<Validated<Out>>
    readonly types?: { readonly input: In; readonly output: Out } | undefined
  }
}

/** The answer of a schema: the value after parsing, or the issues. */
export type Validated<Out> =
  | { readonly value: Out; readonly issues?: undefined }
  | { readonly issues: readonly { readonly message: string; readonly path?: readonly unknown[] | undefined }[] }

/** Any schema. */
export type AnySchema = Schema

/** A defined workflow. Pass it to `run`, `start`, `work` and `drain`. */
export interface WorkflowDefinition<I = unknown, R = unknown, M extends Messages = Messages> {
  readonly name: string
  readonly version: string | undefined
  readonly input: AnySchema | undefined
  readonly messages: Readonly<Record<string, AnySchema>> | undefined
  /** The function of the workflow. */
  readonly fn: (context: Context<I, M>, input: I) => Promise<R>
}

/** A workflow of any types, for the lists that workers take. */
// oxlint-disable-next-line typescript/no-explicit-any -- a registry of workflows starts any of them with any input
export type AnyWorkflow = WorkflowDefinition<any, any, any>

/** Makes `input` required where a run begins, unless the workflow takes `undefined` or anything. */
export type InputOf<I> = undefined extends I ? unknown : { readonly input: I }

/** Options that `start` and `ctx.start` share. */
export interface StartOptions<I> {
  /** 1 to 256 bytes of text; a new id by default. */
  readonly runId?: string
  /** The workflow's input: any structured value. */
  readonly input?: I
  /** The policy if a run of that id exists; `useExisting` by default. */
  readonly policy?: StartPolicy
  /** Tags that a worker must have to be offered the run; at most 250 bytes together. */
  readonly tags?: readonly string[]
  /** From 1, the most urgent, to 5; 3 by default. */
  readonly priority?: 1 | 2 | 3 | 4 | 5
}
