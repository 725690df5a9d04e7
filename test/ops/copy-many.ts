/**
 * Copies 10 000 runs from every kind of store to every other, cut off at ten places: run by `npm run test:copy`, which
 * takes from half an hour on. A smaller slice is in matrix.test.ts.
 *
 * Usage: tsx test/ops/copy-many.ts [how many runs]
 */
import { createDatabase } from '../../src/core/database.ts'
import { withDirectory } from '../support/engines.ts'
import { type Store, startBackends } from './backends.ts'
import { MOMENTS } from './cut.ts'
import { carry, contentOf, filled, original } from './matrix.ts'

const runs = Number(process.argv[2] ?? 10_000)
const CUTS = 10
const BATCH = 2000

await withDirectory(async (directory) => {
  const { kinds, stop } = await startBackends(directory)
  try {
    const driver = await original(runs)
    const wanted = await contentOf(createDatabase({ driver }))
    console.log(`${runs} runs, ${wanted.entries} entries, sha256 ${wanted.checksum.slice(0, 16)}…`)
    // A cut comes with the request that goes over the limit, and that is half a limit at the most.
    const after = Math.floor(wanted.entries / (1.5 * CUTS + 1))
    const batch = Math.min(BATCH, Math.ceil(after / 2))
    const cuts = Array.from({ length: CUTS }, (_, i) => ({ after, when: MOMENTS[i % MOMENTS.length]!, batch }))
    const sources = new Map<string, Store>()
    for (const kind of kinds) {
      const start = performance.now()
      sources.set(kind.name, await filled(kind, driver))
      const seconds = (performance.now() - start) / 1000
      console.log(`${kind.name}: filled in ${seconds.toFixed(1)} s, ${Math.round(wanted.entries / seconds)} entries/s`)
    }
    // By distance, so that every kind has its turn early.
    for (let distance = 1; distance < kinds.length; distance++) {
      for (const [i, from] of kinds.entries()) {
        const to = kinds[(i + distance) % kinds.length]!
        const options = { wanted, cuts, kill: true }
        const { faults, kills, seconds } = await carry(sources.get(from.name)!, to, options)
        const how = kills > 0 ? `${kills} kills` : `${CUTS} errors`
        const verdict = faults.length === 0 ? 'equal, verified' : `FAULT: ${faults.join('; ')}`
        console.log(`${from.name} to ${to.name}: ${how}, ${seconds.toFixed(1)} s, ${verdict}`)
        if (faults.length > 0) process.exitCode = 1
      }
    }
    for (const source of sources.values()) await source.dispose()
  } finally {
    await stop()
  }
})
