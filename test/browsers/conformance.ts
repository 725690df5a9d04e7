/** The conformance suite in a real browser, each case a test of its own. */
import { beforeAll, describe, it } from 'vitest'
import { cases } from '../../src/testing/index.ts'
import { part } from '../support/parts.ts'
import { type BrowserEngine } from './engines.ts'
import type { Realm } from './programs/report.ts'
import { isLongRun } from './runs.ts'
import { gather } from './session.ts'

/** What came of a case. */
export interface Result {
  readonly id: string
  /** Absent where it passed. */
  readonly error?: string
}

interface Report {
  readonly realm: Realm
  readonly results: readonly Result[]
}

/** Milliseconds that a browser may take, on a machine that has other things to do. */
const PATIENCE = 400_000
/** Over a port, of so many cases one; all of them over the ports of Node's threads, and in the long run. */
const EVERY = isLongRun ? 1 : 8

const REALMS: readonly (readonly [Realm, string, every: number])[] = [
  ['page', 'on a page', 1],
  ['worker', 'in a worker', 1],
  ['channel', 'on a page, over a port to a worker', EVERY],
]

/** Registers a test for every case in every realm of this browser. */
export function conformanceIn(engine: BrowserEngine): void {
  describe.skipIf(!part(engine.part)).each(REALMS)(`${engine.name}: conformance %s, %s`, (realm, _, every) => {
    let results: ReadonlyMap<string, Result>

    beforeAll(async () => {
      results = new Map((await reports(engine)).find((it) => it.realm === realm)!.results.map((it) => [it.id, it]))
    }, PATIENCE + 10_000)

    it.each(cases.filter((_, i) => i % every === 0).map(({ id, name }) => [id, name]))('%s %s', (id) => {
      const result = results.get(id)
      if (result === undefined) throw new Error('The browser has not run it')
      if (result.error !== undefined) throw new Error(result.error)
    })
  })
}

const running = new Map<string, Promise<Report[]>>()

/** One start of the browser for all: the page starts the workers. */
function reports(engine: BrowserEngine): Promise<Report[]> {
  const options = { reports: REALMS.length, patience: PATIENCE, query: [`?every=${EVERY}`] }
  const run = running.get(engine.name) ?? gather<Report>(engine, 'conformance', options)
  running.set(engine.name, run)
  return run
}
