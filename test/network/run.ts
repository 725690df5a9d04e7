/**
 * The long run: 10 000 appends, increments and claims over a network that lies, on each hosted driver.
 *
 * HOLDFAST_CALLS sets how many, HOLDFAST_SEED the faults.
 */
import { randomFrom } from '../support/random.ts'
import { loseAnswers } from './exactly-once.ts'
import { RIGS } from './rigs.ts'

const calls = Number(process.env['HOLDFAST_CALLS'] ?? 30_000)
const seed = Number(process.env['HOLDFAST_SEED'] ?? Date.now() % 1e6)
const restarts = 10

for (const kind of RIGS) {
  console.log(`${kind.name}: ${calls} calls, ${restarts} kills, seed ${seed}`)
  const { violations, ...report } = await loseAnswers(kind, { calls, restarts, random: randomFrom(seed) })
  for (const violation of violations) console.log(`  VIOLATION: ${violation}`)
  if (violations.length > 0) process.exitCode = 1
  console.log(`  ${JSON.stringify(report)}, ${violations.length} violations`)
}
