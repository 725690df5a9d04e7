/** What is known of a run besides its log, its steps and its state. @module */
import type { Position, RunStatus } from './status.ts'

/** Cancel or pause. */
export type SignalKind = 'cancel' | 'pause'

/** Who asked for a signal, and why. */
export interface SignalRequest {
  readonly reason?: string
  readonly requestedBy?: string
  /** In milliseconds since 1970. */
  readonly requestedAt: number
}

/** How the attempts at a step went. */
export interface RetryState {
  /** Failed attempts so far. */
  readonly attempts: number
  readonly lastError?: string | undefined
  /** The worker it failed on last; it is offered the step after all others. */
  readonly lastFailedWorker?: string | undefined
  /** When it may be tried again, in milliseconds since 1970. */
  readonly nextRetryAt?: number | undefined
}

/** Until when a step must be done, in milliseconds since 1970. */
export interface Deadline {
  readonly stepId: string
  readonly at: number
}

/** Why a run was put aside. */
export interface Aside {
  /** `NON_DETERMINISTIC`, or `MAX_DELIVERIES`: it was claimed again and again and got nowhere. */
  readonly code: 'NON_DETERMINISTIC' | 'MAX_DELIVERIES'
  readonly reason: string
}

/** From 1, the most urgent, to 5. */
export type Priority = 1 | 2 | 3 | 4 | 5

/** What is stored under a run's record key. Ids are kept in clear, so that views can show them. */
export interface RunRecord {
  readonly runId: string
  readonly tenant: string
  /** Fixed by its first event, or where it was created. */
  readonly workflow?: string
  /** Of the event appended last. */
  readonly definitionVersion?: string
  readonly definitionHash?: string
  /** Of this life of the run: another one after it was started over. No other run has it. */
  readonly life?: string
  /** How often the run was claimed to be run since its last event. */
  readonly deliveries?: number
  /** Of a run that was paused because it cannot go on: why. */
  readonly aside?: Aside
  /** Which attempt failed last. */
  readonly failure?: { readonly stepId: string; readonly attempt: number; readonly error: string; readonly at: number }
  /** The run that has started it. */
  readonly parent?: { readonly runId: string; readonly life: string }
  /** How often a run of this id was started over; 1 where left out. */
  readonly generation?: number
  readonly createdAt: number
  readonly updatedAt: number
  readonly status: RunStatus
  /** When it came to that status; of an ended run, when it ended. */
  readonly since: number
  readonly position?: Position
  /** When it came to that position. */
  readonly enteredAt?: number
  /** 3 where left out. */
  readonly priority?: Priority
  /** What a worker must have to be offered the run. */
  readonly tags?: readonly string[]
  /** By step. */
  readonly retries?: Readonly<Record<string, RetryState>>
  readonly deadline?: Deadline
  /** W3C trace context of who started it. */
  readonly traceParent?: string
  /** Requests that did not take effect yet. */
  readonly signals?: Partial<Readonly<Record<SignalKind, SignalRequest>>>
  /** Of a paused or cancelled run: who stopped it, what it was then, and at which step. */
  readonly stopped?: SignalRequest & { readonly from: RunStatus; readonly interruptedAt?: string }
  /** Why it failed. */
  readonly error?: string
  readonly resumedFromSeq?: number
  /** How often it was resumed. */
  readonly resumes?: number
  readonly snapshot?: { readonly version: number; readonly throughSeq?: number; readonly updatedAt: number }
  /** The ids under which its steps wait, or have waited, and which step it is. */
  readonly waits?: Readonly<Record<string, string>>
}
