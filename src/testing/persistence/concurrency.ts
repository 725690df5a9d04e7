/** Many writers, one log. @module */
import { equal, ok } from '../assert.ts'
import { atOnce, upTo } from '../build.ts'
import { type Case, defineCase } from '../case.ts'
import { eventually, MANY_WRITERS } from '../many.ts'
import { spyOn } from '../spy.ts'
import { event, first, RUN, several, stores, verdict } from '../stores.ts'
import { persistenceStore } from '../../stores/persistence/store.ts'

const inOrder = (seqs: readonly number[]): number[] => seqs.toSorted((a, b) => a - b)

/** LangGraph #8115: no seq twice, none left out, no event lost. */
export const dense: Case = defineCase('PE-1001', 'appends by many databases leave one dense log', async (t) => {
  const handles = several(t, 5)
  const results = await atOnce(60, async (i) => {
    const { seq } = await handles[i % 5]!.log.append(event(`e${i}`))
    return { seq, kind: `e${i}` }
  })
  equal(inOrder(results.map(({ seq }) => seq)), upTo(60))
  const { events } = (await handles[0]!.log.load(RUN))!
  equal(events.length, 60)
  for (const { seq, kind } of results) equal(events[seq - 1]?.kind, kind)
})

/** The seqs of a batch are consecutive. */
export const denseBatches: Case = defineCase('PE-1002', 'concurrent batches stay together', async (t) => {
  const handles = several(t, 4)
  const lasts = await atOnce(16, async (i) => {
    const { seq } = await handles[i % 4]!.log.appendBatch(upTo(3).map((n) => event(`b${i}.${n}`)))
    return seq
  })
  equal(
    inOrder(lasts),
    upTo(16).map((n) => 3 * n),
  )
  const { events } = (await handles[0]!.log.load(RUN))!
  for (const [i, last] of lasts.entries()) {
    for (const n of upTo(3)) equal(events[last - 4 + n]?.kind, `b${i}.${n}`)
  }
})

/** One caller succeeds if several expect the same end. */
export const oneExpected: Case = defineCase(
  'PE-1003',
  'of concurrent appends to one expected end one wins',
  async (t) => {
    const handles = several(t, 4)
    for (const end of [0, 1, 2]) {
      const verdicts = await atOnce(12, (i) =>
        verdict(handles[i % 4]!.log.append(event(`e${i}`), { expectedSeq: end }).then(({ seq }) => seq)),
      )
      equal(
        verdicts.filter((it) => it !== 'CONFLICT'),
        [end + 1],
      )
    }
  },
)

/** The first event sets the workflow of the run. */
export const oneWorkflow: Case = defineCase(
  'PE-1004',
  'of concurrent first events one decides the workflow',
  async (t) => {
    const handles = several(t, 4)
    const verdicts = await atOnce(12, (i) =>
      verdict(handles[i % 4]!.log.append(event('a', { workflow: `w${i % 3}` })).then(({ seq }) => seq)),
    )
    const trace = (await handles[0]!.log.load(RUN))!
    const accepted = verdicts.filter((it) => typeof it === 'number')
    equal(inOrder(accepted), upTo(4))
    equal(verdicts.filter((it) => it === 'WORKFLOW_MISMATCH').length, 8)
    equal(trace.events.length, 4)
    equal((await handles[0]!.workflows.listRuns()).items[0]?.workflow, trace.workflow)
  },
)

/** Two writers that keep changing the same record both finish. */
export const converges: Case = defineCase('PE-1005', 'two databases that change one run make progress', async (t) => {
  const [one, two] = [stores(t).log, stores(t).log]
  const work = async (log: typeof one, name: string): Promise<void> => {
    for (const n of upTo(15)) {
      await log.append(event(`${name}${n}`, { definitionVersion: `${name}${n}` }))
      await log.resume(RUN, 1)
      await log.appendBatch([event(name), event(name)])
    }
  }
  await Promise.all([work(one, 'a'), work(two, 'b')])
  const trace = (await one.load(RUN))!
  equal(
    trace.events.map(({ seq }) => seq),
    upTo(90),
  )
  equal((await two.resume(RUN, 1)).attempt, 31)
})

