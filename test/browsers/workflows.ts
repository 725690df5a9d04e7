/** The same runs as in other runtimes: two tabs of a real browser work on them, and the process of one is killed. */
import { describe, it } from 'vitest'
import { inTime } from '../../src/core/abort.ts'
import { expectAsIfNobodyDied } from '../runner/everywhere/judge.ts'
import { FIRST, SECOND, stage } from '../runner/everywhere/stage.ts'
import { part } from '../support/parts.ts'
import { type BrowserEngine, launch } from './engines.ts'
import { killPage } from './kills.ts'
import { serve } from './server.ts'
import { withProfile } from './session.ts'

/** Milliseconds until a browser counts as stuck. */
const PATIENCE = 120_000

/** Registers the test of runs in two tabs of this browser. */
export function workflowsIn(engine: BrowserEngine): void {
  describe.skipIf(!part(engine.part))(`${engine.name}: runs`, () => {
    it('end as if nobody had died when one of two tabs is killed', { timeout: 3 * PATIENCE }, () =>
      withProfile(async (directory) => {
        const { take, isReady, heard, play } = stage()
        const server = await serve('workflows', take)
        const browser = launch(engine, directory, ...[FIRST, SECOND].map((worker) => `${server.url}?worker=${worker}`))
        try {
          await inTime(isReady, PATIENCE)
          await killPage(engine, browser, heard)
          await expectAsIfNobodyDied(await inTime(play, PATIENCE))
        } finally {
          await browser.kill()
          await server.close()
        }
      }),
    )
  })
}
