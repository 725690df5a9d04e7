/** Purging old marks. @module */
import { idempotencyStore } from '../../stores/idempotency/store.ts'
import { equal, ok } from '../assert.ts'
import { upTo } from '../build.ts'
import { type Case, defineCase } from '../case.ts'
import { mentions, stores } from '../stores.ts'
import { begun, key } from './keys.ts'

const EVER = Number.MAX_SAFE_INTEGER

/** The stale mark is deleted, the fresh one stays. */
export const stale: Case = defineCase('ID-301', 'a purge deletes marks older than its cutoff', async (t) => {
  const { marks, db } = stores(t)
  await db.health()
  await marks.markCompensated(key({ kind: 'stale' }))
  await t.sleep(20)
  await db.health()
  const cutoff = db.now()
  await marks.markCompensated(key({ kind: 'fresh' }))
  equal(await marks.purgeOlderThan(0), 0)
  equal(await marks.purgeOlderThan(cutoff), 1)
  equal(await marks.purgeOlderThan(cutoff), 0)
  equal(await marks.wasCompensated(key({ kind: 'stale' })), false)
  equal(await marks.wasCompensated(key({ kind: 'fresh' })), true)
  equal([await mentions(t, 'stale'), await mentions(t, 'fresh')], [false, true])
})

export const strictly: Case = defineCase('ID-302', 'a mark made exactly at the cutoff stays', async (t) => {
  const { marks } = stores(t)
  await marks.markCompensated(key())
  const mark = await marks.beginCompensation(key())
  ok(mark.state === 'done', 'It is done')
  equal(await marks.purgeOlderThan(mark.at), 0)
  equal(await marks.wasCompensated(key()), true)
  equal(await marks.purgeOlderThan(mark.at + 1), 1)
  equal(await marks.wasCompensated(key()), false)
})

/** A compensation under way is never old. */
export const pending: Case = defineCase('ID-303', 'a purge keeps compensations under way', async (t) => {
  const { marks } = stores(t)
  const it = await begun(marks.beginCompensation(key()))
  await marks.markCompensated(key({ seq: 1 }))
  equal(await marks.purgeOlderThan(EVER), 1)
  equal((await marks.beginCompensation(key())).state, 'pending')
  await marks.finishCompensation(it)
  equal(await marks.purgeOlderThan(EVER), 1, 'Finished, it is a mark like any other')
  await begun(marks.beginCompensation(key()))
})

/** The oldest first, up to the limit. */
export const limited: Case = defineCase('ID-304', 'a purge deletes the oldest marks up to its limit', async (t) => {
  const { marks, db } = stores(t)
  await db.health()
  for (const seq of upTo(5)) {
    await marks.markCompensated(key({ seq }))
    await t.sleep(5)
    await db.health()
  }
  equal(await marks.purgeOlderThan(EVER, { limit: 2 }), 2)
  const left = await Promise.all(upTo(5).map((seq) => marks.wasCompensated(key({ seq }))))
  equal(left, [false, false, true, true, true])
  equal(await marks.purgeOlderThan(EVER, { limit: 3 }), 3)
  equal(await marks.purgeOlderThan(EVER, { limit: 3 }), 0)
})

/** Many, in batches, and nothing is left. */
export const many: Case = defineCase('ID-305', 'a purge of many marks leaves no key', async (t) => {
  const { marks } = stores(t)
  const n = 250
  await Promise.all(upTo(n).map((seq) => marks.markCompensated(key({ kind: 'gone', seq }))))
  equal(await marks.purgeOlderThan(EVER), n)
  equal(await mentions(t, 'gone'), false)
})

/** Two purges do not count the same mark twice. */
export const concurrent: Case = defineCase('ID-306', 'concurrent purges delete every mark once', async (t) => {
  const handles = [stores(t).marks, stores(t).marks, stores(t).marks]
  await Promise.all(upTo(60).map((seq) => handles[0]!.markCompensated(key({ seq }))))
  const counts = await Promise.all(handles.map((marks) => marks.purgeOlderThan(EVER)))
  equal(
    counts.reduce((sum, n) => sum + n, 0),
    60,
  )
})

/** A mark deleted and made again meanwhile is another mark. */
export const anew: Case = defineCase('ID-307', 'a purge keeps a mark that was made again meanwhile', async (t) => {
  const { marks } = stores(t)
  await marks.markCompensated(key())
  const db = t.db({
    driver: {
      ...t.driver,
      async read(reads, options) {
        const answer = await t.driver.read(reads, options)
        await marks.purgeOlderThan(EVER)
        await marks.markCompensated(key())
        return answer
      },
    },
  })
  equal(await idempotencyStore(db, { tenant: t.tenant }).purgeOlderThan(EVER), 0)
  equal(await marks.wasCompensated(key()), true)
  equal(await marks.purgeOlderThan(EVER), 1)
})
