/** Spans of time as people write them. @module */
import { requireInteger } from '../core/arguments.ts'
import { invalid } from '../core/errors.ts'

const UNITS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const

/** Milliseconds, or a number with a unit, such as `'90 s'` or `'1.5 h'`. */
export type Duration = number | `${number}${' ' | ''}${'ms' | 's' | 'm' | 'h' | 'd'}`

/**
 * The milliseconds of a duration.
 *
 * @throws `INVALID_ARGUMENT`
 */
export function toMilliseconds(duration: Duration, what: string): number {
  if (typeof duration === 'number') return requireInteger(duration, what)
  const [, number, unit] = /^(\d+(?:\.\d+)?) ?(ms|s|m|h|d)$/.exec(duration) ?? []
  if (unit === undefined) throw invalid(`${what} must be milliseconds, or such as '90 s', '15 m', '1.5 h' or '7 d'`)
  return Math.round(Number(number) * UNITS[unit as keyof typeof UNITS])
}
