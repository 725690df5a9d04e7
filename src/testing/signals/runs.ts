/** Short ways to waiting and stopped runs, and to their stored records. @module */
import type { Lease } from '../../core/fence.ts'
import { decode } from '../../core/codec.ts'
import { RUN as RECORD, STEPS, decodeId, encodeId, tenantParts } from '../../core/keys.ts'
import type { MessagePosition } from '../../runs/inbox.ts'
import type { RunFields } from '../../runs/fields.ts'
import { decodeRun } from '../../runs/record.ts'
import type { RunRecord } from '../../runs/state.ts'
import type { Position } from '../../runs/status.ts'
import type { StepRecord } from '../../runs/step-record.ts'
import { ok } from '../assert.ts'
import type { Context } from '../case.ts'
import { event, RUN, type Stores } from '../stores.ts'

/** Starts a run. */
export async function begin(s: Stores, fields: RunFields = {}, runId: string = RUN): Promise<void> {
  await s.log.append(event('begun', { runId }), { run: fields })
}

/** A position at a step; by default, one that is ready. */
export const at = (stepId = 'work'): { readonly kind: 'step'; readonly stepId: string } => ({ kind: 'step', stepId })

/** A position at which a run waits for a message. */
export const waitFor = (name = 'paid', more: Partial<MessagePosition> = {}): MessagePosition => ({
  kind: 'message',
  stepId: 'wait',
  name,
  next: 'ship',
  ...more,
})

/** A position at which a run sleeps. */
export const nap = (wakeAt: number, next: string | null = 'ship'): Position => ({
  kind: 'delay',
  stepId: 'nap',
  wakeAt,
  next: next ?? undefined,
})

/** The time of the backend's clock. */
export async function now({ db }: Stores): Promise<number> {
  await db.health()
  return db.now()
}

/** The stored record of a run. */
export async function runOf(t: Context, runId: string = RUN): Promise<RunRecord> {
  const entry = await t.get({ part: tenantParts(t.tenant).run(runId), key: RECORD })
  ok(entry !== null, 'The run is there')
  return decodeRun(entry.value)
}

/** The status and the position of a run. */
export async function standing(t: Context, runId: string = RUN): Promise<unknown[]> {
  const { status, position } = await runOf(t, runId)
  return [status, position]
}

/** The stored record of a step. */
export async function stepOf(t: Context, stepId = 'wait', runId: string = RUN): Promise<StepRecord | undefined> {
  const entry = await t.get({ part: tenantParts(t.tenant).run(runId), key: STEPS + encodeId(stepId, 'stepId') })
  return entry ? (decode(entry.value) as StepRecord) : undefined
}

/** Stores a step as another program would have left it. */
export const putStep = (t: Context, step: Omit<StepRecord, 'updatedAt'>): Promise<unknown> =>
  t.write({
    put: { part: tenantParts(t.tenant).run(RUN), key: STEPS + encodeId(step.stepId, 'stepId') },
    value: JSON.stringify({ ...step, updatedAt: 1 }),
  })

/** The offered tasks: run, step, and the signal to follow. */
export async function offered(t: Context): Promise<(string | undefined)[][]> {
  const entries = await t.all({ part: `${tenantParts(t.tenant).ready}-` })
  return entries.map(({ key, value }) => {
    const [, , runId = '', stepId = ''] = key.split('!')
    const { signal } = decode(value) as { signal?: string }
    return [decodeId(runId), decodeId(stepId), ...(signal === undefined ? [] : [signal])]
  })
}

/** Takes a lease. Deleting its entry loses it. */
export async function takeLease(t: Context): Promise<Lease & { lose(): Promise<unknown> }> {
  const lease = { id: t.id(), at: { part: tenantParts(t.tenant).values, key: 'lease' } }
  await t.commit({
    id: lease.id,
    ops: [{ put: lease.at, value: JSON.stringify({ id: lease.id }), expires: { in: 600_000 } }],
  })
  return { ...lease, lose: () => t.write({ delete: lease.at }) }
}
