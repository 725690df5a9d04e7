/** Fences: a write under a claim takes effect only while the claim is held. @module */
import { innerOf } from '../../core/database.ts'
import type { Lease } from '../../core/fence.ts'
import type { Claim } from '../../stores/claims/store.ts'
import { equal, ok, rejects } from '../assert.ts'
import { atOnce, upTo } from '../build.ts'
import { type Case, type Context, defineCase } from '../case.ts'
import { changesNothing, event, RUN, type Stores, several, spied, stores, verdict } from '../stores.ts'
import { begin, erase, LEASE, outlive, STEP, sweep, take, WORKER } from './runs.ts'

type Write = (s: Stores, options: { claim: Lease }) => Promise<unknown>

/** Every method that writes, each with something to do every time. */
const WRITES: Readonly<Record<string, Write>> = {
  append: ({ log }, o) => log.append(event('b'), o),
  appendWithKey: ({ log, db }, o) => log.append(event('b', { idempotencyKey: innerOf(db).newId() }), o),
  appendBatch: ({ log }, o) => log.appendBatch([event('b'), event('c')], o),
  appendWithFields: ({ log }, o) => log.append(event('b'), { ...o, run: { priority: 2 } }),
  resume: ({ log }, o) => log.resume(RUN, 1, o),
  saveIntervention: ({ log }, o) => log.saveIntervention(RUN, { targetStep: STEP }, o),
  consumeIntervention: ({ log }, o) => log.consumeIntervention(RUN, o),
  set: ({ state }, o) => state.set('text', 'new', o),
  setOfRun: ({ state }, o) => state.set('text', 'new', { ...o, runId: RUN }),
  setJson: ({ state }, o) => state.setJson('json', [1], o),
  increment: ({ state }, o) => state.increment('n', o),
  getAndDelete: ({ state }, o) => state.getAndDelete('text', o),
  setIfAbsent: ({ state, db }, o) => state.setIfAbsent(innerOf(db).newId(), 'v', o),
  setIfAbsentAgain: ({ state }, o) => state.setIfAbsent('n', 'v', o),
  delete: ({ state }, o) => state.delete('json', o),
  saveSnapshot: ({ state }, o) => state.saveSnapshot({ runId: RUN, state: 1 }, o),
  deleteSnapshot: ({ state }, o) => state.deleteSnapshot(RUN, o),
  deleteExecutionState: ({ state }, o) => state.deleteExecutionState(RUN, o),
  claimTask: ({ claims, db }, o) => claims.claimTask({ runId: RUN, stepId: innerOf(db).newId(), workerId: WORKER }, o),
  forceReleaseClaim: ({ claims }, o) => claims.forceReleaseClaim(RUN, { stepId: 'other', ...o }),
  complete: ({ log }, o) => log.complete(RUN, 'completed', { ...o, event: { kind: 'end' } }),
}

/** A run with something to do for each of them. */
async function prepare(t: Context, s: Stores): Promise<void> {
  await begin(t, s)
  for (const _ of upTo(3)) await s.log.saveIntervention(RUN, { targetStep: STEP })
  await s.state.set('text', 'old')
  await s.state.set('n', '5')
  await s.state.setJson('json', 1)
  await s.state.saveSnapshot({ runId: RUN, state: 0 })
  await take(s, { stepId: 'other' })
}

/** Asserts that every write under the claim is refused, by stores with and without caches. */
const refused = (t: Context, known: Stores, claim: Lease): Promise<void> =>
  changesNothing(t, async () => {
    for (const [name, write] of Object.entries(WRITES)) {
      for (const s of [known, stores(t)]) equal(await verdict(write(s, { claim })), 'CLAIM_LOST', name)
    }
  })

/** Every write accepts a fence. While the claim is held, it has no effect. */
export const held: Case = defineCase('CL-601', 'while a claim is held every write under it takes effect', async (t) => {
  const s = stores(t)
  await prepare(t, s)
  const claim = await take(s, { ttl: 600_000 })
  for (const [name, write] of Object.entries(WRITES)) {
    const before = await t.dump()
    ok((await write(s, { claim })) !== false || name === 'setIfAbsentAgain', name)
    ok(name === 'setIfAbsentAgain' || JSON.stringify(await t.dump()) !== JSON.stringify(before), `${name} has changed`)
  }
  equal((await stores(t).claims.getClaim(RUN, { stepId: STEP }))?.id, claim.id)
})

/** A worker that was paused, was taken for dead, and goes on. */
export const expired: Case = defineCase('CL-602', 'an expired claim lets nothing be written', async (t) => {
  const s = stores(t)
  await prepare(t, s)
  const claim = await take(s, { ttl: LEASE })
  await s.log.append(event('b'), { claim })
  await outlive(t)
  await sweep(s)
  await refused(t, s, claim)
})

/** After a release, the claim is void. */
export const released: Case = defineCase('CL-603', 'a released claim lets nothing be written', async (t) => {
  const s = stores(t)
  await prepare(t, s)
  const claim = await take(s, { ttl: 600_000 })
  await s.log.append(event('b'), { claim })
  await s.claims.releaseTaskClaim(claim)
  await refused(t, s, claim)
  const forced = await take(s)
  await s.claims.forceReleaseClaim(RUN, { stepId: STEP })
  await refused(t, s, forced)
})

/** The same worker after a restart is another one. */
export const takenOver: Case = defineCase(
  'CL-604',
  'a claim that was taken over lets nothing be written',
  async (t) => {
    const [late, next] = [stores(t), stores(t)]
    await prepare(t, late)
    for (const workerId of ['worker-2', WORKER]) {
      const lost = await take(late, { ttl: LEASE })
      await late.state.set('mine', '1', { claim: lost })
      await outlive(t)
      const claim = await take(next, { workerId, ttl: 600_000 })
      await refused(t, late, lost)
      await next.state.set('mine', '2', { claim })
      await next.claims.releaseTaskClaim(claim)
    }
  },
)

