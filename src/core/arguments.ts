/** Argument checks that several stores make, before any I/O. @module */
import { invalid } from './errors.ts'

/** 10^8 days from 1970: as far as dates reach, and far from the end of the safe integers. */
export const MAX_TIME = 8.64e15

/**
 * Requires an integer.
 *
 * @param what - the argument's name, for the message
 * @param least - the smallest it may be
 * @param most - the largest it may be; the largest safe one by default
 * @throws `INVALID_ARGUMENT`
 */
export function requireInteger(n: number, what: string, least = 0, most: number = Number.MAX_SAFE_INTEGER): number {
  if (Number.isInteger(n) && n >= least && n <= most) return n
  throw invalid(`${what} must be an integer from ${least} to ${most}, not ${n}`)
}

/**
 * Requires an object to be there: reading a member of `undefined` or `null` would throw something else. What is none is
 * left to the checks of its members.
 *
 * @param what - the argument's name, for the message
 * @throws `INVALID_ARGUMENT`
 */
export function requireGiven<T>(value: T, what: string): T {
  if (value) return value
  throw invalid(`${what} must be given`)
}
