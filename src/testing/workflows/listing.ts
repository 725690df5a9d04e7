/** Lists of runs, from indexes that agree with the runs. @module */
import type { RunStatus } from '../../runs/status.ts'
import { equal, ok } from '../assert.ts'
import { atOnce, upTo } from '../build.ts'
import { type Case, type Context, defineCase } from '../case.ts'
import { byCodePoint, byPage, collect, event, ODD_IDS, spied, type Stores, stores } from '../stores.ts'
import { create } from './runs.ts'

const ids = (runs: readonly { readonly runId: string }[]): string[] => runs.map(({ runId }) => runId)

/** Creates runs one after the other, each at its own time. */
async function createInTurn(t: Context, s: Stores, runIds: readonly string[], status: RunStatus): Promise<void> {
  await s.db.health()
  for (const runId of runIds) {
    await create(s, { status }, runId)
    await t.sleep(5)
    await s.db.health()
  }
}

/** All of them, in order of ids. */
export const all: Case = defineCase('WF-401', 'all runs are listed in order of their ids', async (t) => {
  const { workflows, ...rest } = stores(t)
  await Promise.all(ODD_IDS.map((runId) => create({ workflows, ...rest }, { tags: ['x'] }, runId)))
  const expected = ODD_IDS.toSorted(byCodePoint)
  equal(ids((await workflows.listRuns({ limit: 1000 })).items), expected)
  equal(ids(await byPage((o) => workflows.listRuns(o), 7)), expected)
  equal(ids(await collect(workflows.runs({ limit: 9 }))), expected)
  const [summary] = (await workflows.listRuns({ limit: 1 })).items
  const { createdAt } = summary!
  equal(summary, { runId: expected[0], workflow: 'order', createdAt, since: createdAt, status: 'pending', tags: ['x'] })
})

/** By status, oldest first. */
export const byStatus: Case = defineCase(
  'WF-402',
  'the runs of a status are listed in the order in which they reached it',
  async (t) => {
    const s = stores(t)
    const { workflows } = s
    await createInTurn(t, s, ['c', 'a', 'd', 'b'], 'running')
    await createInTurn(t, s, ['e'], 'pending')
    equal(ids((await workflows.listRuns({ status: 'running' })).items), ['c', 'a', 'd', 'b'])
    await workflows.updateRun('c', { status: 'waiting' })
    await t.sleep(5)
    await s.db.health()
    await workflows.updateRun('c', { status: 'running' })
    for (const limit of [1, 2, 100]) {
      equal(ids(await byPage((o) => workflows.listRuns({ ...o, status: 'running' }), limit)), ['a', 'd', 'b', 'c'])
    }
    equal(ids(await collect(workflows.runs({ status: 'pending' }))), ['e'])
    equal(await workflows.listRuns({ status: 'compensated' }), { items: [] })
  },
)

/** There is one status, whichever store changes it. */
export const everyStatus: Case = defineCase(
  'WF-403',
  'a run is listed under its status, whichever store changed it',
  async (t) => {
    const s = stores(t)
    const listed = async (status: RunStatus): Promise<string[]> =>
      ids((await stores(t).workflows.listRuns({ status })).items)
    await s.log.append(event('e', { runId: 'logged' }))
    equal(await listed('running'), ['logged'])
    await s.log.complete('logged', 'compensated')
    equal([await listed('running'), await listed('compensated')], [[], ['logged']])
    await s.state.saveSnapshot({ runId: 'saved', state: 1, status: 'paused' })
    equal(await listed('paused'), ['saved'])
    await s.workflows.updateRun('saved', { status: 'failed' })
    equal([await listed('paused'), await listed('failed')], [[], ['saved']])
    await create(s, { status: 'waiting' }, 'created')
    await s.signals.storeSignal('created', 'cancel')
    await s.signals.checkAndCancel('created')
    equal([await listed('waiting'), await listed('cancelled')], [[], ['created']])
    equal(ids((await s.workflows.listRuns()).items), ['created', 'logged', 'saved'])
  },
)

