/** Short ways to write commits, for the cases. @module */
import type { Check, Entry, Expiry, EntryKey, Op, Value } from '../core/driver.ts'
import { encodeNumber } from '../core/keys.ts'

/** The part that cases use where one is enough. */
export const PART = 'acme!run!r1'

/** Every key there is: no key of the cases sorts behind `~~`. */
export const ALL: { readonly start: string; readonly end: string } = { start: ' ', end: '~~' }

/** Whether two times are the same but for what a slow machine takes between them. */
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

/** Removes the entries of a log up to a number. */
export const trim = (log: string | EntryKey, through: number): Op => ({ trim: keyOf(log), through })

export const remove = (key: string | EntryKey): Op => ({ delete: keyOf(key) })

export const removeRange = (start: string, end: string, part: string = PART): Op => ({
  deleteRange: { part, start, end },
})

export const removePart = (part: string = PART): Op => ({ deletePart: part })

export const absent = (key: string | EntryKey): Check => ({ at: keyOf(key), version: null })

export const unchanged = (key: string | EntryKey, version: string): Check => ({ at: keyOf(key), version })

/** The log under this prefix ends at this number. */
export const ends = (log: string | EntryKey, last: number): Check => ({ log: keyOf(log), last })

/** The key of a log entry. */
export const entryKey = (log: string, seq: number): string => log + encodeNumber(seq)

/** 1 to n. */
export const upTo = (n: number): number[] => Array.from({ length: n }, (_, i) => i + 1)

/** Does something n times at once. */
export const atOnce = <T>(n: number, run: (i: number) => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: n }, (_, i) => run(i)))

/** What a test wants to know of entries most often. */
export const pairs = (entries: readonly Entry[]): [string, Value][] => entries.map(({ key, value }) => [key, value])

const keyOf = (key: string | EntryKey): EntryKey => (typeof key === 'string' ? at(key) : key)
