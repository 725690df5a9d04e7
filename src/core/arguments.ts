/** Argument checks that several stores make, before any I/O. @module */
import { HoldfastError, invalid } from './errors.ts'

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
  throw invalid(`${what} must be an integer from ${least} to ${most}, not ${shown(n)}`)
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

/** The options that a call knows, by name. */
export type Known<O> = { readonly [K in keyof O]-?: true }

/**
 * Requires the options of a call to be an object with members that the call knows: an option that is misspelt, or stands
 * where another argument belongs, must not be passed over.
 *
 * @param options - as they were handed in
 * @param known - every option of the call
 * @returns the options; an empty object where none were handed in
 * @throws `INVALID_ARGUMENT`, with the name of an unknown option as `details.option`
 */
export function requireOptions<O extends object>(options: O | undefined, known: Known<O>): O {
  if (options === undefined) return {} as O
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw invalid(`options must be an object such as { ${Object.keys(known)[0]} }, not ${shown(options)}`)
  }
  let isEmpty = true
  for (const name in options) {
    isEmpty = false
    // Names that every object has, such as `toString`, are none of ours.
    if (known[name] !== true) throw unknownOption(name, known)
  }
  // A Map, say, has no members: nothing of it would count.
  if (isEmpty && Object.prototype.toString.call(options) !== '[object Object]') {
    throw invalid(`options must be a plain object such as { ${Object.keys(known)[0]} }, not ${shown(options)}`)
  }
  return options
}

const unknownOption = (option: string, known: object): HoldfastError =>
  new HoldfastError('INVALID_ARGUMENT', `The option ${option} is unknown here: use ${Object.keys(known).join(', ')}`, {
    details: { option },
  })

/** What was handed in, for a message: never the content of an object. */
export const shown = (value: unknown): string =>
  value === null || typeof value !== 'object' ? String(value) : Object.prototype.toString.call(value).slice(8, -1)
