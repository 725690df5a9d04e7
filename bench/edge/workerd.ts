/** What is measured in workerd, with all that is stored on a real disk. @module */
import { join } from 'node:path'
import type { Miniflare } from 'miniflare'
import { startWorkers, workerOf } from '../../test/runtimes/workerd/workerd.ts'
import { type RaceOptions, race, timeOf } from '../measure.ts'
import { type Work, contender, racePair } from './pair.ts'
import type { D1Row, MakingRow, PairRow } from './report.ts'

const IN_FLIGHT = 64

async function start(directory: string): Promise<Miniflare> {
  const worker = await workerOf(join(import.meta.dirname, 'worker.ts'), ['BenchObject'], {
    d1Databases: ['DB'],
    durableObjects: { OBJECT: { className: 'BenchObject', useSQLite: true } },
  })
  return startWorkers([worker], {
    d1Persist: join(directory, 'd1'),
    durableObjectsPersist: join(directory, 'objects'),
  })
}

/** Everything that is asked of the Worker. */
export async function measureWorkerd(
  directory: string,
  options: RaceOptions,
): Promise<{ object: PairRow[]; making: MakingRow; d1: D1Row[] }> {
  const worker = await start(directory)
  const ask = async (path: string) => {
    const response = await worker.dispatchFetch(`http://worker/${path}`)
    if (!response.ok) throw new Error(await response.text())
    return response
  }
  const work =
    (path: string): Work =>
    async (ops) =>
      void (await ask(`${path}ops=${ops}`))
  try {
    const object: PairRow[] = []
    for (const [name, lanes] of [
      ['append one by one', 1],
      [`append ${IN_FLIGHT} in flight`, IN_FLIGHT],
    ] as const) {
      const by = (who: string): Work => work(`object?by=${who}&lanes=${lanes}&`)
      object.push(await racePair(name, by('raw'), by('holdfast'), { ...options, step: lanes }))
    }
    const [making] = await race([contender('making', work('make?'))], options)
    const d1 = (await (await ask('d1')).json()) as D1Row[]
    return { object, making: { where: 'over D1, in workerd', microseconds: timeOf(making!, 1000) }, d1 }
  } finally {
    await worker.dispose()
  }
}
