/** The parts of a run's record. @module */
import type { Position, RunStatus } from './status.ts'

/** Cancel or pause. */
export type SignalKind = 'cancel' | 'pause'

/** A request to cancel or pause: who asked, and why. */
export interface SignalRequest {
  readonly reason?: string
  readonly requestedBy?: string
  /** In milliseconds since 1970. */
  readonly requestedAt: number
}

/** The attempts at a step. */
export interface RetryState {
  /** Failed attempts so far. */
  readonly attempts: number
  readonly lastError?: string | undefined
  /** The worker that failed the step last; it is offered the step after all other work. */
  readonly lastFailedWorker?: string | undefined
  /** The time of the next attempt, in milliseconds since 1970. */
  readonly nextRetryAt?: number | undefined
}

/** The time by which a step must be done, in milliseconds since 1970. */
export interface Deadline {
  readonly stepId: string
  readonly at: number
}

/** Why a run was put aside. */
export interface Aside {
  /** `NON_DETERMINISTIC`, or `MAX_DELIVERIES`: the run was claimed repeatedly without progress. */
  readonly code: 'NON_DETERMINISTIC' | 'MAX_DELIVERIES'
  readonly reason: string
}

/** From 1, the most urgent, to 5. */
export type Priority = 1 | 2 | 3 | 4 | 5

/** The entry stored under a run's record key. Ids are stored in clear, so that views can show them. */
export interface RunRecord {
  readonly runId: string
  readonly tenant: string
  /** The name of the workflow, fixed when the run was created, or by its first event. */
  readonly workflow?: string
  /** The definition version of the last event. */
  readonly definitionVersion?: string
  readonly definitionHash?: string
  /** An id of this life of the run. It changes when the run is started over, and never repeats. */
  readonly life?: string
  /** How many times the run was claimed for execution since its last event. */
  readonly deliveries?: number
  /** Why the run is paused, if it cannot go on. */
  readonly aside?: Aside
  /** The last failed attempt. */
  readonly failure?: { readonly stepId: string; readonly attempt: number; readonly error: string; readonly at: number }
  /** The run that started it. */
  readonly parent?: { readonly runId: string; readonly life: string }
  /** How many times a run with this id was started; 1 if left out. */
  readonly generation?: number
  readonly createdAt: number
  readonly updatedAt: number
  readonly status: RunStatus
  /** When it reached that status. For an ended run, when it ended. */
  readonly since: number
  readonly position?: Position
  /** When it reached that position. */
  readonly enteredAt?: number
  /** 3 if left out. */
  readonly priority?: Priority
  /** Tags that a worker must have to be offered the run. */
  readonly tags?: readonly string[]
  /** The retry state by step id. */
  readonly retries?: Readonly<Record<string, RetryState>>
  readonly deadline?: Deadline
  /** The W3C trace context of the caller that started the run. */
  readonly traceParent?: string
  /** Requests that have not taken effect yet. */
  readonly signals?: Partial<Readonly<Record<SignalKind, SignalRequest>>>
  /** For a paused or cancelled run: who stopped it, its status before, and the step. */
  readonly stopped?: SignalRequest & { readonly from: RunStatus; readonly interruptedAt?: string }
  /** The message of the error that ended the run. */
  readonly error?: string
  readonly resumedFromSeq?: number
  /** How many times it was resumed. */
  readonly resumes?: number
  readonly snapshot?: { readonly version: number; readonly throughSeq?: number; readonly updatedAt: number }
  /** Wait ids, current and past, with the step of each. */
  readonly waits?: Readonly<Record<string, string>>
}
