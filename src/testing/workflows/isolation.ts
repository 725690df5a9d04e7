/** Runs and tenants are separate, whatever their names. @module */
import { equal, rejects } from '../assert.ts'
import { type Case, defineCase } from '../case.ts'
import { changesNothing, collect, ODD_IDS, RUN, type Stores, stores } from '../stores.ts'
import { wait } from '../context.ts'
import { create, READS, runOf, stepIds, waiting, WRITES } from './runs.ts'

const TENANTS = ['a', 'a:', 'aa', 'A', '%', '_', '*', 'a!run', '😀', 'default']

/** The run of another tenant does not exist here. */
export const tenants: Case = defineCase(
  'WF-1201',
  'tenants with equal run and wait ids see nothing of each other',
  async (t) => {
    const of = (tenant: string): Stores => stores(t, {}, tenant)
    for (const [i, tenant] of TENANTS.entries()) {
      const s = of(tenant)
      equal([await s.workflows.getRun(RUN), await s.workflows.listRuns()], [undefined, { items: [] }])
      equal(await s.workflows.findStepByWaitId('wait'), undefined)
      await changesNothing(t, async () => {
        for (const write of Object.values(WRITES)) await rejects(write(s, RUN), 'NOT_FOUND')
        await rejects(s.workflows.completeWait('wait'), 'NOT_FOUND')
        equal(await s.workflows.deleteRun(RUN), false)
      })
      await waiting(s, { input: tenant, context: { i }, tags: [tenant] })
      await s.workflows.saveTaskResult(RUN, 'a', i)
    }
    await of('a').workflows.completeWait('wait', { result: 'of a' })
    await of('aa').workflows.deleteRun(RUN)
    for (const [i, tenant] of TENANTS.entries()) {
      const s = of(tenant)
      if (tenant === 'aa') {
        equal(await s.workflows.getRun(RUN), undefined)
        continue
      }
      const { input, context } = await runOf(s)
      equal([input, context], [tenant, { i }])
      equal(await s.workflows.loadTaskResult(RUN, 'a'), { result: i })
      equal((await s.workflows.findStepByWaitId('wait'))?.step.status, tenant === 'a' ? 'completed' : 'waiting')
      equal((await collect(s.workflows.runs())).length, 1)
    }
  },
)

/** Neither separators nor wildcards reach into another run. */
export const names: Case = defineCase(
  'WF-1202',
  'created runs of any name are kept apart, with their steps',
  async (t) => {
    const s = stores(t)
    await Promise.all(ODD_IDS.map((runId, i) => create(s, { input: i, context: { i }, definition: [i] }, runId)))
    await Promise.all(
      ODD_IDS.map(async (runId, i) => {
        for (const write of Object.values(WRITES)) await write(s, runId)
        await s.workflows.saveTaskResult(runId, runId, i)
        await s.workflows.upsertStep(runId, { stepId: 'w', waitId: `wait ${i}` })
      }),
    )
    const cold = stores(t)
    for (const [i, runId] of ODD_IDS.entries()) {
      const run = await runOf(cold, runId)
      equal([run.runId, run.input, run.definition, run.context], [runId, i, [i], { a: 1 }])
      equal(await cold.workflows.loadTaskResult(runId, runId), { result: i })
      equal(await stepIds(cold, runId), [...new Set(['a', 'b', runId, 'w'])])
      equal((await cold.workflows.findStepByWaitId(`wait ${i}`))?.runId, runId)
    }
    for (const runId of ODD_IDS) equal(await cold.workflows.deleteRun(runId), true)
    equal(await t.dump(), [])
  },
)

/** Each view shows all or nothing. */
export const views: Case = defineCase('WF-1203', 'a run is read as of one moment', async (t) => {
  const [writer, reader] = [stores(t), stores(t)]
  let isOver = false
  const reading = (async () => {
    for (;;) {
      const run = await reader.workflows.getRun(RUN)
      if (run) equal([run.definition, run.context], [run.input, { n: run.input }])
      if (isOver) break
      // In a local workerd no timer fires while answers come without a pause, and writers may wait for one.
      await wait(0)
    }
  })()
  try {
    for (let n = 1; n <= 20; n++) {
      const run = { runId: RUN, workflow: 'w', input: n, definition: n, context: { n } }
      await writer.workflows.prepareRun({ ...run, policy: 'terminateExisting' })
      if (n % 5 === 0) await writer.workflows.deleteRun(RUN)
      for (const read of Object.values(READS)) await read(reader, RUN).catch(() => undefined)
    }
  } finally {
    isOver = true
    await reading
  }
})