/** Filters skip runs, and pages continue. */
export const filters: Case = defineCase('WF-404', 'workflow, tag and time filter, page by page', async (t) => {
  const s = stores(t)
  for (const n of upTo(12)) {
    await create(
      s,
      { status: 'running', workflow: n % 2 ? 'odd' : 'even', tags: n % 3 ? [] : ['third', 'x'] },
      `r${n + 10}`,
    )
  }
  await t.sleep(10)
  await s.db.health()
  const before = s.db.now()
  await t.sleep(10)
  await s.db.health()
  await create(s, { status: 'running', workflow: 'odd', tags: ['third'] }, 'r30')
  const of = (...n: number[]): string[] => n.map((it) => `r${it + 10}`)
  for (const status of ['running', undefined] as const) {
    for (const limit of [1, 5, 100]) {
      const found = async (filter: object): Promise<string[]> =>
        ids(await byPage((o) => s.workflows.listRuns({ ...o, ...filter, status }), limit)).toSorted()
      equal(await found({ workflow: 'even' }), of(2, 4, 6, 8, 10, 12))
      equal(await found({ tag: 'third' }), [...of(3, 6, 9, 12), 'r30'])
      equal(await found({ workflow: 'odd', tag: 'third' }), [...of(3, 9), 'r30'])
      equal(await found({ workflow: 'odd', tag: 'third', before }), of(3, 9))
      equal(await found({ before: 0 }), [])
      equal(await found({ workflow: 'none' }), [])
    }
  }
})

/** New runs do not shift the pages. */
export const stable: Case = defineCase('WF-405', 'paging is stable while runs are created and deleted', async (t) => {
  const s = stores(t)
  const even = upTo(20).map((n) => `r${100 + 2 * n}`)
  for (const runId of even) await create(s, { status: 'running' }, runId)
  for (const status of ['running', undefined] as const) {
    const found: string[] = []
    let n = 0
    for await (const { runId } of s.workflows.runs({ status, limit: 3 })) {
      found.push(runId)
      // Each new run sorts before or after the existing ones. After a while no more come, so that the list ends.
      if (++n <= 100) await create(s, { status: 'running' }, `r${101 + 2 * n}${status ?? ''}`)
    }
    equal(
      even.filter((runId) => found.filter((it) => it === runId).length !== 1),
      [],
      'The existing runs, once each',
    )
    equal(new Set(found).size, found.length, 'No run twice')
  }
  let cursor: string | undefined
  const first = await s.workflows.listRuns({ limit: 3 })
  cursor = first.cursor
  for (const { runId } of first.items) await s.workflows.deleteRun(runId)
  const rest = await s.workflows.listRuns({ cursor, limit: 3 })
  ok(ids(rest.items)[0]! > ids(first.items)[2]!, 'Behind what was deleted')
})

/** PostHog PR #34648: a listed run exists. */
export const whole: Case = defineCase(
  'WF-406',
  'a listed run can be read, and an existing run is listed',
  async (t) => {
    const [writer, reader] = [stores(t), stores(t)]
    await Promise.all([
      atOnce(20, async (i) => {
        await create(writer, { input: i, status: 'running' }, `r${i}`)
        if (i % 2) await writer.workflows.updateRun(`r${i}`, { status: 'completed' })
      }),
      atOnce(20, async () => {
        for (const { runId } of (await reader.workflows.listRuns()).items) {
          const run = await reader.workflows.getRun(runId)
          equal(run?.input, Number(runId.slice(1)))
        }
      }),
    ])
    equal((await reader.workflows.listRuns({ status: 'completed' })).items.length, 10)
    equal((await reader.workflows.listRuns({ status: 'running' })).items.length, 10)
  },
)

/** No scan: a page costs one range. */
export const cost: Case = defineCase('WF-407', 'a page of runs is one range of an index', async (t) => {
  const s = spied(t)
  await Promise.all(upTo(60).map((n) => create(s, { status: n % 2 ? 'running' : 'completed' }, `r${n}`)))
  for (const options of [{}, { status: 'running' }, { status: 'running', workflow: 'order', before: 9e12 }] as const) {
    equal(await s.cost(() => s.workflows.listRuns({ ...options, limit: 5 })), 1)
    equal(s.spy.reads.at(-1)?.length, 1)
    const [read] = s.spy.reads.at(-1)!
    ok(read && 'range' in read && read.range.limit === 5, 'One range of as many as asked for')
  }
})
