/** Where time and uniqueness come from; injected, so that tests can hold them still. @module */

/** Milliseconds since 1970. */
export type Clock = () => number

/** The clock of this machine. */
export const systemClock: Clock = () => Date.now()

/**
 * Measures how long ago this was called, in milliseconds.
 *
 * By two clocks, whichever says more: one may stand still while the machine sleeps, the other may be set back. So the time
 * is never too short, though it is too long where the machine's clock was set forward.
 *
 * @param clock - measures instead of both
 */
export function stopwatch(clock?: Clock): () => number {
  const clocks = clock ? [clock] : [() => performance.now(), systemClock]
  const begun = clocks.map((it) => [it, it()] as const)
  return () => Math.max(...begun.map(([it, start]) => it() - start))
}

/**
 * Makes a source of globally unique ids: 80 random bits once, then a counter, so that an id costs no randomness.
 *
 * Called inside functions only: Workers refuse randomness at module scope.
 */
export function idSource(): () => string {
  let prefix = ''
  for (const byte of crypto.getRandomValues(new Uint8Array(16))) prefix += (byte & 31).toString(32)
  let count = 0
  return () => `${prefix}.${(count++).toString(36)}`
}
