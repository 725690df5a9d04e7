/**
 * The indexes of runs, each a pure function of a run's record: by id, by status and time, by wake-up time, by the ids its
 * steps wait under, and by what can be worked on. They are written in the commit that writes the record.
 *
 * @module
 */
import { encode } from '../core/codec.ts'
import type { EntryKey, Op, Value } from '../core/driver.ts'
import { invalid } from '../core/errors.ts'
import { type TenantParts, encodeId, encodeNumber } from '../core/keys.ts'
import { defined } from '../core/objects.ts'
import type { Aside, Priority, RunRecord, SignalKind } from './state.ts'
import { type RunStatus, isTerminal, stepsAt, wakeAtOf } from './status.ts'

/** What the indexes say of a run. */
export interface RunSummary {
  readonly runId: string
  /** Absent where the run has no event yet, and was not created as one of a workflow. */
  readonly workflow?: string
  readonly createdAt: number
  readonly status: RunStatus
  /** When it came to that status; of an ended run, when it ended. In milliseconds since 1970. */
  readonly since: number
  readonly tags?: readonly string[]
  /** Of a run that was put aside: why. */
  readonly aside?: Aside
}

/** What the index of steps that can be worked on says of one. */
export interface ReadyStep {
  readonly workflow?: string
  readonly definitionHash?: string
  readonly definitionVersion?: string
  readonly traceParent?: string
  readonly lastFailedWorker?: string
  /** The run is not to be worked on, but stopped. */
  readonly signal?: SignalKind
}

export const DEFAULT_PRIORITY: Priority = 3

/** The part of runs that need these tags, in any order. */
const readyPart = (parts: TenantParts, tags: readonly string[] = []): string => parts.ready + encodeTags(tags)

/**
 * A set of tags, as one element of a key.
 *
 * @throws `INVALID_ARGUMENT` for what is no list of ids, and for too many
 */
export function encodeTags(tags: readonly string[]): string {
  if (!Array.isArray(tags)) throw invalid('tags must be an array')
  for (const tag of tags) encodeId(tag as string, 'tags')
  return tags.length === 0
    ? '-'
    : encodeId(JSON.stringify([...new Set(tags)].toSorted((a, b) => (a < b ? -1 : 1))), 'tags')
}

const readyKey = (priority: number, since: number, runId: string, stepId: string): string =>
  `${priority}!${encodeNumber(since)}!${encodeId(runId, 'runId')}!${stepId && encodeId(stepId, 'stepId')}`

/** Where it is found which step waits under an id. */
export const waitKey = (parts: TenantParts, waitId: string): EntryKey => ({
  part: parts.waits,
  key: encodeId(waitId, 'waitId'),
})

const summarize = ({ workflow, createdAt, status, since, tags, aside }: RunRecord): Value =>
  encode(defined({ workflow, createdAt, status, since, tags, aside }))

/** Every index entry of a run. */
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
  yield { at: { part: parts.status, key: `${status}!${encodeNumber(since)}!${id}` }, value: summary }
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

/** The signal that waits to take effect, cancel first; nothing where there is none. */
export const pendingSignal = ({
  status,
  signals: { cancel, pause } = {},
}: RunRecord): { readonly signal?: SignalKind } =>
  cancel ? { signal: 'cancel' } : pause && status !== 'paused' ? { signal: 'pause' } : {}

/** What can be worked on: steps, or a run that is to be stopped. */
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
 * What changes in the indexes when a run's record does.
 *
 * @param before - `undefined` where there was no run
 * @param after - `undefined` where there is none any more
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
