/** Claims: one of several workers gets the claim, with a token that only grows. @module */
import { equal, ok, rejects } from '../assert.ts'
import { atOnce, upTo, isNear } from '../build.ts'
import { type Case, defineCase } from '../case.ts'
import { wait } from '../context.ts'
import { MANY_WRITERS } from '../many.ts'
import { taskClaimStore } from '../../stores/claims/store.ts'
import { changesNothing, ODD_IDS, RUN, several, stores } from '../stores.ts'
import { begin, erase, LEASE, outlive, STEP, take, WORKER } from './runs.ts'

/** The same numbers in ascending order, each once. */
const grown = (numbers: readonly number[]): number[] => [...new Set(numbers)].sort((x, y) => x - y)

export const described: Case = defineCase('CL-101', 'a claim names its run, step, worker and expiry', async (t) => {
  const s = stores(t)
  await begin(t, s)
  const before = s.db.now()
  const claim = await take(s, { ttl: 60_000 })
  const { runId, stepId, workerId, token, claimedAt, expiresAt, id } = claim
  equal({ runId, stepId, workerId }, { runId: RUN, stepId: STEP, workerId: WORKER })
  ok(Number.isSafeInteger(token) && token > 0, 'It has a token')
  ok(isNear(claimedAt, before), 'By the clock of the backend')
  equal(expiresAt, claimedAt + 60_000)
  ok(typeof id === 'string' && id !== '', 'It has an id')
  const seen = await stores(t).claims.getClaim(RUN, { stepId: STEP })
  ok(isNear(seen!.expiresAt!, expiresAt!), 'When it expires')
  equal({ ...seen, expiresAt }, claim)
})

/** The same worker is no exception. */
export const held: Case = defineCase('CL-102', 'a claimed step cannot be claimed again', async (t) => {
  const [a, b] = [stores(t), stores(t)]
  await begin(t, a)
  const { token } = await take(a, { ttl: 60_000 })
  await changesNothing(t, async () => {
    for (const { claims } of [a, b]) {
      for (const workerId of [WORKER, 'worker-2']) {
        equal(await claims.claimTask({ runId: RUN, stepId: STEP, workerId }), undefined)
      }
    }
  })
  equal((await b.claims.getClaim(RUN, { stepId: STEP }))?.token, token)
})

export const overAtOnce: Case = defineCase('CL-103', 'a claim with ttl 0 expires at once', async (t) => {
  const [a, b] = [stores(t), stores(t)]
  await begin(t, a)
  const claim = await take(a, { ttl: 0 })
  equal(claim.expiresAt, claim.claimedAt)
  equal(await a.claims.getClaim(RUN, { stepId: STEP }), undefined)
  await rejects(a.state.set('k', 'v', { claim }), 'CLAIM_LOST')
  ok((await take(b, { workerId: 'worker-2' })).token > claim.token, 'A larger token')
})

export const forEver: Case = defineCase('CL-104', 'a claim without a time to live does not expire', async (t) => {
  const [a, b] = [stores(t), stores(t)]
  await begin(t, a)
  const claim = await take(a)
  equal('expiresAt' in claim, false)
  await outlive(t)
  equal(await b.claims.claimTask({ runId: RUN, stepId: STEP, workerId: 'worker-2' }), undefined)
  equal(await b.claims.getClaim(RUN, { stepId: STEP }), claim)
})

/** An expired claim is free, from the very time of its expiry. */
export const expired: Case = defineCase('CL-105', 'an expired claim can be taken by any worker', async (t) => {
  const [a, b] = [stores(t), stores(t)]
  await begin(t, a)
  const first = await take(a, { ttl: LEASE })
  equal(await b.claims.claimTask({ runId: RUN, stepId: STEP, workerId: 'worker-2' }), undefined)
  await outlive(t)
  equal(await b.claims.getClaim(RUN, { stepId: STEP }), undefined)
  const second = await take(b, { workerId: 'worker-2', ttl: 60_000 })
  ok(second.token > first.token && second.id !== first.id, 'Another claim')
  equal((await a.claims.getClaim(RUN, { stepId: STEP }))?.workerId, 'worker-2')
})

/** With one claim per run, branches could not be shared. */
export const separate: Case = defineCase('CL-106', 'claims of a run and of its steps are separate', async (t) => {
  const s = stores(t)
  await begin(t, s)
  const whole = await take(s, { stepId: undefined })
  equal('stepId' in whole, false)
  const steps = await Promise.all(['a', 'b', 'a!', 'claim'].map((stepId) => take(s, { stepId })))
  equal(new Set([whole, ...steps].map(({ id }) => id)).size, 5)
  equal(await s.claims.getClaim(RUN), whole)
  await s.claims.releaseTaskClaim(whole)
  equal(await s.claims.getClaim(RUN, { stepId: 'a' }), steps[0])
})

