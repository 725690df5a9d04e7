/**
 * The record of a run: everything stored about it except its log, its steps and its state.
 *
 * Every store changes this one entry, under a check of its old version, and writes the indexes in the same commit. So a
 * run has one status, and no index can disagree with it.
 *
 * @module
 */
import { type Along, type NextContent, type Proposal, cells } from '../core/cells.ts'
import { decode, encode } from '../core/codec.ts'
import type { InnerDatabase } from '../core/database.ts'
import type { EntryKey, Op, Value } from '../core/driver.ts'
import { HoldfastError } from '../core/errors.ts'
import { RUN, type TenantParts } from '../core/keys.ts'
import { defined, isSame } from '../core/objects.ts'
import type { WriteOptions } from '../core/options.ts'
import { indexOps } from './indexes.ts'
import type { RunRecord } from './state.ts'
import { type Completion, type RunStatus, isTerminal } from './status.ts'

/** A change of a run, to be committed. */
export interface RunProposal<R> extends Omit<Proposal<RunRecord, R>, 'next'> {
  /** The run afterwards; `null` deletes its record. If left out, the run stays as it is. */
  readonly next?: RunRecord | null | undefined
}

/** The run records of a tenant, cached. */
export interface RunRecords {
  /** Changes or creates a run, with its indexes; see `Cells.change`. */
  change<R>(
    runId: string,
    propose: (run: RunRecord | undefined, id: string) => RunProposal<R>,
    options?: WriteOptions,
  ): Promise<R>
  /**
   * Calls `listener` for every change of a run that this process makes, with `undefined` if the run was deleted.
   *
   * @returns a function that stops the calls; calling it again does nothing
   */
  listen(runId: string, listener: (run: RunRecord | undefined) => void): () => void
  /**
   * Changes a run that must exist.
   *
   * @throws `NOT_FOUND` if it does not
   */
  changeExisting<R>(runId: string, propose: (run: RunRecord) => RunProposal<R>, options?: WriteOptions): Promise<R>
}

/** The run records of a tenant. All stores over one database share one cache. */
export const runRecords = (db: InnerDatabase, parts: TenantParts): RunRecords =>
  db.shared(`run records of ${parts.runs}`, () => {
    const { change, along } = cells(db, (entry) => decodeRun(entry.value))
    const listeners = new Map<string, Set<(run: RunRecord | undefined) => void>>()
    const at = (runId: string): EntryKey => ({ part: parts.run(runId), key: RUN })

    /** The end of a run wakes the run that waits for it, in the same commit. */
    function waiting(
      run: RunRecord,
      next: RunRecord | null,
    ): { readonly along: Along; readonly ops: readonly Op[] } | undefined {
      const { parent, runId } = run
      if (!parent || isTerminal(run.status) || (next && !isTerminal(next.status))) return undefined
      let ops: readonly Op[] = []
      const it = along(at(parent.runId), (found) => {
        if (found?.status !== 'waiting' || found.position?.kind !== 'wait') return undefined
        const { runs = [], next: stepId } = found.position
        if (!runs.includes(runId)) return undefined
        const woken = changed(found, { status: 'running', position: { kind: 'step', stepId } }, db.now())
        ops = indexOps(parts, found, woken)
        return content(woken)
      })
      return { along: it, ops }
    }

    const records: RunRecords = {
      listen(runId, listener) {
        const some = listeners.get(runId) ?? new Set()
        listeners.set(runId, some.add(listener))
        return () => {
          some.delete(listener)
          if (some.size === 0) listeners.delete(runId)
        }
      },
      change: (runId, propose, options) =>
        change(
          at(runId),
          (run, id) => {
            const proposal = propose(run, id)
            const { next, ops = [] } = proposal
            if (next === undefined) return { ...proposal, next }
            const awaiting = run && waiting(run, next)
            return {
              ...proposal,
              ops: [...ops, ...indexOps(parts, run, next ?? undefined), ...(awaiting?.ops ?? [])],
              along: awaiting ? [...(proposal.along ?? []), awaiting.along] : (proposal.along ?? []),
              next: next && content(next),
              async done(committed, db) {
                const result = await proposal.done(committed, db)
                for (const listener of listeners.get(runId) ?? []) listener(next ?? undefined)
                return result
              },
            }
          },
          options,
        ),
      changeExisting: (runId, propose, options) =>
        records.change(
          runId,
          (run) => {
            if (run === undefined) throw noRun(runId)
            return propose(run)
          },
          options,
        ),
    }
    return records
  })

const content = (run: RunRecord): NextContent<RunRecord> => ({ value: encode(run), holds: run })

export const decodeRun = (value: Value): RunRecord => decode(value) as RunRecord

/**
 * A run that begins now.
 *
 * @param life - an id that never repeats: the id of the commit that creates the run
 */
export const newRun = (runId: string, tenant: string, status: RunStatus, now: number, life: string): RunRecord => ({
  runId,
  life,
  tenant,
  createdAt: now,
  updatedAt: now,
  status,
  since: now,
})

/** The record with changes applied; a field set to `undefined` is removed. */
export function changed(
  run: RunRecord,
  changes: { readonly [K in keyof RunRecord]?: RunRecord[K] | undefined },
  now: number,
): RunRecord {
  const next = { ...run, ...changes }
  const { position, status } = next
  const isThere = isSame(position, run.position)
  return defined({
    ...next,
    updatedAt: now,
    since: status === run.status ? run.since : now,
    // A run that goes on is no longer stopped.
    stopped: status === 'paused' || status === 'cancelled' ? next.stopped : undefined,
    aside: status === 'paused' ? next.aside : undefined,
    enteredAt: isThere ? run.enteredAt : position && now,
  }) as RunRecord
}

/** How and when a run ended; an empty object if it has not. */
export const completionOf = ({
  status,
  since,
}: RunRecord): { readonly completion?: Completion; readonly completedAt?: number } =>
  isTerminal(status) ? { completion: status, completedAt: since } : {}

/** `NOT_FOUND`. */
export const noRun = (runId: string): HoldfastError =>
  new HoldfastError('NOT_FOUND', 'The run does not exist', { details: { runId } })

/** `WORKFLOW_MISMATCH`, with the run's workflow. */
export const mismatch = ({ runId, workflow }: Pick<RunRecord, 'runId' | 'workflow'>): HoldfastError =>
  new HoldfastError('WORKFLOW_MISMATCH', 'The run belongs to another workflow', { details: { runId, workflow } })

/** `DEFINITION_MISMATCH`, with the run's value and the expected one. */
export const otherDefinition = (
  run: Pick<RunRecord, 'runId' | 'definitionHash' | 'definitionVersion'>,
  name: 'definitionHash' | 'definitionVersion',
  expected: string,
): HoldfastError =>
  new HoldfastError('DEFINITION_MISMATCH', `The run has the ${name} ${run[name] ?? 'of no code'}, not ${expected}`, {
    details: { runId: run.runId, found: run[name], expected },
  })

/** `ALREADY_COMPLETED`, with how and when the run ended. */
export const ended = (run: RunRecord): HoldfastError =>
  new HoldfastError('ALREADY_COMPLETED', `The run has ended: ${run.status}`, {
    details: { runId: run.runId, ...completionOf(run) },
  })
