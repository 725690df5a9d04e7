/** Random histories in a real browser: they are answered as the models of `test/model` do. */
import { describe, expect, it } from 'vitest'
import { part } from '../support/parts.ts'
import type { BrowserEngine } from './engines.ts'
import type { ModelReport } from './programs/model.ts'
import { isLongRun, seed } from './runs.ts'
import { gather } from './session.ts'

/** Histories of each kind in each realm. */
const RUNS = isLongRun ? 100 : 4
const PATIENCE = isLongRun ? 1_800_000 : 200_000
const REALMS = ['channel', 'page', 'worker']
const KINDS = ['bursts of calls', 'requests', 'sequences of calls']

/** Registers the test of random histories in this browser. */
export function modelIn(engine: BrowserEngine): void {
  describe.skipIf(!part(engine.part))(`${engine.name}: models`, () => {
    it(
      `answer as IndexedDB does, on a page, in a worker and over a port: ${RUNS} histories of each kind, seed ${seed}`,
      { timeout: PATIENCE + 20_000 },
      async () => {
        const reports = await gather<ModelReport>(engine, 'model', {
          reports: REALMS.length * KINDS.length,
          query: [`?runs=${RUNS}&seed=${seed}`],
          patience: PATIENCE,
        })
        expect(reports.filter(({ error }) => error !== undefined)).toEqual([])
        const told = reports.map(({ realm, kind }) => `${realm}: ${kind}`)
        expect(told.toSorted()).toEqual(REALMS.flatMap((realm) => KINDS.map((kind) => `${realm}: ${kind}`)))
      },
    )
  })
}