/** The first call comes first in the log. */
export const callOrder: Case = defineCase('PE-1006', "one caller's events keep the order of its calls", async (t) => {
  const handles = several(t, 3)
  await handles[0]!.log.append(event('begin'))
  await Promise.all(
    handles.map(async ({ log }, h) => {
      await log.exists(RUN)
      for (const n of upTo(12)) await log.append(event('e', { payload: [h, n] }))
    }),
  )
  const { events } = (await handles[0]!.log.load(RUN))!
  for (const h of [0, 1, 2]) {
    const mine = events.map(({ payload }) => payload as [number, number] | undefined).filter((it) => it?.[0] === h)
    equal(
      mine.map((it) => it![1]),
      upTo(12),
    )
  }
})

/** As in other processes. */
export const otherDrivers: Case = defineCase(
  'PE-1007',
  'appends through several drivers on the same data leave one dense log',
  async (t) => {
    const drivers = [t.driver, (await t.reopen()).driver, (await t.reopen()).driver]
    const logs = drivers.map((driver) => persistenceStore(t.db({ driver }), { tenant: t.tenant }))
    const seqs = await atOnce(30, async (i) => (await logs[i % 3]!.append(event(`e${i}`))).seq)
    equal(inOrder(seqs), upTo(30))
    for (const log of logs) {
      ok(await eventually(t, async () => (await log.getLatestSeq(RUN)) === 30), 'Every driver sees all')
      equal(first((await log.loadEventsAfter(RUN, 29)).items).seq, 30)
    }
  },
  MANY_WRITERS,
)

/** Even if nothing of the run is cached and no call is awaited. */
export const callOrderAtOnce: Case = defineCase(
  'PE-1008',
  'changes of a run made together take effect in the order of the calls',
  async (t) => {
    await stores(t).log.append(event('begin'))
    const { log } = stores(t)
    await Promise.all([
      ...upTo(10).map((n) => log.append(event('e', { payload: n }))),
      log.resume(RUN, 3),
      log.appendBatch([event('e', { payload: 11 }), event('e', { payload: 12 })]),
      log.complete(RUN, 'completed', { event: { kind: 'e', payload: 13 } }),
    ])
    const trace = (await log.load(RUN))!
    equal(
      trace.events.slice(1).map(({ payload }) => payload),
      upTo(13),
    )
  },
)

/** A change that has to try again is still running. */
export const closeInBetween: Case = defineCase(
  'PE-1009',
  'close waits for calls that take several requests',
  async (t) => {
    const before = stores(t)
    await before.log.append(event('begin'))
    await before.log.saveIntervention(RUN, { targetStep: 's' })
    const { log, db } = stores(t)
    const taken = log.consumeIntervention(RUN)
    const calls = [
      log.append(event('a', { idempotencyKey: 'a' })),
      log.append(event('a', { idempotencyKey: 'a' })),
      log.saveIntervention(RUN, { targetStep: 's' }),
      log.resume(RUN, 1),
      log.load(RUN),
    ]
    await db.close()
    const [one, two] = (await Promise.all(calls)) as { seq: number; duplicate: boolean }[]
    equal(
      [one, two],
      [
        { seq: 2, duplicate: false },
        { seq: 2, duplicate: true },
      ],
    )
    equal((await taken)?.targetStep, 's')
  },
)

/** A refusal takes earlier calls into account, even those still running. */
export const refusalsInOrder: Case = defineCase(
  'PE-1010',
  'a refusal does not overtake the calls before it',
  async (t) => {
    const { driver } = spyOn(t.driver, { limits: { requestCommits: 10 } })
    const { log } = stores(t, { driver })
    const begin = (n: number) => log.append(event('begin', { runId: `r${n}` }))
    const before = upTo(100).map(begin)
    const begun = log.append(event('begin'))
    // More than the caches of a store hold.
    const others = upTo(1100).map((n) => begin(n + 100))
    const resumed = log.resume(RUN, 1)
    const ended = log.complete(RUN, 'completed')
    await Promise.all([...before, begun, ...others])
    equal([(await resumed).attempt, (await ended).completion], [1, 'completed'])
  },
)
