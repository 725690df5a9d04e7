/** The timing loop: rounds of a fixed number of operations, taken in turn by all contenders. */

/** One side of a race. */
export interface Contender {
  readonly name: string
  /** Runs this many operations and answers how many milliseconds they took, without what is not to be measured. */
  time(ops: number): Promise<number>
}

/**
 * A contender whose work is done by the round.
 *
 * @param once - does one round of work, and answers how many milliseconds it took
 * @param step - the operations in a round of work; 1 by default
 */
export const byRound = (name: string, once: () => Promise<number>, step = 1): Contender => ({
  name,
  async time(ops) {
    let elapsed = 0
    for (let done = 0; done < ops; done += step) elapsed += await once()
    return elapsed
  },
})

export interface RaceOptions {
  readonly rounds: number
  /** The least that one round of one contender takes. */
  readonly roundMs: number
  /** A round has a multiple of so many operations; 1 by default. */
  readonly step?: number
}

/** Nanoseconds per operation, round by round. */
export interface Timing {
  readonly name: string
  readonly ops: number
  readonly rounds: readonly number[]
}

export interface Figure {
  readonly median: number
  readonly min: number
  readonly max: number
}

export async function race(
  contenders: readonly Contender[],
  { rounds, roundMs, step = 1 }: RaceOptions,
): Promise<Timing[]> {
  const timings = []
  for (const contender of contenders) {
    timings.push({
      contender,
      name: contender.name,
      ops: await warmUp(contender, roundMs, step),
      rounds: [] as number[],
    })
  }
  for (let round = 0; round < rounds; round++) {
    // Another one begins each round, and every other round goes backwards, so that nobody always has the same neighbour.
    for (let i = 0; i < timings.length; i++) {
      const place = round % 2 === 0 ? i : timings.length - 1 - i
      const timing = timings[(round + place) % timings.length]!
      timing.rounds.push(((await timing.contender.time(timing.ops)) * 1e6) / timing.ops)
    }
  }
  return timings.map(({ name, ops, rounds }) => ({ name, ops, rounds }))
}

/** Runs it until it is warm, and answers how many operations fill a round. */
async function warmUp(contender: Contender, roundMs: number, step: number): Promise<number> {
  for (let ops = step; ;) {
    // The shorter of two: a hiccup would make rounds of next to nothing.
    const elapsed = Math.min(await contender.time(ops), await contender.time(ops))
    if (elapsed >= roundMs) return ops
    const factor = Math.min(8, (1.2 * roundMs) / Math.max(elapsed, 0.01))
    ops = Math.ceil((ops * factor) / step) * step
  }
}

export function figure(values: readonly number[]): Figure {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = (sorted.length - 1) / 2
  return {
    median: (sorted[Math.floor(middle)]! + sorted[Math.ceil(middle)]!) / 2,
    min: sorted[0]!,
    max: sorted.at(-1)!,
  }
}

/** How long an operation took. @param unit - of the figure, in nanoseconds: 1000 for microseconds */
export const timeOf = ({ rounds }: Timing, unit: number): Figure =>
  figure(rounds.map((nanoseconds) => nanoseconds / unit))

/** How many times as fast one is as the other, from the ratios of their rounds. */
export const speed = (of: Timing, to: Timing): Figure =>
  figure(of.rounds.map((nanoseconds, round) => to.rounds[round]! / nanoseconds))
