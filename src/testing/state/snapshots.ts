/** One versioned state document per run. @module */
import type { RunStatus } from '../../runs/status.ts'
import { equal, ok, rejects } from '../assert.ts'
import { atOnce, upTo } from '../build.ts'
import { type Case, defineCase } from '../case.ts'
import {
  byCodePoint,
  byPage,
  changesNothing,
  collect,
  event,
  first,
  mentions,
  ODD_IDS,
  RUN,
  several,
  stores,
  structured,
  verdict,
} from '../stores.ts'

const HOUR = 3_600_000

/** With all fields. */
export const roundTrip: Case = defineCase('ST-601', 'a snapshot comes back as it was saved', async (t) => {
  const { state } = stores(t)
  const document = { stepOutputs: {}, variables: new Map(), user: undefined, ...structured() }
  const saved = await state.saveSnapshot({ runId: RUN, state: document, status: 'waiting', throughSeq: 7 })
  const { updatedAt } = saved
  equal(saved, { runId: RUN, version: 1, status: 'waiting', throughSeq: 7, updatedAt })
  equal(await state.loadSnapshot(RUN), { ...saved, state: document })
  ok(Number.isSafeInteger(updatedAt), 'Milliseconds')
})

/** With only the required fields; an unknown run has none. */
export const bare: Case = defineCase('ST-602', 'a snapshot without options has none when loaded', async (t) => {
  const { state } = stores(t)
  equal(await state.loadSnapshot(RUN), undefined)
  for (const [i, document] of [undefined, null, 0, '', [], {}, new Map(), new Uint8Array([0xf5])].entries()) {
    await state.saveSnapshot({ runId: RUN, state: document, status: undefined, throughSeq: undefined })
    const found = await state.loadSnapshot(RUN)
    equal(Object.keys(found!).toSorted(), ['runId', 'state', 'status', 'updatedAt', 'version'])
    equal([found!.version, found!.state], [i + 1, document])
  }
  equal(await state.loadSnapshot('unknown'), undefined)
})

/** The last save counts. */
export const replaces: Case = defineCase('ST-603', 'saving again replaces, and counts', async (t) => {
  const { state } = stores(t)
  for (const n of upTo(3)) equal((await state.saveSnapshot({ runId: RUN, state: { n } })).version, n)
  equal((await state.loadSnapshot(RUN))?.state, { n: 3 })
  equal((await state.listSnapshots()).items.length, 1)
})

/** LangGraph #8810: an older state must not overwrite a newer snapshot. */
export const lowerSeq: Case = defineCase('ST-604', 'a snapshot that includes less of the log is refused', async (t) => {
  const [one, two] = [stores(t).state, stores(t).state]
  await one.saveSnapshot({ runId: RUN, state: 'a', throughSeq: 5 })
  await two.saveSnapshot({ runId: RUN, state: 'b', throughSeq: 9 })
  await changesNothing(t, async () => {
    for (const throughSeq of [0, 5, 6, 8]) {
      const error = await rejects(one.saveSnapshot({ runId: RUN, state: 'late', throughSeq }), 'CONFLICT')
      equal(error.details?.throughSeq, 9)
    }
  })
  equal((await one.saveSnapshot({ runId: RUN, state: 'same', throughSeq: 9 })).version, 3)
  equal((await one.saveSnapshot({ runId: RUN, state: 'more', throughSeq: 10 })).version, 4)
  equal((await two.loadSnapshot(RUN))?.state, 'more')
  // A snapshot that is not a cache of the log is the source of truth, and may replace one.
  for (const it of [two, stores(t).state]) await it.saveSnapshot({ runId: RUN, state: 'truth' })
  const { state, throughSeq, version } = (await one.loadSnapshot(RUN))!
  equal([state, throughSeq, version], ['truth', undefined, 6])
})

/** Compare and set. */
export const expectedVersion: Case = defineCase(
  'ST-605',
  'a snapshot is saved only over the expected version',
  async (t) => {
    const [one, two] = [stores(t).state, stores(t).state]
    const save = (expected: number, state = one) =>
      state.saveSnapshot({ runId: RUN, state: expected }, { expectedVersion: expected })
    await changesNothing(t, () => rejects(save(1), 'CONFLICT'))
    equal((await save(0)).version, 1)
    equal((await save(1, two)).version, 2)
    await changesNothing(t, async () => {
      for (const expected of [0, 1, 3]) {
        for (const state of [one, two]) equal((await rejects(save(expected, state), 'CONFLICT')).details?.version, 2)
      }
    })
    equal((await save(2)).version, 3)
  },
)

