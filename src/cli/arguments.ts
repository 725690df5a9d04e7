/** Parsers for the arguments of commands. @module */
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

/** Parses a length of time, such as `30d`, into milliseconds. */
export function duration(text: string): number {
  const [, count, unit] = /^(\d+)(ms|s|m|h|d|w)$/.exec(text) ?? []
  if (count === undefined || unit === undefined) {
    throw new InvalidArgumentError('Give a length of time, such as 90s, 12h or 30d.')
  }
  return Number(count) * UNITS[unit]!
}

const DATE = /^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:\d{2})?))?$/

/**
 * Parses a time in the past, into milliseconds since 1970: an age or a date. A date without a time is its midnight in
 * UTC. A time without a zone is in this machine's zone.
 */
export function moment(text: string): number {
  const [, date, time] = DATE.exec(text) ?? []
  if (date === undefined && !/^\d+[a-z]+$/.test(text)) {
    throw new InvalidArgumentError('Give a date, such as 2026-01-31, or an age, such as 30d.')
  }
  const at = date === undefined ? Date.now() - duration(text) : timeOf(date, time)
  if (at > Date.now()) throw new InvalidArgumentError('It must not be in the future.')
  return at
}

function timeOf(date: string, time: string | undefined): number {
  const day = new Date(date)
  const at = time === undefined ? day.getTime() : Date.parse(`${date}T${time}`)
  // Date would read February 30 as a day in March.
  if (Number.isNaN(at) || !day.toISOString().startsWith(date)) {
    throw new InvalidArgumentError('This date or time does not exist.')
  }
  return at
}

/** Parses a whole number from 0. */
export function count(text: string): number {
  const number = Number(text)
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(number)) throw new InvalidArgumentError('Give a whole number.')
  return number
}

/** Parses a whole number from 1. */
export function positive(text: string): number {
  const number = count(text)
  if (number === 0) throw new InvalidArgumentError('Give a number from 1.')
  return number
}

/** Parses a structured value from JSON. */
export function json(text: string): unknown {
  try {
    return decode(text)
  } catch {
    throw new InvalidArgumentError('Give JSON, for example \'{"id":1}\'.')
  }
}
