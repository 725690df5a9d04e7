/** What stands in the arguments of commands. @module */
import { InvalidArgumentError } from './libraries.ts'
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

const DATE = /^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:\d{2})?))?$/

/**
 * A moment that has passed, in milliseconds since 1970: a length of time ago, or a date. One without a time is its
 * midnight in UTC; a time without a zone is this machine's.
 */
export function moment(text: string): number {
  const [, date, time] = DATE.exec(text) ?? []
  if (date === undefined && !/^\d+[a-z]+$/.test(text)) {
    throw new InvalidArgumentError('It must be a date, such as 2026-01-31, or a time ago, such as 30d.')
  }
  const at = date === undefined ? Date.now() - duration(text) : timeOf(date, time)
  if (at > Date.now()) throw new InvalidArgumentError('It must not be in the future.')
  return at
}

function timeOf(date: string, time: string | undefined): number {
  const day = new Date(date)
  const at = time === undefined ? day.getTime() : Date.parse(`${date}T${time}`)
  // The 30th of February would be taken for a day in March.
  if (Number.isNaN(at) || !day.toISOString().startsWith(date)) {
    throw new InvalidArgumentError('There is no such date or time.')
  }
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