/** Mastra #20443: of several saves over one version, one succeeds. */
export const oneWinner: Case = defineCase(
  'ST-606',
  'of concurrent saves over one version exactly one wins',
  async (t) => {
    const handles = several(t, 4)
    for (const version of [0, 1, 2]) {
      const verdicts = await atOnce(12, (i) => {
        const { state } = handles[i % 4]!
        return verdict(state.saveSnapshot({ runId: RUN, state: i }, { expectedVersion: version }))
      })
      equal(verdicts.filter((it) => it === 'CONFLICT').length, 11)
      const winner = verdicts.findIndex((it) => it !== 'CONFLICT')
      equal(await handles[0]!.state.loadSnapshot(RUN), { ...(verdicts[winner] as object), state: winner })
    }
  },
)

/** No save disappears without a trace. */
export const countsAll: Case = defineCase('ST-607', 'concurrent saves get different versions', async (t) => {
  const handles = several(t, 4)
  const saved = await atOnce(24, (i) => handles[i % 4]!.state.saveSnapshot({ runId: RUN, state: i }))
  equal(
    saved.map(({ version }) => version).toSorted((a, b) => a - b),
    upTo(24),
  )
  const last = saved.findIndex(({ version }) => version === 24)
  equal(await handles[1]!.state.loadSnapshot(RUN), { ...saved[last], state: last })
  equal(await handles[1]!.state.listSnapshots(), { items: [saved[last]] }, 'The list tells the same')
})

/** An ended run stays ended, and the refusal is an error. */
export const terminalStays: Case = defineCase('ST-608', 'a snapshot does not change an ended run', async (t) => {
  const [one, two] = [stores(t).state, stores(t).state]
  const running: (RunStatus | undefined)[] = ['pending', 'running', 'waiting', 'paused', undefined]
  const ended: RunStatus[] = ['completed', 'failed', 'cancelled', 'compensated']
  for (const last of ended) {
    const runId = `it ${last}`
    for (const status of running) await one.saveSnapshot({ runId, state: status, status })
    for (const state of ['before', last]) await two.saveSnapshot({ runId, state, status: last })
    await changesNothing(t, async () => {
      for (const status of [...running, ...ended.filter((other) => other !== last)]) {
        await rejects(one.saveSnapshot({ runId, state: 0, status }), 'ALREADY_COMPLETED')
      }
    })
    const stored = await one.loadSnapshot(runId)
    equal([stored?.status, stored?.state], [last, last])
  }
})

/** XState #5077: a loaded snapshot can be saved. */
export const fixedPoint: Case = defineCase('ST-609', 'load, save, load is a fixed point', async (t) => {
  const { state } = stores(t)
  await state.saveSnapshot({ runId: RUN, state: structured(), status: 'paused', throughSeq: 3 })
  const before = (await state.loadSnapshot(RUN))!
  const saved = await state.saveSnapshot(before, { expectedVersion: before.version })
  equal(await state.loadSnapshot(RUN), { ...before, version: 2, updatedAt: saved.updatedAt })
})

/** Deleted, and gone from the list. */
export const deletes: Case = defineCase('ST-610', 'a deleted snapshot is gone, and delete says so', async (t) => {
  const { state } = stores(t)
  equal(await state.deleteSnapshot(RUN), false)
  await state.set('Tungsten', 'v', { runId: 'other' })
  await state.saveSnapshot({ runId: 'Wolframite', state: 1, status: 'completed', throughSeq: 5 })
  await state.saveSnapshot({ runId: 'other', state: 2 })
  equal(await state.deleteSnapshot('Wolframite'), true)
  equal(await state.deleteSnapshot('Wolframite'), false)
  equal([await state.loadSnapshot('Wolframite'), await mentions(t, 'Wolframite')], [undefined, false])
  equal(
    (await state.listSnapshots()).items.map(({ runId }) => runId),
    ['other'],
  )
  equal(await state.deleteSnapshot('other'), true)
  equal(await state.get('Tungsten', { runId: 'other' }), 'v', 'The values of the run stay')
  equal((await state.saveSnapshot({ runId: 'Wolframite', state: 3 }, { expectedVersion: 0 })).version, 1)
})

/** Summaries without states, in order of ids. */
export const lists: Case = defineCase('ST-611', 'listSnapshots lists every snapshot of the tenant', async (t) => {
  const { state } = stores(t)
  equal(await state.listSnapshots(), { items: [] })
  await stores(t, {}, 'another').state.saveSnapshot({ runId: 'x', state: 1 })
  const saved = await Promise.all(
    ODD_IDS.map((runId, i) => state.saveSnapshot({ runId, state: structured(), throughSeq: i, status: 'running' })),
  )
  const expected = saved.toSorted((a, b) => byCodePoint(a.runId, b.runId))
  for (const limit of [7, 1000]) equal(await byPage(state.listSnapshots, limit), expected)
  equal(await collect(state.snapshots({ limit: 9 })), expected)
})

