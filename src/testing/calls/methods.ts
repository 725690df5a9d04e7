/**
 * The table of every method of every store, with its options and answers, for the cases about the rules for calls. A
 * missing method is a type error, and fails a case.
 *
 * @module
 */
import type { Known } from '../../core/arguments.ts'
import type { Duration } from '../../core/duration.ts'
import type { ErrorCode } from '../../core/errors.ts'
import { CALL, WRITE } from '../../core/options.ts'
import { PAGE } from '../../core/pages.ts'
import { WATCH } from '../../core/watch.ts'
import type { Claim, TaskClaimStore } from '../../stores/claims/store.ts'
import type { BegunCompensation, CompensationKey, IdempotencyStore } from '../../stores/idempotency/store.ts'
import type { PersistenceStore } from '../../stores/persistence/store.ts'
import type { SignalStore } from '../../stores/signals/store.ts'
import type { StateStore } from '../../stores/state/store.ts'
import type { TimerStore } from '../../stores/timers/store.ts'
import type { WorkflowStore } from '../../stores/workflows/store.ts'
import { event, WORKFLOW } from '../stores.ts'

/** The values from which arguments are built. */
export interface Given {
  readonly runId: string
  /** The key of a value, and the name of other things. */
  readonly key: string
  /** The id under which a step of the run waits. */
  readonly waitId: string
  readonly claim: Claim
  readonly begun: BegunCompensation
}

/** The arguments before the options. None of them is optional. */
type ArgumentsOf<F> = F extends (...args: infer P) => unknown
  ? Required<P> extends readonly [...infer A, unknown]
    ? P extends readonly [...A, ...unknown[]]
      ? A
      : never
    : never
  : never

type OptionsOf<F> = F extends (...args: infer P) => unknown
  ? Required<P> extends readonly [...unknown[], infer O]
    ? O
    : never
  : never

/** A method, as the rules for calls see it. */
export interface Method<A extends readonly unknown[] = readonly unknown[], O = object> {
  /** Well-formed arguments, without options. */
  readonly args: (given: Given) => A
  /** All options that it accepts. */
  readonly options: Known<O>
  /** The options that it requires. */
  readonly needs?: Partial<O>
  /** Lists of arguments, each with this duration in one place. */
  readonly times?: readonly ((given: Given, duration: Duration) => readonly unknown[])[]
  /**
   * Its answer if the run or value is missing: the result, in a list of one, or the error code. Absent if the method
   * creates it, or waits for it.
   */
  readonly missing?: readonly [answer: unknown] | ErrorCode
  /** Whether it refuses an ended run, or accepts it; absent if it takes no run, or a new one. */
  readonly ended?: 'refused' | 'accepted'
  /** It yields items as long as the caller asks. */
  readonly isEndless?: true
}

type Methods<S> = { readonly [K in keyof S]-?: Method<ArgumentsOf<S[K]>, OptionsOf<S[K]>> }

const NO_ITEMS = [{ items: [] }] as const
const NO_ITEM = [[]] as const
const SCOPE = { ...CALL, runId: true } as const
const CHANGE = { ...WRITE, runId: true } as const
const SET = { ...CHANGE, ttl: true } as const

