/** Starting a run: one insert-if-absent, and a policy for a run that already exists. @module */
import { requireGiven } from '../../core/arguments.ts'
import { decode, encode } from '../../core/codec.ts'
import type { InnerDatabase } from '../../core/database.ts'
import type { CallOptions, Entry, Op } from '../../core/driver.ts'
import { HoldfastError } from '../../core/errors.ts'
import {
  CONTEXT,
  DEFINITION,
  EVENTS,
  INPUT,
  RUN,
  type TenantParts,
  decodeNumber,
  encodeId,
  under,
} from '../../core/keys.ts'
import { defined } from '../../core/objects.ts'
import type { WriteOptions } from '../../core/options.ts'
import { type StoredContext, firstContext, readContext } from './context.ts'
import { decodeEvent } from '../../runs/events.ts'
import { type RunFields, requireRunFields, withFields } from '../../runs/fields.ts'
import { DEFAULT_PRIORITY } from '../../runs/indexes.ts'
import {
  type RunProposal,
  type RunRecords,
  completionOf,
  decodeRun,
  mismatch,
  newRun,
  otherDefinition,
} from '../../runs/record.ts'
import type { Priority, RunRecord } from '../../runs/state.ts'
import type { Completion } from '../../runs/status.ts'

/** A run to create. */
export interface NewRun extends Omit<RunFields, 'workflow' | 'error' | 'retries'> {
  readonly runId: string
  readonly workflow: string
  readonly definitionVersion?: string | undefined
  /** The run that starts this one, and is woken when this one ends. */
  readonly parent?: RunRecord['parent'] | undefined
  /** A copy of the definition, which keeps later edits away from the run; any structured value. */
  readonly definition?: unknown
  /** Any structured value. */
  readonly input?: unknown
  /** The value that its steps share: any structured value, an empty object by default. */
  readonly context?: unknown
}

/**
 * The policy if a run with this id exists: refuse the start, return the existing run, or delete it and start over.
 */
export type StartPolicy = 'fail' | 'useExisting' | 'terminateExisting'

/** A run to start. */
export interface PreparedRun extends NewRun {
  /** `fail` by default. */
  readonly policy?: StartPolicy
}

/** A run, without its log, its steps and its snapshot. */
export interface Run extends Omit<
  RunRecord,
  'tenant' | 'snapshot' | 'waits' | 'enteredAt' | 'generation' | 'tags' | 'life' | 'deliveries'
> {
  /** How many times a run with this id was started, from 1. */
  readonly generation: number
  readonly priority: Priority
  readonly tags: readonly string[]
  readonly definition?: unknown
  readonly input?: unknown
  readonly context: unknown
  /** How many times the context was written; 0 if never. */
  readonly contextVersion: number
  readonly completion?: Completion
  readonly completedAt?: number
  /** The result of a completed run, if its last event holds it. */
  readonly result?: unknown
}

/** Starts and reads the runs of one tenant. */
export interface RunStarts {
  /** Creates a run. Without a policy, any existing run with its id is refused. */
  start(
    run: NewRun,
    policy: StartPolicy | undefined,
    options: WriteOptions,
  ): Promise<{ readonly created: boolean; readonly run: Run }>
  /** Reads a run as of one moment; `undefined` if it does not exist. */
  read(from: InnerDatabase, runId: string, options: CallOptions): Promise<Run | undefined>
}

