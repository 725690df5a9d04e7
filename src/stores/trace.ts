/** A run as it is read whole: its record, its log and its interventions. @module */
import type { Database } from '../core/database.ts'
import type { CallOptions, Entry, EntryPage, Range } from '../core/driver.ts'
import { CONSUMED, EVENTS, INTERVENTIONS, RUN, type TenantParts, under } from '../core/keys.ts'
import { defined } from '../core/objects.ts'
import { type RunEvent, decodeEvent } from './events.ts'
import { type Intervention, toIntervention } from './interventions.ts'
import { completionOf, decodeRun } from './run-record.ts'
import type { Completion } from './status.ts'

/** A run with all of its log. */
export interface Trace {
  readonly runId: string
  /** `''` where the run has no event, and was not created as one of a workflow. */
  readonly workflow: string
  readonly createdAt: number
  /** Of the event appended last. */
  readonly definitionVersion?: string
  readonly events: readonly RunEvent[]
  readonly interventions: readonly Intervention[]
  readonly resumedFromSeq?: number
  readonly completion?: Completion
  readonly completedAt?: number
}

/** Entries read at once. */
const PAGE = 1000

/** The run from one moment; `undefined` where there is none. */
export async function readTrace(
  db: Database,
  parts: TenantParts,
  runId: string,
  options?: CallOptions,
): Promise<Trace | undefined> {
  const part = parts.run(runId)
  const limit = Math.min(PAGE, db.driver.capabilities.limits.rangeEntries)
  const eventRange = { part, ...under(EVENTS), limit, reverse: true }
  const interventionRange = { ...eventRange, ...under(INTERVENTIONS) }
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
  return {
    ...defined({ runId, workflow, definitionVersion, createdAt, resumedFromSeq }),
    ...completionOf(run),
    events: (await readRest(db, eventRange, events, options)).map((entry) => decodeEvent(entry, runId, workflow)),
    interventions: (await readRest(db, interventionRange, interventions, options)).map((entry) =>
      toIntervention(entry, taken),
    ),
  }
}

/**
 * All entries of a log, of which the last page is there. From its end backwards, so that it is of the moment of that
 * page: what is appended while this reads on lies behind it.
 */
async function readRest(db: Database, range: Range, page: EntryPage, options?: CallOptions): Promise<readonly Entry[]> {
  const entries = [...page.entries]
  for (let { more } = page; more;) {
    const [before] = await db.read([{ range: { ...range, end: entries.at(-1)!.key } }], options)
    entries.push(...before.entries)
    more = before.more
  }
  return entries.toReversed()
}
