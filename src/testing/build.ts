/** Short ways to write commits in cases. @module */
import type { Check, Entry, Expiry, EntryKey, Op, Value } from '../core/driver.ts'
import { encodeNumber } from '../core/keys.ts'

/** The part that cases use if they need only one. */
export const PART = 'acme!run!r1'

/** All keys. No key of the cases sorts after `~~`. */
export const ALL: { readonly start: string; readonly end: string } = { start: ' ', end: '~~' }

/** Whether two times differ by no more than a slow machine takes between them. */
export const isNear = (at: number, other: number): boolean => Math.abs(at - other) < 30_000

/** A key of {@link PART}, or of another part. */
export const at = (key: string, part: string = PART): EntryKey => ({ part, key })

export const put = (key: string | EntryKey, value: Value, expires?: Expiry): Op => ({
  put: keyOf(key),
  value,
  ...(expires !== undefined && { expires }),
})

/** Appends to the log under a prefix. */
export const append = (log: string | EntryKey, value: Value, ref?: string): Op => ({
  append: keyOf(log),
  value,
  ...(ref !== undefined && { ref }),
})

/** Trims a log up to a seq. */
export const trim = (log: string | EntryKey, through: number): Op => ({ trim: keyOf(log), through })

export const remove = (key: string | EntryKey): Op => ({ delete: keyOf(key) })

export const removeRange = (start: string, end: string, part: string = PART): Op => ({
  deleteRange: { part, start, end },
})

export const removePart = (part: string = PART): Op => ({ deletePart: part })

export const absent = (key: string | EntryKey): Check => ({ at: keyOf(key), version: null })

export const unchanged = (key: string | EntryKey, version: string): Check => ({ at: keyOf(key), version })

/** A check that the log ends at this seq. */
export const ends = (log: string | EntryKey, last: number): Check => ({ log: keyOf(log), last })

/** The key of a log entry. */
export const entryKey = (log: string, seq: number): string => log + encodeNumber(seq)

/** The numbers from 1 to n. */
export const upTo = (n: number): number[] => Array.from({ length: n }, (_, i) => i + 1)

/** Runs a function n times at once. */
export const atOnce = <T>(n: number, run: (i: number) => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: n }, (_, i) => run(i)))

/** The fields of entries that most cases compare. */
export const pairs = (entries: readonly Entry[]): [string, Value][] => entries.map(({ key, value }) => [key, value])

const keyOf = (key: string | EntryKey): EntryKey => (typeof key === 'string' ? at(key) : key)
