/** Argument checks that several stores make, before any I/O. @module */
import { invalid } from './errors.ts'

/**
 * Requires a safe integer.
 *
 * @param what - the argument's name, for the message
 * @param least - the smallest it may be
 * @throws `INVALID_ARGUMENT`
 */
export function requireInteger(n: number, what: string, least = 0): number {
  if (!Number.isSafeInteger(n) || n < least)
    throw invalid(`${what} must be a safe integer of at least ${least}, not ${n}`)
  return n
}
