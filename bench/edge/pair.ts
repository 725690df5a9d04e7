/** The same work by hand and by holdfast, in turn. @module */
import { type Contender, type RaceOptions, type Timing, race, speed, timeOf } from '../measure.ts'
import type { PairRow } from './report.ts'

/** Does so many operations. */
export type Work = (ops: number) => Promise<void>

/** Has it timed. */
export const contender = (name: string, work: Work): Contender => ({
  name,
  async time(ops) {
    const start = performance.now()
    await work(ops)
    return performance.now() - start
  },
})

/** Races the two. */
export async function racePair(name: string, raw: Work, holdfast: Work, options: RaceOptions): Promise<PairRow> {
  const timings = await race([contender('raw', raw), contender('holdfast', holdfast)], options)
  const [base, ours] = timings as [Timing, Timing]
  return { name, raw: timeOf(base, 1000), holdfast: timeOf(ours, 1000), cost: speed(base, ours) }
}
