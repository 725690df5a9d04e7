/** Leases: claims are released, extended and taken away. @module */
import { equal, ok, rejects } from '../assert.ts'
import { atOnce, upTo, isNear } from '../build.ts'
import { type Case, defineCase } from '../case.ts'
import type { Claim } from '../../stores/claims/store.ts'
import { changesNothing, losing, RUN, stores, verdict } from '../stores.ts'
import { begin, erase, LEASE, outlive, STEP, sweep, take, WORKER } from './runs.ts'

export const released: Case = defineCase('CL-201', 'a released step can be claimed by another worker', async (t) => {
  const [a, b] = [stores(t), stores(t)]
  await begin(t, a)
  const claim = await take(a, { ttl: 60_000 })
  equal(await a.claims.releaseTaskClaim(claim), undefined)
  equal(await b.claims.getClaim(RUN, { stepId: STEP }), undefined)
  equal((await take(b, { workerId: 'worker-2' })).workerId, 'worker-2')
})

/** The same worker after a restart is another one. */
export const notMine: Case = defineCase(
  'CL-202',
  'a worker without its claim can neither release nor extend it',
  async (t) => {
    const [late, next] = [stores(t), stores(t)]
    await begin(t, late)
    for (const workerId of ['worker-2', WORKER]) {
      const lost = await take(late, { ttl: LEASE })
      await outlive(t)
      const mine = await take(next, { workerId, ttl: 60_000 })
      await changesNothing(t, async () => {
        for (const { claims } of [late, next, stores(t)]) {
          await rejects(claims.releaseTaskClaim(lost), 'CLAIM_LOST')
          await rejects(claims.extendTaskClaim(lost, 60_000), 'CLAIM_LOST')
        }
      })
      await next.claims.releaseTaskClaim(mine)
    }
  },
)

/** An expired claim is not revived, even if no one took it over. */
export const nothingThere: Case = defineCase(
  'CL-203',
  'a claim that is gone cannot be released or extended',
  async (t) => {
    const s = stores(t)
    await begin(t, s)
    async function refused(claim: Claim): Promise<void> {
      await sweep(s)
      await changesNothing(t, async () => {
        for (const { claims } of [s, stores(t)]) {
          await rejects(claims.releaseTaskClaim(claim), 'NOT_FOUND')
          await rejects(claims.extendTaskClaim(claim, 60_000), 'NOT_FOUND')
        }
      })
    }
    const given = await take(s, { ttl: 60_000 })
    await s.claims.releaseTaskClaim(given)
    await refused(given)
    const expired = await take(s, { ttl: LEASE })
    await outlive(t)
    await rejects(s.claims.extendTaskClaim(expired, 60_000), 'NOT_FOUND')
    await refused(await take(s, { stepId: 'over', ttl: 0 }))
    const lasting = await take(s)
    await erase(t)
    await refused(lasting)
  },
)

/** From now, not added to the rest. */
export const extended: Case = defineCase('CL-204', 'an extension counts from now', async (t) => {
  const s = stores(t)
  await begin(t, s)
  const claim = await take(s, { ttl: 60_000 })
  const end = async (): Promise<number> =>
    (await stores(t).claims.getClaim(RUN, { stepId: STEP }))?.expiresAt ?? Number.NaN
  const first = await end()
  await t.sleep(50)
  const longer = await s.claims.extendTaskClaim(claim, 60_000)
  const second = await end()
  ok(second > first && second < first + 60_000, 'Later, and not twice as long')
  equal({ ...longer, expiresAt: 0 }, { ...claim, expiresAt: 0 })
  ok(isNear(longer.expiresAt!, second), 'As it was told')
  await s.claims.extendTaskClaim(longer, 30_000)
  ok((await end()) < first, 'It can be shortened')
  await s.claims.extendTaskClaim(claim, LEASE)
  await outlive(t)
  equal(await s.claims.getClaim(RUN, { stepId: STEP }), undefined)
})

/** A heartbeat keeps the claim, with the old or the new object. */
export const heartbeat: Case = defineCase('CL-205', 'a claim extended in time does not expire', async (t) => {
  const [a, b] = [stores(t), stores(t)]
  await begin(t, a)
  const claim = await take(a, { ttl: 2 * LEASE })
  for (const _ of upTo(4)) {
    await t.sleep(LEASE)
    const { id, token } = await a.claims.extendTaskClaim(claim, 2 * LEASE)
    equal([id, token], [claim.id, claim.token])
    equal(await b.claims.claimTask({ runId: RUN, stepId: STEP, workerId: 'worker-2' }), undefined)
  }
  // From a process that has only the claim as it was sent.
  const sent = JSON.parse(JSON.stringify(claim)) as Claim
  await b.claims.extendTaskClaim(sent, 60_000)
  await a.claims.extendTaskClaim(claim, 60_000)
  await b.claims.releaseTaskClaim(sent)
  await rejects(a.claims.releaseTaskClaim(claim), 'NOT_FOUND')
})

