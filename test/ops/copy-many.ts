/**
 * Copies 10 000 runs from every kind of store to every other, cut off at ten places: run by `npm run test:copy`, which
 * takes hours; most of them are spent in IndexedDB and unstorage, whose stand-ins here are slow. A smaller slice is in
 * matrix.test.ts.
 *
 * Usage: tsx test/ops/copy-many.ts [how many runs] [--only FROM:TO]… [--results FILE]
 *
 * `--only` names pairs, `*` any kind: `--only 'sqlite:*' --only '*:postgres'`. `--results` is where each pair's outcome
 * goes when it is done: pairs that stand there as equal, of as many runs, are left out, so that what was cut off goes on,
 * and processes that share the pairs among them can share the file.
 */
import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { createDatabase } from '../../src/core/database.ts'
import { withDirectory } from '../support/engines.ts'
import { type Kind, type Store, startBackends } from './backends.ts'
import { type Cut, MOMENTS } from './cut.ts'
import { type Content, carry, contentOf, filled, original } from './matrix.ts'

const CUTS = 10
const BATCH = 2000

/** What became of a pair, as a line of the results. */
interface Result {
  readonly from: string
  readonly to: string
  readonly runs: number
  readonly kills: number
  readonly seconds: number
  readonly faults: readonly string[]
}

const { values, positionals } = parseArgs({
  options: { only: { type: 'string', multiple: true, default: ['*:*'] }, results: { type: 'string' } },
  allowPositionals: true,
})
const runs = Number(positionals[0] ?? 10_000)

const isWanted = (from: string, to: string): boolean =>
  values.only.some((pair) => {
    const [source, target] = pair.split(':')
    return (source === '*' || source === from) && (target === '*' || target === to)
  })

function isDone(from: string, to: string): boolean {
  if (values.results === undefined || !existsSync(values.results)) return false
  return readFileSync(values.results, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Result)
    .some((it) => it.from === from && it.to === to && it.runs === runs && it.faults.length === 0)
}

/** All pairs, by distance, so that every kind has its turn early. */
function* pairsOf(kinds: readonly Kind[]): Generator<readonly [from: Kind, to: Kind], void> {
  for (let distance = 1; distance < kinds.length; distance++) {
    for (const [i, from] of kinds.entries()) yield [from, kinds[(i + distance) % kinds.length]!]
  }
}

/** Ten places, one after the other. A cut comes with the request that goes over the limit: half a limit at the most. */
function cutsIn({ entries }: Content): readonly Cut[] {
  const after = Math.floor(entries / (1.5 * CUTS + 1))
  const batch = Math.min(BATCH, Math.ceil(after / 2))
  return Array.from({ length: CUTS }, (_, i) => ({ after, when: MOMENTS[i % MOMENTS.length]!, batch }))
}

async function main(kinds: readonly Kind[]): Promise<void> {
  const driver = await original(runs)
  const wanted = await contentOf(createDatabase({ driver }))
  console.log(`${runs} runs, ${wanted.entries} entries, sha256 ${wanted.checksum.slice(0, 16)}…`)
  const sources = new Map<string, Store>()

  /** Filled when it is first needed. */
  async function sourceOf(kind: Kind): Promise<Store> {
    const there = sources.get(kind.name)
    if (there) return there
    const start = performance.now()
    const store = await filled(kind, driver)
    sources.set(kind.name, store)
    const seconds = (performance.now() - start) / 1000
    console.log(`${kind.name}: filled in ${seconds.toFixed(1)} s, ${Math.round(wanted.entries / seconds)} entries/s`)
    return store
  }

  for (const [from, to] of pairsOf(kinds)) {
    if (!isWanted(from.name, to.name) || isDone(from.name, to.name)) continue
    const copied = await carry(await sourceOf(from), to, { wanted, cuts: cutsIn(wanted), kill: true })
    const { faults, kills, seconds } = copied
    const how = kills > 0 ? `${kills} kills` : `${CUTS} errors`
    const verdict = faults.length === 0 ? 'equal, verified' : `FAULT: ${faults.join('; ')}`
    console.log(`${from.name} to ${to.name}: ${how}, ${seconds.toFixed(1)} s, ${verdict}`)
    const result: Result = { from: from.name, to: to.name, runs, ...copied }
    if (values.results !== undefined) appendFileSync(values.results, `${JSON.stringify(result)}\n`)
    if (faults.length > 0) process.exitCode = 1
  }
  for (const source of sources.values()) await source.dispose()
}

await withDirectory(async (directory) => {
  const { kinds, stop } = await startBackends(directory)
  try {
    await main(kinds)
  } finally {
    await stop()
  }
})
