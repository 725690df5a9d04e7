/** Helpers of the cases of this group. @module */
import type {
  BegunCompensation,
  CompensationKey,
  CompensationStart,
  IdempotencyStore,
} from '../../stores/idempotency/store.ts'
import { ok } from '../assert.ts'
import { RUN, WORKFLOW } from '../stores.ts'

/** The reason for the compensation. */
export const key = (more: Partial<CompensationKey> = {}): CompensationKey => ({
  runId: RUN,
  workflow: WORKFLOW,
  kind: 'failed',
  ...more,
})

/** A compensation that this caller must get. */
export async function begun(start: Promise<CompensationStart>): Promise<BegunCompensation> {
  const it = await start
  ok(it.state === 'begun', `It is begun, not ${it.state}`)
  return it
}

/** Compensates like an engine. Resolves to whether the hook was called. */
export async function compensate(
  marks: IdempotencyStore,
  of: CompensationKey,
  hook: () => Promise<void>,
): Promise<boolean> {
  const start = await marks.beginCompensation(of)
  if (start.state !== 'begun') return false
  try {
    await hook()
  } catch (error) {
    await marks.releaseCompensation(start)
    throw error
  }
  await marks.finishCompensation(start)
  return true
}