export const withoutEnd: Case = defineCase(
  'CL-206',
  'a claim without expiry stays without one when extended',
  async (t) => {
    const s = stores(t)
    await begin(t, s)
    const claim = await take(s)
    await changesNothing(t, async () => equal(await s.claims.extendTaskClaim(claim, LEASE), claim))
    await outlive(t)
    equal(await stores(t).claims.getClaim(RUN, { stepId: STEP }), claim)
    await s.claims.releaseTaskClaim(claim)
    await rejects(s.claims.extendTaskClaim(claim, LEASE), 'NOT_FOUND')
  },
)

/** Otherwise, a dead worker's claim without expiry blocks the run for ever. */
export const forced: Case = defineCase('CL-207', 'an operator can take any claim away', async (t) => {
  const [dead, admin] = [stores(t), stores(t)]
  await begin(t, dead)
  const [claim, whole] = [await take(dead), await take(dead, { stepId: undefined })]
  equal(await admin.claims.forceReleaseClaim(RUN, { stepId: STEP }), true)
  equal(await admin.claims.forceReleaseClaim(RUN, { stepId: STEP }), false)
  equal(await admin.claims.forceReleaseClaim('other', { stepId: STEP }), false)
  await rejects(dead.state.set('k', 'v', { claim }), 'CLAIM_LOST')
  equal(await dead.claims.getClaim(RUN), whole)
  equal(await admin.claims.forceReleaseClaim(RUN), true)
  await rejects(dead.claims.releaseTaskClaim(whole), 'NOT_FOUND')
  await take(admin, { workerId: 'worker-2' })
})

/** One of several callers releases the claim. */
export const releasedTwice: Case = defineCase('CL-208', 'a claim is released once', async (t) => {
  const [a, b] = [stores(t), stores(t)]
  await begin(t, a)
  const claim = await take(a, { ttl: 60_000 })
  await a.claims.extendTaskClaim(claim, 60_000)
  const all = await atOnce(6, (i) => verdict((i % 2 ? a : b).claims.releaseTaskClaim(claim)))
  equal(all.filter((it) => it === undefined).length, 1)
  equal(all.filter((it) => it === 'NOT_FOUND').length, 5)
})

/** Claiming, extending and taking over at the moment of expiry: only one succeeds. */
export const atExpiry: Case = defineCase(
  'CL-209',
  'at its expiry a claim is either extended or taken over',
  async (t) => {
    const [a, b] = [stores(t), stores(t)]
    await begin(t, a)
    for (const n of upTo(4)) {
      const stepId = `step ${n}`
      const claim = await take(a, { stepId, ttl: LEASE })
      await t.sleep(n % 2 ? LEASE : LEASE - 20)
      const [kept, ...stolen] = await Promise.all([
        verdict(a.claims.extendTaskClaim(claim, 60_000)),
        ...upTo(4).map((i) => (i % 2 ? a : b).claims.claimTask({ runId: RUN, stepId, workerId: `thief ${i}` })),
      ])
      const thieves = stolen.filter((it) => it !== undefined)
      const holder = (await stores(t).claims.getClaim(RUN, { stepId }))!
      if (typeof kept === 'string') {
        ok(kept === 'NOT_FOUND' || kept === 'CLAIM_LOST', 'It is told')
        equal([thieves.length, thieves[0]?.id], [1, holder.id])
        ok(holder.token > claim.token, 'A larger token')
      } else {
        equal([thieves.length, holder.id], [0, claim.id])
      }
    }
  },
)

/** A claim whose answer was lost belongs to nobody, and expires. */
export const lostAnswer: Case = defineCase('CL-210', 'a claim whose answer is lost expires by itself', async (t) => {
  const line = losing(t.driver)
  const s = stores(t, { driver: line.driver })
  await begin(t, s)
  line.lose()
  equal(
    (await rejects(s.claims.claimTask({ runId: RUN, stepId: STEP, workerId: WORKER, ttl: LEASE }), 'UNAVAILABLE'))
      .ambiguous,
    true,
  )
  equal(await s.claims.claimTask({ runId: RUN, stepId: STEP, workerId: WORKER }), undefined)
  await outlive(t)
  const claim = await take(s, { ttl: 60_000 })
  line.lose()
  equal(await verdict(s.claims.extendTaskClaim(claim, 60_000)), 'UNAVAILABLE')
  await s.claims.extendTaskClaim(claim, 60_000)
  line.lose()
  equal(await verdict(s.claims.releaseTaskClaim(claim)), 'UNAVAILABLE')
  await rejects(s.claims.releaseTaskClaim(claim), 'NOT_FOUND')
})
