/** Runs and tenants are separate, whatever their names. @module */
import type { PersistenceStore } from '../../stores/persistence/store.ts'
import { equal, rejects } from '../assert.ts'
import { type Case, defineCase } from '../case.ts'
import { collect, event, ODD_IDS, RUN, stores } from '../stores.ts'

const TENANTS = ['a', 'a:', 'aa', 'A', '%', '_', '*', 'a!run', '😀', 'default']

/** The run of another tenant does not exist here. */
export const tenants: Case = defineCase('PE-701', 'tenants with equal run ids see nothing of each other', async (t) => {
  const of = (tenant: string): PersistenceStore => stores(t, {}, tenant).log
  for (const [i, tenant] of TENANTS.entries()) {
    const { log, workflows } = stores(t, {}, tenant)
    equal([await log.exists(RUN), await log.load(RUN), await log.getLatestSeq(RUN)], [false, undefined, undefined])
    equal([await log.loadEvents(RUN), await workflows.listRuns()], [{ items: [] }, { items: [] }])
    await rejects(log.resume(RUN, 0), 'NOT_FOUND')
    await rejects(log.complete(RUN, 'failed'), 'NOT_FOUND')
    const workflow = `of ${tenant}`
    equal(await log.append(event('a', { workflow, idempotencyKey: 'k', payload: i })), { seq: 1, duplicate: false })
    await log.saveIntervention(RUN, { targetStep: tenant })
    await log.resume(RUN, i)
  }
  equal((await of('a').consumeIntervention(RUN))?.targetStep, 'a')
  await of('a').complete(RUN, 'completed')
  for (const [i, tenant] of TENANTS.entries()) {
    const trace = (await of(tenant).load(RUN))!
    equal([trace.workflow, trace.events[0]?.payload, trace.resumedFromSeq], [`of ${tenant}`, i, i])
    equal(trace.completion, tenant === 'a' ? 'completed' : undefined)
    equal(trace.interventions[0]?.consumed, tenant === 'a')
    equal((await stores(t, {}, tenant).workflows.listRuns()).items.length, 1)
  }
})

/** LangGraph-redis #39: neither separators nor wildcards reach into another run. */
export const oddRuns: Case = defineCase('PE-702', 'runs of any name are kept apart', async (t) => {
  const { log } = stores(t)
  await Promise.all(ODD_IDS.map((runId, i) => log.append(event('a', { runId, payload: i, idempotencyKey: 'k' }))))
  await Promise.all(ODD_IDS.map((runId, i) => log.append(event('b', { runId, payload: -i }))))
  await Promise.all(ODD_IDS.slice(0, 30).map((runId) => log.complete(runId, 'failed')))
  for (const [i, runId] of ODD_IDS.entries()) {
    const trace = (await log.load(runId))!
    equal(trace.runId, runId)
    equal(
      trace.events.map(({ seq, payload }) => [seq, payload]),
      [
        [1, i],
        [2, -i],
      ],
    )
    equal(trace.completion, i < 30 ? 'failed' : undefined)
  }
})

/** Names of other kinds, too. */
export const oddNames: Case = defineCase(
  'PE-703',
  'workflows, kinds, steps and versions can have any name',
  async (t) => {
    const { log } = stores(t)
    for (const [i, name] of ODD_IDS.entries()) {
      const runId = `r${i}`
      const named = { runId, workflow: name, stepId: name, definitionVersion: name, payloadHash: name }
      await log.append({ ...named, kind: name, idempotencyKey: name, at: 1 })
      await log.saveIntervention(runId, { targetStep: name })
      const trace = (await log.load(runId))!
      equal([trace.workflow, trace.definitionVersion, trace.interventions[0]?.targetStep], [name, name, name])
      equal(trace.events, [{ ...named, seq: 1, kind: name, idempotencyKey: name, at: 1 }])
    }
  },
)

/** Both belong to one run, but the state of a run is not its log. */
export const stateAndLog: Case = defineCase(
  'PE-704',
  'the log of a run survives the deletion of its state',
  async (t) => {
    const { log, state, workflows } = stores(t)
    await state.saveSnapshot({ runId: RUN, state: 1 })
    await state.set('k', 'v', { runId: RUN })
    equal([await log.exists(RUN), (await log.load(RUN))?.events, await log.getLatestSeq(RUN)], [true, [], undefined])
    await log.append(event('a', { idempotencyKey: 'k' }))
    await log.saveIntervention(RUN, { targetStep: 's' })
    await log.resume(RUN, 1)
    const trace = await log.load(RUN)
    await state.deleteExecutionState(RUN)
    equal(await log.load(RUN), trace)
    equal((await collect(workflows.runs())).length, 1)
    equal(await log.append(event('a', { idempotencyKey: 'k' })), { seq: 1, duplicate: true })
  },
)
