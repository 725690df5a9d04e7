/**
 * The long run: kills a server under load and prints what came of it.
 *
 *     tsx test/network/crash-run.ts redis|postgres
 *
 * HOLDFAST_CRASH_SEED sets the moments of the kills, HOLDFAST_CRASH_KILLS how many there are. A client that is not answered
 * within a second of the server's return is a violation, so the machine should have nothing else to do.
 */
import { randomFrom } from '../support/random.ts'
import { crash } from './crashes.ts'
import { rigNamed } from './rigs.ts'

/** When a client is answered again at the latest, in milliseconds from the server's return. */
const RECOVERED = 1000

const kind = rigNamed(process.argv[2])
const seed = Number(process.env['HOLDFAST_CRASH_SEED'] ?? Date.now() % 1e6)
const kills = Number(process.env['HOLDFAST_CRASH_KILLS'] ?? 50)

console.log(`${kind.name}: ${kills} kills, seed ${seed}`)
const { violations: found, acknowledged, unknown, recoveries } = await crash(kind, kills, randomFrom(seed))
const late = recoveries.filter((ms) => ms > RECOVERED)
const violations = [...found, ...late.map((ms) => `answered again after ${ms.toFixed(0)} ms`)]
for (const violation of violations) console.log(`  VIOLATION: ${violation}`)
if (violations.length > 0) process.exitCode = 1
const [median, slowest] = [recoveries[recoveries.length >> 1]!, recoveries.at(-1)!]
console.log(
  `${acknowledged} acknowledged commits verified, ${unknown} unknown outcomes, ${violations.length} violations`,
)
console.log(
  `answered again after the server's return within ${median.toFixed(0)} ms in the median, ${slowest.toFixed(0)} ms ` +
    `at most, of ${recoveries.length} times`,
)
