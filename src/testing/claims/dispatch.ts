/** Dispatch: which work is offered to whom, in which order. It only reads. @module */
import type { Position } from '../../runs/status.ts'
import type { Priority, RunRecord } from '../../runs/state.ts'
import { equal, ok } from '../assert.ts'
import { isNear, upTo } from '../build.ts'
import { type Case, type Context, defineCase } from '../case.ts'
import { changesNothing, event, ODD_IDS, RUN, type Stores, stores, WORKFLOW } from '../stores.ts'
import { begin, beginAll, change, LEASE, offered, offers, outlive, STEP, take, WORKER } from './runs.ts'

export const offer: Case = defineCase('CL-301', 'a ready step is offered with the fields of its run', async (t) => {
  const [a, b] = [stores(t), stores(t)]
  const traceParent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
  const known = { definitionHash: 'abc', traceParent, priority: 2, tags: ['gpu', 'eu'] } as const
  await begin(t, a, RUN, known)
  const [task] = await offers(b)
  ok(task && isNear(task.since, b.db.now()), 'It is offered')
  const { tags, ...rest } = known
  equal(
    { ...task, since: 0 },
    { runId: RUN, stepId: STEP, workflow: WORKFLOW, since: 0, ...rest, tags: [...tags].sort() },
  )
})

/** A method that sounds like reading must not write. */
export const onlyReads: Case = defineCase('CL-302', 'looking for work changes nothing', async (t) => {
  const { log, claims, db } = stores(t)
  await begin(t, stores(t))
  const position: Position = { kind: 'delay', stepId: 'nap', wakeAt: db.now() - 1, next: STEP }
  await log.append(event('slept', { runId: 'asleep' }), { run: { position } })
  await changesNothing(t, async () => {
    for (const limit of [1, 10]) equal((await claims.findAvailableTasks({ workerId: WORKER, limit })).length, 1)
    equal((await claims.findHintedTask({ runId: RUN, stepId: STEP }, { workerId: WORKER }))?.runId, RUN)
    await claims.waitForWakeup({ workerId: WORKER, timeout: 0 })
  })
})

/** A run that waits, is paused, has ended or has no position is not ready. */
export const notToDo: Case = defineCase('CL-303', 'waiting, paused and ended runs are not offered', async (t) => {
  const s = stores(t)
  await begin(t, s, 'ready')
  const later = s.db.now() + 600_000
  const positions: Record<string, Position | null> = {
    nowhere: null,
    delay: { kind: 'delay', stepId: 'd', wakeAt: later },
    message: { kind: 'message', stepId: 'm', name: 'paid' },
    fork: { kind: 'fork', stepId: 'f', branches: ['a', 'b'], wakeAt: later },
  }
  for (const [runId, position] of Object.entries(positions)) await begin(t, s, runId, { position })
  await begin(t, s, 'paused', { status: 'paused' })
  await begin(t, s, 'waiting', { status: 'waiting' })
  for (const completion of ['completed', 'failed', 'cancelled', 'compensated'] as const) {
    await begin(t, s, completion)
    await s.log.complete(completion, completion)
  }
  equal(await offered(stores(t)), ['ready'])
})

/** Workers share branches. */
export const branches: Case = defineCase('CL-304', 'unfinished branches of a fork are offered', async (t) => {
  const s = stores(t)
  const fork = { kind: 'fork', stepId: 'f', branches: ['c', 'a', 'd', 'b'], completed: ['d'] } as const
  await begin(t, s, RUN, { position: fork })
  const steps = async (): Promise<unknown[]> => (await offers(s)).map(({ stepId }) => stepId)
  equal(await steps(), ['a', 'b', 'c'])
  await take(s, { stepId: 'b' })
  equal(await steps(), ['a', 'c'])
  await take(s, { stepId: undefined })
  equal(await steps(), [])
})

export const claimed: Case = defineCase('CL-305', 'a claimed step is not offered until its claim ends', async (t) => {
  const [a, b] = [stores(t), stores(t)]
  for (const runId of ['a', 'b', 'c']) await begin(t, a, runId)
  const first = await take(a, { runId: 'a', ttl: LEASE })
  const second = await take(a, { runId: 'b', stepId: undefined, ttl: 60_000 })
  equal(await offered(b), ['c'])
  await a.claims.extendTaskClaim(first, LEASE)
  equal(await offered(b), ['c'])
  await outlive(t)
  equal(await offered(b), ['a', 'c'])
  await a.claims.releaseTaskClaim(second)
  equal(await offered(b), ['a', 'b', 'c'])
})

