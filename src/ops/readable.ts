/** Decoding entries during a verification. @module */
import { decode } from '../core/codec.ts'
import type { Entry, Value } from '../core/driver.ts'
import { isHoldfastError } from '../core/errors.ts'
import { partName, tenantParts } from '../core/keys.ts'
import { indexEntries } from '../runs/indexes.ts'
import { decodeRun } from '../runs/record.ts'
import type { RunRecord } from '../runs/state.ts'
import { isRunStatus } from '../runs/status.ts'
import type { Report } from './problems.ts'

/** Decodes the value of an entry. If that fails, reports it and returns `undefined`. */
export function readOr<T>(
  report: Report,
  { part, entry: { key, value } }: { readonly part: string; readonly entry: Entry },
  read: (value: Value) => T,
): T | undefined {
  try {
    return read(value)
  } catch (error) {
    const details = isHoldfastError(error) ? error.details : undefined
    const isNewer = details?.['reason'] === 'unsupported_version'
    const message = isNewer ? 'A newer release has written this value' : 'The value cannot be decoded'
    report({ kind: isNewer ? 'newer-format' : 'unreadable', part, key, message })
    return undefined
  }
}

/**
 * The record of a part's run.
 *
 * @throws an error of any kind for a malformed record, or one of another run
 */
export function runIn(part: string, value: Value): RunRecord {
  const run = decodeRun(value)
  const name = partName(part)
  const isOfPart = typeof run?.runId === 'string' && run.runId === name?.runId
  if (!isOfPart || !isRunStatus(run.status) || !Number.isSafeInteger(run.since)) {
    throw new TypeError('Not the record of this run')
  }
  // A record that is malformed deeper inside makes this throw.
  Array.from(indexEntries(tenantParts(name.tenant), run))
  return run
}

/**
 * The id of the run that an entry of the index of waits names.
 *
 * @throws an error of any kind if it names none
 */
export function waitingRunIn(value: Value): string {
  const { runId } = decode(value) as { readonly runId?: unknown }
  if (typeof runId !== 'string') throw new TypeError('Not an entry of the index')
  return runId
}

/**
 * The time of a mark; `null` for a lease, which is in no index.
 *
 * @throws an error of any kind for a malformed mark
 */
export function markedAtIn(value: Value): number | null {
  const mark = decode(value)
  const isMark = typeof mark === 'object' && mark !== null && !(mark instanceof Uint8Array) && !Array.isArray(mark)
  const { at = null } = (isMark ? mark : {}) as { readonly at?: unknown }
  if (!isMark || (at !== null && !Number.isSafeInteger(at))) throw new TypeError('Not a mark')
  return at as number | null
}
