/** Marks: compensations that are done, for ever or for a time. @module */
import type { CompensationKey } from '../../stores/idempotency/store.ts'
import { tenantParts } from '../../core/keys.ts'
import { equal } from '../assert.ts'
import { atOnce } from '../build.ts'
import { type Case, type Context, defineCase } from '../case.ts'
import { changesNothing, losing, ODD_IDS, several, stores, verdict } from '../stores.ts'
import { begun, key } from './keys.ts'

const LIFE = 1000
const LONG = 600_000

/** Lets a mark that lives {@link LIFE} expire. */
const outlive = (t: Context): Promise<void> => t.sleep(LIFE + 50)

/** Unknown, marked, known. */
export const roundTrip: Case = defineCase('ID-101', 'a marked compensation was made', async (t) => {
  const { marks } = stores(t)
  equal(await marks.wasCompensated(key()), false)
  equal(await marks.markCompensated(key()), true)
  equal(await marks.wasCompensated(key()), true)
  equal(await stores(t).marks.wasCompensated(key()), true, 'For others, too')
  equal(await marks.wasCompensated(key({ runId: 'other' })), false)
})

/** Marking twice is fine. */
export const twice: Case = defineCase('ID-102', 'marking again changes nothing, and says so', async (t) => {
  const { marks } = stores(t)
  equal(await marks.markCompensated(key()), true)
  const first = await marks.beginCompensation(key())
  await t.sleep(5)
  await changesNothing(t, async () => {
    equal(await marks.markCompensated(key()), false)
    equal(await marks.markCompensated(key(), { ttl: LIFE }), false)
    equal(await stores(t).marks.markCompensated(key()), false)
  })
  equal(await marks.beginCompensation(key()), first, 'The time of the first mark stays')
})

/** One caller makes the mark if several try at once. */
export const concurrent: Case = defineCase('ID-103', 'of concurrent marks one is new', async (t) => {
  const handles = several(t, 4)
  for (const seq of [1, 2, 3]) {
    const news = await atOnce(12, (i) => handles[i % 4]!.marks.markCompensated(key({ seq })))
    equal(news.filter((it) => it).length, 1)
  }
})

/** Every member of the key counts. */
export const members: Case = defineCase('ID-104', 'another step, kind, workflow or seq is another mark', async (t) => {
  const { marks } = stores(t)
  const keys: CompensationKey[] = [
    key(),
    key({ kind: 'cancelled' }),
    key({ workflow: 'other' }),
    key({ stepId: 'charge' }),
    key({ stepId: 'ship' }),
    key({ stepId: 'charge', seq: 0 }),
    key({ stepId: 'charge', seq: 1 }),
    key({ seq: 0 }),
    key({ seq: 1 }),
    key({ seq: Number.MAX_SAFE_INTEGER }),
    key({ stepId: '0' }),
    key({ stepId: '0000000000000001' }),
  ]
  for (const [i, it] of keys.entries()) {
    equal(
      await Promise.all(keys.map((other) => marks.wasCompensated(other))),
      keys.map((_, other) => other < i),
    )
    equal(await marks.markCompensated(it), true)
  }
  equal(await marks.wasCompensated(key({ stepId: undefined, seq: undefined })), true, 'Undefined is left out')
})

/** Ids may contain any separator. */
export const oddKeys: Case = defineCase('ID-105', 'keys of any characters never collide', async (t) => {
  const { marks } = stores(t)
  const keys = [
    ...ODD_IDS.flatMap((id) => [
      key({ runId: id }),
      key({ workflow: id }),
      key({ kind: id }),
      key({ stepId: id }),
      { runId: id, workflow: id, kind: id, stepId: id },
    ]),
    ...[':', '!', '/', '|', '\0', '"'].flatMap((by) => [
      { runId: `x${by}y`, workflow: 'z', kind: 'k' },
      { runId: 'x', workflow: `y${by}z`, kind: 'k' },
      { runId: 'x', workflow: 'y', kind: `z${by}k` },
      { runId: 'x', workflow: 'y', kind: 'z', stepId: `${by}k` },
      { runId: 'x', workflow: 'y', kind: `z${by}`, stepId: 'k' },
    ]),
  ]
  equal(
    await Promise.all(keys.map((it) => marks.markCompensated(it))),
    keys.map(() => true),
  )
  equal(
    await Promise.all(keys.map((it) => marks.markCompensated(it))),
    keys.map(() => false),
  )
  equal(await marks.purgeOlderThan(Number.MAX_SAFE_INTEGER), keys.length)
  equal(
    await Promise.all(keys.map((it) => marks.wasCompensated(it))),
    keys.map(() => false),
  )
})