/** A worker must stop the run, even if it only waits. */
export const signalled: Case = defineCase(
  'CL-306',
  'a run with a signal is offered to be stopped, not as work',
  async (t) => {
    const s = stores(t)
    for (const runId of ['cancel', 'pause', 'both', 'work']) await begin(t, s, runId)
    await begin(t, s, 'asleep', { position: { kind: 'delay', stepId: 'd', wakeAt: s.db.now() + 600_000 } })
    await begin(t, s, 'nowhere', { position: null })
    const request = { requestedAt: s.db.now() }
    const signals: Record<string, NonNullable<RunRecord['signals']>> = {
      cancel: { cancel: request },
      pause: { pause: request },
      both: { cancel: request, pause: request },
      asleep: { pause: request },
      nowhere: { cancel: request },
    }
    for (const [runId, signal] of Object.entries(signals)) await change(s, t, runId, { signals: signal })
    await t.sleep(10)
    const all = await offers(stores(t))
    const work = all.filter(({ signal }) => signal === undefined)
    equal(
      work.map(({ runId }) => runId),
      ['work'],
    )
    const others = all.filter(({ signal }) => signal !== undefined)
    equal(Object.fromEntries(others.map(({ runId, signal, stepId }) => [runId, [signal, stepId]])), {
      cancel: ['cancel', STEP],
      pause: ['pause', STEP],
      both: ['cancel', STEP],
      asleep: ['pause', 'd'],
      nowhere: ['cancel', undefined],
    })
    ok(await s.claims.claimTask({ ...others.find((it) => it.runId === 'nowhere')!, workerId: WORKER }), 'It is claimed')
  },
)

export const byPriority: Case = defineCase('CL-307', 'offers come in order of priority', async (t) => {
  const s = stores(t)
  for (const priority of [5, 3, 1, 4, 2] as const) await begin(t, s, `p${priority}`, { priority })
  await begin(t, s, 'none')
  equal(await offered(stores(t)), ['p1', 'p2', 'p3', 'none', 'p4', 'p5'])
  equal(await offered(s, { limit: 2 }), ['p1', 'p2'])
})

export const ageing: Case = defineCase(
  'CL-308',
  'a step that has waited long comes before a more urgent one',
  async (t) => {
    const s = stores(t)
    await begin(t, s, 'old', { priority: 5 })
    await t.sleep(600)
    await begin(t, s, 'new', { priority: 1 })
    equal(await offered(s, { agingInterval: 100 }), ['old', 'new'])
    equal(await offered(s, { agingInterval: 60_000 }), ['new', 'old'])
    equal(await offered(s), ['new', 'old'])
    equal(await offered(s, { agingInterval: Infinity }), ['new', 'old'])
  },
)

export const extremes: Case = defineCase('CL-309', 'ageing can be instant, or turned off', async (t) => {
  const s = stores(t)
  await begin(t, s, 'b', { priority: 4 })
  await t.sleep(20)
  await begin(t, s, 'c', { priority: 1 })
  await t.sleep(20)
  await begin(t, s, 'a', { priority: 1 })
  equal(await offered(s, { agingInterval: 0 }), ['b', 'c', 'a'])
  equal(await offered(s, { agingInterval: 1 }), ['b', 'c', 'a'])
  equal(await offered(s, { agingInterval: Infinity }), ['c', 'a', 'b'])
  equal(await offered(s, { agingInterval: 8.64e15 }), ['c', 'a', 'b'])
})

export const tags: Case = defineCase('CL-310', 'a worker is offered steps whose tags it has', async (t) => {
  const s = stores(t)
  const needs = { none: [], gpu: ['gpu'], eu: ['eu'], both: ['eu', 'gpu'], odd: ['a,b', '["gpu"]', '😀 !'] }
  for (const [runId, needed] of Object.entries(needs)) await begin(t, s, runId, { tags: needed })
  const seen = async (has?: string[]): Promise<string[]> => (await offered(s, { tags: has })).sort()
  equal(await seen(), ['both', 'eu', 'gpu', 'none', 'odd'])
  equal(await seen([]), ['both', 'eu', 'gpu', 'none', 'odd'])
  equal(await seen(['gpu']), ['gpu', 'none'])
  equal(await seen(['gpu', 'eu', 'other']), ['both', 'eu', 'gpu', 'none'])
  equal(await seen(['other']), ['none'])
  equal(await seen(['😀 !', '["gpu"]', 'a,b']), ['none', 'odd'])
  equal((await offers(s)).find(({ runId }) => runId === 'both')?.tags, ['eu', 'gpu'])
})

