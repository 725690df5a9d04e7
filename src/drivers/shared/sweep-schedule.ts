/** When a driver removes expired entries, and how many at a time. @module */

/** The number of expired entries that a sweep removes, at least. */
export const SWEEP = 64
/** How long to wait after a sweep that found little, in milliseconds. */
const INTERVAL = 1000

/** The state of one driver's sweeps. Times are from one clock, in milliseconds. The clock may go back. */
export interface Sweeps {
  /**
   * How many expired entries a request may remove; 0 if it need not sweep.
   *
   * @param writes - the number of ops in the request: removing fewer would let expired entries pile up
   */
  most(now: number, writes: number): number
  /**
   * Reports a sweep. If it found fewer entries than allowed, the next one waits; otherwise the next request continues.
   */
  found(now: number, count: number, most: number): void
}

export function sweeps(): Sweeps {
  let sweptAt = Number.NEGATIVE_INFINITY
  return {
    most: (now, writes) => (now >= sweptAt && now - sweptAt < INTERVAL ? 0 : Math.max(SWEEP, writes)),
    found(now, count, most) {
      if (count < most) sweptAt = now
    },
  }
}
