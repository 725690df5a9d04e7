/** The same work by hand and by holdfast, in turn. @module */
import { type Contender, type RaceOptions, type Timing, figure, race, speed } from '../measure.ts'
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

/** Microseconds per operation. */
export const microsecondsOf = ({ rounds }: Timing): PairRow['raw'] => figure(rounds.map((it) => it / 1000))

/** Races the two. */
export async function racePair(name: string, raw: Work, holdfast: Work, options: RaceOptions): Promise<PairRow> {
  const timings = await race([contender('raw', raw), contender('holdfast', holdfast)], options)
  const [base, ours] = timings as [Timing, Timing]
  return { name, raw: microsecondsOf(base), holdfast: microsecondsOf(ours), cost: speed(base, ours) }
}
