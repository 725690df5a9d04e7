/**
 * Sends a hundred thousand requests to a handler over each backend, and prints what each kind cost at worst. Run it alone:
 * what else the machine does counts as time in which the event loop stands still.
 *
 * Usage: tsx test/served/http/fuzz/run.ts [requests of each backend, 50 000 by default] [seed] [only this backend]
 */
import Table from 'cli-table3'
import { BACKENDS, BOUNDS, fuzz, violations } from './fuzz.ts'
import { WHOLE } from './store.ts'

const requests = Number(process.argv[2] ?? 50_000)
const seed = Number(process.argv[3] ?? Date.now() % 1e9)
const mebibytes = (bytes: number): string => (bytes / 2 ** 20).toFixed(1)

let isOver = false
const only = process.argv[4]
for (const backend of BACKENDS.filter((it) => only === undefined || it === only)) {
  const order = { backend, seed, requests, sizes: WHOLE }
  const findings = await fuzz(order, {
    onProgress: (done) => process.stderr.write(`\r${backend}: ${done} of ${requests}`),
  })
  process.stderr.write('\r')
  const table = new Table({
    head: ['request', 'count', 'answer MiB', 'by', 'memory MiB', 'by', 'blocked ms', 'by'],
    style: { head: [], border: [] },
  })
  const byTime = Object.entries(findings.kinds).toSorted(([, a], [, b]) => b.worst.blocked - a.worst.blocked)
  for (const [kind, { count, worst, which }] of byTime) {
    const { answer, memory, blocked } = worst
    table.push([
      kind,
      count,
      mebibytes(answer),
      which.answer,
      mebibytes(memory),
      which.memory,
      blocked.toFixed(0),
      which.blocked,
    ])
  }
  console.log(`${backend}, seed ${seed}, ${requests} requests, statuses ${JSON.stringify(findings.statuses)}`)
  console.log(table.toString())
  for (const line of violations(findings)) {
    isOver = true
    console.log(`Over ${JSON.stringify(BOUNDS)}: ${line}`)
  }
}
process.exitCode = isOver ? 1 : 0
