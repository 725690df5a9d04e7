/** Refused before any I/O: malformed arguments, aborted signals, calls after close. @module */
import type { CallOptions } from '../../core/driver.ts'
import { type Claim, type TaskClaimStore, taskClaimStore } from '../../stores/claims/store.ts'
import { equal, rejects } from '../assert.ts'
import { type Case, type Context, defineCase } from '../case.ts'
import { BAD_IDS, BAD_NUMBERS, changesNothing, NOT_SIGNALS, RUN, spied, stores } from '../stores.ts'
import { begin, STEP, take, WORKER } from './runs.ts'

const worker = { workerId: WORKER }
const task = { runId: RUN, stepId: STEP, ...worker }

const CALLS: readonly ((claims: TaskClaimStore, claim: Claim, options?: CallOptions) => Promise<unknown>)[] = [
  (claims, _, o) => claims.claimTask({ ...task, stepId: 'another' }, o),
  (claims, claim, o) => claims.extendTaskClaim(claim, 60_000, o),
  (claims, claim, o) => claims.releaseTaskClaim(claim, o),
  (claims, _, o) => claims.forceReleaseClaim(RUN, o),
  (claims, _, o) => claims.getClaim(RUN, { stepId: STEP, ...o }),
  (claims, _, o) => claims.findAvailableTasks({ ...worker, ...o }),
  (claims, _, o) => claims.findHintedTask(task, { ...worker, ...o }),
  (claims, _, o) => claims.waitForWakeup({ ...worker, timeout: 0, ...o }),
]

/** Asserts that all calls are refused without a request and without a change. */
async function refused(
  t: Context,
  calls: (claims: TaskClaimStore, claim: Claim) => Iterable<Promise<unknown>>,
): Promise<void> {
  const s = spied(t)
  await begin(t, s)
  const claim = await take(s, { ttl: 60_000 })
  await changesNothing(t, async () => {
    const requests = await s.cost(() =>
      Promise.all(Array.from(calls(s.claims, claim), (call) => rejects(call, 'INVALID_ARGUMENT'))),
    )
    equal(requests, 0, 'Requests')
  })
}

/** An empty text is not an id. */
export const badIds: Case = defineCase('CL-801', 'claims refuse malformed ids', (t) =>
  refused(t, (claims, claim) =>
    (BAD_IDS as string[]).flatMap((id) => [
      claims.claimTask({ ...task, runId: id }),
      claims.claimTask({ ...task, workerId: id }),
      claims.releaseTaskClaim({ ...claim, runId: id }),
      claims.extendTaskClaim({ ...claim, runId: id }, 1000),
      claims.forceReleaseClaim(id),
      claims.getClaim(id),
      claims.findAvailableTasks({ workerId: id }),
      claims.findAvailableTasks({ ...worker, tags: [id] }),
      claims.findHintedTask(task, { workerId: id }),
      claims.waitForWakeup({ workerId: id, timeout: 0 }),
      ...(id === undefined
        ? []
        : [
            claims.claimTask({ ...task, stepId: id }),
            claims.releaseTaskClaim({ ...claim, stepId: id }),
            claims.forceReleaseClaim(RUN, { stepId: id }),
            claims.getClaim(RUN, { stepId: id }),
          ]),
    ]),
  ),
)

/** Times and numbers. */
export const badNumbers: Case = defineCase('CL-802', 'claims refuse malformed times and limits', (t) =>
  refused(t, (claims, claim) =>
    (BAD_NUMBERS as number[]).flatMap((n) => [
      claims.claimTask({ ...task, ttl: n }),
      claims.claimTask({ ...task, since: n }),
      claims.extendTaskClaim(claim, n),
      claims.findAvailableTasks({ ...worker, limit: n }),
      claims.findAvailableTasks({ ...worker, limit: 0 }),
      ...(n === Infinity ? [] : [claims.findAvailableTasks({ ...worker, agingInterval: n })]),
      claims.waitForWakeup({ ...worker, timeout: n }),
      claims.waitForWakeup({ ...worker, timeout: 0, pollInterval: n }),
      claims.waitForWakeup({ ...worker, timeout: 0, pollInterval: 0 }),
      claims.claimTask({ ...task, ttl: 8.64e15 + 1 }),
    ]),
  ),
)

/** Anything but an object is refused with a code, not by a `TypeError` from inside. */
export const notObjects: Case = defineCase('CL-803', 'malformed requests and claims are refused', (t) =>
  refused(t, (claims) =>
    ([undefined, null, 0, '', 5, 'x', []] as never[]).flatMap((it) => [
      claims.claimTask(it),
      claims.releaseTaskClaim(it),
      claims.extendTaskClaim(it, 1000),
      claims.findAvailableTasks(it),
      claims.findHintedTask(it, worker),
      claims.findHintedTask(task, it),
      claims.waitForWakeup(it),
      ...(it === undefined
        ? []
        : [claims.findAvailableTasks({ ...worker, tags: it })].slice(Array.isArray(it) ? 1 : 0)),
    ]),
  ),
)

/** A value that is not a signal could never abort a call. */
export const notSignals: Case = defineCase('CL-804', 'every method of claims refuses a malformed signal', (t) =>
  refused(t, (claims, claim) =>
    (NOT_SIGNALS as AbortSignal[]).flatMap((signal) => CALLS.map((call) => call(claims, claim, { signal }))),
  ),
)

/** Every method checks the signal before any I/O. */
export const aborted: Case = defineCase(
  'CL-805',
  'with an aborted signal every method of claims is refused',
  async (t) => {
    const s = spied(t)
    await begin(t, s)
    const claim = await take(s, { ttl: 60_000 })
    const signal = AbortSignal.abort(new Error('Changed my mind'))
    await changesNothing(t, async () => {
      const requests = await s.cost(async () => {
        for (const call of CALLS) equal((await rejects(call(s.claims, claim, { signal }), 'ABORTED')).ambiguous, false)
      })
      equal(requests, 0)
    })
    for (const call of CALLS) await call(s.claims, claim, { signal: new AbortController().signal })
  },
)

export const afterClose: Case = defineCase('CL-806', 'after close every method of claims is refused', async (t) => {
  const s = spied(t)
  await begin(t, s)
  const claim = await take(s)
  await s.db.close()
  const requests = await s.cost(async () => {
    for (const call of CALLS) await rejects(call(s.claims, claim), 'CLOSED')
  })
  equal(requests, 0)
})

/** Malformed tenants are refused when a store is created. */
export const badTenants: Case = defineCase(
  'CL-807',
  'a claim store for a malformed tenant cannot be created',
  async (t) => {
    const { db } = stores(t)
    for (const tenant of BAD_IDS.filter((id) => id !== undefined) as string[]) {
      await rejects((async () => taskClaimStore(db, { tenant }))(), 'INVALID_ARGUMENT')
    }
  },
)
