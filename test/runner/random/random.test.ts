/**
 * Random programs, killed at random commits; and random changes of their code. `npm test` holds a slice, `npm run test:run`
 * the long run: `HOLDFAST_RUN_PROGRAMS` says how many, `HOLDFAST_RUN_SEED` repeats one.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { startBackends } from '../../ops/backends.ts'
import { newCount, playOne } from './play.ts'
import { random } from './programs.ts'

const seed = Number(process.env['HOLDFAST_RUN_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
const programs = Number(process.env['HOLDFAST_RUN_PROGRAMS'] ?? 60)
const directory = mkdtempSync(join(tmpdir(), 'holdfast-'))
/** So many at once: most of the time is waiting. */
const LANES = 4

describe('random programs', async () => {
  const { kinds, stop } = await startBackends(directory)
  afterAll(async () => {
    await stop()
    rmSync(directory, { recursive: true, force: true })
  })

  test.each(kinds)(
    `over $name end as if nothing had been, with seed ${seed}`,
    { timeout: 600_000 + programs * 500 },
    async ({ make, name }) => {
      const store = await make()
      const driver = await store.open()
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
      await store.dispose()
      console.log(`${name}, seed ${seed}: ${JSON.stringify({ ...count, faults: count.faults.length })}`)
      expect(count.faults.slice(0, 5)).toEqual([])
      expect(count.programs).toBe(programs)
      expect(count.kills).toBeGreaterThan(programs / 4)
      expect(count.detected).toBeGreaterThan(0)
    },
  )
})
