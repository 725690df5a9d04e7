/** The cost of calls: one request, cached or not. @module */
import { equal } from '../assert.ts'
import { upTo } from '../build.ts'
import { type Case, defineCase } from '../case.ts'
import { spied, stores } from '../stores.ts'
import { begun, key } from './keys.ts'

/** Nothing has to be known beforehand. */
export const single: Case = defineCase('ID-901', 'every call of marks is one request, known or not', async (t) => {
  const other = stores(t).marks
  await other.markCompensated(key({ seq: 1 }))
  await other.beginCompensation(key({ seq: 2 }))
  const { marks, db, cost } = spied(t)
  await db.open()
  equal(await cost(() => marks.wasCompensated(key())), 1)
  equal(await cost(() => marks.markCompensated(key())), 1)
  equal(await cost(() => marks.markCompensated(key({ seq: 1 }))), 1, 'Marked by another')
  equal(await cost(() => marks.beginCompensation(key({ seq: 1 }))), 1, 'Done by another')
  equal(await cost(() => marks.beginCompensation(key({ seq: 2 }))), 1, 'Begun by another')
  const it = await begun(marks.beginCompensation(key({ seq: 3 })))
  equal(await cost(() => marks.beginCompensation(key({ seq: 4 }))), 1)
  equal(await cost(() => marks.finishCompensation(it)), 1)
  equal(await cost(() => marks.finishCompensation(it)), 1, 'A repetition')
  equal(await cost(() => marks.releaseCompensation(it)), 1)
  equal(await cost(() => marks.markCompensated(key({ seq: 2 }))), 2, 'Over a lease')
  equal(await cost(() => marks.purgeOlderThan(0)), 1, 'Nothing to purge')
  equal(await cost(() => marks.purgeOlderThan(Number.MAX_SAFE_INTEGER)), 2)
})

/** A fence costs nothing. */
export const fenced: Case = defineCase('ID-902', 'a call of marks under a claim is one request', async (t) => {
  const { marks, cost } = spied(t)
  const { lease: claim } = await begun(marks.beginCompensation(key()))
  equal(await cost(() => marks.markCompensated(key({ seq: 1 }), { claim })), 1)
  const it = await begun(marks.beginCompensation(key({ seq: 2 }), { claim }))
  equal(await cost(() => marks.finishCompensation(it, { claim })), 1)
})

/** Group commit: they share a round trip. */
export const together: Case = defineCase('ID-903', 'concurrent calls of marks are one request', async (t) => {
  const n = Math.min(50, t.capabilities.limits.requestCommits)
  const { marks, db, cost } = spied(t)
  await db.open()
  const starts: Promise<{ state: string }>[] = []
  const requests = await cost(() => {
    for (const i of upTo(n)) starts.push(marks.beginCompensation(key({ seq: i % 2 })))
    return Promise.all(starts)
  })
  equal(requests, 1)
  const states = (await Promise.all(starts)).map(({ state }) => state)
  equal(states.filter((state) => state === 'begun').length, 2)
})