/** Steps have the tags of their run, which can change. */
export const newTags: Case = defineCase('CL-311', 'changed tags take effect', async (t) => {
  const s = stores(t)
  await begin(t, s, RUN, { tags: ['gpu'] })
  equal(await offered(s, { tags: ['eu'] }), [])
  await s.state.saveSnapshot({ runId: RUN, state: 1, tags: ['eu'] })
  equal(await offered(s, { tags: ['eu'] }), [RUN])
  equal(await offered(s, { tags: ['gpu'] }), [])
})

/** The worker that failed a step gets it last, whatever its priority. Other workers are not affected. */
export const penalised: Case = defineCase('CL-312', 'a worker is offered the steps it failed last', async (t) => {
  const s = stores(t)
  await begin(t, s, 'failed', { priority: 1, retries: { [STEP]: { attempts: 1, lastFailedWorker: WORKER } } })
  await begin(t, s, 'fresh', { priority: 5 })
  equal(await offered(s), ['fresh', 'failed'])
  equal(await offered(s, { limit: 1 }), ['fresh'])
  equal(await offered(s, { workerId: 'worker-2' }), ['failed', 'fresh'])
})

/** In another system, steps that wait for their next attempt were filtered after the limit, and starved the others. */
export const backoff: Case = defineCase(
  'CL-313',
  'a step that waits for its next attempt is not offered, and starves no other',
  async (t) => {
    const s = stores(t)
    await s.db.health()
    const wait = 4000
    const start = s.db.now()
    const nextRetryAt = start + wait
    const retries = { [STEP]: { attempts: 1, nextRetryAt } }
    await Promise.all(upTo(12).map((n) => begin(t, s, `waits ${n}`, { priority: 1, retries })))
    await begin(t, s, 'ready', { priority: 5, retries: { [STEP]: { attempts: 3, nextRetryAt: start - 5 } } })
    equal(await offered(s, { limit: 1 }), ['ready'])
    equal(await offered(stores(t), { limit: 3 }), ['ready'])
    await t.sleep(wait + 1000)
    equal((await offered(s, { limit: 20, agingInterval: Infinity })).length, 13)
    equal((await offers(stores(t), { limit: 1 }))[0]?.since, nextRetryAt)
  },
)

/** The limit counts offers, not the steps looked at. */
export const limits: Case = defineCase(
  'CL-314',
  'claimed and penalised steps do not count toward the limit',
  async (t) => {
    const s = stores(t)
    const ids = upTo(30).map((n) => `r${String(n).padStart(2, '0')}`)
    await beginAll(t, s, ids)
    await Promise.all(ids.slice(0, 25).map((runId) => take(s, { runId, ttl: 60_000 })))
    equal(await offered(stores(t), { limit: 3 }), ids.slice(25, 28))
    equal(await offered(s, { limit: 100 }), ids.slice(25))
    await beginAll(
      t,
      s,
      ids.map((id) => `failed ${id}`),
      { priority: 1 },
      { lastFailedWorker: WORKER },
    )
    equal(await offered(s, { limit: 4 }), ids.slice(25, 29))
    equal((await offered(s, { limit: 6 })).slice(4), ['r30', 'failed r01'])
    equal((await offered(s, { limit: 100 })).length, 35)
  },
)

/** Many steps of one millisecond have a stable order. */
export const order: Case = defineCase('CL-315', 'steps of the same time are offered in order of run ids', async (t) => {
  const n = 300
  const s = stores(t)
  const ids = upTo(n).map((i) => `r${String((i * 7919) % n).padStart(4, '0')}`)
  const since = await beginAll(t, s, ids)
  const expected = [...ids].sort()
  equal(await offered(s, { limit: n }), expected)
  equal(await offered(stores(t), { limit: 10 }), expected.slice(0, 10))
  ok(
    (await offers(s)).every((task) => task.since === since),
    'All of the same time',
  )
})

