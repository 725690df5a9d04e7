/** Checks within the part of a run: logs without gaps, values that can be decoded, and entries that agree. @module */
import { decode } from '../core/codec.ts'
import type { Database } from '../core/database.ts'
import type { CallOptions, Entry } from '../core/driver.ts'
import {
  CONSUMED,
  EVENTS,
  IDEMPOTENCY,
  INTERVENTIONS,
  MESSAGES,
  ORDER,
  RUN,
  SENT,
  SNAPSHOT,
  STEPS,
  TAKEN,
  VALUES,
  decodeNumber,
  trimmedKey,
} from '../core/keys.ts'
import type { RunRecord } from '../runs/state.ts'
import type { Report } from './problems.ts'
import { readOr, runIn } from './readable.ts'

/** Checks the entries of one run, which must come in key order. */
export interface RunCheck {
  take(entries: readonly Entry[]): Promise<void>
  /** To be called after the last entry: checks the run as a whole. Returns its record, if that can be decoded. */
  end(): { readonly entry: Entry; readonly run: RunRecord } | undefined
}

/** Keys whose values are numbers as text. The last ones are where earlier releases kept fencing tokens. */
const NUMBERS = new RegExp(`^(?:${CONSUMED}|${TAKEN}|${IDEMPOTENCY}|${SENT}|token$|token!)`)
/** Keys whose values are structured. */
const STRUCTURED = /^(?:snapshot|definition|input|context|claim|(?:claim|event|history|intervention|message|step)!.*)$/

/**
 * Creates a check of one run.
 *
 * @param db - the store, to read steps
 * @param part - the part of the run
 * @param report - receives the problems
 */
export function runCheck(db: Database, part: string, report: Report, options: CallOptions): RunCheck {
  /** The last seq of each log, by prefix. */
  const logs = new Map<string, number>()
  let record: { readonly entry: Entry; readonly run: RunRecord } | undefined
  let isRecordThere = false
  let consumed: Entry | undefined
  let snapshot: number | undefined
  let steps = 0
  let others = 0

  /** The seq up to which a log was trimmed. Its first entry has the next one. */
  function takeTrimmed(entry: Entry, prefix: string): void {
    const number = numberIn(entry)
    if (number) logs.set(prefix, number)
    else
      report({ kind: 'unreadable', part, key: entry.key, message: 'The value is not the last seq trimmed from a log' })
  }

  function takeLogged(entry: Entry, prefix: string): void {
    const seq = decodeNumber(entry.key)
    const last = logs.get(prefix) ?? 0
    if (seq !== last + 1) {
      report({ kind: 'gap', part, key: entry.key, message: `The log goes on with seq ${seq} after ${last}` })
    }
    logs.set(prefix, seq)
  }

  /** Checks an entry that names a seq of a log. */
  function requireLogged(entry: Entry, prefix: string): void {
    const seq = numberIn(entry)
    if (seq === undefined || seq > (logs.get(prefix) ?? 0)) {
      report({ kind: 'mismatch', part, key: entry.key, message: 'The entry names a seq that its log does not have' })
    }
  }

  async function requireSteps(order: readonly Entry[]): Promise<void> {
    const { requestReads } = db.driver.capabilities.limits
    for (let from = 0; from < order.length; from += requestReads) {
      const some = order.slice(from, from + requestReads)
      const found = await db.read(
        some.map(({ value }) => ({ get: { part, key: STEPS + String(value) } })),
        options,
      )
      some.forEach(({ key }, i) => {
        if (!found[i]) report({ kind: 'mismatch', part, key, message: 'The entry names a step that does not exist' })
      })
    }
  }

  function takeEntry(entry: Entry): void {
    const { key } = entry
    if (key.startsWith(VALUES)) return
    others++
    const log = logOf(key)
    if (log !== undefined && key === trimmedKey(log)) return takeTrimmed(entry, log)
    if (log !== undefined) takeLogged(entry, log)
    if (key === CONSUMED) consumed = entry
    if (key.startsWith(IDEMPOTENCY)) requireLogged(entry, EVENTS)
    else if (key.startsWith(SENT)) requireLogged(entry, messagesNamed(key.slice(SENT.length).split('!')[0]!))
    else if (key.startsWith(TAKEN)) requireLogged(entry, messagesNamed(key.slice(TAKEN.length)))
    if (key.startsWith(STEPS)) steps++
    if (key === RUN) {
      isRecordThere = true
      const run = readOr(report, { part, entry }, (value) => runIn(part, value))
      record = run && { entry, run }
    } else if (STRUCTURED.test(key)) {
      const value = readOr(report, { part, entry }, decode)
      if (key === SNAPSHOT) snapshot = (value as { version?: number } | undefined)?.version ?? 0
    } else if (NUMBERS.test(key)) {
      if (numberIn(entry) === undefined) report({ kind: 'unreadable', part, key, message: 'The value is not a number' })
    } else if (log === undefined) report({ kind: 'unknown', part, key, message: 'This release does not know the key' })
  }

  return {
    async take(entries) {
      for (const entry of entries) takeEntry(entry)
      await requireSteps(entries.filter(({ key }) => key.startsWith(ORDER)))
    },
    end() {
      if (consumed) requireLogged(consumed, INTERVENTIONS)
      const ordered = logs.get(ORDER) ?? 0
      if (steps !== ordered) {
        report({ kind: 'mismatch', part, message: `The run has ${steps} steps, but their order lists ${ordered}` })
      }
      if (!isRecordThere && others > 0) {
        report({
          kind: 'orphan',
          part,
          message: `The record of the run is missing, but ${others} of its entries exist`,
        })
      }
      if (record && record.run.snapshot?.version !== snapshot) {
        report({ kind: 'mismatch', part, key: SNAPSHOT, message: 'The record names another version of the snapshot' })
      }
      return record
    },
  }
}

const messagesNamed = (encoded: string): string => `${MESSAGES}${encoded}!`

/** The prefix of the log that a key belongs to. */
function logOf(key: string): string | undefined {
  if (key.startsWith(MESSAGES)) return key.slice(0, key.lastIndexOf('!') + 1)
  return [EVENTS, INTERVENTIONS, ORDER].find((prefix) => key.startsWith(prefix))
}

function numberIn({ value }: Entry): number | undefined {
  const number = typeof value === 'string' && /^\d{1,16}$/.test(value) ? Number(value) : undefined
  return Number.isSafeInteger(number) ? number : undefined
}
