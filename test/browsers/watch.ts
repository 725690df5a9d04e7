/** Changes announced from tab to tab of a real browser. */
import { describe, expect, it } from 'vitest'
import { part } from '../support/parts.ts'
import type { BrowserEngine } from './engines.ts'
import type { WatchReport } from './programs/watch.ts'
import { gather } from './session.ts'

const PATIENCE = 60_000
/** From the change to whoever was told having read it, in milliseconds. */
const SOON = 1000

/** Registers the tests of announcements in this browser. */
export function announcedIn(engine: BrowserEngine): void {
  describe.skipIf(!part(engine.part))(`${engine.name}: announcements`, () => {
    it(
      'tell another tab of a value and of work within a second, which asks for nothing meanwhile',
      { timeout: PATIENCE + 20_000 },
      async () => {
        const reports = await work(engine)
        const changes = reports.filter(({ say }) => say === 'changed')
        const told = reports.filter(({ say }) => say === 'done')
        expect(told.map(({ found }) => found)).toEqual([[[['cart 1'], 'kelp']], ['ship']])
        expect(told.map(({ idle }) => idle)).toEqual([0, 0])
        for (const { looks } of told) expect(looks).toBeLessThanOrEqual(4)
        told.forEach(({ foundAt }, i) => expect(foundAt! - changes[i]!.changedAt!).toBeLessThan(SOON))
      },
    )
  })
}

/** Both tabs go on when both are there. */
function work(engine: BrowserEngine): Promise<WatchReport[]> {
  let first: (() => void) | undefined
  return gather<WatchReport>(engine, 'watch', {
    reports: 4,
    query: ['?tab=waits', '?tab=changes'],
    patience: PATIENCE,
    async answer({ say }) {
      if (say !== 'ready') return true
      if (first) {
        first()
        first = undefined
      } else await new Promise<void>((resolve) => (first = resolve))
      return false
    },
  })
}
