/** A whole run: its record, its log and its interventions. @module */
import type { InnerDatabase } from '../../core/database.ts'
import type { CallOptions } from '../../core/driver.ts'
import { CONSUMED, EVENTS, INTERVENTIONS, RUN, type TenantParts, decodeNumber } from '../../core/keys.ts'
import { defined } from '../../core/objects.ts'
import { type RunEvent, decodeEvent } from '../../runs/events.ts'
import { lastOf, readRest } from '../../runs/log.ts'
import { type Intervention, toIntervention } from './interventions.ts'
import { completionOf, decodeRun } from '../../runs/record.ts'
import type { Completion } from '../../runs/status.ts'

/** A run with its whole log. */
export interface Trace {
  readonly runId: string
  /** `''` if the run has no event and was not created with a workflow. */
  readonly workflow: string
  readonly createdAt: number
  /** The definition version of the last event. */
  readonly definitionVersion?: string
  readonly events: readonly RunEvent[]
  readonly interventions: readonly Intervention[]
  readonly resumedFromSeq?: number
  readonly completion?: Completion
  readonly completedAt?: number
}

/** Reads a run as of one moment; `undefined` if it does not exist. */
export async function readTrace(
  db: InnerDatabase,
  parts: TenantParts,
  runId: string,
  options?: CallOptions,
): Promise<Trace | undefined> {
  const part = parts.run(runId)
  const eventRange = lastOf(db, part, EVENTS)
  const interventionRange = lastOf(db, part, INTERVENTIONS)
  const [record, cursor, events, interventions] = await db.read(
    [
      { get: { part, key: RUN } },
      { get: { part, key: CONSUMED } },
      { range: eventRange },
      { range: interventionRange },
    ],
    options,
  )
  if (record === null) return undefined
  const run = decodeRun(record.value)
  const { workflow = '', definitionVersion, createdAt, resumedFromSeq } = run
  const taken = Number(cursor?.value ?? 0)
  const [log, asked] = await Promise.all([
    readRest(db, eventRange, events, options),
    readRest(db, interventionRange, interventions, options),
  ])
  return {
    ...defined({ runId, workflow, definitionVersion, createdAt, resumedFromSeq }),
    ...completionOf(run),
    // Key 0 of a trimmed log is not an event.
    events: log.filter(({ key }) => decodeNumber(key) > 0).map((entry) => decodeEvent(entry, runId, workflow)),
    interventions: asked.map((entry) => toIntervention(entry, taken)),
  }
}
