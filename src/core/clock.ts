/** Where time and uniqueness come from; injected, so that tests can hold them still. @module */

/** Milliseconds since 1970. */
export type Clock = () => number

/** The clock of this machine. */
export const systemClock: Clock = () => Date.now()

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
