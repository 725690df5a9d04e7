/** Spans of time as people write them. @module */
import { MAX_TIME, shown } from './arguments.ts'
import { invalid } from './errors.ts'

const UNITS = { ms: 1, s: 1000, m: 60_000, min: 60_000, h: 3_600_000, d: 86_400_000 } as const
/** Words for the same, in the singular. */
const WORDS: Readonly<Record<string, keyof typeof UNITS>> = { second: 's', minute: 'm', hour: 'h', day: 'd' }

type Word = 'second' | 'minute' | 'hour' | 'day'

/** Milliseconds, or a number with a unit, such as `'90 s'`, `'1.5 h'` or `'2 days'`. */
export type Duration = number | `${number}${' ' | ''}${keyof typeof UNITS | Word | `${Word}s`}`

/**
 * Reads a duration.
 *
 * @param duration - a whole number of milliseconds, or text with a unit, which is rounded to one
 * @param what - the argument's name, for the message
 * @param least - the fewest milliseconds it may be
 * @param most - the most it may be; 8.64e15 by default
 * @returns the milliseconds
 * @throws `INVALID_ARGUMENT`
 */
export function toMilliseconds(duration: Duration, what: string, least = 0, most: number = MAX_TIME): number {
  const ms = typeof duration === 'string' ? parsed(duration) : duration
  if (Number.isInteger(ms) && ms >= least && ms <= most) return ms
  throw invalid(
    `${what} must be whole milliseconds from ${least} to ${most}, or such as '90 s' or '1.5 h', not ${shown(duration)}`,
  )
}

/**
 * When what is stored with a time to live expires.
 *
 * @param ttl - as it was handed in; nothing for ever
 * @param what - the argument's name, for the message
 * @param least - the fewest milliseconds it may be
 * @throws `INVALID_ARGUMENT`
 */
export const expiryOf = (ttl: Duration | undefined, what = 'ttl', least = 1): { readonly in: number } | undefined =>
  ttl === undefined ? ttl : { in: toMilliseconds(ttl, what, least) }

/** The milliseconds of text with a unit; `NaN` for other text. */
function parsed(text: string): number {
  const [, number, unit = ''] = /^(\d+(?:\.\d+)?) ?([a-z]+)$/.exec(text) ?? []
  const word = unit.replace(/s$/, '')
  const known = Object.hasOwn(WORDS, word) ? WORDS[word] : unit
  return Object.hasOwn(UNITS, known!) ? Math.round(Number(number) * UNITS[known as keyof typeof UNITS]) : Number.NaN
}