export function runStarts(db: InnerDatabase, tenant: string, parts: TenantParts, runs: RunRecords): RunStarts {
  /** The record of a new run, and the other entries to store with it. */
  function begin(run: NewRun): { fields: RunFields; more: Op[]; context: StoredContext } {
    const { runId, workflow, definitionVersion, definition, input, context } = requireGiven(run, 'run')
    const part = parts.run(runId)
    encodeId(workflow, 'workflow')
    if (definitionVersion !== undefined) encodeId(definitionVersion, 'definitionVersion')
    const fields = requireRunFields(run)
    const kept = firstContext(context)
    const more: Op[] = []
    if (definition !== undefined) more.push({ put: { part, key: DEFINITION }, value: encode(definition) })
    if (input !== undefined) more.push({ put: { part, key: INPUT }, value: encode(input) })
    if (kept.version > 0) more.push({ put: { part, key: CONTEXT }, value: encode(kept) })
    return { fields, more, context: kept }
  }

  async function start(
    run: NewRun,
    policy: StartPolicy | undefined,
    options: WriteOptions,
  ): Promise<{ readonly created: boolean; readonly run: Run }> {
    const { fields, more, context } = begin(run)
    const { runId, definitionVersion, definition, input, parent } = run
    const part = parts.run(runId)
    /** The last refusal that a policy of `useExisting` turns into a read. */
    let there: HoldfastError | undefined
    return db.hold(async (held) => {
      try {
        const created = await runs.change(
          runId,
          (found, id): RunProposal<Run> => {
            const now = db.now()
            if (found && policy) refuseOther(found, run)
            if (found && policy !== 'terminateExisting') {
              const { workflow, status } = found
              const details = { runId, workflow, status }
              throw (there = new HoldfastError('ALREADY_EXISTS', 'A run with this id exists', { details }))
            }
            const record = withFields(
              {
                ...newRun(runId, tenant, 'pending', now, id),
                ...defined({ definitionVersion, parent }),
                ...(found && { generation: (found.generation ?? 1) + 1 }),
              },
              fields,
              now,
            )
            // Everything of the old run is deleted; the indexes follow from the records.
            const leftovers: Op[] = found ? [{ deletePart: part }] : []
            return {
              next: record,
              ops: [...leftovers, ...more],
              // A copy: the cached record must not change when the caller's object does.
              done: () => toRun(decodeRun(encode(record)), context, { definition, input }),
            }
          },
          options,
        )
        return { created: true, run: created }
      } catch (error) {
        if (error !== there || policy !== 'useExisting') throw error
      }
      const found = await read(held, runId, options)
      // The run was deleted meanwhile, so the start is tried again.
      if (!found) return start(run, policy, options)
      refuseOther(found, run)
      return { created: false, run: found }
    }, options)
  }

  async function read(from: InnerDatabase, runId: string, options: CallOptions): Promise<Run | undefined> {
    const part = parts.run(runId)
    const get = (key: string) => ({ get: { part, key } })
    const last = { part, ...under(EVENTS), limit: 1, reverse: true }
    const [record, context, definition, input, { entries }] = await from.read(
      [get(RUN), get(CONTEXT), get(DEFINITION), get(INPUT), { range: last }],
      options,
    )
    if (!record) return undefined
    return toRun(decodeRun(record.value), readContext(context), {
      definition: definition ? decode(definition.value) : undefined,
      input: input ? decode(input.value) : undefined,
      result: resultIn(runId, entries[0]),
    })
  }

  return { start, read }
}

/** The result that the last event of a log holds. */
function resultIn(runId: string, entry: Entry | undefined): unknown {
  const event = entry && decodeNumber(entry.key) > 0 ? decodeEvent(entry, runId, '') : undefined
  return event?.kind === 'run.completed' ? event.payload : undefined
}

/** @throws `WORKFLOW_MISMATCH`, `DEFINITION_MISMATCH` if the existing run differs from the one to start */
function refuseOther(
  there: Pick<RunRecord, 'runId' | 'workflow' | 'definitionHash' | 'definitionVersion'>,
  run: NewRun,
): void {
  if (there.workflow !== undefined && there.workflow !== run.workflow) throw mismatch(there)
  for (const name of ['definitionHash', 'definitionVersion'] as const) {
    const [found, expected] = [there[name], run[name]]
    if (found !== undefined && expected !== undefined && found !== expected) {
      throw otherDefinition(there, name, expected)
    }
  }
}

function toRun(
  record: RunRecord,
  { version, context }: StoredContext,
  values: { readonly definition?: unknown; readonly input?: unknown; readonly result?: unknown },
): Run {
  const { tenant: _, snapshot: __, waits: ___, enteredAt: ____, life: _____, deliveries: ______, ...known } = record
  return {
    generation: 1,
    priority: DEFAULT_PRIORITY,
    tags: [],
    ...known,
    ...defined(values),
    ...completionOf(record),
    context,
    contextVersion: version,
  }
}