/** A worker on the old run must not write into the new one. */
export const erased: Case = defineCase('CL-605', 'a claim on a deleted run lets nothing be written', async (t) => {
  const s = stores(t)
  await prepare(t, s)
  const claim = await take(s)
  await erase(t)
  await changesNothing(t, async () => {
    for (const [name, write] of Object.entries(WRITES)) {
      for (const it of [s, stores(t)]) {
        // Calls that need the run report that it is gone.
        const found = await verdict(write(it, { claim }))
        ok(found === 'CLAIM_LOST' || found === 'NOT_FOUND' || found === undefined, `${name}: ${String(found)}`)
      }
    }
  })
  await prepare(t, stores(t))
  await refused(t, s, claim)
})

/** A write need not know of heartbeats, of this process or another. */
export const extended: Case = defineCase(
  'CL-606',
  'a claim that was extended meanwhile still allows writes',
  async (t) => {
    const [s, other] = [stores(t), stores(t)]
    await prepare(t, s)
    const claim = await take(s, { ttl: 600_000 })
    for (const [name, write] of Object.entries(WRITES)) {
      await (name < 'd' ? other : s).claims.extendTaskClaim(claim, 600_000)
      const found = await verdict(write(s, { claim }))
      ok(found !== 'CLAIM_LOST', name)
    }
    equal((await stores(t).log.load(RUN))?.completion, 'completed')
  },
)

/** Work longer than its lease is not given to another worker while heartbeats come. */
export const heartbeat: Case = defineCase(
  'CL-607',
  'a worker that extends in time can write as long as it needs',
  async (t) => {
    const [a, b] = [stores(t), stores(t)]
    await begin(t, a)
    const claim = await take(a, { ttl: 3 * LEASE })
    for (const n of upTo(4)) {
      await t.sleep(LEASE)
      await a.claims.extendTaskClaim(claim, 3 * LEASE)
      equal((await b.claims.findAvailableTasks({ workerId: 'worker-2' })).length, 0)
      equal(await b.claims.claimTask({ runId: RUN, stepId: STEP, workerId: 'worker-2' }), undefined)
      equal((await a.log.append(event('beat'), { claim })).seq, n + 1)
    }
  },
)

/** A fence is one check of one commit. */
export const neighbours: Case = defineCase('CL-608', 'a refused write does not affect its neighbours', async (t) => {
  const s = stores(t)
  await begin(t, s)
  const [lost, mine] = [await take(s, { ttl: 0 }), await take(s, { stepId: 'other', ttl: 600_000 })]
  const found = await atOnce(9, (i) =>
    verdict(s.state.increment('n', i % 3 === 0 ? {} : { claim: i % 3 === 1 ? lost : mine })),
  )
  for (const i of upTo(9)) equal(found[i - 1] === 'CLAIM_LOST', (i - 1) % 3 === 1)
  equal(await s.state.get('n'), '6')
})

/** The writes of the last holder stay, whoever else wrote. */
export const succession: Case = defineCase(
  'CL-609',
  'each holder can write until the next one takes over',
  async (t) => {
    const handles = several(t, 3)
    await begin(t, handles[0]!)
    const claims: Claim[] = []
    for (const s of handles) {
      claims.push(await take(s, { ttl: 600_000 }))
      await handles[0]!.claims.forceReleaseClaim(RUN, { stepId: STEP })
    }
    const current = await take(handles[0]!, { ttl: 600_000 })
    const tokens = [...claims, current].map(({ token }) => token)
    equal(new Set(tokens).size, 4)
    equal(
      tokens,
      tokens.toSorted((x, y) => x - y),
    )
    const found = await atOnce(12, (i) =>
      verdict(handles[i % 3]!.log.append(event(`e${i}`), { claim: i < 9 ? claims[i % 3]! : current })),
    )
    equal(found.filter((it) => it === 'CLAIM_LOST').length, 9)
    equal(await handles[1]!.log.getLatestSeq(RUN), 4)
  },
)

/** A claim is plain data. */
export const sent: Case = defineCase('CL-610', 'a claim sent to another process fences there', async (t) => {
  const [a, b] = [stores(t), stores(t)]
  await begin(t, a)
  const claim = JSON.parse(JSON.stringify(await take(a, { ttl: 600_000 }))) as Lease
  await b.state.set('k', 'v', { claim })
  await a.claims.forceReleaseClaim(RUN, { stepId: STEP })
  await rejects(b.state.set('k', 'w', { claim }), 'CLAIM_LOST')
  equal(await b.state.get('k'), 'v')
})

/** A malformed claim must not count as no claim. */
export const malformed: Case = defineCase('CL-611', 'a write under a malformed claim is refused', async (t) => {
  const { state, log, cost } = spied(t)
  const { at, id } = { at: { part: 'p', key: 'k' }, id: 'x' }
  const requests = await cost(async () => {
    for (const claim of [
      {},
      { id },
      { at },
      { at: {}, id },
      { at, id: 5 },
      { at: { part: 'p' }, id },
      'claim',
      5,
      true,
    ]) {
      await rejects(state.set('k', 'v', { claim: claim as Lease }), 'INVALID_ARGUMENT')
      await rejects(log.append(event('a'), { claim: claim as Lease }), 'INVALID_ARGUMENT')
    }
  })
  equal(requests, 0)
  await rejects(state.set('k', 'v', { claim: { at, id } }), 'CLAIM_LOST')
})
