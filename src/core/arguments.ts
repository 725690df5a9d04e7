/** Argument checks that several stores make, before any I/O. @module */
import { HoldfastError, invalid } from './errors.ts'

/** The latest time, in milliseconds since 1970: 10^8 days, the limit of `Date`. */
export const MAX_TIME = 8.64e15

/**
 * Checks that a value is an integer within a range.
 *
 * @param what - the argument's name, for the message
 * @param least - the smallest allowed value; 0 by default
 * @param most - the largest allowed value; the largest safe integer by default
 * @returns the value
 * @throws `INVALID_ARGUMENT` for anything else
 */
export function requireInteger(n: number, what: string, least = 0, most: number = Number.MAX_SAFE_INTEGER): number {
  if (Number.isInteger(n) && n >= least && n <= most) return n
  throw invalid(`${what} must be an integer from ${least} to ${most}, not ${shown(n)}`)
}

/**
 * Checks that an argument was given, because reading a member of `undefined` or `null` would throw a `TypeError`. A
 * non-object is rejected later, by the checks of its members.
 *
 * @param what - the argument's name, for the message
 * @returns the value
 * @throws `INVALID_ARGUMENT` for `undefined`, `null` and other falsy values
 */
export function requireGiven<T>(value: T, what: string): T {
  if (value) return value
  throw invalid(`${what} must be given, not ${shown(value)}`)
}

/** The names of the options that a call knows. */
export type Known<O> = { readonly [K in keyof O]-?: true }

/**
 * Checks that the options of a call are an object with known members only. A misspelt option, or one passed as the wrong
 * argument, is an error and not ignored.
 *
 * @param options - the options, as the caller passed them
 * @param known - every option of the call
 * @returns the options; an empty object if none were passed
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
    // Compares with `true`, because names such as `toString` exist on every object.
    if (known[name] !== true) throw unknownOption(name, known)
  }
  // A Map, for example, has no enumerable members, so its content would be ignored.
  if (isEmpty && Object.prototype.toString.call(options) !== '[object Object]') {
    throw invalid(`options must be a plain object such as { ${Object.keys(known)[0]} }, not ${shown(options)}`)
  }
  return options
}

const unknownOption = (option: string, known: object): HoldfastError =>
  new HoldfastError(
    'INVALID_ARGUMENT',
    `The option ${option} is unknown. This call takes: ${Object.keys(known).join(', ')}`,
    {
      details: { option },
    },
  )

/** Describes a received value for a message. It never shows the content of an object. */
export const shown = (value: unknown): string =>
  value === null || typeof value !== 'object' ? String(value) : Object.prototype.toString.call(value).slice(8, -1)
