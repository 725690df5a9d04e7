/** What the calls of a workflow share: the run as it is worked on at this moment. @module */
import type { Inbox } from '../runs/inbox.ts'
import type { Deliveries } from './deliveries.ts'
import type { Journal } from './journal.ts'
import type { EndOfRun } from './outcomes.ts'
import type { OutcomePromise } from './outcome-promise.ts'
import type { AnyWorkflow, StartOptions, StepInfo, StepRetry } from './types.ts'
import type { Wait } from './waits.ts'

/** What undoes a step that was done. */
export interface Undo {
  readonly stepId: string
  /** Of the event that holds the step's result: what was done last is undone first. */
  readonly seq: number
  hook(info: StepInfo): unknown
}

/** What a run does with others. */
export interface Others {
  /** Starts one, or finds it started. */
  start(workflow: AnyWorkflow, options: StartOptions<unknown> & { readonly runId: string }): Promise<void>
  /** How one has ended; `undefined` while it goes on. */
  readEnd(runId: string): Promise<EndOfRun | undefined>
}

/** A run as it is worked on. */
export interface Execution {
  /** The backend's clock, in milliseconds since 1970. */
  now(): number
  /** Other runs. */
  readonly others: Others
  readonly runId: string
  /** Of this life of the run; no other has it. */
  readonly life: string
  readonly deliveries: Deliveries
  readonly journal: Journal
  readonly inbox: Inbox
  /** The policy of steps that have none of their own. */
  readonly retry: StepRetry
  /** For what the workflow does: aborted when it is to stop. */
  readonly signal: AbortSignal
  /** For what undoes it: aborted when nothing must be done any more. */
  readonly over: AbortSignal
  readonly undos: Undo[]
  /** The runs that are cancelled with this one. */
  readonly children: string[]
  /** Gives ids. */
  number(kind: string, name: string): string
  arm(wait: Wait): void
  /** Does something that the run has to wait for before it can rest. What it throws interrupts the run. */
  guard(work: () => Promise<void>): void
  /** Whether the workflow's function has settled, or is to get nothing more. */
  readonly isOver: boolean
  /** Whether anything may begin that was asked for by the workflow. */
  mayBegin(): boolean
  /** So many attempts at what is begun now were cut off. */
  cutOff(): number
  /** What an operator has decided about a call; asked once for each. */
  decided(target: string): { readonly value: unknown } | undefined
  /** Tells of a failure that is no outcome. */
  tell(error: unknown): void
  /** Steps of the workflow that have not ended, by what their caller holds. */
  readonly unfinished: Set<OutcomePromise<unknown>>
  /** Steps that failed, by what their caller holds. */
  readonly failures: Map<OutcomePromise<unknown>, unknown>
}
