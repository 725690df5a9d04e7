/** The edge example with a thousand deliveries on every host, killed three times. Usage: run.ts [deliveries] [seed] */
import { hosts } from './hosts.ts'
import { play } from './play.ts'

const [deliveries = 1000, seed = Math.floor(Math.random() * 2 ** 31)] = process.argv.slice(2).map(Number)
for (const host of hosts) {
  const result = await play(host, { deliveries, kills: 3, seed })
  const { sent, kills, runs, completed, recorded, lost, garbled, repeated, requests, failed, acceptedMore } = result
  console.log(`${host.name}, seed ${seed}, ${result.seconds.toFixed(1)} s`)
  console.log(
    `  sent ${sent} times, ${deliveries} ids, killed ${kills} times; accepted more than once: ${acceptedMore}`,
  )
  console.log(
    `  runs ${runs}, completed ${completed}, handovers recorded ${recorded}, lost ${lost}, garbled ${garbled}`,
  )
  console.log(`  requests to subscribers ${requests}, of which failed ${failed}; taken again ${repeated}`)
  const isRight =
    runs === deliveries &&
    completed === deliveries &&
    recorded === 2 * deliveries &&
    lost + garbled + acceptedMore === 0
  if (!isRight) process.exitCode = 1
}
