/**
 * The long run: kills a redis-server under load and prints what came of it.
 *
 * HOLDFAST_CRASH_SEED sets the moments of the kills, HOLDFAST_CRASH_KILLS how many there are.
 */
import { randomFrom } from '../../support/random.ts'
import { crash } from './crashes.ts'

const seed = Number(process.env['HOLDFAST_CRASH_SEED'] ?? Date.now() % 1e6)
const kills = Number(process.env['HOLDFAST_CRASH_KILLS'] ?? 50)

console.log(`redis-server: ${kills} kills, seed ${seed}`)
const { violations, ...report } = await crash(kills, randomFrom(seed))
for (const violation of violations) console.log(`  VIOLATION: ${violation}`)
if (violations.length > 0) process.exitCode = 1
console.log(
  `${report.acknowledged} acknowledged commits verified, ${report.unknown} unknown outcomes, ` +
    `${violations.length} violations; back within ${report.slowest} ms`,
)