export const STATE: Methods<StateStore> = {
  set: { args: ({ key }) => [key, 'v'], options: SET, times: [({ key }, ttl) => [key, 'v', { ttl }]] },
  get: { args: ({ key }) => [key], options: SCOPE, missing: [undefined] },
  getMany: { args: ({ key }) => [[key]], options: SCOPE, missing: [new Map()] },
  delete: { args: ({ key }) => [key], options: CHANGE, missing: [false] },
  exists: { args: ({ key }) => [key], options: SCOPE, missing: [false] },
  describe: { args: ({ key }) => [key], options: SCOPE, missing: [undefined] },
  setJson: { args: ({ key }) => [key, {}], options: SET, times: [({ key }, ttl) => [key, {}, { ttl }]] },
  getJson: { args: ({ key }) => [key], options: SCOPE, missing: [undefined] },
  setIfAbsent: { args: ({ key }) => [key, 'v'], options: SET, times: [({ key }, ttl) => [key, 'v', { ttl }]] },
  increment: {
    args: ({ key }) => [key],
    options: { ...SET, by: true },
    times: [({ key }, ttl) => [key, { ttl }]],
  },
  getAndDelete: { args: ({ key }) => [key], options: CHANGE, missing: [undefined] },
  listKeys: { args: () => [], options: { ...PAGE, ...SCOPE, prefix: true }, missing: NO_ITEMS },
  keys: { args: () => [], options: { ...PAGE, ...SCOPE, prefix: true }, missing: NO_ITEM },
  watch: {
    args: ({ key }) => [[key]],
    options: { ...WATCH, ...SCOPE },
    times: [({ key }, pollInterval) => [[key], { pollInterval }]],
    isEndless: true,
  },
  deleteExecutionState: { args: ({ runId }) => [runId], options: WRITE, missing: [false], ended: 'accepted' },
  saveSnapshot: {
    args: ({ runId }) => [{ runId, state: 1 }],
    options: { ...WRITE, expectedVersion: true },
    ended: 'refused',
  },
  loadSnapshot: { args: ({ runId }) => [runId], options: CALL, missing: [undefined], ended: 'accepted' },
  listHistory: { args: ({ runId }) => [runId], options: PAGE, missing: NO_ITEMS, ended: 'accepted' },
  history: { args: ({ runId }) => [runId], options: PAGE, missing: NO_ITEM, ended: 'accepted' },
  deleteSnapshot: { args: ({ runId }) => [runId], options: WRITE, missing: [false], ended: 'accepted' },
  listSnapshots: { args: () => [], options: PAGE, missing: NO_ITEMS },
  snapshots: { args: () => [], options: PAGE, missing: NO_ITEM },
}

const APPEND = { ...WRITE, expectedSeq: true, run: true } as const
const EVENTS = { ...PAGE, after: true } as const

export const PERSISTENCE: Methods<PersistenceStore> = {
  append: { args: ({ runId }) => [event('a', { runId })], options: APPEND, ended: 'refused' },
  appendBatch: { args: ({ runId }) => [[event('a', { runId })]], options: APPEND, ended: 'refused' },
  load: { args: ({ runId }) => [runId], options: CALL, missing: [undefined], ended: 'accepted' },
  loadEvents: { args: ({ runId }) => [runId], options: EVENTS, missing: NO_ITEMS, ended: 'accepted' },
  loadEventsAfter: { args: ({ runId }) => [runId, 0], options: PAGE, missing: NO_ITEMS, ended: 'accepted' },
  events: { args: ({ runId }) => [runId], options: EVENTS, missing: NO_ITEM, ended: 'accepted' },
  follow: {
    args: ({ runId }) => [runId],
    options: { ...WATCH, after: true, limit: true },
    times: [({ runId }, pollInterval) => [runId, { pollInterval }]],
    isEndless: true,
  },
  getLatestSeq: { args: ({ runId }) => [runId], options: CALL, missing: [undefined], ended: 'accepted' },
  exists: { args: ({ runId }) => [runId], options: CALL, missing: [false], ended: 'accepted' },
  saveIntervention: {
    args: ({ runId }) => [runId, { targetStep: 's' }],
    options: WRITE,
    missing: 'NOT_FOUND',
    ended: 'accepted',
  },
  consumeIntervention: {
    args: ({ runId }) => [runId],
    options: { ...WRITE, event: true },
    missing: [undefined],
    ended: 'accepted',
  },
  resume: {
    args: ({ runId }) => [runId, 0],
    options: { ...WRITE, event: true },
    missing: 'NOT_FOUND',
    ended: 'refused',
  },
  complete: {
    args: ({ runId }) => [runId, 'failed'],
    options: { ...WRITE, event: true },
    missing: 'NOT_FOUND',
    ended: 'refused',
  },
}

const RUNS = { ...PAGE, status: true, aside: true, workflow: true, tag: true, before: true } as const

