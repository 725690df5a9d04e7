/** Runs as they begin: one insert-if-absent, whatever is to be done with one that is there. @module */
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

/** A run as it is started. */
export interface NewRun extends Omit<RunFields, 'workflow' | 'error' | 'retries'> {
  readonly runId: string
  readonly workflow: string
  readonly definitionVersion?: string | undefined
  /** The run that starts it, which is woken when this one ends. */
  readonly parent?: RunRecord['parent'] | undefined
  /** A copy of the definition, so that later edits cannot reach the run; any structured value. */
  readonly definition?: unknown
  /** Any structured value. */
  readonly input?: unknown
  /** What its steps share: any structured value, an empty object by default. */
  readonly context?: unknown
}

/** What to do where a run of that id is there. */
export type StartPolicy = 'fail' | 'useExisting' | 'terminateExisting'

/** A run that is prepared. */
export interface PreparedRun extends NewRun {
  /** `fail` by default. */
  readonly policy?: StartPolicy
}

/** All that is known of a run but its log, its steps and its snapshot. */
export interface Run extends Omit<
  RunRecord,
  'tenant' | 'snapshot' | 'waits' | 'enteredAt' | 'generation' | 'tags' | 'life' | 'deliveries'
> {
  /** How often a run of this id was started over, from 1. */
  readonly generation: number
  readonly priority: Priority
  readonly tags: readonly string[]
  readonly definition?: unknown
  readonly input?: unknown
  readonly context: unknown
  /** How often the context was written; 0: never. */
  readonly contextVersion: number
  readonly completion?: Completion
  readonly completedAt?: number
  /** What a completed run has given, if its last event says so. */
  readonly result?: unknown
}

/** How runs of one tenant begin, and are read whole. */
export interface RunStarts {
  /** Creates a run; without a policy only where there is none of its id, whatever that is. */
  start(
    run: NewRun,
    policy: StartPolicy | undefined,
    options: WriteOptions,
  ): Promise<{ readonly created: boolean; readonly run: Run }>
  /** The run, from one moment; `undefined` where there is none. */
  read(from: InnerDatabase, runId: string, options: CallOptions): Promise<Run | undefined>
}

export function runStarts(db: InnerDatabase, tenant: string, parts: TenantParts, runs: RunRecords): RunStarts {
  /** The record of a run that begins, and what else is stored of it. */
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
    /** The last refusal that means: take the run that is there. */
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
              throw (there = new HoldfastError('ALREADY_EXISTS', 'There is a run of this id', { details }))
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
            // Of what is there nothing stays; the indexes follow from the records.
            const leftovers: Op[] = found ? [{ deletePart: part }] : []
            return {
              next: record,
              ops: [...leftovers, ...more],
              // A copy: what is remembered must not change when what is given out does.
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
      // Deleted in between: the next one to ask creates it.
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

/** What the last event of a log says that the run has given. */
function resultIn(runId: string, entry: Entry | undefined): unknown {
  const event = entry && decodeNumber(entry.key) > 0 ? decodeEvent(entry, runId, '') : undefined
  return event?.kind === 'run.completed' ? event.payload : undefined
}

/** @throws `WORKFLOW_MISMATCH`, `DEFINITION_MISMATCH` where a run is not of what is to be started */
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
