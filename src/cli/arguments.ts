/** What stands in the arguments of commands. @module */
import { InvalidArgumentError } from 'commander'
import { decode } from '../core/codec.ts'

const UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
}

/** A length of time, such as `30d`, in milliseconds. */
export function duration(text: string): number {
  const [, count, unit] = /^(\d+)(ms|s|m|h|d|w)$/.exec(text) ?? []
  if (count === undefined || unit === undefined) {
    throw new InvalidArgumentError('It must be a length of time, such as 90s, 12h or 30d.')
  }
  return Number(count) * UNITS[unit]!
}

/** A moment in milliseconds since 1970: a date, or a length of time ago. */
export function moment(text: string): number {
  const at = /^\d+[a-z]+$/.test(text) ? Date.now() - duration(text) : Date.parse(text)
  if (Number.isNaN(at))
    throw new InvalidArgumentError('It must be a date, such as 2026-01-31, or a time ago, such as 30d.')
  return at
}

/** A whole number from 0. */
export function count(text: string): number {
  const number = Number(text)
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(number)) throw new InvalidArgumentError('It must be a whole number.')
  return number
}

/** A whole number from 1. */
export function positive(text: string): number {
  const number = count(text)
  if (number === 0) throw new InvalidArgumentError('It must be at least 1.')
  return number
}

/** A structured value as JSON. */
export function json(text: string): unknown {
  try {
    return decode(text)
  } catch {
    throw new InvalidArgumentError('It must be JSON.')
  }
}