export const WORKFLOWS: Methods<WorkflowStore> = {
  createRun: { args: ({ key }) => [{ runId: key, workflow: WORKFLOW }], options: WRITE },
  prepareRun: { args: ({ key }) => [{ runId: key, workflow: WORKFLOW }], options: WRITE },
  getRun: { args: ({ runId }) => [runId], options: CALL, missing: [undefined], ended: 'accepted' },
  listRuns: { args: () => [], options: RUNS, missing: NO_ITEMS },
  runs: { args: () => [], options: RUNS, missing: NO_ITEM },
  updateRun: {
    args: ({ runId }) => [runId, { priority: 2 }],
    options: { ...WRITE, expectedStatus: true },
    missing: 'NOT_FOUND',
    ended: 'refused',
  },
  failTask: {
    args: ({ runId }) => [runId, 's'],
    options: { ...WRITE, error: true, workerId: true, retryAt: true },
    needs: { error: 'E' },
    missing: 'NOT_FOUND',
    ended: 'refused',
  },
  deleteRun: { args: ({ runId }) => [runId], options: WRITE, missing: [false], ended: 'accepted' },
  listRunEntries: { args: ({ runId }) => [runId], options: PAGE, missing: NO_ITEMS, ended: 'accepted' },
  runEntries: { args: ({ runId }) => [runId], options: PAGE, missing: NO_ITEM, ended: 'accepted' },
  updateContext: {
    args: ({ runId }) => [runId, {}],
    options: { ...WRITE, expectedVersion: true },
    missing: 'NOT_FOUND',
    ended: 'refused',
  },
  patchContext: { args: ({ runId }) => [runId, {}], options: WRITE, missing: 'NOT_FOUND', ended: 'refused' },
  upsertStep: { args: ({ runId }) => [runId, { stepId: 's' }], options: WRITE, missing: 'NOT_FOUND', ended: 'refused' },
  patchStep: { args: ({ runId }) => [runId, 's', {}], options: WRITE, missing: 'NOT_FOUND', ended: 'refused' },
  getStep: { args: ({ runId }) => [runId, 's'], options: CALL, missing: [undefined], ended: 'accepted' },
  listSteps: { args: ({ runId }) => [runId], options: PAGE, missing: NO_ITEMS, ended: 'accepted' },
  steps: { args: ({ runId }) => [runId], options: PAGE, missing: NO_ITEM, ended: 'accepted' },
  saveTaskResult: {
    args: ({ runId }) => [runId, 's', 1],
    options: { ...WRITE, overwrite: true },
    missing: 'NOT_FOUND',
    ended: 'refused',
  },
  loadTaskResult: { args: ({ runId }) => [runId, 's'], options: CALL, missing: [undefined], ended: 'accepted' },
  findStepByWaitId: { args: ({ waitId }) => [waitId], options: CALL, missing: [undefined], ended: 'accepted' },
  completeWait: {
    args: ({ waitId }) => [waitId],
    options: { ...WRITE, status: true, result: true, error: true, context: true, position: true },
    missing: 'NOT_FOUND',
    ended: 'refused',
  },
}

const CHECK = { ...WRITE, interruptedAt: true } as const

export const SIGNALS: Methods<SignalStore> = {
  storeSignal: {
    args: ({ runId }) => [runId, 'cancel'],
    options: { ...WRITE, reason: true, requestedBy: true },
    missing: 'NOT_FOUND',
    ended: 'refused',
  },
  getSignal: { args: ({ runId }) => [runId, 'pause'], options: CALL, missing: [undefined], ended: 'accepted' },
  clearSignal: { args: ({ runId }) => [runId, 'pause'], options: WRITE, missing: [false], ended: 'accepted' },
  checkAndCancel: { args: ({ runId }) => [runId], options: CHECK, missing: 'NOT_FOUND', ended: 'accepted' },
  checkAndPause: { args: ({ runId }) => [runId], options: WRITE, missing: 'NOT_FOUND', ended: 'accepted' },
  checkControlSignals: { args: ({ runId }) => [runId], options: CHECK, missing: 'NOT_FOUND', ended: 'accepted' },
  unpause: { args: ({ runId }) => [runId], options: WRITE, missing: 'NOT_FOUND', ended: 'refused' },
  sendMessage: {
    args: ({ runId }) => [runId, 'n', 1],
    options: { ...WRITE, idempotencyKey: true },
    missing: 'NOT_FOUND',
    ended: 'refused',
  },
  consumeMessage: { args: ({ runId }) => [runId, 'n'], options: WRITE, missing: [undefined], ended: 'accepted' },
  deliver: {
    args: ({ runId }) => [runId, 'n', { stepId: 's' }],
    options: WRITE,
    missing: 'NOT_FOUND',
    ended: 'refused',
  },
  park: {
    args: ({ runId }) => [runId, { kind: 'message', stepId: 's', name: 'n' }],
    options: WRITE,
    missing: 'NOT_FOUND',
    ended: 'refused',
  },
  listMessages: { args: ({ runId }) => [runId, 'n'], options: PAGE, missing: NO_ITEMS, ended: 'accepted' },
  messages: { args: ({ runId }) => [runId, 'n'], options: PAGE, missing: NO_ITEM, ended: 'accepted' },
}

