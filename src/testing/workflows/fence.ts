/** A claim fences off every call that changes a run. @module */
import { innerOf } from '../../core/database.ts'
import type { WriteOptions } from '../../core/options.ts'
import { equal, ok, rejects } from '../assert.ts'
import { type Case, defineCase } from '../case.ts'
import { changesNothing, RUN, type Stores, stores, verdict } from '../stores.ts'
import { takeLease } from '../signals/runs.ts'
import { newRun, STARTS, waiting, WRITES } from './runs.ts'

const ALL: Readonly<Record<string, (s: Stores, options: WriteOptions) => Promise<unknown>>> = {
  ...Object.fromEntries(
    Object.entries(WRITES).map(([name, call]) => [name, (s: Stores, o: WriteOptions) => call(s, RUN, o)]),
  ),
  completeWait: ({ workflows }, o) => workflows.completeWait('wait', { context: { a: 1 }, ...o }),
  createRun: ({ workflows, db }, o) => workflows.createRun(newRun({}, innerOf(db).newId()), o),
  useExisting: ({ workflows, db }, o) =>
    workflows.prepareRun({ ...newRun({}, innerOf(db).newId()), policy: 'useExisting' }, o),
  prepareRun: ({ workflows }, o) => workflows.prepareRun({ ...newRun(), policy: 'terminateExisting' }, o),
  deleteRun: (s, o) => STARTS['deleteRun']!(s, RUN, o),
}

/** LangGraph #8796: a worker without its claim changes nothing. */
export const lost: Case = defineCase(
  'WF-1001',
  'under a lost claim, every change of a run is refused by workflows',
  async (t) => {
    const s = stores(t)
    await waiting(s)
    const claim = await takeLease(t)
    await s.workflows.patchContext(RUN, { mine: 1 }, { claim })
    await claim.lose()
    await changesNothing(t, async () => {
      for (const it of [s, stores(t)]) {
        for (const [name, call] of Object.entries(ALL)) equal(await verdict(call(it, { claim })), 'CLAIM_LOST', name)
      }
    })
  },
)

/** While the claim is held, it has no effect. */
export const held: Case = defineCase('WF-1002', 'under a held claim, every change of a run takes effect', async (t) => {
  for (const cold of [false, true]) {
    const s = stores(t)
    await s.workflows.deleteRun(RUN)
    await waiting(s)
    const claim = await takeLease(t)
    for (const [name, call] of Object.entries(ALL)) {
      const before = await t.dump()
      await call(cold ? stores(t) : s, { claim })
      ok(JSON.stringify(await t.dump()) !== JSON.stringify(before), name)
    }
    equal(await s.workflows.getRun(RUN), undefined)
    await claim.lose()
    await rejects(s.workflows.createRun(newRun(), { claim }), 'CLAIM_LOST')
  }
})

/** An expired claim, and one that was taken over. */
export const claimed: Case = defineCase(
  'WF-1003',
  'under an expired claim, or one taken over, nothing of a run changes',
  async (t) => {
    const [late, next] = [stores(t), stores(t)]
    await waiting(late, { position: { kind: 'step', stepId: 'a' }, status: 'running' })
    const claim = await late.claims.claimTask({ runId: RUN, stepId: 'a', workerId: 'w', ttl: 1000 })
    ok(claim, 'Claimed')
    await late.workflows.saveTaskResult(RUN, 'b', 1, { claim })
    await t.sleep(1050)
    // Some backends remove expired entries when they are written to.
    await late.state.set('swept', '1')
    for (const isTaken of [false, true]) {
      const other = isTaken
        ? await next.claims.claimTask({ runId: RUN, stepId: 'a', workerId: 'w', ttl: 600_000 })
        : undefined
      equal(other !== undefined, isTaken)
      await changesNothing(t, async () => {
        for (const it of [late, stores(t)]) {
          for (const [name, call] of Object.entries(ALL)) equal(await verdict(call(it, { claim })), 'CLAIM_LOST', name)
        }
      })
      if (other) await next.workflows.patchContext(RUN, { mine: 1 }, { claim: other })
    }
  },
)
