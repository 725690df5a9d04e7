/** Reads a run and its log, for a delivery. @module */
import { decode } from '../core/codec.ts'
import type { Entry } from '../core/driver.ts'
import {
  CONSUMED,
  EVENTS,
  INPUT,
  INTERVENTIONS,
  RUN,
  type TenantParts,
  decodeNumber,
  encodeNumber,
  under,
} from '../core/keys.ts'
import type { Holdfast } from '../holdfast.ts'
import { decodeEvent } from '../runs/events.ts'
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
export async function load({ db }: Holdfast, parts: TenantParts, runId: string, signal?: AbortSignal): Promise<Loaded> {
  const part = parts.run(runId)
  const limit = db.driver.capabilities.limits.rangeEntries
  const log = { part, ...under(EVENTS), limit }
  const last = { part, ...under(INTERVENTIONS), limit: 1, reverse: true, keysOnly: true }
  const options = { signal }
  const [record, input, consumed, interventions, first] = await db.read(
    [
      { get: { part, key: RUN } },
      { get: { part, key: INPUT } },
      { get: { part, key: CONSUMED } },
      { range: last },
      { range: log },
    ],
    options,
  )
  if (!record) throw noRun(runId)
  const run = decodeRun(record.value)
  const events: LogEvent[] = []
  let end = 0
  const take = (entries: readonly Entry[]): void => {
    for (const entry of entries) {
      end = decodeNumber(entry.key)
      // In a trimmed log, the entry 0 holds the last trimmed seq.
      if (end === 0) end = Number(entry.value)
      else events.push(decodeEvent(entry, runId, run.workflow ?? ''))
    }
  }
  take(first.entries)
  for (let { more } = first; more;) {
    const range = { ...log, start: EVENTS + encodeNumber(end + 1) }
    const [page] = await db.read([{ range }], options)
    take(page.entries)
    more = page.more
  }
  return {
    run,
    input: input ? decode(input.value) : undefined,
    events,
    end,
    hasInterventions: decodeNumber(interventions.entries[0]?.key ?? '0') > Number(consumed?.value ?? 0),
  }
}
