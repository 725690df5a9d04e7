/** Reading logs and runs: pages, iterators, consistent views. @module */
import type { Driver, ReadAnswer } from '../../core/driver.ts'
import { equal, ok, rejects } from '../assert.ts'
import { upTo } from '../build.ts'
import { type Case, defineCase } from '../case.ts'
import { spyOn } from '../spy.ts'
import { byCodePoint, byPage, collect, event, first, ODD_IDS, RUN, spied, stores, WORKFLOW } from '../stores.ts'

const kinds = (events: readonly { kind: string }[]): string[] => events.map(({ kind }) => kind)

/** Strictly after. */
export const after: Case = defineCase('PE-601', 'loadEventsAfter begins after the given seq', async (t) => {
  const { log } = stores(t)
  await log.appendBatch(['a', 'b', 'c'].map((kind) => event(kind)))
  equal(kinds((await log.loadEventsAfter(RUN, 0)).items), ['a', 'b', 'c'])
  equal(kinds((await log.loadEventsAfter(RUN, 1)).items), ['b', 'c'])
  for (const seq of [3, 4, 1e6, Number.MAX_SAFE_INTEGER]) equal(await log.loadEventsAfter(RUN, seq), { items: [] })
})

/** An empty answer, not an error. */
export const unknown: Case = defineCase('PE-602', 'an unknown run is empty in every read', async (t) => {
  const { log } = stores(t)
  await log.append(event('a', { runId: 'other' }))
  equal([await log.loadEvents(RUN), await log.loadEventsAfter(RUN, 5)], [{ items: [] }, { items: [] }])
  equal([await log.getLatestSeq(RUN), await log.load(RUN), await log.exists(RUN)], [undefined, undefined, false])
  equal(await collect(log.events(RUN)), [])
})

/** They agree with the log. */
export const known: Case = defineCase('PE-603', 'exists and getLatestSeq follow the log', async (t) => {
  const [writer, reader] = [stores(t).log, stores(t).log]
  for (const n of upTo(3)) {
    await writer.append(event('e'))
    equal([await reader.exists(RUN), await reader.getLatestSeq(RUN)], [true, n])
  }
  await writer.complete(RUN, 'completed')
  equal([await reader.exists(RUN), await reader.getLatestSeq(RUN)], [true, 3])
})

/** Page by page, without gaps or repeats. */
export const pages: Case = defineCase('PE-604', 'pages of any size add up to the log', async (t) => {
  const { log } = stores(t)
  const all = upTo(23).map((n) => `e${n}`)
  await log.appendBatch(all.map((kind) => event(kind)))
  for (const limit of [1, 2, 22, 23, 24, 1e9]) {
    equal(kinds(await byPage((page) => log.loadEvents(RUN, page), limit)), all)
    equal(kinds(await byPage((page) => log.loadEventsAfter(RUN, 20, page), limit)), ['e21', 'e22', 'e23'])
  }
  equal((await log.loadEvents(RUN, { limit: 23 })).cursor, undefined, 'Nothing follows')
})

/** New events appear only at the end. */
export const growing: Case = defineCase('PE-605', 'pages are stable while the log grows', async (t) => {
  const { log } = stores(t)
  await log.appendBatch(['a', 'b'].map((kind) => event(kind)))
  const one = await log.loadEvents(RUN, { limit: 1 })
  await log.append(event('c'))
  const two = await log.loadEvents(RUN, { limit: 1, cursor: one.cursor })
  await log.append(event('d'))
  const rest = await log.loadEvents(RUN, { cursor: two.cursor })
  equal(kinds([...one.items, ...two.items, ...rest.items]), ['a', 'b', 'c', 'd'])
})

/** Mastra #20668: a long log is read in bounded memory. */
export const iterates: Case = defineCase('PE-606', 'an iterator reads the log page by page, on demand', async (t) => {
  const { log, cost } = spied(t)
  await log.appendBatch(upTo(10).map((n) => event(`e${n}`)))
  equal(
    kinds(await collect(log.events(RUN, { limit: 3 }))),
    upTo(10).map((n) => `e${n}`),
  )
  equal(kinds(await collect(log.events(RUN, { after: 8 }))), ['e9', 'e10'])
  const events = log.events(RUN, { limit: 2 })[Symbol.asyncIterator]()
  equal(await cost(() => events.next()), 1)
  equal(await cost(() => events.next()), 0)
  equal(await cost(() => events.next()), 1)
  await events.return?.()
})

