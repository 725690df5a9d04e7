/**
 * The indexes of runs: by id, by status and time, by wake-up time, by the ids that steps wait under, and by readiness.
 * Each is a pure function of the run's record, and is written in the same commit.
 *
 * @module
 */
import { shown } from '../core/arguments.ts'
import { encode } from '../core/codec.ts'
import type { EntryKey, Op, Value } from '../core/driver.ts'
import { invalid } from '../core/errors.ts'
import { type TenantParts, encodeId, encodeNumber } from '../core/keys.ts'
import { defined } from '../core/objects.ts'
import type { Aside, Priority, RunRecord, SignalKind } from './state.ts'
import { type RunStatus, isTerminal, stepsAt, wakeAtOf } from './status.ts'

/** A run as the indexes show it. */
export interface RunSummary {
  readonly runId: string
  /** Absent until the run has an event, unless it was created with a workflow. */
  readonly workflow?: string
  readonly createdAt: number
  readonly status: RunStatus
  /** When it reached that status, in milliseconds since 1970. For an ended run, when it ended. */
  readonly since: number
  readonly tags?: readonly string[]
  /** Why the run was put aside, if it was. */
  readonly aside?: Aside
}

/** A step as the index of ready steps shows it. */
export interface ReadyStep {
  readonly workflow?: string
  readonly definitionHash?: string
  readonly definitionVersion?: string
  readonly traceParent?: string
  readonly lastFailedWorker?: string
  /** The run is to be stopped, not worked on. */
  readonly signal?: SignalKind
}

/** Stands for a status in the index of runs by status: the runs that were put aside. */
export const ASIDE = 'aside'

export const DEFAULT_PRIORITY: Priority = 3

/** The part of runs that need these tags. Their order does not matter. */
const readyPart = (parts: TenantParts, tags: readonly string[] = []): string => parts.ready + encodeTags(tags)

/**
 * Encodes a set of tags as one element of a key.
 *
 * @throws `INVALID_ARGUMENT` for anything but a list of ids, and for too many of them
 */
export function encodeTags(tags: readonly string[]): string {
  if (!Array.isArray(tags)) throw invalid(`tags must be an array, not ${shown(tags)}`)
  for (const tag of tags) encodeId(tag as string, 'tags')
  return tags.length === 0
    ? '-'
    : encodeId(JSON.stringify([...new Set(tags)].toSorted((a, b) => (a < b ? -1 : 1))), 'tags')
}

const readyKey = (priority: number, since: number, runId: string, stepId: string): string =>
  `${priority}!${encodeNumber(since)}!${encodeId(runId, 'runId')}!${stepId && encodeId(stepId, 'stepId')}`

/** The key that holds which step waits under an id. */
export const waitKey = (parts: TenantParts, waitId: string): EntryKey => ({
  part: parts.waits,
  key: encodeId(waitId, 'waitId'),
})

const summarize = ({ workflow, createdAt, status, since, tags, aside }: RunRecord): Value =>
  encode(defined({ workflow, createdAt, status, since, tags, aside }))

/** The index entries of a run. */
export function* indexEntries(
  parts: TenantParts,
  run: RunRecord,
): Generator<{ readonly at: EntryKey; readonly value: Value }> {
  const { runId, status, since, position } = run
  const id = encodeId(runId, 'runId')
  const summary = summarize(run)
  yield { at: { part: parts.runs, key: id }, value: summary }
  const { snapshot } = run
  if (snapshot) yield { at: { part: parts.snapshots, key: id }, value: encode({ ...snapshot, status }) }
  for (const it of run.aside ? [status, ASIDE] : [status]) {
    yield { at: { part: parts.status, key: `${it}!${encodeNumber(since)}!${id}` }, value: summary }
  }
  for (const [waitId, stepId] of Object.entries(run.waits ?? {})) {
    yield { at: waitKey(parts, waitId), value: encode({ runId, stepId }) }
  }
  if (isTerminal(status)) return
  const wakeAt = wakeAtOf(position)
  if (status === 'waiting' && wakeAt !== undefined) {
    yield { at: { part: parts.due, key: `${encodeNumber(wakeAt)}!${id}` }, value: '' }
  }
  yield* readyEntries(parts, run)
}

/** The signal that has not taken effect yet, cancel first; an empty object if there is none. */
export const pendingSignal = ({
  status,
  signals: { cancel, pause } = {},
}: RunRecord): { readonly signal?: SignalKind } =>
  cancel ? { signal: 'cancel' } : pause && status !== 'paused' ? { signal: 'pause' } : {}

/** The entries for ready work: steps, or a run to stop. */
export function* readyEntries(
  parts: TenantParts,
  run: RunRecord,
): Generator<{ readonly at: EntryKey; readonly value: Value }> {
  const {
    runId,
    workflow,
    definitionHash,
    definitionVersion,
    traceParent,
    status,
    position,
    enteredAt = run.since,
    retries = {},
  } = run
  const { priority = DEFAULT_PRIORITY } = run
  const part = readyPart(parts, run.tags)
  const known = { workflow, definitionHash, definitionVersion, traceParent }
  const { cancel, pause } = run.signals ?? {}
  const { signal } = pendingSignal(run)
  const request = signal === 'cancel' ? cancel : pause
  if (signal && request) {
    const key = readyKey(priority, request.requestedAt, runId, position?.stepId ?? '')
    yield { at: { part, key }, value: encode(defined({ ...known, signal })) }
  } else if (position && (status === 'running' || status === 'pending')) {
    for (const stepId of stepsAt(position)) {
      const { nextRetryAt = 0, lastFailedWorker } = Object.hasOwn(retries, stepId) ? retries[stepId]! : {}
      const key = readyKey(priority, Math.max(enteredAt, nextRetryAt), runId, stepId)
      yield { at: { part, key }, value: encode(defined({ ...known, lastFailedWorker })) }
    }
  }
}

/**
 * The changes of the indexes that go with a change of a run's record.
 *
 * @param before - `undefined` if the run is new
 * @param after - `undefined` if the run is deleted
 */
export function indexOps(parts: TenantParts, before: RunRecord | undefined, after: RunRecord | undefined): Op[] {
  const old = new Map<string, { readonly at: EntryKey; readonly value: Value }>()
  if (before) for (const entry of indexEntries(parts, before)) old.set(`${entry.at.part}\n${entry.at.key}`, entry)
  const ops: Op[] = []
  if (after) {
    for (const { at, value } of indexEntries(parts, after)) {
      const name = `${at.part}\n${at.key}`
      if (old.get(name)?.value !== value) ops.push({ put: at, value })
      old.delete(name)
    }
  }
  for (const { at } of old.values()) ops.push({ delete: at })
  return ops
}