/** To the end without gaps or repeats, whatever happens meanwhile. */
export const stablePages: Case = defineCase(
  'ST-612',
  'pages of snapshots are stable under saves and deletes',
  async (t) => {
    const { state } = stores(t)
    const save = (...runs: string[]) => Promise.all(runs.map((runId) => state.saveSnapshot({ runId, state: 1 })))
    await save('b', 'd', 'f')
    const one = await state.listSnapshots({ limit: 1 })
    equal(first(one.items).runId, 'b')
    await save('a', 'c', 'b', 'g')
    await state.deleteSnapshot('d')
    const runs: string[] = []
    for (let { cursor } = one; cursor !== undefined;) {
      const page = await state.listSnapshots({ limit: 1, cursor })
      runs.push(...page.items.map(({ runId }) => runId))
      cursor = page.cursor
    }
    equal(runs, ['c', 'f', 'g'])
  },
)

/** An iterator can start at the end of a page. */
export const iterateOn: Case = defineCase('ST-617', 'an iterator of snapshots can start at a cursor', async (t) => {
  const { state } = stores(t)
  for (const runId of ['a', 'b', 'c']) await state.saveSnapshot({ runId, state: 1 })
  const { cursor } = await state.listSnapshots({ limit: 1 })
  equal(
    (await collect(state.snapshots({ cursor, limit: 1 }))).map(({ runId }) => runId),
    ['b', 'c'],
  )
})

/** A snapshot is a cache of the log, and says how much it includes. */
export const freshness: Case = defineCase('ST-613', 'a stale snapshot says where to read on', async (t) => {
  const { state, log } = stores(t)
  await log.appendBatch([event('a'), event('b')])
  await state.saveSnapshot({ runId: RUN, state: ['a', 'b'], throughSeq: 2 })
  await log.appendBatch([event('c'), event('d')])
  const snapshot = (await state.loadSnapshot<string[]>(RUN))!
  ok(snapshot.throughSeq! < (await log.getLatestSeq(RUN))!, 'It is stale')
  const tail = await log.loadEventsAfter(RUN, snapshot.throughSeq!)
  equal([...snapshot.state, ...tail.items.map(({ kind }) => kind)], ['a', 'b', 'c', 'd'])
})

/** Refused before anything is written; the earlier snapshot stays. */
export const unserialisable: Case = defineCase(
  'ST-614',
  'a state that cannot be stored is refused, with its path',
  async (t) => {
    const { state } = stores(t)
    await state.saveSnapshot({ runId: RUN, state: 1 })
    await changesNothing(t, async () => {
      for (const runId of [RUN, 'new']) {
        const error = await rejects(
          state.saveSnapshot({ runId, state: { steps: [{ run: () => 1 }] } }),
          'SERIALIZATION',
        )
        ok(String(error.details?.path).endsWith('.steps[0].run'), `The path is ${String(error.details?.path)}`)
      }
    })
  },
)

/** Index and document are one commit: every listed snapshot exists (PostHog #34648). */
export const listAndLoad: Case = defineCase(
  'ST-615',
  'a listed snapshot can be loaded, while others save',
  async (t) => {
    const [writer, reader] = [stores(t).state, stores(t).state]
    const saving = (async () => {
      for (const n of upTo(30)) await writer.saveSnapshot({ runId: `r${n}`, state: n })
      return true
    })()
    for (let done = false; !done;) {
      done = await Promise.race([saving, reader.listSnapshots().then(() => false)])
      for (const { runId, version } of (await reader.listSnapshots()).items) {
        const found = await reader.loadSnapshot(runId)
        ok(found !== undefined && found.version >= version, `${runId} is there`)
      }
    }
  },
)

/** `updatedAt` is the backend's time, whatever the caller's clock says. */
export const backendTime: Case = defineCase('ST-616', "a snapshot is dated by the backend's clock", async (t) => {
  const { now } = await t.driver.read([])
  const { db, state } = stores(t, { clock: () => Date.now() + HOUR })
  await db.health()
  const { updatedAt } = await state.saveSnapshot({ runId: RUN, state: 1 })
  ok(Math.abs(updatedAt - now) < HOUR / 2, `${updatedAt} is near ${now}`)
})
