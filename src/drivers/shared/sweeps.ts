/** When a driver takes away what has expired, and how much of it at once. @module */

/** Expired entries taken away with a request that looks for them, at least. */
export const SWEEP = 64
/** How often it is looked for while there is little, in milliseconds. */
const INTERVAL = 1000

/** What one driver remembers of its sweeps. Times are of one clock, in milliseconds; one that goes back does no harm. */
export interface Sweeps {
  /**
   * How many expired entries a request takes away at most; 0 where it need not look.
   *
   * @param writes - how much the request writes: with less than that, what expires would pile up
   */
  most(now: number, writes: number): number
  /** Where there was less than asked for, all is done for a while; otherwise the next request goes on with it. */
  found(now: number, count: number, most: number): void
}

/** Makes a memory of sweeps. */
export function sweeps(): Sweeps {
  let sweptAt = Number.NEGATIVE_INFINITY
  return {
    most: (now, writes) => (now >= sweptAt && now - sweptAt < INTERVAL ? 0 : Math.max(SWEEP, writes)),
    found(now, count, most) {
      if (count < most) sweptAt = now
    },
  }
}
