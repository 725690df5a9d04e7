/**
 * Random programs, killed at random commits; and random changes of their code. `npm test` holds a slice, `npm run test:run`
 * the long run: `HOLDFAST_RUN_PROGRAMS` says how many, `HOLDFAST_RUN_SEED` repeats one.
 */
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { engines, withDirectory } from '../../support/engines.ts'
import { newCount, playOne } from './play.ts'
import { random } from './programs.ts'

const seed = Number(process.env['HOLDFAST_RUN_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
const programs = Number(process.env['HOLDFAST_RUN_PROGRAMS'] ?? 60)
/** So many at once: most of the time is waiting. */
const LANES = 4

describe.each(engines)('random programs over $name', (engine) => {
  test(`end as if nothing had been, with seed ${seed}`, { timeout: 600_000 + programs * 500 }, () =>
    withDirectory(async (directory) => {
      const driver = await engine.make(join(directory, 'data.db'))
      await driver.open()
      const count = newCount()
      let next = 0
      const lane = async (): Promise<void> => {
        for (let i = next++; i < programs; i = next++) {
          await playOne(driver, random(seed + i), count, `${seed + i}`)
        }
      }
      await Promise.all(Array.from({ length: LANES }, lane))
      await driver.close()
      console.log(`seed ${seed}: ${JSON.stringify({ ...count, faults: count.faults.length })}`)
      expect(count.faults.slice(0, 5)).toEqual([])
      expect(count.programs).toBe(programs)
      expect(count.kills).toBeGreaterThan(programs / 4)
      expect(count.detected).toBeGreaterThan(0)
    }),
  )
})
