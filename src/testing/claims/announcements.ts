/** Waiting for work with announcements: it costs nothing, and ends as soon as there is work. @module */
import { equal } from '../assert.ts'
import { type Case, type Context, defineCase } from '../case.ts'
import { wait } from '../context.ts'
import { RUN, type SpiedStores, type Stores, announces, event, soon, spied, stores } from '../stores.ts'
import { begin, STEP, take, WORKER } from './runs.ts'

/** Polling is so rare that only announcements count. */
const waiting = { workerId: WORKER, timeout: 600_000, pollInterval: 1e9 }
/** Stores that are never ahead of a manual clock: an offer in the future could not be found. */
const punctual = (t: Context): Stores => stores(t, { clock: () => 0 })
const counted = ({ spy }: SpiedStores): number => spy.reads.length + spy.commits.length

/** Without announcements, polling finds the work. */
const polled = {
  needs: announces,
  async otherwise(t: Context) {
    const [a, b] = [stores(t), stores(t)]
    const found = b.claims.waitForWakeup({ ...waiting, pollInterval: 20 })
    await begin(t, a)
    equal((await soon(found))?.runId, RUN)
  },
}

/** The cost: a waiting worker makes no request. */
export const woken: Case = defineCase(
  'CL-501',
  'a waiting worker makes no request until a change is announced',
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

/** A sent message is worked on at once. */
export const message: Case = defineCase(
  'CL-502',
  'a message wakes a worker for the run that waits for it',
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

/** A worker is not woken by unrelated changes. */
export const unconcerned: Case = defineCase(
  'CL-503',
  'a waiting worker is not woken by unrelated changes',
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

/** The announcement is lost, but the work is found. */
export const lost: Case = defineCase('CL-504', 'work is found even if its announcement is lost', async (t) => {
  const [a, b] = [stores(t), stores(t, { driver: { ...t.driver, watch: () => () => {} } })]
  const found = b.claims.waitForWakeup({ ...waiting, pollInterval: 20 })
  await wait(50)
  await begin(t, a)
  equal((await soon(found))?.runId, RUN)
})