export const oddIds: Case = defineCase('CL-107', 'steps and workers can have any name', async (t) => {
  const s = stores(t)
  await begin(t, s)
  const taken = await Promise.all(ODD_IDS.map((id) => take(s, { stepId: id, workerId: id })))
  for (const [i, stepId] of ODD_IDS.entries()) {
    const claim = await s.claims.getClaim(RUN, { stepId })
    equal([claim?.workerId, claim?.id], [stepId, taken[i]!.id])
  }
  equal(new Set(taken.map(({ id }) => id)).size, ODD_IDS.length)
  equal(await s.claims.getClaim(RUN), undefined)
})

/** Postgres did so, other backends did not. */
export const unknownRun: Case = defineCase('CL-108', 'a run that does not exist cannot be claimed', async (t) => {
  const [a, b] = [stores(t), stores(t)]
  await begin(t, a)
  await take(a)
  await erase(t)
  await changesNothing(t, async () => {
    for (const { claims } of [a, b]) {
      await rejects(claims.claimTask({ runId: RUN, stepId: STEP, workerId: WORKER }), 'NOT_FOUND')
      await rejects(claims.claimTask({ runId: 'other', workerId: WORKER }), 'NOT_FOUND')
      equal(await claims.getClaim(RUN, { stepId: STEP }), undefined)
    }
  })
})

/** An ended run has no work. */
export const endedRun: Case = defineCase('CL-109', 'a run that has ended cannot be claimed', async (t) => {
  const [a, b] = [stores(t), stores(t)]
  await begin(t, a)
  await a.log.complete(RUN, 'completed')
  await changesNothing(t, async () => {
    for (const { claims } of [a, b]) {
      equal(await claims.claimTask({ runId: RUN, stepId: STEP, workerId: WORKER }), undefined)
      equal(await claims.claimTask({ runId: RUN, workerId: WORKER }), undefined)
    }
  })
})

/** The token strictly increases, whatever happened to earlier claims. */
export const tokens: Case = defineCase('CL-110', 'every claim has a larger token than earlier ones', async (t) => {
  const [a, b] = [stores(t), stores(t)]
  await begin(t, a)
  const seen: number[] = []
  for (const i of upTo(3)) {
    const released = await take(i % 2 ? a : b)
    await b.claims.releaseTaskClaim(released)
    const gone = await take(b, { ttl: 0 })
    const forced = await take(a)
    equal(await b.claims.forceReleaseClaim(RUN, { stepId: STEP }), true)
    seen.push(released.token, gone.token, forced.token)
  }
  equal(seen, grown(seen), 'Each is larger than those before')
})

/** vercel/workflow #4173: twelve of twelve succeeded. */
export const oneWins: Case = defineCase('CL-111', 'of concurrent claims exactly one succeeds', async (t) => {
  const handles = several(t, 4)
  await begin(t, handles[0]!)
  for (const n of upTo(4)) {
    const stepId = `step ${n}`
    const got = await atOnce(16, (i) =>
      handles[i % 4]!.claims.claimTask({ runId: RUN, stepId, workerId: `worker ${i}`, ttl: 60_000 }),
    )
    const winners = got.filter((claim) => claim !== undefined)
    equal(winners.length, 1)
    equal((await handles[n % 4]!.claims.getClaim(RUN, { stepId }))?.id, winners[0]?.id)
  }
})

/** titen #102: with late answers, eight of eight succeeded. */
export const late: Case = defineCase('CL-116', 'of claims over a slow connection exactly one succeeds', async (t) => {
  const { driver } = t
  const slow = <T>(answer: Promise<T>): Promise<T> => wait(Math.random() * 5).then(() => answer)
  const handles = upTo(4).map(() =>
    stores(t, {
      driver: {
        ...driver,
        read: (reads, options) => slow(driver.read(reads, options)),
        commit: (request, options) => wait(Math.random() * 5).then(() => slow(driver.commit(request, options))),
      },
    }),
  )
  await begin(t, stores(t))
  const seen: number[] = []
  for (const n of upTo(5)) {
    const got = await atOnce(8, async (i) => {
      const { claims } = handles[i % 4]!
      const [offer] = await claims.findAvailableTasks({ workerId: `worker ${i}` })
      return offer && claims.claimTask({ ...offer, workerId: `worker ${i}` })
    })
    const winners = got.filter((claim) => claim !== undefined)
    equal(winners.length, 1)
    seen.push(winners[0]!.token)
    equal(seen, grown(seen))
    await handles[n % 4]!.claims.releaseTaskClaim(winners[0]!)
  }
})

