/** Two tabs on one database: one changes things, the other has said what it waits for and looks only when told. */
import type { Driver } from '../../../src/core/driver.ts'
import { indexedDb } from '../../../src/drivers/indexeddb/driver.ts'
import { createHoldfast } from '../../../src/holdfast.ts'
import { QUERY, report } from './report.ts'

/** What a tab has to tell. */
export interface WatchReport {
  readonly say: 'ready' | 'changed' | 'done'
  /** Reads of the tab that waits, from when it waited until it was told. */
  readonly idle?: number
  /** Reads from then until it knew. */
  readonly looks?: number
  /** What it was told of. */
  readonly found?: readonly unknown[]
  /** Moments, in milliseconds since 1970. */
  readonly changedAt?: number
  readonly foundAt?: number
}

/** Longer than the test takes: what is found is found by an announcement. */
const NEVER = 1e9
/** How long nothing happens, in milliseconds. */
const SILENCE = 1500
const RUN = 'order'

const meet = (): Promise<unknown> => report({ say: 'ready' } satisfies WatchReport)
const driver = indexedDb({ name: 'watch' })
let reads = 0
const counted: Driver = {
  ...driver,
  read(...call) {
    reads++
    return driver.read(...call)
  },
}
const { db, state, signals, claims, persistence } = createHoldfast({ driver: counted })

/** Waits without a look until something is found, and tells how that went. */
async function waitFor(find: Promise<unknown>): Promise<void> {
  // By then it has looked once.
  await new Promise((resolve) => setTimeout(resolve, SILENCE / 3))
  const before = reads
  await meet()
  await new Promise((resolve) => setTimeout(resolve, SILENCE))
  const idle = reads - before
  await meet()
  const found = await find
  const foundAt = Date.now()
  await report({ say: 'done', idle, looks: reads - before - idle, found: [found], foundAt } satisfies WatchReport)
}

/** Changes something when the other tab has waited for a while. */
async function change(how: () => Promise<unknown>): Promise<void> {
  await meet()
  await meet()
  const changedAt = Date.now()
  await how()
  await report({ say: 'changed', changedAt } satisfies WatchReport)
}

await db.open()
if (QUERY.get('tab') === 'waits') {
  const reports = state.watch({ prefix: 'cart' }, { pollInterval: NEVER })[Symbol.asyncIterator]()
  await reports.next()
  await waitFor(reports.next().then(async ({ value }) => [value, await state.get('cart 1')]))
  const work = { workerId: 'waits', timeout: 600_000, pollInterval: NEVER }
  await waitFor(claims.waitForWakeup(work).then((task) => task?.stepId))
} else {
  await persistence.append({ runId: RUN, workflow: 'order', kind: 'started' })
  await signals.park(RUN, { kind: 'message', stepId: 'wait', name: 'paid', next: 'ship' })
  await change(() => state.set('cart 1', 'kelp'))
  await change(() => signals.sendMessage(RUN, 'paid', 12))
}
