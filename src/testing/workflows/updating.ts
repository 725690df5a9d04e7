/** Fields of a run change by compare-and-set, and an ended run stays ended. @module */
import type { RunStatus } from '../../runs/status.ts'
import { equal, rejects } from '../assert.ts'
import { atOnce, upTo } from '../build.ts'
import { type Case, defineCase } from '../case.ts'
import { changesNothing, event, ODD_IDS, RUN, several, stores, verdict } from '../stores.ts'
import { create, runOf, WRITES } from './runs.ts'

const ENDED: readonly RunStatus[] = ['completed', 'failed', 'cancelled', 'compensated']
const at = (stepId: string) => ({ kind: 'step', stepId }) as const

/** Mastra #18004: field by field; a run keeps its creation time. */
export const fields: Case = defineCase('WF-201', 'an update changes only the given fields', async (t) => {
  const s = stores(t)
  const before = await create(s, { input: 1, context: { a: 1 }, tags: ['x'], definitionHash: 'h' })
  const deadline = { stepId: 'a', at: 5e12 }
  equal(await s.workflows.updateRun(RUN, { priority: 1, deadline }), 'pending')
  equal(await s.workflows.updateRun(RUN, { position: at('a') }), 'running')
  const { updatedAt, since } = await runOf(s)
  equal(await runOf(stores(t)), {
    ...before,
    ...{ updatedAt, since, priority: 1, deadline, position: at('a'), status: 'running' },
  })
  equal(await s.workflows.updateRun(RUN, { tags: [], deadline: null, position: null, traceParent: 'p' }), 'running')
  const { tags, deadline: none, position, traceParent } = await runOf(stores(t))
  equal([tags, none, position, traceParent], [[], undefined, undefined, 'p'])
})

/** Objects of the caller belong to the caller. A cached alias would corrupt the indexes. */
export const copies: Case = defineCase(
  'WF-210',
  'tags and positions can be changed after a call without effect',
  async (t) => {
    const s = stores(t)
    const before = await t.dump()
    const tags = ['a']
    const branches = ['x', 'y']
    const run = await create(s, { tags, status: 'running', position: { kind: 'fork', stepId: 'f', branches } })
    const lists = [tags, branches, run.tags, (run.position as unknown as { branches: string[] }).branches] as string[][]
    for (const list of lists) list.push('more')
    equal((await runOf(s)).tags, ['a'])
    await s.workflows.updateRun(RUN, { priority: 1 })
    tags.pop()
    await s.workflows.updateRun(RUN, { tags, priority: 2 })
    tags.push('more')
    await s.state.saveSnapshot({ runId: RUN, state: 1, tags })
    tags.push('most')
    await s.log.append(event('e'), { run: { tags } })
    tags.length = 0
    equal((await runOf(stores(t))).tags, ['a', 'more', 'most'])
    await s.workflows.deleteRun(RUN)
    equal(await t.dump(), before)
  },
)

export const position: Case = defineCase('WF-202', 'a second update overwrites the position', async (t) => {
  const s = stores(t)
  await create(s)
  for (const stepId of ['a', 'b', ...ODD_IDS.slice(0, 5)]) {
    await s.workflows.updateRun(RUN, { position: at(stepId) })
    equal((await runOf(stores(t))).position, at(stepId))
  }
})

/** If several callers expect the same status, one succeeds. */
export const expected: Case = defineCase('WF-203', 'an update applies only from the expected status', async (t) => {
  const handles = several(t, 4)
  await create(handles[0]!)
  await changesNothing(t, async () => {
    for (const s of [handles[0]!, stores(t)]) {
      const error = await rejects(
        s.workflows.updateRun(RUN, { priority: 1 }, { expectedStatus: 'running' }),
        'CONFLICT',
      )
      equal(error.details?.['status'], 'pending')
    }
  })
  const found = await atOnce(12, (i) =>
    verdict(
      handles[i % 4]!.workflows.updateRun(RUN, { status: 'running', tags: [`w${i}`] }, { expectedStatus: 'pending' }),
    ),
  )
  equal(found.filter((it) => it === 'running').length, 1)
  equal(found.filter((it) => it === 'CONFLICT').length, 11)
  equal((await runOf(stores(t))).tags, [`w${found.indexOf('running')}`])
})

/** A late caller does not revive the run. */
export const ended: Case = defineCase(
  'WF-204',
  'no call changes an ended run, and every call is refused loudly',
  async (t) => {
    for (const last of ENDED) {
      const [one, two] = [stores(t), stores(t)]
      await create(one, { context: { a: 1 } }, last)
      await one.workflows.saveTaskResult(last, 'b', 'out')
      await two.workflows.updateRun(last, { status: last, error: 'why' })
      const before = await runOf(one, last)
      equal([before.completion, before.completedAt, before.error], [last, before.since, 'why'])
      await changesNothing(t, async () => {
        for (const s of [one, two, stores(t)]) {
          for (const status of ['pending', 'running', 'waiting', 'paused', undefined, ...ENDED] as RunStatus[]) {
            if (status !== last)
              await rejects(s.workflows.updateRun(last, { status, priority: 1 }), 'ALREADY_COMPLETED')
          }
          await rejects(s.workflows.updateContext(last, {}), 'ALREADY_COMPLETED')
          await rejects(s.workflows.patchContext(last, { a: 2 }), 'ALREADY_COMPLETED')
          await rejects(s.workflows.failTask(last, 'a', { error: 'E' }), 'ALREADY_COMPLETED')
        }
      })
      await one.workflows.updateRun(last, { status: last })
      equal((await runOf(stores(t), last)).since, before.since)
    }
  },
)

