/** The conformance suite in a real browser, each case a test of its own. */
import { beforeAll, describe, it } from 'vitest'
import { part } from '../support/parts.ts'
import type { Depth } from '../support/selections.ts'
import { depth as depthOfRun } from '../support/slice.ts'
import { type BrowserEngine } from './engines.ts'
import { casesOf } from './programs/cases.ts'
import type { Realm } from './programs/report.ts'
import { isLongRun } from './runs.ts'
import { gather } from './session.ts'

/** What came of a case. */
export interface Result {
  readonly id: string
  /** Absent where it passed. */
  readonly error?: string
}

/** Some results of a realm, in the order in which they came. */
export interface Report {
  readonly realm: Realm
  readonly results: readonly Result[]
  /** Whether these are the last. */
  readonly isLast: boolean
}

/** Milliseconds that a browser may take to its next report, on a machine that has other things to do. */
const PATIENCE = 120_000
/** Milliseconds for all of it; only a browser that reports and never ends takes as long. */
const MOST_MS = 1_800_000

const depth: Depth = isLongRun ? 'whole' : depthOfRun

const REALMS: readonly (readonly [Realm, string])[] = [
  ['page', 'on a page'],
  ['worker', 'in a worker'],
  ['channel', 'on a page, over a port to a worker'],
]

/** Registers a test for every case in every realm of this browser. */
export function conformanceIn(engine: BrowserEngine): void {
  describe.skipIf(!part(engine.part)).each(REALMS)(`${engine.name}: conformance %s, %s`, (realm) => {
    let results: ReadonlyMap<string, Result>

    beforeAll(async () => {
      const own = (await reports(engine)).filter((report) => report.realm === realm)
      results = new Map(own.flatMap((report) => report.results).map((result) => [result.id, result]))
    }, MOST_MS)

    it.each(casesOf(depth)[realm].map(({ id, name }) => [id, name]))('%s %s', (id) => {
      const result = results.get(id)
      if (result === undefined) throw new Error('The browser has not run it')
      if (result.error !== undefined) throw new Error(result.error)
    })
  })
}

const running = new Map<string, Promise<Report[]>>()

/** One start of the browser for all: the page starts the workers. */
function reports(engine: BrowserEngine): Promise<Report[]> {
  const run = running.get(engine.name) ?? start(engine)
  running.set(engine.name, run)
  return run
}

async function start(engine: BrowserEngine): Promise<Report[]> {
  const all: Report[] = []
  await gather<Report>(engine, 'conformance', {
    reports: REALMS.length,
    patience: PATIENCE,
    query: [`?depth=${depth}`],
    answer: async (report) => {
      all.push(report)
      return report.isLast
    },
  })
  return all
}
