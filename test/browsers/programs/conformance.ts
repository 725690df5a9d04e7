/** The conformance suite in a browser: on the page and in a worker. */
import { indexedDb } from '../../../src/drivers/indexeddb/driver.ts'
import { type Harness, cases, runCase } from '../../../src/testing/index.ts'
import type { Result } from '../conformance.ts'
import { deleteDatabase, dump } from './raw.ts'
import { REALM, inLanes, report, startWorker } from './report.ts'

/** Cases at a time: more of them get no faster, and each so slow that what it does in a moment takes seconds. */
const LANES = 2

let databases = 0

const harness: Harness = {
  name: `indexeddb ${REALM}`,
  async create() {
    const name = `${REALM} ${databases++}`
    // Runs on between the cases' leaps: stores go by the machine's clock, and would soon be ahead of one that stands.
    let ahead = 0
    const open = () => indexedDb({ name, clock: () => Date.now() + ahead })
    return {
      driver: open(),
      advance: (ms) => void (ahead += ms),
      reopen: async () => open(),
      dump: () => dump(name),
      dispose: () => deleteDatabase(name),
    }
  },
}

if (REALM === 'page') startWorker()
const results: Result[] = []
await inLanes(LANES, cases, async (it) => {
  const error = await runCase(it, harness).then(
    () => undefined,
    (cause: unknown) => ({ error: describe(cause) }),
  )
  results.push({ id: it.id, ...error })
})
await report({ realm: REALM, results })

/** Some browsers leave the message out of the stack. */
function describe(cause: unknown): string {
  const stack = (cause as Error).stack ?? ''
  return stack.includes(String(cause)) ? stack : `${String(cause)}\n${stack}`
}
