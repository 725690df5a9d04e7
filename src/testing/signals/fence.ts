/** A claim fences off every call that changes a run. @module */
import { equal, rejects } from '../assert.ts'
import { type Case, defineCase } from '../case.ts'
import { changesNothing, RUN, stores } from '../stores.ts'
import { WRITES } from './calls.ts'
import { at, begin, nap, runOf, takeLease, waitFor } from './runs.ts'

/** LangGraph #8796: a worker without its claim changes nothing. */
export const lost: Case = defineCase('SI-701', 'under a lost claim, every change of a run is refused', async (t) => {
  const s = stores(t)
  await begin(s)
  await s.signals.sendMessage(RUN, 'n', 1)
  await s.signals.storeSignal(RUN, 'cancel')
  await begin(s, { status: 'paused', position: at() }, 'paused')
  const claim = await takeLease(t)
  await claim.lose()
  await changesNothing(t, async () => {
    for (const it of [s, stores(t)]) {
      for (const write of WRITES) {
        const runId = write.toString().includes('unpause') ? 'paused' : RUN
        await rejects(write(it, runId, { claim }), 'CLAIM_LOST')
      }
    }
  })
})

/** While the claim is held, calls work as usual. */
export const held: Case = defineCase('SI-702', 'under a held claim, signals and messages work', async (t) => {
  const s = stores(t)
  await begin(s)
  const claim = await takeLease(t)
  await s.signals.storeSignal(RUN, 'pause', { claim })
  equal(await s.signals.clearSignal(RUN, 'pause', { claim }), true)
  await s.signals.sendMessage(RUN, 'n', 1, { claim })
  equal((await s.signals.consumeMessage(RUN, 'n', { claim }))?.seq, 1)
  equal(await s.signals.park(RUN, waitFor(), { claim }), 'waiting')
  await s.signals.storeSignal(RUN, 'pause', { claim })
  equal(await s.signals.checkControlSignals(RUN, { claim }), 'paused')
  equal(await s.signals.unpause(RUN, { claim }), 'waiting')
  await claim.lose()
  await rejects(s.signals.sendMessage(RUN, 'paid', 1, { claim }), 'CLAIM_LOST')
  equal((await runOf(t)).status, 'waiting')
})

/** A leader that was replaced. */
export const timers: Case = defineCase('SI-703', 'under a lost claim, no timer wakes a run', async (t) => {
  const s = stores(t)
  await begin(s, { position: nap(1) })
  const claim = await takeLease(t)
  await claim.lose()
  await changesNothing(t, async () => {
    for (const it of [s, stores(t)]) await rejects(it.timers.advanceDue({ claim }), 'CLAIM_LOST')
  })
  const other = await takeLease(t)
  equal((await s.timers.advanceDue({ claim: other })).length, 1)
})