export const TIMERS: Methods<TimerStore> = {
  advanceDue: { args: () => [], options: { ...WRITE, limit: true, leaveSignalled: true }, missing: [[]] },
  nextDue: { args: () => [], options: { ...CALL, tags: true, workflows: true }, missing: [undefined] },
}

const HINTED = { ...CALL, workerId: true, tags: true, workflows: true, except: true, takeBackBefore: true } as const
const workerId = 'w'

/** `wake` has no options: it is a hint to this process, and works at once. */
export const CLAIMS: Methods<Omit<TaskClaimStore, 'wake'>> = {
  claimTask: {
    args: ({ runId }) => [{ runId, stepId: 's', workerId }],
    options: WRITE,
    times: [({ runId, key }, ttl) => [{ runId, stepId: key, workerId, ttl }]],
    missing: 'NOT_FOUND',
    ended: 'accepted',
  },
  releaseTaskClaim: { args: ({ claim }) => [claim], options: WRITE, missing: 'NOT_FOUND', ended: 'accepted' },
  extendTaskClaim: {
    args: ({ claim }) => [claim, 60_000],
    options: WRITE,
    times: [({ claim }, ttl) => [claim, ttl]],
    missing: 'NOT_FOUND',
    ended: 'accepted',
  },
  forceReleaseClaim: {
    args: ({ runId }) => [runId],
    options: { ...WRITE, stepId: true },
    missing: [false],
    ended: 'accepted',
  },
  getClaim: {
    args: ({ runId }) => [runId],
    options: { ...CALL, stepId: true },
    missing: [undefined],
    ended: 'accepted',
  },
  findAvailableTasks: {
    args: () => [],
    options: { ...HINTED, limit: true, agingInterval: true },
    needs: { workerId },
    times: [(_, agingInterval) => [{ workerId, agingInterval }]],
    missing: [[]],
  },
  findHintedTask: {
    args: ({ runId }) => [{ runId, stepId: 's' }],
    options: HINTED,
    needs: { workerId },
    missing: [undefined],
    ended: 'accepted',
  },
  waitForWakeup: {
    args: () => [],
    options: { ...HINTED, timeout: true, pollInterval: true },
    needs: { workerId, timeout: 0 },
    times: [(_, timeout) => [{ workerId, timeout }], (_, pollInterval) => [{ workerId, timeout: 0, pollInterval }]],
    missing: [undefined],
  },
}

/** The compensation, named after the key. */
export const compensation = (kind: string): CompensationKey => ({ runId: 'compensated', workflow: WORKFLOW, kind })

const MARK = { ...WRITE, ttl: true } as const

export const IDEMPOTENCY: Methods<IdempotencyStore> = {
  wasCompensated: { args: ({ key }) => [compensation(key)], options: CALL, missing: [false] },
  markCompensated: {
    args: ({ key }) => [compensation(key)],
    options: MARK,
    times: [({ key }, ttl) => [compensation(key), { ttl }]],
  },
  beginCompensation: {
    args: ({ key }) => [compensation(key)],
    options: { ...WRITE, lease: true },
    times: [({ key }, lease) => [compensation(key), { lease }]],
  },
  finishCompensation: {
    args: ({ begun }) => [begun],
    options: MARK,
    times: [({ begun }, ttl) => [begun, { ttl }]],
    missing: 'CLAIM_LOST',
  },
  releaseCompensation: { args: ({ begun }) => [begun], options: WRITE, missing: [false] },
  purgeOlderThan: { args: () => [5], options: { ...WRITE, limit: true }, missing: [0] },
}
