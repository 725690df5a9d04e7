/** The cost of calls: few requests, and not more if there are more runs. @module */
import { HoldfastError } from '../../core/errors.ts'
import { equal, ok, rejects } from '../assert.ts'
import { atOnce, upTo } from '../build.ts'
import { type Case, defineCase } from '../case.ts'
import { changesNothing, event, RUN, spied, stores } from '../stores.ts'
import { begin, beginAll, STEP, take, WORKER } from './runs.ts'

const task = { runId: RUN, stepId: STEP, workerId: WORKER, ttl: 600_000 }

/** Warm: the run is cached. Cold costs one more. */
export const claiming: Case = defineCase('CL-901', 'a claim is one request, at most two when cold', async (t) => {
  const s = spied(t)
  await begin(t, s)
  equal(await s.cost(() => take(s, task)), 1, 'The run is known')
  await s.claims.forceReleaseClaim(RUN, { stepId: STEP })
  equal(await s.cost(() => take(s, task)), 1, 'The token is known')
  equal(await s.cost(() => s.claims.claimTask(task)), 1, 'Claimed')
  await stores(t).claims.forceReleaseClaim(RUN, { stepId: STEP })
  const cold = spied(t)
  ok((await cold.cost(() => take(cold, task))) <= 2, 'Cold')
  const colder = spied(t)
  ok((await colder.cost(() => colder.claims.claimTask(task))) <= 2, 'Cold, and claimed')
  const none = spied(t)
  await none.db.open()
  equal(await none.cost(() => rejects(none.claims.claimTask({ ...task, runId: 'none' }), 'NOT_FOUND')), 1, 'No run')
})

/** The claim itself contains everything that these calls need. */
export const holding: Case = defineCase('CL-902', 'extending and releasing are one request, at most two', async (t) => {
  const s = spied(t)
  await begin(t, s)
  const claim = await take(s, task)
  for (const _ of upTo(3)) equal(await s.cost(() => s.claims.extendTaskClaim(claim, 600_000)), 1)
  equal(await s.cost(() => s.claims.releaseTaskClaim(claim)), 1)
  equal(await s.cost(() => rejects(s.claims.releaseTaskClaim(claim), 'NOT_FOUND')), 1)
  equal(await s.cost(() => s.claims.getClaim(RUN, { stepId: STEP })), 1)
  equal(await s.cost(() => s.claims.forceReleaseClaim(RUN, { stepId: STEP })), 1)
  const [fresh, cold, colder] = [await take(s), spied(t), spied(t)]
  equal(await cold.cost(() => cold.claims.releaseTaskClaim(fresh)), 1, 'Not extended')
  const next = await take(s, task)
  await s.claims.extendTaskClaim(next, 600_000)
  equal(await cold.cost(() => cold.claims.extendTaskClaim(next, 600_000)), 2, 'Extended elsewhere')
  equal(await cold.cost(() => cold.claims.extendTaskClaim(next, 600_000)), 1)
  equal(await colder.cost(() => colder.claims.releaseTaskClaim(next)), 2, 'Extended elsewhere')
})

/** A fence is a check of the commit. */
export const fenced: Case = defineCase('CL-903', 'a fence costs no request except after an extension', async (t) => {
  const s = spied(t)
  await begin(t, s)
  const claim = await take(s, task)
  for (const _ of upTo(2)) equal(await s.cost(() => s.log.append(event('b'), { claim })), 1)
  await s.claims.extendTaskClaim(claim, 600_000)
  ok((await s.cost(() => s.log.append(event('b'), { claim }))) <= 2, 'Extended')
  for (const _ of upTo(2)) equal(await s.cost(() => s.log.append(event('b'), { claim })), 1)
  equal(await s.cost(() => atOnce(20, () => s.state.increment('n', { claim }))), 1, 'Together')
})

