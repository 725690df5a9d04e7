/** Waiting for work where changes are announced: it costs nothing, and ends as soon as there is some. @module */
import { equal } from '../assert.ts'
import { type Case, type Context, defineCase } from '../case.ts'
import { wait } from '../context.ts'
import { RUN, type SpiedStores, type Stores, announces, event, soon, spied, stores } from '../stores.ts'
import { begin, STEP, take, WORKER } from './runs.ts'

/** Nobody looks a second time unless told. */
const waiting = { workerId: WORKER, timeout: 600_000, pollInterval: 1e9 }
/** Stores that are never ahead of a clock moved by hand: an offer that lies in the future is not there to be found. */
const punctual = (t: Context): Stores => stores(t, { clock: () => 0 })
const counted = ({ spy }: SpiedStores): number => spy.reads.length + spy.commits.length

/** What holds where nothing is announced: who looks finds it. */
const polled = {
  needs: announces,
  async otherwise(t: Context) {
    const [a, b] = [stores(t), stores(t)]
    const found = b.claims.waitForWakeup({ ...waiting, pollInterval: 20 })
    await begin(t, a)
    equal((await soon(found))?.runId, RUN)
  },
}

/** Costs counted: a worker that waits makes no request. */
export const woken: Case = defineCase(
  'CL-501',
  'who waits for work asks for nothing until a change is announced',
  async (t) => {
    const [a, b] = [punctual(t), spied(t)]
    const found = b.claims.waitForWakeup(waiting)
    await wait(50)
    const before = counted(b)
    await wait(100)
    equal(counted(b), before)
    await begin(t, a)
    equal((await soon(found))?.runId, RUN)
  },
  polled,
)

/** Row 35: what was sent is worked on at once. */
export const message: Case = defineCase(
  'CL-502',
  'a message to a run that waits for it wakes a worker',
  async (t) => {
    const [a, b] = [punctual(t), spied(t)]
    await begin(t, a)
    await a.signals.park(RUN, { kind: 'message', stepId: 'wait', name: 'paid', next: 'ship' })
    const found = b.claims.waitForWakeup(waiting)
    await wait(50)
    await a.signals.sendMessage(RUN, 'paid', 1)
    equal((await soon(found))?.runId, RUN)
  },
  polled,
)

/** A worker is not woken by all that happens. */
export const unconcerned: Case = defineCase(
  'CL-503',
  'who waits for work is not disturbed by other changes',
  async (t) => {
    const [a, b] = [punctual(t), spied(t)]
    const found = b.claims.waitForWakeup({ ...waiting, tags: ['gpu'] })
    await wait(50)
    const before = counted(b)
    await a.state.set('k', 'v')
    await a.state.set('k', 'v', { runId: RUN })
    await stores(t, {}, 'another').log.append(event('started'), { run: { position: { kind: 'step', stepId: STEP } } })
    await begin(t, a, 'for others', { tags: ['eu'] })
    await take(a, { runId: 'for others' })
    await wait(50)
    equal(counted(b), before)
    await begin(t, a, RUN, { tags: ['gpu'] })
    equal((await soon(found))?.runId, RUN)
  },
  polled,
)

/** Row 23: the announcement is lost, the wake-up is not. */
export const lost: Case = defineCase('CL-504', 'a wake-up survives the loss of its announcement', async (t) => {
  const [a, b] = [stores(t), stores(t, { driver: { ...t.driver, watch: () => () => {} } })]
  const found = b.claims.waitForWakeup({ ...waiting, pollInterval: 20 })
  await wait(50)
  await begin(t, a)
  equal((await soon(found))?.runId, RUN)
})
