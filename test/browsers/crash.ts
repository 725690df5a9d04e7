/**
 * The long run: kills Chromium while it writes and prints what came of it.
 *
 * HOLDFAST_CRASH_SEED sets the moments of the kills, HOLDFAST_CRASH_KILLS how many there are.
 */
import { randomFrom } from '../support/random.ts'
import { CHROMIUM } from './engines.ts'
import { killBrowsers } from './kills.ts'

const seed = Number(process.env['HOLDFAST_CRASH_SEED'] ?? Date.now() % 1e6)
const kills = Number(process.env['HOLDFAST_CRASH_KILLS'] ?? 50)
/** Kills between two lines of progress. */
const STEP = 5

console.log(`${CHROMIUM.name}: ${kills} kills, seed ${seed}`)
const report = await killBrowsers({
  engine: CHROMIUM,
  kills,
  random: randomFrom(seed),
  onKill({ kills, acknowledged }) {
    if (kills % STEP === 0) console.log(`  ${kills} kills, ${acknowledged} acknowledged writes`)
  },
})
for (const violation of report.violations) console.log(`  VIOLATION: ${violation}`)
if (report.violations.length > 0) process.exitCode = 1
console.log(
  `${report.kills} kills (${report.killsWhileWriting} while writing), ` +
    `${report.acknowledged} acknowledged writes, ${report.violations.length} violations`,
)