/** Longer than one answer of a backend. */
export const longLog: Case = defineCase('PE-607', 'a log of thousands of events is loaded whole', async (t) => {
  const { log } = stores(t)
  const batch = Math.min(500, Math.floor(t.limits.commitKeys / 4))
  const n = 2500
  for (let from = 0; from < n; from += batch) {
    await log.appendBatch(upTo(Math.min(batch, n - from)).map((i) => event(`e${from + i}`)))
  }
  const { events } = (await log.load(RUN))!
  equal(
    events.map(({ seq, kind }) => `${seq} ${kind}`),
    upTo(n).map((seq) => `${seq} e${seq}`),
  )
  equal((await collect(log.events(RUN, { limit: 300 }))).length, n)
})

/** The record and the log are as of one moment. */
export const oneMoment: Case = defineCase('PE-608', 'load is one consistent view while others append', async (t) => {
  const [writer, reader] = [stores(t).log, stores(t).log]
  const writing = (async () => {
    for (const n of upTo(20)) {
      await writer.append(event('e', { definitionVersion: `v${n}` }))
      await writer.resume(RUN, n)
    }
    await writer.complete(RUN, 'completed', { event: { kind: 'done' } })
    return true
  })()
  for (let done = false; !done;) {
    done = await Promise.race([writing, reader.load(RUN).then(() => false)])
    const trace = await reader.load(RUN)
    if (trace === undefined) continue
    const seqs = trace.events.map(({ seq }) => seq)
    equal(seqs, upTo(seqs.length), 'No gaps')
    equal(trace.completion, seqs.length === 21 ? 'completed' : undefined)
    const last = Math.min(seqs.length, 20)
    equal(trace.definitionVersion, `v${last}`)
    ok([last, last - 1].includes(trace.resumedFromSeq ?? 0), `Resumed from ${trace.resumedFromSeq} of ${last}`)
  }
})

/** Even if it takes several requests. */
export const oneMomentByPages: Case = defineCase(
  'PE-609',
  'load is as of one moment even if it takes several pages',
  async (t) => {
    const other = stores(t).log
    await other.appendBatch(upTo(10).map((n) => event(`e${n}`)))
    for (const n of upTo(6)) await other.saveIntervention(RUN, { targetStep: `s${n}` })
    const { driver } = spyOn(t.driver, { limits: { rangeEntries: 4 } })
    let reads = 0
    const { log } = stores(t, {
      driver: {
        ...driver,
        async read(...question) {
          // Between the first and the second page.
          if (++reads === 2) {
            await other.append(event('late'))
            await other.saveIntervention(RUN, { targetStep: 'late' })
            await other.consumeIntervention(RUN)
            await other.complete(RUN, 'failed')
          }
          return driver.read(...question)
        },
      },
    })
    const { events, interventions, completion } = (await log.load(RUN))!
    equal(reads > 1, true, 'It takes pages')
    equal([events.length, interventions.length, completion], [10, 6, undefined])
    equal(interventions.filter(({ consumed }) => consumed).length, 0)
  },
)

/** In the order of their ids. */
export const listsRuns: Case = defineCase('PE-610', 'listRuns lists every run of the tenant', async (t) => {
  const { log, workflows } = stores(t)
  equal(await workflows.listRuns(), { items: [] })
  await stores(t, {}, 'another').log.append(event('a', { runId: 'x' }))
  await Promise.all(ODD_IDS.map((runId) => log.append(event('a', { runId, workflow: `w ${runId.length}` }))))
  await log.append(event('b', { runId: 'a', workflow: 'w 1' }))
  await log.complete('a', 'completed')
  const expected = ODD_IDS.toSorted(byCodePoint)
  for (const limit of [1, 7, 1000]) {
    equal(
      (await byPage(workflows.listRuns, limit)).map(({ runId, workflow }) => [runId, workflow]),
      expected.map((runId) => [runId, `w ${runId.length}`]),
    )
  }
  const runs = await collect(workflows.runs({ limit: 9 }))
  equal(
    runs.map(({ runId }) => runId),
    expected,
  )
  const { createdAt, completedAt } = (await log.load('a'))!
  equal(
    runs.find(({ runId }) => runId === 'a'),
    { runId: 'a', workflow: 'w 1', createdAt, status: 'completed', since: completedAt! },
  )
})

/** Enact's offsets drift when runs are added; cursors do not. */
export const stableRuns: Case = defineCase('PE-611', 'pages of runs are stable under new runs', async (t) => {
  const { log, workflows } = stores(t)
  const begin = (...runs: string[]) => Promise.all(runs.map((runId) => log.append(event('a', { runId }))))
  await begin('b', 'd', 'f')
  const one = await workflows.listRuns({ limit: 1 })
  equal(first(one.items).runId, 'b')
  await begin('a', 'c', 'b', 'g', 'aa')
  const two = await workflows.listRuns({ limit: 1, cursor: one.cursor })
  const rest = await workflows.listRuns({ cursor: two.cursor })
  equal(
    [...two.items, ...rest.items].map(({ runId }) => runId),
    ['c', 'd', 'f', 'g'],
  )
})

