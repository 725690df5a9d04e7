/** Leases: one of several callers begins a compensation, and finishes it only while its lease is held. @module */
import { equal, ok, rejects } from '../assert.ts'
import { atOnce, upTo, isNear } from '../build.ts'
import { type Case, type Context, defineCase } from '../case.ts'
import { MANY_WRITERS } from '../many.ts'
import { changesNothing, event, losing, several, spied, stores, verdict } from '../stores.ts'
import { idempotencyStore } from '../../stores/idempotency/store.ts'
import { begun, compensate, key } from './keys.ts'

const LEASE = 1000

/** Lets a lease of {@link LEASE} expire. */
const outlive = (t: Context): Promise<void> => t.sleep(LEASE + 50)

/** Begun, pending, done. */
export const states: Case = defineCase(
  'ID-201',
  'one caller begins a compensation, and later it is done for all',
  async (t) => {
    const [mine, yours] = [stores(t), stores(t)]
    await Promise.all([mine.db.health(), yours.db.health()])
    const isIn = (at: number, ms: number): boolean => isNear(at, yours.db.now() + ms)
    const it = await begun(mine.marks.beginCompensation(key()))
    const seen = await yours.marks.beginCompensation(key())
    ok(seen.state === 'pending' && isIn(seen.until, 60_000), 'It is pending')
    ok(isIn(it.until, 60_000), 'Both are told when the lease expires')
    equal((await mine.marks.beginCompensation(key())).state, 'pending', 'For its own process, too')
    equal(await yours.marks.wasCompensated(key()), false, 'Begun is not done')
    equal(await mine.marks.finishCompensation(it), undefined)
    const done = await yours.marks.beginCompensation(key())
    ok(done.state === 'done' && isIn(done.at, 0), 'It is done')
    equal(await yours.marks.wasCompensated(key()), true)
  },
)

/** Asking and beginning are one step. */
export const oneBegins: Case = defineCase('ID-202', 'of concurrent callers one begins', async (t) => {
  const handles = several(t, 4)
  for (const seq of upTo(3)) {
    const starts = await atOnce(16, (i) => handles[i % 4]!.marks.beginCompensation(key({ seq })))
    equal(starts.filter(({ state }) => state === 'begun').length, 1)
    equal(starts.filter(({ state }) => state === 'pending').length, 15)
  }
})

/** Workflow #4173: between processes, too. */
export const oneProcess: Case = defineCase(
  'ID-203',
  'of several processes one begins',
  async (t) => {
    const clients = await Promise.all(upTo(3).map(() => t.reopen()))
    const handles = [t, ...clients].map(({ driver }) => idempotencyStore(t.db({ driver }), { tenant: t.tenant }))
    for (const seq of upTo(5)) {
      const starts = await atOnce(12, (i) => handles[i % 4]!.beginCompensation(key({ seq })))
      equal(starts.filter(({ state }) => state === 'begun').length, 1)
    }
  },
  MANY_WRITERS,
)

/** One failure, seen twice, calls the hook once. */
export const onlyOnce: Case = defineCase('ID-204', 'a hook that succeeded is not called again', async (t) => {
  const { marks } = stores(t)
  let calls = 0
  const hook = async (): Promise<void> => void calls++
  equal(await compensate(marks, key(), hook), true)
  equal(await compensate(marks, key(), hook), false)
  equal(await compensate(stores(t).marks, key(), hook), false)
  equal(calls, 1)
  equal(await compensate(marks, key({ seq: 7 }), hook), true, 'A second failure is another key')
})

/** A hook that failed may be called again at once. */
export const released: Case = defineCase('ID-205', 'a released compensation can be begun at once', async (t) => {
  const { marks } = stores(t)
  let calls = 0
  const hook = async (): Promise<void> => {
    if (++calls < 3) throw new Error('Not yet')
  }
  for (const n of upTo(2)) equal(await compensate(marks, key(), hook).catch(() => n), n)
  equal(await marks.wasCompensated(key()), false)
  equal(await compensate(stores(t).marks, key(), hook), true)
  equal([calls, await marks.wasCompensated(key())], [3, true])
})

/** A compensation that never ended is begun again. */
export const crashed: Case = defineCase('ID-206', 'once a lease expires, the next caller can begin', async (t) => {
  const [dead, next] = [stores(t).marks, stores(t).marks]
  const first = await begun(dead.beginCompensation(key(), { lease: LEASE }))
  equal((await next.beginCompensation(key())).state, 'pending')
  await outlive(t)
  equal(await next.wasCompensated(key()), false)
  const second = await begun(next.beginCompensation(key()))
  ok(second.lease.id !== first.lease.id, 'Another lease')
  await next.finishCompensation(second)
  equal(await next.wasCompensated(key()), true)
})

/** Langgraph #8796: a paused process must not finish a compensation that another has begun. */
export const fenced: Case = defineCase('ID-207', 'a lost lease can neither finish nor release', async (t) => {
  const [late, next] = [stores(t).marks, stores(t).marks]
  const lost = await begun(late.beginCompensation(key(), { lease: LEASE }))
  await outlive(t)
  const refused = (): Promise<void> =>
    changesNothing(t, async () => {
      await rejects(late.finishCompensation(lost), 'CLAIM_LOST')
      await rejects(late.finishCompensation(lost, { ttl: 1000 }), 'CLAIM_LOST')
      equal(await late.releaseCompensation(lost), false)
    })
  await rejects(late.finishCompensation(lost), 'CLAIM_LOST')
  const held = await begun(next.beginCompensation(key()))
  await refused()
  await next.finishCompensation(held)
  await refused()
})

