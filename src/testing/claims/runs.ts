/** Runs with work, and claims on them, for the cases. @module */
import { innerOf } from '../../core/database.ts'
import { tenantParts } from '../../core/keys.ts'
import type { Claim, ClaimRequest } from '../../stores/claims/store.ts'
import type { AvailableTask } from '../../runs/dispatch.ts'
import type { FindTasksOptions } from '../../stores/claims/dispatch.ts'
import type { RunFields } from '../../runs/fields.ts'
import { changed, runRecords } from '../../runs/record.ts'
import type { RetryState, RunRecord } from '../../runs/state.ts'
import { ok } from '../assert.ts'
import { removePart, upTo } from '../build.ts'
import type { Context } from '../case.ts'
import { event, RUN, type Stores } from '../stores.ts'

/** The step that cases use if they need only one. */
export const STEP = 'charge'
export const WORKER = 'worker-1'

/** The duration of leases that are to expire, in milliseconds. */
export const LEASE = 1000

/** Lets a lease of {@link LEASE} expire. */
export const outlive = (t: Context): Promise<void> => t.sleep(LEASE + 50)

/**
 * Creates a run whose {@link STEP} is ready. A manual clock stands still while this machine's clock goes on, so the
 * stores are a little ahead of it. It is moved past the times that they have written.
 */
export async function begin(
  t: Context,
  { db, log }: Stores,
  runId: string = RUN,
  fields: RunFields = {},
): Promise<void> {
  // A store without an answer so far knows only this machine's clock.
  await db.health()
  await log.append(event('started', { runId }), { run: { position: { kind: 'step', stepId: STEP }, ...fields } })
  await t.sleep(10)
}

/** Creates runs whose {@link STEP} is ready since the same time, which is returned. */
export async function beginAll(
  t: Context,
  { db, log }: Stores,
  runIds: readonly string[],
  fields: RunFields = {},
  retry: Partial<RetryState> = {},
): Promise<number> {
  await db.health()
  // After everything written before, however slow that was.
  const lead = t.backend.advance === undefined ? 2000 : 10_000
  const nextRetryAt = db.now() + lead
  const retries = { [STEP]: { attempts: 1, ...retry, nextRetryAt } }
  const run = { position: { kind: 'step', stepId: STEP } as const, retries, ...fields }
  await Promise.all(runIds.map((runId) => log.append(event('started', { runId }), { run })))
  await t.sleep(lead + 100)
  return nextRetryAt
}

/** Changes the record of a run, as the stores do. */
export async function change({ db }: Stores, t: Context, runId: string, changes: Partial<RunRecord>): Promise<void> {
  const now = db.now()
  await runRecords(innerOf(db), tenantParts(t.tenant)).changeExisting(runId, (run) => ({
    next: changed(run, changes, now),
    done: () => undefined,
  }))
}

/** Deletes everything of a run, as if it had never existed. */
export const erase = async (t: Context, runId: string = RUN): Promise<unknown> =>
  t.write(removePart(tenantParts(t.tenant).run(runId)))

/** Claims {@link STEP} of {@link RUN}, or another one. The claim must succeed. */
export async function take({ claims }: Stores, request: Partial<ClaimRequest> = {}): Promise<Claim> {
  const claim = await claims.claimTask({ runId: RUN, stepId: STEP, workerId: WORKER, ...request })
  ok(claim, 'It could be claimed')
  return claim
}

/** The offers for {@link WORKER}, or for another worker. */
export const offers = ({ claims }: Stores, find: Partial<FindTasksOptions> = {}): Promise<AvailableTask[]> =>
  claims.findAvailableTasks({ workerId: WORKER, ...find })

/** The offered runs, in order. */
export const offered = async (s: Stores, find: Partial<FindTasksOptions> = {}): Promise<string[]> =>
  (await offers(s, find)).map(({ runId }) => runId)

/** Lets the backend remove expired entries, which does not count as a change made by a call. */
export async function sweep({ state }: Stores): Promise<void> {
  for (const n of upTo(3)) await state.set('sweep', String(n))
}
