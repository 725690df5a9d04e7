/** Reads how a run ended. @module */
import { EVENTS, RUN, tenantParts, under } from '../core/keys.ts'
import type { CallOptions } from '../core/driver.ts'
import type { Holdfast } from '../holdfast.ts'
import { decodeEvent } from '../runs/events.ts'
import { decodeRun } from '../runs/record.ts'
import { isTerminal } from '../runs/status.ts'
import { type StoredError, fromLog } from './errors.ts'
import type { RunOutcome } from './types.ts'

/** The end of a run. */
export type EndOfRun =
  | { readonly status: 'completed'; readonly result: unknown }
  | { readonly status: 'failed' | 'compensated' | 'cancelled'; readonly error: StoredError; readonly cancelled?: true }

/** The error of a run that was cancelled. */
export const CANCELLED: StoredError = { name: 'Error', message: 'The run was cancelled', code: 'CANCELLED' }
const GONE: StoredError = { name: 'Error', message: 'There is no such run', code: 'NOT_FOUND' }

/**
 * Reads how a run ended from its last event.
 *
 * @returns the end; `undefined` if the run has not ended. A run that does not exist counts as failed
 */
export async function readEnd(
  { db, tenant }: Holdfast,
  runId: string,
  options?: CallOptions,
): Promise<EndOfRun | undefined> {
  const part = tenantParts(tenant).run(runId)
  const last = { part, ...under(EVENTS), limit: 1, reverse: true }
  const [record, { entries }] = await db.read([{ get: { part, key: RUN } }, { range: last }], options)
  if (!record) return { status: 'failed', error: GONE }
  const { status, error, workflow = '' } = decodeRun(record.value)
  if (!isTerminal(status)) return undefined
  const event = entries[0] && decodeEvent(entries[0], runId, workflow)
  // If the run was not ended by the runner, its last event may be of any kind.
  const payload = event?.kind === `run.${status}` ? event.payload : undefined
  if (status === 'completed') return { status, result: payload }
  if (status === 'cancelled') return { status, error: CANCELLED }
  const { cancelled } = (payload ?? {}) as { readonly cancelled?: true }
  return {
    status,
    error: payload === undefined ? { name: 'Error', message: error ?? `The run has ${status}` } : fromLog(payload),
    ...(cancelled && { cancelled }),
  }
}

/** The outcome that `run` returns for a run that has ended. */
export function outcomeOf(end: EndOfRun): RunOutcome<unknown> {
  if (end.status === 'completed') return end
  if (end.status === 'cancelled') return { status: end.status }
  const { message } = end.error
  if (end.status === 'failed') return { status: end.status, error: message }
  return { status: end.status, error: message, ...(end.cancelled && { cancelled: true }) }
}
