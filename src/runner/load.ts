/** Reads a run and its log, for a delivery. @module */
import { decode } from '../core/codec.ts'
import { innerOf } from '../core/database.ts'
import { CONSUMED, EVENTS, INPUT, INTERVENTIONS, RUN, type TenantParts, decodeNumber, under } from '../core/keys.ts'
import type { Holdfast } from '../holdfast.ts'
import { decodeEvent } from '../runs/events.ts'
import { lastOf, readRest } from '../runs/log.ts'
import { decodeRun, noRun } from '../runs/record.ts'
import type { RunRecord } from '../runs/state.ts'
import type { LogEvent } from './events.ts'

/** A run with its whole log. */
export interface Loaded {
  readonly run: RunRecord
  readonly input: unknown
  readonly events: readonly LogEvent[]
  /** The last seq of the log. */
  readonly end: number
  /** Whether a decision of an operator waits to be taken. */
  readonly hasInterventions: boolean
}

/** Reads a run. @throws `NOT_FOUND` if the run does not exist; `SERIALIZATION` if it cannot be read */
export async function load(
  holdfast: Holdfast,
  parts: TenantParts,
  runId: string,
  signal?: AbortSignal,
): Promise<Loaded> {
  const db = innerOf(holdfast.db)
  const part = parts.run(runId)
  const log = lastOf(db, part, EVENTS)
  const newest = { part, ...under(INTERVENTIONS), limit: 1, reverse: true, keysOnly: true }
  const options = { signal }
  const [record, input, consumed, interventions, page] = await db.read(
    [
      { get: { part, key: RUN } },
      { get: { part, key: INPUT } },
      { get: { part, key: CONSUMED } },
      { range: newest },
      { range: log },
    ],
    options,
  )
  if (!record) throw noRun(runId)
  const run = decodeRun(record.value)
  const entries = await readRest(db, log, page, options)
  const last = entries.at(-1)
  // In a log that was trimmed to its end, the entry 0 holds the last trimmed seq.
  const end = last ? decodeNumber(last.key) || Number(last.value) : 0
  // Key 0 of a trimmed log is not an event.
  const events = entries
    .filter(({ key }) => decodeNumber(key) > 0)
    .map((entry) => decodeEvent(entry, runId, run.workflow ?? ''))
  return {
    run,
    input: input ? decode(input.value) : undefined,
    events,
    end,
    hasInterventions: decodeNumber(interventions.entries[0]?.key ?? '0') > Number(consumed?.value ?? 0),
  }
}
