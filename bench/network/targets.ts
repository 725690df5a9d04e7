/** What the numbers over a network have to be. */
import type { Row } from '../scenarios/row.ts'
import type { Target } from '../targets.ts'
import type { Cost } from './report.ts'

const MOST_ALONE = 1.15
const ALONE_AT = 40
const LEAST_IN_FLIGHT = 30
const IN_FLIGHT_FROM = 5
const LEAST_BATCH = 5
const MOST_COST = 1.3
/** A tree of a thousand times as many entries is a level or two deeper. */
const MOST_WORK = 1.5

type Found = Row & { readonly latency: number }

/** Judges what was measured in this run; what was left out is not judged. */
export function judge(server: string, rows: readonly Found[]): Target[] {
  const targets: Target[] = []
  const named = (name: string): Found[] => rows.filter((it) => it.name.startsWith(name))
  const oneByOne = named('append one by one')
  const inFlight = named('append 100 in flight')
  const nothing = named('a call that does nothing')
  for (const { latency, subject, microseconds } of oneByOne) {
    if (!subject.startsWith('holdfast')) continue
    const alone = microseconds.median
    const same = (found: readonly Found[]): number | undefined =>
      found.find((it) => it.latency === latency && it.subject === subject)?.microseconds.median
    const [busy, roundTrip] = [same(inFlight), same(nothing)]
    if (roundTrip !== undefined && latency >= ALONE_AT) {
      const value = alone / roundTrip
      targets.push({
        name: `${subject}, ${latency} ms: one append, as long as a round trip`,
        wanted: `<= ${MOST_ALONE} x`,
        measured: `${value.toFixed(2)} x`,
        reached: value <= MOST_ALONE,
      })
    }
    if (busy !== undefined && latency >= IN_FLIGHT_FROM) {
      const value = alone / busy
      targets.push({
        name: `${subject}, ${latency} ms: 100 in flight, as fast as one by one`,
        wanted: `>= ${LEAST_IN_FLIGHT} x`,
        measured: `${value.toFixed(1)} x`,
        reached: value >= LEAST_IN_FLIGHT,
      })
    }
    // The first of a row is the raw client.
    const raw = oneByOne.find((it) => it.latency === latency)!
    if (server === 'PostgreSQL' && busy !== undefined) {
      const value = raw.microseconds.median / busy
      targets.push({
        name: `${subject}, ${latency} ms: a batch of 100, as fast as autocommit inserts`,
        wanted: `>= ${LEAST_BATCH} x`,
        measured: `${value.toFixed(1)} x`,
        reached: value >= LEAST_BATCH,
      })
    }
  }
  return targets
}

/** Judges whether what a call costs grows with the database: in time, and in what the server counts. */
export const judgeCost = (costs: readonly Cost[]): Target[] =>
  costs.flatMap(({ call, unit, sizes, ratio }) => {
    const [few, many] = [sizes[0]!, sizes.at(-1)!]
    const name = `${call} among ${many.entries} entries`
    const work = many.work / few.work
    return [
      { name: `${name}: time of one among ${few.entries}`, most: MOST_COST, value: ratio.median },
      { name: `${name}: ${unit} of one among ${few.entries}`, most: MOST_WORK, value: work },
    ].map(({ most, value, ...it }) => ({
      ...it,
      wanted: `<= ${most} x`,
      measured: `${value.toFixed(2)} x`,
      reached: value <= most,
    }))
  })