/** The parts, their ranges, the claims: never more requests, however many runs there are. */
export const finding: Case = defineCase(
  'CL-904',
  'a search for work is three requests, or two when warm',
  async (t) => {
    const s = spied(t)
    await s.db.open()
    equal(await s.cost(() => s.claims.findAvailableTasks({ workerId: WORKER })), 1, 'Nothing there')
    await beginAll(
      t,
      stores(t),
      upTo(40).map((n) => `r${n}`),
    )
    equal(await s.cost(() => s.claims.findAvailableTasks({ workerId: WORKER })), 3, 'Cold')
    equal(await s.cost(() => s.claims.findAvailableTasks({ workerId: WORKER })), 2, 'Warm')
    equal(await s.cost(() => s.claims.findAvailableTasks({ workerId: WORKER, limit: 40 })), 2, 'Many')
    const reads = s.spy.reads.slice(-2).flat()
    equal(reads.filter((read) => 'range' in read).length, 5, 'One range per priority')
    await beginAll(t, stores(t), ['tagged'], { tags: ['gpu'] })
    equal(await s.cost(() => s.claims.findAvailableTasks({ workerId: WORKER, tags: ['gpu'] })), 3, 'New tags')
    equal(await s.cost(() => s.claims.findAvailableTasks({ workerId: WORKER, tags: ['gpu'] })), 2)
    equal(await s.cost(() => s.claims.findHintedTask({ runId: 'r1', stepId: STEP }, { workerId: WORKER })), 1, 'A hint')
    equal(await s.cost(() => s.claims.waitForWakeup({ workerId: WORKER, timeout: 1000 })), 2)
  },
)

/** Claimed steps are skipped in pages of growing size. */
export const passing: Case = defineCase('CL-905', 'skipping many claims takes few requests', async (t) => {
  const s = stores(t)
  const ids = upTo(60).map((n) => `r${String(n).padStart(2, '0')}`)
  await beginAll(t, s, ids)
  await Promise.all(ids.slice(0, 59).map((runId) => take(s, { ...task, runId })))
  const { claims, cost } = spied(t)
  let found
  const requests = await cost(async () => (found = await claims.findAvailableTasks({ workerId: WORKER, limit: 1 })))
  equal(
    (found as unknown as { runId: string }[]).map(({ runId }) => runId),
    ['r60'],
  )
  ok(requests <= 14, `${requests} requests`)
})

/** Group commit: they share a round trip, and one succeeds. */
export const together: Case = defineCase('CL-906', 'concurrent claims are one request', async (t) => {
  const s = spied(t)
  await begin(t, s)
  const n = Math.min(20, t.limits.requestCommits)
  equal(await s.cost(() => atOnce(n, (i) => take(s, { ...task, stepId: `step ${i}` }))), 1)
  const got: unknown[] = []
  const requests = await s.cost(() => atOnce(n, async () => got.push(await s.claims.claimTask(task))))
  equal([requests, got.filter((claim) => claim !== undefined).length], [1, 1], 'One of them wins')
})

/** A failure leaves the data and the cache correct. */
export const failed: Case = defineCase('CL-907', 'after a failed request of claims the next call works', async (t) => {
  const s = spied(t)
  await begin(t, s)
  const claim = await take(s, { ...task, stepId: 'other' })
  await changesNothing(t, async () => {
    for (const call of [() => s.claims.claimTask(task), () => s.claims.extendTaskClaim(claim, 1000)]) {
      s.spy.fail('commit', new HoldfastError('UNAVAILABLE', 'Locked', { retryable: true }))
      await rejects(call(), 'UNAVAILABLE')
    }
    s.spy.fail('read', new Error('Cut'))
    await rejects(s.claims.findAvailableTasks({ workerId: WORKER }), 'BACKEND')
  })
  await take(s, task)
  await s.claims.extendTaskClaim(claim, 60_000)
  equal((await s.claims.findAvailableTasks({ workerId: WORKER })).length, 0)
})

/** Runs of others are skipped in pages of growing size. */
export const foreign: Case = defineCase('CL-908', 'skipping the runs of others takes few requests', async (t) => {
  const s = spied(t)
  await Promise.all(
    upTo(200).map((n) =>
      s.workflows.createRun({ runId: `r${n}`, workflow: 'theirs', position: { kind: 'step', stepId: STEP } }),
    ),
  )
  await s.db.health()
  await t.sleep(10)
  await s.workflows.createRun({ runId: RUN, workflow: 'mine', position: { kind: 'step', stepId: STEP } })
  await t.sleep(10)
  const find = () => s.claims.findAvailableTasks({ workerId: WORKER, workflows: ['mine'], limit: 1 })
  equal(
    (await find()).map(({ runId }) => runId),
    [RUN],
  )
  ok((await s.cost(find)) < 16, 'Requests')
})
