/** The conformance suite in a real browser, each case a test of its own. */
import { beforeAll, describe, it } from 'vitest'
import { cases } from '../../src/testing/index.ts'
import { part } from '../support/parts.ts'
import { type BrowserEngine } from './engines.ts'
import { gather } from './session.ts'

/** What came of a case. */
export interface Result {
  readonly id: string
  /** Absent where it passed. */
  readonly error?: string
}

interface Report {
  readonly realm: 'page' | 'worker'
  readonly results: readonly Result[]
}

/** Milliseconds that a browser may take, on a machine that has other things to do. */
const PATIENCE = 400_000

/** Registers a test for every case on a page and in a worker of this browser. */
export function conformanceIn(engine: BrowserEngine): void {
  describe.skipIf(!part(engine.part)).each(['page', 'worker'] as const)(
    `${engine.name}: conformance in a %s`,
    (realm) => {
      let results: ReadonlyMap<string, Result>

      beforeAll(async () => {
        results = new Map((await reports(engine)).find((it) => it.realm === realm)!.results.map((it) => [it.id, it]))
      }, PATIENCE + 10_000)

      it.each(cases.map(({ id, name }) => [id, name]))('%s %s', (id) => {
        const result = results.get(id)
        if (result === undefined) throw new Error('The browser has not run it')
        if (result.error !== undefined) throw new Error(result.error)
      })
    },
  )
}

const running = new Map<string, Promise<Report[]>>()

/** One start of the browser for both: the page starts the worker. */
function reports(engine: BrowserEngine): Promise<Report[]> {
  const run = running.get(engine.name) ?? gather<Report>(engine, 'conformance', { reports: 2, patience: PATIENCE })
  running.set(engine.name, run)
  return run
}
