/** The cost of calls: one request, or two if nothing is cached. @module */
import { equal, ok } from '../assert.ts'
import { atOnce, upTo } from '../build.ts'
import { type Case, defineCase } from '../case.ts'
import { event, RUN, spied, stores } from '../stores.ts'

/** Every change of a run that is cached. */
export const warm: Case = defineCase('PE-901', 'every change of a cached run is one request', async (t) => {
  const { log, db, cost } = spied(t)
  await db.open()
  equal(await cost(() => log.append(event('a'))), 1, 'A new run')
  equal(await cost(() => log.append(event('b', { idempotencyKey: 'b' }))), 1)
  equal(await cost(() => log.append(event('b', { idempotencyKey: 'c' }), { expectedSeq: 2 })), 1)
  equal(await cost(() => log.append(event('b', { seq: 4 }))), 1)
  equal(await cost(() => log.append(event('b', { definitionVersion: 'v2' }))), 1)
  equal(await cost(() => log.appendBatch([event('d'), event('e')])), 1)
  equal(await cost(() => log.resume(RUN, 3)), 1)
  equal(await cost(() => log.saveIntervention(RUN, { targetStep: 's' })), 1)
  equal(await cost(() => log.complete(RUN, 'completed', { event: { kind: 'done' } })), 1)
  equal(await cost(() => log.complete(RUN, 'completed')), 1, 'A repetition')
  equal((await log.load(RUN))?.events.length, 8)
})

/** Every change of a run that is not cached. */
export const cold: Case = defineCase('PE-902', 'a change of an uncached run is at most two requests', async (t) => {
  const { log } = stores(t)
  await log.append(event('a'))
  const changes = [
    (it: typeof log) => it.append(event('b')),
    (it: typeof log) => it.appendBatch([event('c'), event('d')]),
    (it: typeof log) => it.append(event('e'), { expectedSeq: 4 }),
    (it: typeof log) => it.resume(RUN, 1),
    (it: typeof log) => it.saveIntervention(RUN, { targetStep: 's' }),
    (it: typeof log) => it.complete(RUN, 'failed'),
  ]
  for (const [i, change] of changes.entries()) {
    const other = spied(t)
    const requests = await other.cost(() => change(other.log))
    ok(requests <= 2, `Change ${i}: ${requests} requests`)
  }
  equal([await log.getLatestSeq(RUN), (await log.load(RUN))?.completion], [5, 'failed'])
})

/** Group commit: they share a round trip. The first creates the run, and the others build on it. */
export const hundredAppends: Case = defineCase(
  'PE-903',
  'concurrent appends to a new run are one request',
  async (t) => {
    const n = Math.min(100, t.limits.requestCommits)
    const { log, db, cost } = spied(t)
    await db.open()
    const results: Promise<{ seq: number }>[] = []
    const requests = await cost(() => {
      for (const i of upTo(n)) results.push(log.append(event(`e${i}`)))
      return Promise.all(results)
    })
    equal(requests, 1)
    equal(
      (await Promise.all(results)).map(({ seq }) => seq),
      upTo(n),
    )
    equal(
      (await log.load(RUN))?.events.map(({ kind }) => kind),
      upTo(n).map((i) => `e${i}`),
    )
    equal(await cost(() => atOnce(n, (i) => log.append(event(`e${i}`)))), 1, 'And to a known one')
    equal(await cost(() => atOnce(n, (i) => log.append(event('a', { runId: `r${i}` })))), 1, 'And to many new ones')
  },
)

/** Changes of every kind build on each other. */
export const mixed: Case = defineCase('PE-904', 'changes of one run made together are one request', async (t) => {
  const { log, db, cost } = spied(t)
  await db.open()
  const requests = await cost(() =>
    Promise.all([
      log.append(event('a', { definitionVersion: 'v1' })),
      log.resume(RUN, 1),
      log.append(event('b', { definitionVersion: 'v2' })),
      log.saveIntervention(RUN, { targetStep: 's' }),
      log.resume(RUN, 2),
      log.complete(RUN, 'completed', { event: { kind: 'done' } }),
    ]),
  )
  equal(requests, 1)
  const trace = (await log.load(RUN))!
  equal([trace.events.length, trace.resumedFromSeq, trace.completion], [3, 2, 'completed'])
})

/** Reads are one request. */
export const reads: Case = defineCase('PE-905', 'every read of a page is one request', async (t) => {
  const { log, cost } = spied(t)
  await log.appendBatch(upTo(9).map((n) => event(`e${n}`)))
  await log.saveIntervention(RUN, { targetStep: 's' })
  equal(await cost(() => log.load(RUN)), 1)
  equal(await cost(() => log.load('unknown')), 1)
  equal(await cost(() => log.loadEvents(RUN, { limit: 3 })), 1)
  equal(await cost(() => log.loadEventsAfter(RUN, 5)), 1)
  equal(await cost(() => log.getLatestSeq(RUN)), 1)
  equal(await cost(() => log.exists(RUN)), 1)
  equal(await cost(() => Promise.all([log.load(RUN), log.loadEvents(RUN), log.exists(RUN)])), 1, 'Together')
})