/** The workflow of a run cannot be changed. */
export const workflow: Case = defineCase('WF-205', 'a run keeps its workflow', async (t) => {
  const s = stores(t)
  await create(s)
  await changesNothing(t, async () => {
    for (const it of [s, stores(t)]) {
      await rejects(it.workflows.updateRun(RUN, { workflow: 'other', priority: 1 }), 'WORKFLOW_MISMATCH')
    }
  })
  await s.workflows.updateRun(RUN, { workflow: 'order', priority: 1 })
})

/** A change does not create a run. */
export const unknown: Case = defineCase(
  'WF-206',
  'changing an unknown run is refused and leaves nothing',
  async (t) => {
    const s = stores(t)
    await create(s, {}, `${RUN}2`)
    await changesNothing(t, async () => {
      for (const it of [s, stores(t)]) {
        for (const write of Object.values(WRITES)) await rejects(write(it, RUN), 'NOT_FOUND')
        await rejects(it.workflows.completeWait('wait'), 'NOT_FOUND')
      }
    })
  },
)

/** dbos-py #742, cloudflare/agents #1729: attempts are counted, even concurrent ones. */
export const attempts: Case = defineCase('WF-207', 'failed attempts are counted by step', async (t) => {
  const handles = several(t, 3)
  await create(handles[0]!)
  const found = await atOnce(18, (i) =>
    handles[i % 3]!.workflows.failTask(RUN, i % 2 ? 'a' : '__proto__', { error: `E${i}`, workerId: `w${i}` }),
  )
  equal(
    found.map(({ attempts }) => attempts).toSorted((a, b) => a - b),
    upTo(18).map((n) => Math.ceil(n / 2)),
  )
  const { retries } = await runOf(stores(t))
  equal(Object.keys(retries!).toSorted(), ['__proto__', 'a'])
  for (const { attempts, lastError, lastFailedWorker } of Object.values(retries!)) {
    const i = Number(lastError!.slice(1))
    equal([attempts, lastFailedWorker, found[i]!.attempts], [9, `w${i}`, 9])
  }
  const bare = await handles[0]!.workflows.failTask(RUN, 'bare', { error: '' })
  equal(bare, { attempts: 1, lastError: '' })
})

/** A failed step is offered again when its time has come. */
export const backoff: Case = defineCase('WF-208', 'a failed step is offered again after its wait', async (t) => {
  const s = stores(t)
  await s.db.health()
  await create(s, { status: 'running', position: at('a') })
  const retryAt = s.db.now() + 900
  const state = await s.workflows.failTask(RUN, 'a', { error: 'E', workerId: 'w', retryAt })
  equal(state, { attempts: 1, lastError: 'E', lastFailedWorker: 'w', nextRetryAt: retryAt })
  const offered = async () => (await s.claims.findAvailableTasks({ workerId: 'w' })).length
  equal(await offered(), 0)
  await t.sleep(950)
  equal(await offered(), 1)
})

/** Concurrent changes of one run are all kept. */
export const together: Case = defineCase('WF-209', 'concurrent changes of many kinds are all kept', async (t) => {
  const handles = several(t, 3)
  await create(handles[0]!)
  await atOnce(30, async (i) => {
    const { workflows, log } = handles[i % 3]!
    if (i < 10) await workflows.patchContext(RUN, { [`k${i}`]: i })
    else if (i < 20) await workflows.upsertStep(RUN, { stepId: `s${i}`, result: i })
    else if (i < 25) await log.append(event('e'))
    else await workflows.failTask(RUN, 'a', { error: 'E' })
  })
  const s = stores(t)
  const { context, contextVersion, retries } = await runOf(s)
  equal([Object.keys(context as object).length, contextVersion, retries?.['a']?.attempts], [10, 10, 5])
  equal((await s.workflows.listSteps(RUN)).items.length, 10)
  equal(await s.log.getLatestSeq(RUN), 5)
})

/** Otherwise a worker could go on with another definition unnoticed. */
export const definition: Case = defineCase('WF-213', 'a run keeps its definition hash', async (t) => {
  const s = stores(t)
  await create(s)
  await s.workflows.updateRun(RUN, { definitionHash: 'one' })
  await s.workflows.updateRun(RUN, { definitionHash: 'one', priority: 1 })
  await changesNothing(t, async () => {
    for (const it of [s, stores(t)]) {
      const { details } = await rejects(
        it.workflows.updateRun(RUN, { definitionHash: 'two', priority: 2 }),
        'DEFINITION_MISMATCH',
      )
      equal([details?.['found'], details?.['expected']], ['one', 'two'])
    }
  })
})