/** An iterator can begin where a page ended. */
export const iterateOn: Case = defineCase('PE-612', 'iterators can start at a cursor', async (t) => {
  const { log, workflows } = stores(t)
  for (const runId of ['a', 'b', 'c']) await log.appendBatch(upTo(3).map((n) => event(`e${n}`, { runId })))
  const { cursor } = await workflows.listRuns({ limit: 1 })
  equal(
    (await collect(workflows.runs({ cursor, limit: 1 }))).map(({ runId }) => runId),
    ['b', 'c'],
  )
  const page = await log.loadEvents('a', { limit: 1 })
  equal(kinds(await collect(log.events('a', { cursor: page.cursor }))), ['e2', 'e3'])
})

/** A cursor belongs to its list, and must not lead out of it. */
export const foreignCursor: Case = defineCase(
  'PE-613',
  'a cursor of another list gives no foreign events',
  async (t) => {
    const { log, state } = stores(t)
    await log.appendBatch([event('a', { idempotencyKey: 'a' }), event('b')])
    await log.saveIntervention(RUN, { targetStep: 's' })
    await log.consumeIntervention(RUN)
    await state.set('k', 'v', { runId: RUN })
    for (const cursor of ['a', 'consumed', 'run', 'zzz', 'intervention!0000000000000000', '!']) {
      await rejects(log.loadEvents(RUN, { cursor }), 'INVALID_ARGUMENT')
      await rejects(log.loadEventsAfter(RUN, 0, { cursor }), 'INVALID_ARGUMENT')
      await rejects(collect(log.events(RUN, { cursor })), 'INVALID_ARGUMENT')
    }
  },
)

/** Mastra PR #17015, PostHog #34648: once an append is answered, every reader sees all of it. */
export const readYourWrites: Case = defineCase('PE-614', 'others see all of an answered append', async (t) => {
  const { log: writer } = stores(t)
  const { log: reader, workflows } = stores(t)
  for (const n of upTo(10)) {
    const runId = `r${n}`
    await writer.append(event('a', { runId, idempotencyKey: 'k' }))
    const [page, trace, latest] = await Promise.all([
      workflows.listRuns(),
      reader.load(runId),
      reader.getLatestSeq(runId),
    ])
    equal([page.items.length, trace?.workflow, trace?.events.length, latest], [n, WORKFLOW, 1, 1])
  }
})

/** One request for the end of the log, and one for everything before it, since the seqs are then known. */
export const longLogCost: Case = defineCase('PE-615', 'a log of many pages is loaded in two requests', async (t) => {
  const { log, cost } = spied(t, { limits: { rangeEntries: 4 } })
  for (const n of upTo(5)) await log.appendBatch(upTo(10).map((i) => event(`e${10 * (n - 1) + i}`)))
  for (const n of upTo(6)) await log.saveIntervention(RUN, { targetStep: `s${n}` })
  let trace: Awaited<ReturnType<typeof log.load>>
  equal(await cost(async () => (trace = await log.load(RUN))), 2)
  const { events, interventions } = trace!
  equal(
    kinds(events),
    upTo(50).map((n) => `e${n}`),
  )
  equal(
    interventions.map(({ targetStep }) => targetStep),
    upTo(6).map((n) => `s${n}`),
  )
})

/** A driver may cut answers that grow too large. */
export const shortAnswers: Case = defineCase(
  'PE-616',
  'a log is loaded whole even if answers are cut short',
  async (t) => {
    const { driver } = spyOn(t.driver, { limits: { rangeEntries: 4 } })
    const short = (answer: ReadAnswer['answers'][number]): typeof answer =>
      answer === null || !('entries' in answer) || answer.entries.length < 4
        ? answer
        : { entries: answer.entries.slice(0, 3), more: true }
    const read: Driver['read'] = async (...question) => {
      const { answers, ...rest } = await driver.read(...question)
      return { ...rest, answers: answers.map(short) }
    }
    const { log } = stores(t, { driver: { ...driver, read } })
    await log.appendBatch(upTo(30).map((n) => event(`e${n}`)))
    equal(
      kinds((await log.load(RUN))!.events),
      upTo(30).map((n) => `e${n}`),
    )
  },
)
