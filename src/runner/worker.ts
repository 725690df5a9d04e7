/** The worker that `work` and `drain` share. @module */
import { type Known, requireInteger } from '../core/arguments.ts'
import { HoldfastError, invalid, isHoldfastError } from '../core/errors.ts'
import type { Holdfast } from '../holdfast.ts'
import type { AvailableTask, WorkerInfo } from '../runs/dispatch.ts'
import { type Duration, toMilliseconds } from '../core/duration.ts'
import { definitionFor } from './define.ts'
import { WORKING, requireDefinition } from './options.ts'
import { takeRun } from './run.ts'
import { settingsOf } from './settings.ts'
import type { AnyWorkflow, Working } from './types.ts'

/** Options that `work` and `drain` share. */
export interface WorkerOptions extends Working {
  /** The tags of this worker, see `TaskClaimStore.findAvailableTasks`. Without tags, it is offered every run. */
  readonly tags?: readonly string[]
  /** How long a run may wait for a sleep, a message or a retry before it is released; 0 by default. */
  readonly maxWait?: Duration
  /** The most runs at a time, from 1; 1 by default. */
  readonly concurrency?: number
  /**
   * The time between two looks for ready runs and due timers, from 1 ms to 10^9 ms; `'1 s'` by default. A run that threw is
   * skipped for twice that time, then for four times, and so on.
   */
  readonly pollInterval?: Duration
}

/** The options that `work` and `drain` share. */
export const WORKER: Known<WorkerOptions> = {
  tags: true,
  maxWait: true,
  concurrency: true,
  pollInterval: true,
  ...WORKING,
}

/** Takes runs and works on them. */
export interface Taker {
  /** The request for work, as of now. */
  asking(): WorkerInfo
  readonly concurrency: number
  /** In milliseconds. */
  readonly pollInterval: number
  readonly onError: (error: unknown, runId: string | undefined) => void
  /** Wakes the runs that are due. Runs with a pending cancel are left to a worker, which undoes their steps first. */
  advance(): Promise<void>
  /** Works on an offered run. If that throws, calls `onError`, puts the run off, and resolves to `false`. */
  take(task: AvailableTask): Promise<boolean>
}

/** The longest time that a run is put off, in poll intervals. */
const MOST_PUT_OFF = 600
/** Takes the place of a run id for due runs that cannot be read. Ids are not empty. */
const DUE = ''

/** Creates a worker. @throws `INVALID_ARGUMENT` for malformed workflows or options */
export function createWorker(holdfast: Holdfast, workflows: readonly AnyWorkflow[], options: WorkerOptions): Taker {
  const { concurrency = 1, pollInterval: interval = '1 s', tags } = options
  if (!Array.isArray(workflows))
    throw invalid(`workflows must be a list of workflows made by defineWorkflow, not ${typeof workflows}`)
  const known = workflows.map((it) => requireDefinition(it as AnyWorkflow))
  const names = known.map(({ name, version = '' }) => `${name} ${version}`)
  if (new Set(names).size < names.length)
    throw invalid('workflows must differ in name or version. Remove one, or change its version')
  const pollInterval = toMilliseconds(interval, 'pollInterval', 1, 1e9)
  requireInteger(concurrency, 'concurrency', 1)
  const settings = settingsOf(holdfast, options, { isAsked: false, wait: 0 })
  /** Runs that threw here: the time until which they are skipped, and how often they threw. */
  const putOff = new Map<string, { readonly until: number; readonly times: number }>()
  const isPutOff = (runId: string): boolean => (putOff.get(runId)?.until ?? 0) > performance.now()
  function putOffLonger(runId: string): void {
    const times = (putOff.get(runId)?.times ?? 0) + 1
    const wait = Math.min(2 ** times, MOST_PUT_OFF) * pollInterval
    putOff.set(runId, { times, until: performance.now() + wait })
  }
  /** Runs under way here. Their claims may not be stored yet, so they would be offered again. */
  const underWay = new Set<string>()
  const abilities = known.map(({ name, version }) => ({ name, version }))

  return {
    asking: () => ({
      workerId: settings.workerId,
      tags,
      workflows: abilities,
      except: (runId) => underWay.has(runId) || isPutOff(runId),
      takeBackBefore: settings.takeBackBefore(),
    }),
    concurrency,
    pollInterval,
    onError: settings.onError,
    async advance() {
      try {
        await holdfast.timers.advanceDue({ signal: options.signal, leaveSignalled: true })
        putOff.delete(DUE)
      } catch (error) {
        // A due run that cannot be read here holds up nothing else.
        if (!isHoldfastError(error, 'SERIALIZATION')) throw error
        if (isPutOff(DUE)) return
        settings.onError(error, undefined)
        putOffLonger(DUE)
      }
    },
    async take(task) {
      const { runId } = task
      underWay.add(runId)
      try {
        const definition = definitionFor(known, task)
        if (!definition)
          throw new HoldfastError(
            'DEFINITION_MISMATCH',
            `This worker has no workflow ${JSON.stringify(task.workflow)} of the run's version. Add it to workflows`,
          )
        await takeRun(holdfast, definition, runId, settings)
        putOff.delete(runId)
        return true
      } catch (error) {
        if (options.signal?.aborted || isHoldfastError(error, 'CLOSED')) throw error
        settings.onError(error, runId)
        putOffLonger(runId)
        return false
      } finally {
        underWay.delete(runId)
      }
    },
  }
}
