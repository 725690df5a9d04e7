/** Several tabs of a real browser on one database. */
import { describe, expect, it } from 'vitest'
import { part } from '../support/parts.ts'
import type { BrowserEngine } from './engines.ts'
import type { TabReport } from './programs/tabs.ts'
import { isLongRun } from './runs.ts'
import { gather } from './session.ts'

const EVENTS = 10_000
const RUNS = 50
const PATIENCE = 200_000

/** Who works together: tabs and service workers. */
const TEAMS: readonly (readonly [words: string, tabs: number, serviceWorkers: 0 | 1])[] = [
  ['2 of them', 2, 0],
  ['3 of them and a service worker', 3, 1],
  ...(isLongRun ? ([['4 of them', 4, 0]] as const) : []),
]

/** Registers the tests of several tabs in this browser. */
export function tabsIn(engine: BrowserEngine): void {
  describe.skipIf(!part(engine.part))(`${engine.name}: tabs`, () => {
    it.each(TEAMS)(
      '%s give every number and every claim once, and let one of them upgrade',
      { timeout: PATIENCE + 20_000 },
      async (_, tabs, serviceWorkers) => {
        const done = await work(engine, tabs, serviceWorkers)
        const seqs = done.flatMap((it) => it.seqs!)
        expect(seqs.toSorted((a, b) => a - b)).toEqual(Array.from({ length: EVENTS }, (_, i) => i + 1))
        const claimed = done.flatMap((it) => it.claimed!)
        expect(claimed.toSorted()).toEqual(Array.from({ length: RUNS }, (_, i) => `run ${i}`).toSorted())
        // What the upgrade has made of the database is not for this release, and nobody was kept waiting.
        expect(done.map((it) => it.code)).toEqual(Array(tabs + serviceWorkers).fill('SCHEMA'))
      },
    )
  })
}

/** All begin each stage together; the first tab registers the service worker. */
async function work(engine: BrowserEngine, tabs: number, serviceWorkers: 0 | 1): Promise<TabReport[]> {
  const all = tabs + serviceWorkers
  const query = Array.from({ length: tabs }, (_, tab) => `?tab=${tab}&share=${EVENTS / all}`)
  if (serviceWorkers > 0) query[0] += `&service=${tabs}`
  let onAll: () => void
  let waiting = 0
  let met = new Promise<void>((resolve) => (onAll = resolve))
  const meet = async (): Promise<void> => {
    const mine = met
    if (++waiting === all) {
      onAll()
      waiting = 0
      met = new Promise((resolve) => (onAll = resolve))
    }
    await mine
  }
  return gather<TabReport>(engine, 'tabs', {
    reports: all,
    query,
    patience: PATIENCE,
    async answer(report) {
      if (report.say === 'done') return true
      await meet()
      return false
    },
  })
}
