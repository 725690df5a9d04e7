/** Offers work to workers, and wakes those that wait for it. @module */
import { type Known, requireInteger, requireOptions } from '../../core/arguments.ts'
import { bell } from '../../core/bell.ts'
import type { InnerDatabase } from '../../core/database.ts'
import type { CallOptions } from '../../core/driver.ts'
import { type Duration, toMilliseconds } from '../../core/duration.ts'
import { RUN, type TenantParts, encodeId } from '../../core/keys.ts'
import { CALL } from '../../core/options.ts'
import {
  ABILITIES,
  type AvailableTask,
  type WorkerInfo,
  claimAt,
  finder,
  fits,
  knows,
  offersOf,
  requireAbilities,
  tagsOf,
} from '../../runs/dispatch.ts'
import { type TaskWakeupHint, requireHint } from '../../runs/hints.ts'
import { decodeRun } from '../../runs/record.ts'

/** Options of {@link DispatchStore.findHintedTask}. */
export interface FindHintedOptions extends CallOptions, WorkerInfo {}

/** Options of {@link DispatchStore.findAvailableTasks}. */
export interface FindTasksOptions extends CallOptions, WorkerInfo {
  /** The largest number of offers, from 1; 10 by default. */
  readonly limit?: number | undefined
  /**
   * The waiting time that gains a step one level of priority; 5 minutes by default, 0 counts as 1 ms. With `Infinity`,
   * waiting gains nothing.
   */
  readonly agingInterval?: Duration | undefined
}

/** Options of {@link DispatchStore.waitForWakeup}. */
export interface WaitForWorkOptions extends CallOptions, WorkerInfo {
  /** How long to wait; 0 looks once. */
  readonly timeout: Duration
  /** The average time between two looks, from 1 ms to 10^9 ms; 1 s by default. */
  readonly pollInterval?: Duration | undefined
}

const HINTED: Known<FindHintedOptions> = { ...CALL, ...ABILITIES, workerId: true, except: true, takeBackBefore: true }
const FIND: Known<FindTasksOptions> = { ...HINTED, limit: true, agingInterval: true }
const WAIT: Known<WaitForWorkOptions> = { ...HINTED, timeout: true, pollInterval: true }

/** Finds work for the workers of one tenant. */
export interface DispatchStore {
  /**
   * Lists steps that can be worked on, best first. Steps that wait or are claimed are left out. The order is: steps
   * that this worker failed last come at the end; then priority and waiting time; then age; then run id.
   *
   * @param options - the worker, its abilities, and how many steps to return
   * @returns offers. Another worker may be faster, so claim a step before working on it. Of the steps that this worker
   *   failed, only the oldest thousand of each priority are considered
   * @throws `INVALID_ARGUMENT` for a malformed option
   */
  findAvailableTasks(options: FindTasksOptions): Promise<AvailableTask[]>
  /**
   * Looks up the step that a hint names.
   *
   * @param hint - the hint, decoded
   * @param options - the worker and its abilities
   * @returns an offer; `undefined` if the step is not ready, is claimed, or needs tags that the worker lacks
   * @throws `INVALID_ARGUMENT` for a malformed hint or option
   */
  findHintedTask(hint: TaskWakeupHint, options: FindHintedOptions): Promise<AvailableTask | undefined>
  /**
   * Waits for work. It looks when the backend announces a change, and also polls at random intervals, so that workers
   * do not all look at once. Polling finds work that no change announces, such as an expired claim or a due retry, and
   * makes up for lost announcements.
   *
   * @param options - the worker, its abilities, and how long to wait
   * @returns the best offer; `undefined` if the time was over first
   * @throws `INVALID_ARGUMENT` for a malformed option; `CLOSED` when the database is closed, which does not wait for
   *   this call
   */
  waitForWakeup(options: WaitForWorkOptions): Promise<AvailableTask | undefined>
  /**
   * Makes every caller that waits on this store look at once.
   *
   * @param hint - the step to look at first
   * @throws `INVALID_ARGUMENT` for a malformed hint
   */
  wake(hint?: TaskWakeupHint): void
}

function requireWorker<W extends WorkerInfo>(options: W, known: Known<W>): W {
  const worker = requireOptions(options, known)
  encodeId(worker.workerId, 'workerId')
  requireAbilities(worker)
  return worker
}

/** Creates the dispatch store of a tenant. */
export function dispatchStore(db: InnerDatabase, parts: TenantParts): DispatchStore {
  const find = finder(parts)
  const waiting = new Set<(hint: TaskWakeupHint | undefined) => void>()

  const store: DispatchStore = {
    async findAvailableTasks(given) {
      const asked = requireWorker(given, FIND)
      const {
        workerId,
        tags = [],
        workflows,
        except,
        takeBackBefore,
        limit = 10,
        agingInterval = '5 m',
        signal,
      } = asked
      requireInteger(limit, 'limit', 1)
      const interval = agingInterval === Infinity ? agingInterval : toMilliseconds(agingInterval, 'agingInterval')
      const request = { workerId, tags, workflows, except, takeBackBefore, limit, agingInterval: interval }
      return db.hold(async (held) => [...(await find(held, request, { signal })).offers], { signal })
    },
    async findHintedTask(hint, given) {
      const { signal, ...worker } = requireWorker(given, HINTED)
      const { runId, stepId, definitionHash, tags = [] } = requireHint(hint)
      if (!fits(tags, worker)) return undefined
      const [record, ...claims] = await db.read(
        [
          { get: { part: parts.run(runId), key: RUN } },
          { get: claimAt(parts, runId) },
          { get: claimAt(parts, runId, stepId) },
        ],
        { signal },
      )
      if (record === null || claims.some((claim) => claim !== null)) return undefined
      return offersOf(parts, decodeRun(record.value)).find(
        (task) =>
          task.stepId === stepId &&
          task.signal === undefined &&
          task.since <= db.now() &&
          (definitionHash ?? task.definitionHash) === task.definitionHash &&
          fits(task.tags, worker) &&
          knows(worker, task),
      )
    },
    async waitForWakeup(given) {
      const { timeout, pollInterval = 1000, ...worker } = requireWorker(given, WAIT)
      const until = performance.now() + toMilliseconds(timeout, 'timeout')
      const interval = toMilliseconds(pollInterval, 'pollInterval', 1, 1e9)
      let hint: TaskWakeupHint | undefined
      const { ring, silence, wait: rest } = bell()
      const wake = (it: TaskWakeupHint | undefined): void => {
        hint = it
        ring()
      }
      // Before the first look, so that no change between the two is missed.
      const unwatch = db.watch((part) => part.startsWith(parts.ready) && fits(tagsOf(parts, part), worker), ring)
      waiting.add(wake)
      try {
        for (;;) {
          // A ring during the look calls for another look.
          silence()
          const first = hint
          hint = undefined
          const hinted = first && (await store.findHintedTask(first, worker))
          const task = hinted ?? (await store.findAvailableTasks({ ...worker, limit: 1 }))[0]
          if (task) return task
          const left = until - performance.now()
          if (left <= 0) return undefined
          await rest(Math.min(left, 2 * Math.random() * interval), worker.signal)
        }
      } finally {
        unwatch()
        waiting.delete(wake)
      }
    },
    wake(hint) {
      const it = hint && requireHint(hint)
      for (const wakeOne of waiting) wakeOne(it)
    },
  }
  return store
}