/** After a release, the lease is void. */
export const releasedTwice: Case = defineCase('ID-208', 'a released compensation cannot be finished', async (t) => {
  const { marks } = stores(t)
  const it = await begun(marks.beginCompensation(key()))
  equal([await marks.releaseCompensation(it), await marks.releaseCompensation(it)], [true, false])
  await rejects(marks.finishCompensation(it), 'CLAIM_LOST')
  equal(await marks.wasCompensated(key()), false)
  const again = await begun(marks.beginCompensation(key()))
  await marks.finishCompensation(again)
  equal(await marks.releaseCompensation(again), false, 'Nor the other way round')
  equal(await marks.wasCompensated(key()), true)
})

/** The answer was lost, so the call is repeated. */
export const repeated: Case = defineCase('ID-209', 'finishing again succeeds and changes nothing', async (t) => {
  const line = losing(t.driver)
  const { marks } = stores(t, { driver: line.driver })
  const it = await begun(marks.beginCompensation(key()))
  line.lose()
  equal(await verdict(marks.finishCompensation(it)), 'UNAVAILABLE')
  await changesNothing(t, async () => {
    await marks.finishCompensation(it)
    await stores(t).marks.finishCompensation(JSON.parse(JSON.stringify(it)) as typeof it, { ttl: LEASE })
  })
})

/** An operator may decide otherwise. */
export const markedMeanwhile: Case = defineCase('ID-210', 'marking ends a compensation under way', async (t) => {
  const { marks } = stores(t)
  const it = await begun(marks.beginCompensation(key()))
  equal([await marks.markCompensated(key()), await marks.markCompensated(key())], [true, false])
  equal((await marks.beginCompensation(key())).state, 'done')
  await rejects(marks.finishCompensation(it), 'CLAIM_LOST')
  equal(await marks.releaseCompensation(it), false)
  equal(await marks.wasCompensated(key()), true)
})

/** Writes of the hook can depend on the lease. */
export const asClaim: Case = defineCase('ID-211', 'the lease of a compensation fences other writes', async (t) => {
  const { marks, log, state } = stores(t)
  const it = await begun(marks.beginCompensation(key()))
  const claim = it.lease
  await log.append(event('undone'), { claim })
  await state.set('refund', '1', { claim })
  await marks.finishCompensation(it, { claim })
  await rejects(log.append(event('undone'), { claim }), 'CLAIM_LOST')
  const expiring = await begun(marks.beginCompensation(key({ seq: 1 }), { lease: LEASE }))
  await outlive(t)
  await begun(marks.beginCompensation(key({ seq: 1 })))
  await rejects(state.set('refund', '2', { claim: expiring.lease }), 'CLAIM_LOST')
  equal([await log.getLatestSeq(event('').runId), await state.get('refund')], [1, '1'])
})

/** Every write of the store can depend on a claim. */
export const byClaim: Case = defineCase('ID-212', 'under a lost claim, no call writes marks', async (t) => {
  const { marks } = stores(t)
  const { lease: claim } = await begun(marks.beginCompensation(key({ kind: 'claim' })))
  await marks.markCompensated(key(), { claim })
  const second = await begun(marks.beginCompensation(key({ seq: 2 }), { claim }))
  equal(await marks.releaseCompensation(second, { claim }), true)
  const third = await begun(marks.beginCompensation(key({ seq: 3 }), { claim }))
  await marks.finishCompensation(third, { claim })
  equal(await marks.purgeOlderThan(Number.MAX_SAFE_INTEGER, { claim, limit: 1 }), 1)
  const open = await begun(marks.beginCompensation(key({ seq: 4 })))
  equal(await marks.releaseCompensation({ state: 'begun', lease: claim, until: 0 }), true)
  await changesNothing(t, async () => {
    await rejects(marks.markCompensated(key({ seq: 5 }), { claim }), 'CLAIM_LOST')
    await rejects(marks.beginCompensation(key({ seq: 5 }), { claim }), 'CLAIM_LOST')
    await rejects(marks.finishCompensation(open, { claim }), 'CLAIM_LOST')
    await rejects(marks.releaseCompensation(open, { claim }), 'CLAIM_LOST')
    await rejects(marks.purgeOlderThan(Number.MAX_SAFE_INTEGER, { claim }), 'CLAIM_LOST')
  })
})

/** A failing store leaves nothing in the way. */
export const failing: Case = defineCase('ID-213', 'a store that cannot be reached has begun nothing', async (t) => {
  const { marks, spy } = spied(t)
  spy.fail('commit', new Error('Down'), new Error('Down'))
  spy.fail('read', new Error('Down'))
  await rejects(marks.wasCompensated(key()), 'BACKEND')
  equal((await rejects(marks.beginCompensation(key()), 'BACKEND')).ambiguous, true)
  await rejects(marks.markCompensated(key()), 'BACKEND')
  let calls = 0
  equal(await compensate(marks, key(), async () => void calls++), true)
  equal(calls, 1)
})

/** At least once: if the answer is lost, nobody holds the lease. */
export const lostBegin: Case = defineCase('ID-214', 'a lease whose answer was lost expires', async (t) => {
  const line = losing(t.driver)
  const { marks } = stores(t, { driver: line.driver })
  line.lose()
  equal(await verdict(marks.beginCompensation(key(), { lease: LEASE })), 'UNAVAILABLE')
  equal((await marks.beginCompensation(key())).state, 'pending')
  await outlive(t)
  await begun(marks.beginCompensation(key()))
})
