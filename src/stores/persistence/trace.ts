/** A whole run: its record, its log and its interventions. @module */
import type { InnerDatabase } from '../../core/database.ts'
import type { CallOptions, Entry, EntryPage, EntryRange } from '../../core/driver.ts'
import {
  CONSUMED,
  EVENTS,
  INTERVENTIONS,
  RUN,
  type TenantParts,
  decodeNumber,
  encodeNumber,
  under,
} from '../../core/keys.ts'
import { defined } from '../../core/objects.ts'
import { type RunEvent, decodeEvent } from '../../runs/events.ts'
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

/** The most entries per range. */
const PAGE = 1000
/** The size of one request to a log, in characters or bytes. An answer can carry several times as much. */
const AT_ONCE = 2 ** 21

/** Reads a run as of one moment; `undefined` if it does not exist. */
export async function readTrace(
  db: InnerDatabase,
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

/**
 * Reads the rest of a log, given its last page. It reads backwards, so the result is as of the moment of that page:
 * events appended meanwhile come after it.
 */
async function readRest(
  db: InnerDatabase,
  range: EntryRange,
  page: EntryPage,
  options?: CallOptions,
): Promise<readonly Entry[]> {
  const most = Math.min(db.driver.capabilities.limits.requestReads, Math.floor(AT_ONCE / weightOf(page)))
  const entries = [...page.entries]
  for (let isDone = !page.more; !isDone;) {
    const ranges = rangesBefore(range, entries.at(-1)!.key, most)
    isDone = ranges.at(-1)!.start === range.start
    for (const { entries: before, more } of await db.read(
      ranges.map((it) => ({ range: it })),
      options,
    )) {
      entries.push(...before)
      if (!more) continue
      // The backend returned fewer entries than asked for, so the next request continues there.
      isDone = false
      break
    }
  }
  return entries.toReversed()
}

/** The ranges before a key, nearest first. Entries are numbered, so the start of each range can be computed. */
function rangesBefore(range: EntryRange, key: string, most: number): readonly EntryRange[] {
  const ranges: EntryRange[] = []
  let end = decodeNumber(key)
  do {
    const start = Math.max(1, end - range.limit)
    ranges.push({
      ...range,
      start: start === 1 ? range.start : range.start + encodeNumber(start),
      end: range.start + encodeNumber(end),
    })
    end = start
  } while (end > 1 && ranges.length < most)
  return ranges
}

/** The approximate size of an answer, in characters or bytes. */
const weightOf = ({ entries }: EntryPage): number =>
  entries.reduce((sum, { key, version, value }) => sum + key.length + version.length + value.length, 1)
