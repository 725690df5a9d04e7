/** Sources of time and of unique ids; injected, so that tests can control them. @module */

/** Milliseconds since 1970. */
export type Clock = () => number

/** The longest time of a timer, in milliseconds: runtimes keep it in 32 bits, and fire at once if it is longer. */
export const MAX_TIMER: number = 2 ** 31 - 1

/** The clock of this machine. */
export const systemClock: Clock = () => Date.now()

/**
 * Starts a stopwatch.
 *
 * It reads two clocks and returns the longer time: one clock may stop while the machine sleeps, the other may be set
 * back. So the time is never too short, but too long if the machine's clock was set forward.
 *
 * @param clock - the only clock to use, instead of these two
 * @returns a function that gives the time since the start, in milliseconds
 */
export function stopwatch(clock?: Clock): () => number {
  const clocks = clock ? [clock] : [() => performance.now(), systemClock]
  const begun = clocks.map((it) => [it, it()] as const)
  return () => Math.max(...begun.map(([it, start]) => it() - start))
}

/**
 * Makes a source of globally unique ids: 80 random bits once, then a counter, so that an id costs no randomness.
 *
 * Call it inside functions only: Workers refuse randomness at module scope.
 */
export function idSource(): () => string {
  let prefix = ''
  for (const byte of crypto.getRandomValues(new Uint8Array(16))) prefix += (byte & 31).toString(32)
  let count = 0
  return () => `${prefix}.${(count++).toString(36)}`
}
