/** A slice of `npm run test:crash:browsers`: what was acknowledged outlives the browser, and nothing is torn. */
import { describe, expect, it } from 'vitest'
import { part } from '../support/parts.ts'
import { randomFrom } from '../support/random.ts'
import { CHROMIUM } from './engines.ts'
import { killBrowsers } from './kills.ts'

const seed = Number(process.env['HOLDFAST_CRASH_SEED'] ?? Date.now() % 1e6)
const LONG = 180_000

describe.skipIf(!part('chromium'))('Chromium: killed', () => {
  it(`keeps every acknowledged write and tears none through 4 kills, seed ${seed}`, { timeout: LONG }, async () => {
    const report = await killBrowsers({ engine: CHROMIUM, kills: 4, random: randomFrom(seed) })
    expect(report.violations).toEqual([])
    expect(report.killsWhileWriting).toBeGreaterThan(0)
  })

  it('is told from a writer that acknowledges before the commit', { timeout: LONG }, async () => {
    const { violations } = await killBrowsers({
      engine: CHROMIUM,
      kills: 8,
      random: randomFrom(seed),
      mode: 'acknowledges early',
    })
    expect(violations).not.toEqual([])
  })
})
