/** A slice of `npm run test:crash`: what was acknowledged outlives a SIGKILL, and nothing is torn by it. */
import { describe, expect, it } from 'vitest'
import { fileEngines } from '../support/engines.ts'
import { randomFrom } from '../support/random.ts'
import { crash } from './crashes.ts'

const seed = Number(process.env['HOLDFAST_CRASH_SEED'] ?? Date.now() % 1e6)
const LONG = 60_000

describe.each(fileEngines)('$name', (engine) => {
  it(`keeps every acknowledged write and tears none through 8 kills, seed ${seed}`, { timeout: LONG }, async () => {
    const { violations, killsWhileWriting } = await crash({ engine, kills: 8, random: randomFrom(seed) })
    expect(violations).toEqual([])
    expect(killsWhileWriting).toBeGreaterThan(2)
  })

  it('is told from a writer that acknowledges before the commit', { timeout: LONG }, async () => {
    const random = randomFrom(seed)
    const { violations } = await crash({ engine, kills: 10, random, mode: 'acknowledges early' })
    expect(violations).not.toEqual([])
  })

  it('is told from a writer that writes a pair in two commits', { timeout: LONG }, async () => {
    const { violations } = await crash({ engine, kills: 10, random: () => 1, mode: 'tears pairs' })
    expect(violations.join()).toMatch(/torn|in two commits/)
  })
})
