/** Durations: milliseconds, or text with a unit. @module */
import { MAX_TIME, shown } from './arguments.ts'
import { invalid } from './errors.ts'

const UNITS = { ms: 1, s: 1000, m: 60_000, min: 60_000, h: 3_600_000, d: 86_400_000 } as const
/** Units as words, in the singular. */
const WORDS: Readonly<Record<string, keyof typeof UNITS>> = { second: 's', minute: 'm', hour: 'h', day: 'd' }

type Word = 'second' | 'minute' | 'hour' | 'day'

/** Milliseconds, or a number with a unit, such as `'90 s'`, `'1.5 h'` or `'2 days'`. */
export type Duration = number | `${number}${' ' | ''}${keyof typeof UNITS | Word | `${Word}s`}`

/**
 * Converts a duration to milliseconds.
 *
 * @param duration - a whole number of milliseconds, or text with a unit, which is rounded to whole milliseconds
 * @param what - the argument's name, for the message
 * @param least - the smallest allowed value in milliseconds; 0 by default
 * @param most - the largest allowed value in milliseconds; 8.64e15 by default
 * @returns the milliseconds
 * @throws `INVALID_ARGUMENT` for anything else
 */
export function toMilliseconds(duration: Duration, what: string, least = 0, most: number = MAX_TIME): number {
  const ms = typeof duration === 'string' ? parsed(duration) : duration
  if (Number.isInteger(ms) && ms >= least && ms <= most) return ms
  throw invalid(
    `${what} must be whole milliseconds from ${least} to ${most}, or text such as '90 s' or '1.5 h', not ${shown(duration)}`,
  )
}

/**
 * Converts a time to live to an expiry.
 *
 * @param ttl - as the caller passed it; without one, the entry never expires
 * @param what - the argument's name, for the message; `ttl` by default
 * @param least - the smallest allowed value in milliseconds; 1 by default
 * @returns the expiry; `undefined` if the entry never expires
 * @throws `INVALID_ARGUMENT` for a malformed duration
 */
export const expiryOf = (ttl: Duration | undefined, what = 'ttl', least = 1): { readonly in: number } | undefined =>
  ttl === undefined ? ttl : { in: toMilliseconds(ttl, what, least) }

/** Parses text with a unit to milliseconds; `NaN` for other text. */
function parsed(text: string): number {
  const [, number, unit = ''] = /^(\d+(?:\.\d+)?) ?([a-z]+)$/.exec(text) ?? []
  const word = unit.replace(/s$/, '')
  const known = Object.hasOwn(WORDS, word) ? WORDS[word] : unit
  return Object.hasOwn(UNITS, known!) ? Math.round(Number(number) * UNITS[known as keyof typeof UNITS]) : Number.NaN
}
