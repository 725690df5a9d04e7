/**
 * The benchmarks over a network: holdfast, the raw client and its peers side by side, on PostgreSQL and on Redis, each
 * with 0, 5 and 40 ms of latency that a proxy adds.
 *
 *     npm run bench:network -- [--json] [--quick] [--only TEXT]… [--server NAME]… [--latency MS]…
 */
import { tmpdir } from 'node:os'
import { parseArgs } from 'node:util'
import { LOG } from '../data.ts'
import { machineAt } from '../machine.ts'
import { isAmong } from '../options.ts'
import { progress, rowParts, targetParts } from '../report.ts'
import { type Call, type Row, type RowScenario, append, load, runRow } from '../scenarios/row.ts'
import { costOfPostgres, costOfRedis } from './cost.ts'
import { CTE, startField as startPostgresField } from './postgres.ts'
import { startField as startRedisField } from './redis.ts'
import type { NetworkReport, ServerReport } from './report.ts'
import { claim, ping, save } from './subject.ts'
import { judge, judgeCost } from './targets.ts'

const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    quick: { type: 'boolean', default: false },
    only: { type: 'string', multiple: true, default: [] },
    server: { type: 'string', multiple: true, default: [] },
    latency: { type: 'string', multiple: true, default: ['0', '5', '40'] },
  },
})

const race = values.quick ? { rounds: 3, roundMs: 100 } : { rounds: 5, roundMs: 200 }
const IN_FLIGHT = 100
const SIZES = values.quick ? [1000, 10_000, 100_000] : [1000, 100_000, 1_000_000]

interface NetworkRow extends Omit<RowScenario, 'durability'> {
  /** Beginnings of the names of those who have no such call. */
  readonly without?: readonly string[]
}

/** Filled with no event, so that nobody is asked for documents, which DBOS has none of. */
const EMPTY = [append, 0] as const

/** Who keeps logs only, or values only. */
const PEERS = ['LangGraph', 'DBOS', 'Keyv', 'unstorage', CTE]

const ROWS: readonly NetworkRow[] = [
  { name: 'a call that does nothing', lanes: 1, call: ping, fill: EMPTY, without: PEERS },
  { name: 'append one by one', lanes: 1, call: append, fill: EMPTY },
  // Statements side by side see the same last number, however they are locked: that is why ours is a function.
  { name: `append ${IN_FLIGHT} in flight`, lanes: IN_FLIGHT, call: append, fill: EMPTY, without: [CTE] },
  { name: 'claim a task', lanes: 1, call: claim, without: PEERS },
  { name: 'save a snapshot of 1 kB', lanes: 1, call: save, without: ['DBOS', CTE] },
  {
    name: `load ${LOG} events`,
    lanes: 1,
    call: load(LOG),
    fill: [append, LOG],
    // Each of its checkpoints is a state of its own, and steps of DBOS are not read back as such.
    without: ['LangGraph', 'DBOS', CTE],
  },
]

const FIELDS = { PostgreSQL: startPostgresField, Redis: startRedisField }
const COSTS = { PostgreSQL: costOfPostgres, Redis: costOfRedis }
const COST = 'cost of a call in a large database'

const names = (Object.keys(FIELDS) as (keyof typeof FIELDS)[]).filter((name) => isAmong(values.server, name))
const wanted = ROWS.filter(({ name }) => isAmong(values.only, name))
const latencies = values.latency.map(Number)
const wantsCost = isAmong(values.only, COST)
const bar = progress(names.length * (wanted.length * latencies.length + Number(wantsCost)))
const servers: ServerReport[] = []
let places = 0
try {
  for (const name of names) {
    const field = await FIELDS[name]()
    const setLatency = (ms: number): void => field.proxies.forEach((proxy) => proxy.setLatency(ms))
    const rows: (Row & { latency: number })[] = []
    try {
      for (const latency of latencies) {
        for (const { without = [], ...row } of wanted) {
          bar.begin(`${name}, ${latency} ms: ${row.name}`)
          // What is opened and filled beforehand need not wait.
          setLatency(0)
          const call: Call = (opened, n) => (setLatency(latency), row.call(opened, n))
          const able = field.subjects.filter((subject) => !without.some((it) => subject.name.startsWith(it)))
          const scenario = { ...row, call, durability: 'strict' } as const
          const place = (subject: string): string => `p${++places} ${subject}`.replaceAll(/\W+/g, '-').toLowerCase()
          const found = await runRow(scenario, able, race, place)
          rows.push(...found.map((it) => ({ ...it, name: `${row.name}, ${latency} ms`, latency })))
        }
      }
    } finally {
      await field.end()
    }
    if (wantsCost) bar.begin(`${name}: ${COST}`)
    const costs = wantsCost ? await COSTS[name](SIZES, race) : []
    servers.push({ name, rows, costs, targets: [...judge(name, rows), ...judgeCost(costs)] })
  }
} finally {
  bar.stop()
}

const report: NetworkReport = { machine: machineAt(tmpdir()), settings: race, servers }
if (values.json) console.log(JSON.stringify(report, null, 2))
else {
  for (const { name, rows, costs, targets } of servers) {
    console.log(`\n${name}`)
    for (const it of [...rowParts(rows), ...targetParts(targets)]) console.log(it)
    for (const it of costs) console.log(JSON.stringify(it))
  }
}
