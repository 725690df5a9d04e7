/** The state that the calls of a workflow share during a delivery. @module */
import type { Inbox } from '../runs/inbox.ts'
import type { EventQueue } from './event-queue.ts'
import type { Journal } from './journal.ts'
import type { EndOfRun } from './outcomes.ts'
import type { OutcomePromise } from './outcome-promise.ts'
import type { AnyWorkflow, StartOptions, StepInfo, StepRetry } from './types.ts'
import type { Wait } from './waits.ts'

/** Undoes a finished step. */
export interface Undo {
  readonly stepId: string
  /** The seq of the event that holds the step's result. The highest is undone first. */
  readonly seq: number
  hook(info: StepInfo): unknown
}

/** Access to other runs. */
export interface Others {
  /**
   * Starts a run, or finds it started.
   *
   * @param isRepeat - whether an existing run is this call's own if this life of the run started it
   */
  start(
    workflow: AnyWorkflow,
    options: StartOptions<unknown> & { readonly runId: string },
    isRepeat: boolean,
  ): Promise<void>
  /** Reads how a run ended; `undefined` if it has not. */
  readEnd(runId: string): Promise<EndOfRun | undefined>
}

/** A run during a delivery. */
export interface Execution {
  /** The backend's clock, in milliseconds since 1970. */
  now(): number
  /** Other runs. */
  readonly others: Others
  readonly runId: string
  /** The id of this life of the run. It never repeats. */
  readonly life: string
  readonly queue: EventQueue
  readonly journal: Journal
  readonly inbox: Inbox
  /** The retry policy of steps that set none. */
  readonly retry: StepRetry
  /** Aborted when the workflow must stop. */
  readonly signal: AbortSignal
  /** Aborted when the undoing of steps must stop too. */
  readonly over: AbortSignal
  readonly undos: Undo[]
  /** The runs that are cancelled with this one. */
  readonly children: string[]
  /** The runs that this life has recorded as started. */
  readonly started: Set<string>
  /** Returns the id of the next call of this kind and name. */
  number(kind: string, name: string): string
  /** Adds a wait. */
  arm(wait: Wait): void
  /** Does work that must finish before the run can rest. An error interrupts the run. */
  guard(work: () => Promise<void>): void
  /** Whether the workflow's function has settled or was stopped. */
  readonly isOver: boolean
  /** Whether calls of the workflow may begin. */
  mayBegin(): boolean
  /** The number of crashed attempts at a step that begins now. */
  cutOff(): number
  /** Takes an operator's decision about a call; `undefined` if there is none. */
  decided(target: string): { readonly value: unknown } | undefined
  /** Reports an error that no outcome reports. */
  tell(error: unknown): void
  /** The promises of steps that have not ended. */
  readonly unfinished: Set<OutcomePromise<unknown>>
  /** The errors of failed calls, by the promise of the call. */
  readonly failures: Map<OutcomePromise<unknown>, unknown>
}
