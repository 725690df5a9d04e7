/** Whoever takes up runs that are ready: what all of them do with one. @module */
import { requireGiven, requireInteger } from '../core/arguments.ts'
import { HoldfastError, invalid, isHoldfastError } from '../core/errors.ts'
import type { Holdfast } from '../holdfast.ts'
import type { AvailableTask, WorkerInfo } from '../runs/dispatch.ts'
import { type Duration, toMilliseconds } from '../core/duration.ts'
import { requireDefinition, takeRun } from './run.ts'
import { settingsOf } from './settings.ts'
import type { AnyWorkflow, Working } from './types.ts'

/** Options of whoever takes up runs. */
export interface WorkerOptions extends Working {
  /** What this worker has, see `TaskClaimStore.findAvailableTasks`. */
  readonly tags?: readonly string[]
  /** For how long a sleep, a message or the retry of a step may keep a lane; 0 by default. */
  readonly maxWait?: Duration
  /** How many runs at a time; 1 by default. */
  readonly concurrency?: number
  /**
   * How often it looks for runs that are ready, and for timers that are due; `'1 s'` by default. A run that threw is not
   * taken up again for twice as long, and for longer each time.
   */
  readonly pollInterval?: Duration
}

/** What takes up runs. */
export interface Taker {
  /** What it can be offered at this moment. */
  asking(): WorkerInfo
  readonly concurrency: number
  /** In milliseconds. */
  readonly pollInterval: number
  readonly onError: (error: unknown, runId: string | undefined) => void
  /** Runs what was offered; where that throws, tells of it, puts the run off, and resolves with `false`. */
  take(task: AvailableTask): Promise<boolean>
}

/** A run that threw is put off for so many times the interval at most. */
const MOST_PUT_OFF = 600

/** Makes what takes up runs. @throws `INVALID_ARGUMENT` */
export function createWorker(holdfast: Holdfast, workflows: readonly AnyWorkflow[], options: WorkerOptions): Taker {
  const { concurrency = 1, pollInterval: interval = '1 s', tags } = requireGiven(options, 'options')
  if (!Array.isArray(workflows)) throw invalid('workflows must be a list of what defineWorkflow has made')
  const known = workflows.map((it) => requireDefinition(it as AnyWorkflow))
  const names = known.map(({ name, version = '' }) => `${name} ${version}`)
  if (new Set(names).size < names.length) throw invalid('workflows must differ in name or version')
  const pollInterval = toMilliseconds(interval, 'pollInterval')
  requireInteger(concurrency, 'concurrency', 1)
  const settings = settingsOf(holdfast, options, { isAsked: false, wait: 0 })
  /** Runs that could not be run here: until when they are left alone, and how often that was so. */
  const putOff = new Map<string, { readonly until: number; readonly times: number }>()
  const isPutOff = (runId: string): boolean => (putOff.get(runId)?.until ?? 0) > performance.now()
  const abilities = known.map(({ name, version }) => ({ name, version }))

  const definitionOf = ({ workflow, definitionVersion }: AvailableTask): AnyWorkflow | undefined => {
    const same = known.filter(({ name }) => name === workflow)
    return definitionVersion === undefined
      ? same.at(-1)
      : (same.find(({ version }) => version === definitionVersion) ?? same.find(({ version }) => version === undefined))
  }

  return {
    asking: () => ({
      workerId: settings.workerId,
      tags,
      workflows: abilities,
      except: isPutOff,
      takeBackBefore: settings.takeBackBefore(),
    }),
    concurrency,
    pollInterval,
    onError: settings.onError,
    async take(task) {
      const { runId } = task
      try {
        const definition = definitionOf(task)
        if (!definition) throw new HoldfastError('DEFINITION_MISMATCH', 'The worker does not have this workflow')
        await takeRun(holdfast, definition, runId, settings)
        putOff.delete(runId)
        return true
      } catch (error) {
        if (options.signal?.aborted || isHoldfastError(error, 'CLOSED')) throw error
        settings.onError(error, runId)
        const times = (putOff.get(runId)?.times ?? 0) + 1
        const wait = Math.min(2 ** times, MOST_PUT_OFF) * pollInterval
        putOff.set(runId, { times, until: performance.now() + wait })
        return false
      }
    },
  }
}