/** dbos-py #541: two runners took the same row. */
export const oneProcess: Case = defineCase(
  'CL-112',
  'of several processes exactly one gets a claim',
  async (t) => {
    const clients = await Promise.all(upTo(3).map(() => t.reopen()))
    const handles = [t, ...clients].map(({ driver }) => taskClaimStore(t.db({ driver }), { tenant: t.tenant }))
    await begin(t, stores(t))
    for (const n of upTo(5)) {
      const got = await atOnce(12, (i) =>
        handles[i % 4]!.claimTask({ runId: RUN, stepId: `step ${n}`, workerId: WORKER }),
      )
      equal(got.filter((claim) => claim !== undefined).length, 1)
    }
  },
  MANY_WRITERS,
)

/** An outdated offer is no work: the claim decides. */
export const onOffer: Case = defineCase('CL-113', 'an outdated offer cannot be claimed', async (t) => {
  const [a, b] = [stores(t), stores(t)]
  await begin(t, a)
  const [offer] = await b.claims.findAvailableTasks({ workerId: 'worker-2' })
  ok(offer, 'It is offered')
  // Another worker does it meanwhile.
  const claim = await a.claims.claimTask({ ...offer, workerId: WORKER, ttl: 60_000 })
  const whole = await a.claims.claimTask({ ...offer, stepId: undefined, workerId: WORKER })
  ok(claim && whole, 'Both are claimed')
  await a.log.append({ runId: RUN, workflow: 'order', kind: 'charged' }, { claim, run: { position: null } })
  for (const it of [claim, whole]) await a.claims.releaseTaskClaim(it)
  await changesNothing(t, async () => {
    equal(await b.claims.claimTask({ ...offer, workerId: 'worker-2' }), undefined)
    equal(await a.claims.claimTask({ ...offer, workerId: 'worker-2' }), undefined)
    equal(await b.claims.claimTask({ ...offer, stepId: undefined, workerId: 'worker-2' }), undefined, 'As a whole')
  })
  await take(b, { workerId: 'worker-2' })
})

/** In another system, claims survived the deletion of their run. */
export const erased: Case = defineCase('CL-114', 'a deleted run leaves no claims', async (t) => {
  const s = stores(t)
  await begin(t, s)
  const claim = await take(s)
  await erase(t)
  await begin(t, stores(t))
  equal(await s.claims.getClaim(RUN, { stepId: STEP }), undefined)
  await rejects(s.claims.releaseTaskClaim(claim), 'NOT_FOUND')
  ok((await take(s)).id !== claim.id, 'Another claim')
  await rejects(s.claims.extendTaskClaim(claim, 1000), 'CLAIM_LOST')
})

export const tenants: Case = defineCase('CL-115', 'claims of a tenant cannot be reached by another', async (t) => {
  const [mine, yours] = [stores(t), stores(t, {}, `${t.tenant}!`)]
  await begin(t, mine)
  const claim = await take(mine)
  await rejects(yours.claims.claimTask({ runId: RUN, stepId: STEP, workerId: WORKER }), 'NOT_FOUND')
  await changesNothing(t, async () => {
    await rejects(yours.claims.releaseTaskClaim(claim), 'NOT_FOUND')
    await rejects(yours.claims.extendTaskClaim({ ...claim, expiresAt: 1 }, 1000), 'NOT_FOUND')
    equal(await yours.claims.forceReleaseClaim(RUN, { stepId: STEP }), false)
    equal(await yours.claims.getClaim(RUN, { stepId: STEP }), undefined)
    equal(await yours.claims.findAvailableTasks({ workerId: WORKER }), [])
  })
  await begin(t, yours)
  await take(yours)
  await mine.claims.releaseTaskClaim(claim)
})

/** An outside service remembers the largest token it has seen. A later worker must not look like a stale one. */
export const tokensOutlive: Case = defineCase(
  'CL-117',
  'tokens of a run id grow whatever happens to the run, in every process',
  async (t) => {
    const s = stores(t)
    const seen: number[] = []
    const claimBoth = async (): Promise<void> => {
      const whole = await take(stores(t), { stepId: undefined })
      const step = await take(stores(t))
      seen.push(step.token)
      await s.claims.releaseTaskClaim(whole)
      await s.claims.releaseTaskClaim(step)
    }
    await begin(t, s)
    await claimBoth()
    await s.workflows.deleteRun(RUN)
    await begin(t, s)
    await claimBoth()
    await s.workflows.prepareRun({ runId: RUN, workflow: 'order', policy: 'terminateExisting' })
    await claimBoth()
    await s.log.complete(RUN, 'completed')
    await s.workflows.deleteRun(RUN)
    await begin(t, s)
    await claimBoth()
    await claimBoth()
    equal(seen, grown(seen), 'Each is larger than those before')
  },
)