/** Tenants with equal keys see nothing of each other. */
export const tenants: Case = defineCase('ID-106', 'marks of another tenant do not count', async (t) => {
  const [acme, other] = [stores(t, {}, 'acme').marks, stores(t, {}, 'acme!marks').marks]
  await acme.markCompensated(key())
  const held = await begun(acme.beginCompensation(key({ seq: 1 })))
  equal([await other.wasCompensated(key()), await other.markCompensated(key())], [false, true])
  await begun(other.beginCompensation(key({ seq: 1 })))
  equal(await verdict(other.finishCompensation(held)), 'INVALID_ARGUMENT', 'Not its own')
  equal(await verdict(other.releaseCompensation(held)), 'INVALID_ARGUMENT')
  equal(await other.purgeOlderThan(Number.MAX_SAFE_INTEGER), 1)
  equal([await acme.wasCompensated(key()), await other.wasCompensated(key())], [true, false])
})

/** A mark with a time to live is gone after it. */
export const expires: Case = defineCase('ID-107', 'a mark exists for its time to live, and not after', async (t) => {
  const { marks } = stores(t)
  const [short, long, ever] = [key({ kind: 'short' }), key({ kind: 'long' }), key({ kind: 'ever' })]
  const finished = key({ kind: 'finished' })
  await marks.markCompensated(long, { ttl: LONG })
  await marks.finishCompensation(await begun(marks.beginCompensation(ever)))
  const it = await begun(marks.beginCompensation(finished))
  await Promise.all([marks.markCompensated(short, { ttl: LIFE }), marks.finishCompensation(it, { ttl: LIFE })])
  equal([await marks.wasCompensated(short), await marks.wasCompensated(finished)], [true, true])
  await outlive(t)
  equal([await marks.wasCompensated(short), await marks.wasCompensated(finished)], [false, false])
  equal([await marks.wasCompensated(long), await marks.wasCompensated(ever)], [true, true])
  equal(await marks.markCompensated(short), true, 'News again')
  await begun(marks.beginCompensation(finished))
})

/** Conductor #2398: an index entry must not outlive its target. */
export const indexExpires: Case = defineCase('ID-108', 'an expired mark leaves nothing in the index', async (t) => {
  const { marks } = stores(t)
  const part = tenantParts(t.tenant).marked
  const it = await begun(marks.beginCompensation(key({ seq: 2 })))
  await Promise.all([
    marks.markCompensated(key({ seq: 1 }), { ttl: LIFE }),
    marks.finishCompensation(it, { ttl: LIFE }),
  ])
  equal((await t.all({ part })).length, 2)
  await outlive(t)
  equal((await t.all({ part })).length, 0)
  equal(await marks.purgeOlderThan(Number.MAX_SAFE_INTEGER), 0)
})

/** The answer was lost, so the call is repeated. */
export const repeated: Case = defineCase('ID-109', 'a mark whose answer was lost can be made again', async (t) => {
  const line = losing(t.driver)
  const { marks } = stores(t, { driver: line.driver })
  line.lose()
  equal(await verdict(marks.markCompensated(key())), 'UNAVAILABLE')
  equal(await marks.markCompensated(key()), false)
  equal(await marks.purgeOlderThan(Number.MAX_SAFE_INTEGER), 1)
})