/** The last step was done, and the process died before it recorded that. */
export const crashWindow: Case = defineCase('CL-316', 'a step is offered until its run has moved on', async (t) => {
  const [dead, next] = [stores(t), stores(t)]
  await begin(t, dead)
  const claim = await take(dead, { ttl: LEASE })
  await dead.log.append(event('done', { stepId: STEP, idempotencyKey: STEP }), { claim })
  equal(await offered(next), [])
  await outlive(t)
  equal((await offers(next))[0]?.stepId, STEP)
  const again = await take(next, { workerId: 'worker-2', ttl: 60_000 })
  const repeated = event('done', { stepId: STEP, idempotencyKey: STEP })
  equal((await next.log.append(repeated, { claim: again })).duplicate, true)
  await next.log.complete(RUN, 'completed', { claim: again })
  await next.claims.releaseTaskClaim(again)
  equal(await offered(next), [])
})

export const oddIds: Case = defineCase('CL-317', 'runs and steps of any name are offered', async (t) => {
  const s = stores(t)
  await s.db.health()
  await Promise.all(
    ODD_IDS.map((id) =>
      s.log.append(event('started', { runId: id }), { run: { position: { kind: 'step', stepId: id } } }),
    ),
  )
  await t.sleep(50)
  const all = await offers(stores(t), { limit: 1000 })
  equal(new Set(all.map(({ runId }) => runId)), new Set(ODD_IDS))
  ok(
    all.every(({ runId, stepId }) => runId === stepId),
    'Steps and runs match',
  )
})

/** No step starves, and released steps are offered at once. */
export const everyone: Case = defineCase('CL-318', 'workers that claim their offers do all steps once', async (t) => {
  const workers = await Promise.all(upTo(3).map(async () => stores(t)))
  for (const n of upTo(15)) await begin(t, workers[0]!, `r${n}`, { priority: ((n % 5) + 1) as Priority })
  const done: string[] = []
  const work = async (s: Stores, workerId: string): Promise<void> => {
    for (;;) {
      const some = await offers(s, { workerId, limit: 2 })
      if (some.length === 0) return
      for (const task of some) {
        const claim = await s.claims.claimTask({ ...task, workerId, ttl: 60_000 })
        if (!claim) continue
        done.push(task.runId)
        await s.log.append(event('done', { runId: task.runId }), { claim, run: { position: null } })
        await s.claims.releaseTaskClaim(claim)
      }
    }
  }
  await Promise.all(workers.map((s, i) => work(s, `worker ${i}`)))
  equal(
    [...done].sort(),
    upTo(15)
      .map((n) => `r${n}`)
      .sort(),
  )
})

/** A backend may return shorter pages than requested. */
export const shortPages: Case = defineCase(
  'CL-319',
  'offers are complete even if the backend returns short pages',
  async (t) => {
    const s = stores(t)
    for (const n of upTo(9)) await begin(t, s, `r${n}`, { tags: n % 3 ? [`tag ${n}`] : [] })
    const small = stores(t, { driver: limited(t) })
    equal(await offered(small, { limit: 100 }), await offered(s, { limit: 100 }))
    equal((await offered(small, { limit: 100 })).length, 9)
    equal(await offered(small, { limit: 4 }), (await offered(s)).slice(0, 4))
  },
)

/** The same backend with the smallest possible answers. */
const limited = (t: Context): Context['driver'] => {
  const { driver } = t
  return {
    ...driver,
    capabilities: {
      ...driver.capabilities,
      limits: { ...driver.capabilities.limits, requestReads: 3, rangeEntries: 2 },
    },
    open: (options) => driver.open(options),
    read: (reads, options) => driver.read(reads, options),
    commit: (request, options) => driver.commit(request, options),
    close: () => driver.close(),
  }
}

/** One search must not spoil another. */
export const atOnceLooks: Case = defineCase(
  'CL-320',
  'workers that search at the same time all find the work',
  async (t) => {
    await begin(t, stores(t))
    const worker = stores(t)
    equal(
      await Promise.all(upTo(5).map(() => offered(worker))),
      upTo(5).map(() => [RUN]),
    )
  },
)
