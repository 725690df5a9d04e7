/**
 * The long run: kills writers a few hundred times and prints what came of it.
 *
 * HOLDFAST_CRASH_SEED sets the moments of the kills, HOLDFAST_CRASH_KILLS how many there are per engine.
 */
import { fileEngines } from '../support/engines.ts'
import { randomFrom } from '../support/random.ts'
import { crash } from './crashes.ts'

const seed = Number(process.env['HOLDFAST_CRASH_SEED'] ?? Date.now() % 1e6)
const kills = Number(process.env['HOLDFAST_CRASH_KILLS'] ?? 200)
/** Kills between two lines of progress. */
const STEP = 20

for (const engine of fileEngines) {
  console.log(`${engine.name}: ${kills} kills, seed ${seed}`)
  const start = performance.now()
  const report = await crash({
    engine,
    kills,
    random: randomFrom(seed),
    onKill({ kills, acknowledged }) {
      if (kills % STEP === 0) console.log(`  ${kills} kills, ${acknowledged} acknowledged writes verified`)
    },
  })
  const seconds = ((performance.now() - start) / 1000).toFixed(0)
  for (const violation of report.violations) console.log(`  VIOLATION after kill ${report.kills}: ${violation}`)
  if (report.violations.length > 0) process.exitCode = 1
  console.log(
    `${engine.name}: ${report.kills} kills (${report.killsWhileWriting} while writing), ` +
      `${report.acknowledged} acknowledged writes verified, ${report.violations.length} violations, ${seconds} s`,
  )
}
