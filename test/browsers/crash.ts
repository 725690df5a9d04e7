/**
 * The long run: kills Chromium, Firefox and WebKit while they write and prints what came of it.
 *
 * HOLDFAST_CRASH_SEED sets the moments of the kills, HOLDFAST_CRASH_KILLS how many there are over all browsers.
 */
import { part } from '../support/parts.ts'
import { randomFrom } from '../support/random.ts'
import { CHROMIUM, FIREFOX, WEBKIT } from './engines.ts'
import { killBrowsers } from './kills.ts'

const seed = Number(process.env['HOLDFAST_CRASH_SEED'] ?? Date.now() % 1e6)
const kills = Number(process.env['HOLDFAST_CRASH_KILLS'] ?? 50)
/** Kills between two lines of progress. */
const STEP = 5

const engines = [CHROMIUM, FIREFOX, WEBKIT].filter((engine) => part(engine.part))
for (const engine of engines) {
  const share = Math.ceil(kills / engines.length)
  console.log(`${engine.name}: ${share} kills, seed ${seed}`)
  const report = await killBrowsers({
    engine,
    kills: share,
    random: randomFrom(seed),
    onKill({ kills: done, acknowledged }) {
      if (done % STEP === 0) console.log(`  ${done} kills, ${acknowledged} acknowledged writes`)
    },
  })
  for (const violation of report.violations) console.log(`  VIOLATION: ${violation}`)
  if (report.violations.length > 0) process.exitCode = 1
  console.log(
    `${report.kills} kills (${report.killsWhileWriting} while writing), ` +
      `${report.acknowledged} acknowledged writes, ${report.violations.length} violations`,
  )
}
if (engines.length === 0) {
  console.error('No browser is installed')
  process.exitCode = 1
}
