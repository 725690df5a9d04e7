/** The conformance suite in a browser: on the page, in a worker, and on the page over the driver of a worker. */
import type { Driver } from '../../../src/core/driver.ts'
import { indexedDb } from '../../../src/drivers/indexeddb/driver.ts'
import { type Case, type Harness, runCase } from '../../../src/testing/index.ts'
import type { Depth } from '../../support/selections.ts'
import type { Report, Result } from '../conformance.ts'
import { casesOf } from './cases.ts'
import { deleteDatabase, dump } from './raw.ts'
import { QUERY, REALM, type Realm, describe, inLanes, report, startWorker } from './report.ts'
import { servesHere, startServing } from './served.ts'

/** Cases at a time: more of them get no faster, and each so slow that what it does in a moment takes seconds. */
const LANES = 2
/** Cases of a report: whoever waits for it sees that this goes on. */
const BATCH = 20

/** A database whose clock is ahead of the machine's. */
interface Place {
  open(): Driver | Promise<Driver>
  setAhead(ms: number): void | Promise<void>
}

let databases = 0

const harness = (realm: Realm, placeOf: (name: string) => Place): Harness => ({
  name: `indexeddb ${realm}`,
  async create() {
    const name = `${realm} ${databases++}`
    const { open, setAhead } = placeOf(name)
    // Runs on between the cases' leaps: stores go by the machine's clock, and would soon be ahead of one that stands.
    let ahead = 0
    await setAhead(ahead)
    return {
      driver: await open(),
      advance: (ms) => setAhead((ahead += ms)),
      reopen: async () => open(),
      dump: () => dump(name),
      dispose: () => deleteDatabase(name),
    }
  },
})

function here(name: string): Place {
  let ahead = 0
  return {
    open: () => indexedDb({ name, clock: () => Date.now() + ahead }),
    setAhead: (ms) => void (ahead = ms),
  }
}

function inWorker(): (name: string) => Place {
  const { connectTo, setClock } = startServing()
  return (name) => ({ open: () => connectTo(name), setAhead: (ahead) => setClock(name, { ahead }) })
}

async function runAll(some: readonly Case[], suite: Harness, realm: Realm): Promise<void> {
  let results: Result[] = []
  async function tell(isLast: boolean): Promise<void> {
    const told: Report = { realm, results, isLast }
    results = []
    await report(told)
  }
  await inLanes(LANES, some, async (it) => {
    const error = await runCase(it, suite).then(
      () => undefined,
      (cause: unknown) => ({ error: describe(cause) }),
    )
    results.push({ id: it.id, ...error })
    if (results.length === BATCH) await tell(false)
  })
  await tell(true)
}

if (!servesHere()) {
  if (REALM === 'page') startWorker()
  const some = casesOf(QUERY.get('depth') as Depth)
  await runAll(some[REALM], harness(REALM, here), REALM)
  if (REALM === 'page') await runAll(some.channel, harness('channel', inWorker()), 'channel')
}
