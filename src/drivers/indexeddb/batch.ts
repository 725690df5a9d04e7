/**
 * Judges a request of commits in memory, by known facts, and turns the result into requests that can all be made at
 * once.
 *
 * @module
 */
import { type Transaction, applyCommits } from '../shared/evaluate.ts'
import type { Commit, Current, EntryKey, Op, Outcome, Value } from '../../core/driver.ts'
import { SEPARATOR, lastNumber } from '../../core/keys.ts'
import { type IdbStore, between } from './api.ts'
import { type Facts, type Needs, endOf, isNone, nameBelow, noNeeds, toHead } from './facts.ts'
import { JOIN, boundsOf, keyIn, nameOf } from '../shared/names.ts'
import { type Row, isLong, sizeOf } from './rows.ts'

/** A judged request. */
export interface Judged {
  readonly outcomes: readonly Outcome[]
  /** The facts that are still needed before the outcomes are valid. */
  readonly lacking: Needs | undefined
  /** About how much is written, in bytes. */
  readonly weight: number
  /** Whether a long value is written. */
  readonly hasLong: boolean
  /** Whether anything is deleted. */
  readonly hasDeletes: boolean
  /**
   * Makes the requests that write the result.
   *
   * @param values - the store of long values; may be left out if the database has none and nothing is deleted
   */
  flush(entries: IdbStore, values: IdbStore | undefined): void
  /** Updates the facts after the write. */
  teach(): void
}

/** Overhead of a row, in bytes. */
const ROW_BYTES = 300

/** The approximate size of an op's write, in bytes. */
export const weightOf = (op: Op): number => ROW_BYTES + ('value' in op ? op.value.length : 0)

/**
 * The least facts that commits need: the rows that they check, and the ends of the logs that they check or append to.
 */
export function needsOf(commits: readonly Commit[]): Needs {
  const needs = noNeeds()
  const needEnd = (log: EntryKey): void => void needs.ends.set(nameOf(log), log)
  for (const { checks, ops } of commits) {
    for (const check of checks) {
      if ('log' in check) needEnd(check.log)
      else needs.rows.add(nameOf(check.at))
    }
    for (const op of ops) {
      if ('append' in op) needEnd(op.append)
      else if ('trim' in op) needEnd(op.trim)
    }
  }
  return needs
}

/**
 * Judges commits by known facts.
 *
 * @param expired - ids of expired rows, to be deleted with the write
 * @param now - the backend's clock, in milliseconds since 1970
 * @throws `INVALID_ARGUMENT` if, by these facts, a log has a key that is not a number; the facts may be out of date
 */
export function judge(
  commits: readonly Commit[],
  facts: Facts,
  expired: readonly string[],
  now: number,
  answerBytes: number,
): Judged {
  /** The final writes: a key written by many commits is written once. `null` deletes. */
  const writes = new Map<string, Row | null>()
  const cleared: { readonly start: string; readonly end: string }[] = []
  /** Last rows of logs that were asked for, by the id of the prefix. */
  const lasts = new Map<string, string | null>()
  const lacking = noNeeds()
  /** Bytes of the values still needed. No more are requested than fit into the answer. */
  let promised = 0

  const isCleared = (id: string): boolean => cleared.some(({ start, end }) => id >= start && id < end)

  function get(at: EntryKey, room: number): Current | null {
    const id = nameOf(at)
    const row = writes.get(id)
    if (row !== undefined) return row && current(at.key, row, row.value, room)
    if (isCleared(id)) return null
    const head = facts.rows.get(id)
    if (head === undefined) lacking.rows.add(id)
    if (!head) return null
    const value = head.value ?? facts.values.get(id)
    if (value === undefined && room > 0 && promised + head.size <= room) {
      promised += head.size
      lacking.values.add(id)
    }
    return current(at.key, head, value, room)
  }

  function put(at: EntryKey, value: Value, version: string, expiresAt: number | null): void {
    const id = nameOf(at)
    const apart = isLong(value) ? { apart: sizeOf(value) } : undefined
    writes.set(id, { id, version, value, ...apart, ...(expiresAt !== null && { expiresAt }) })
    for (const prefix of prefixesOf(id, lasts)) if (id > (lasts.get(prefix) ?? '')) lasts.set(prefix, id)
  }

  function remove(at: EntryKey): void {
    const id = nameOf(at)
    writes.set(id, null)
    for (const prefix of prefixesOf(id, lasts)) if (lasts.get(prefix) === id) lasts.delete(prefix)
  }

  function clear(bounds: { start: string; end: string }): void {
    for (const id of writes.keys()) if (id >= bounds.start && id < bounds.end) writes.delete(id)
    cleared.push(bounds)
    lasts.clear()
  }

  /** The last row of a log; `undefined` if it is not known. */
  function lastOf(log: EntryKey): string | null | undefined {
    const prefix = nameOf(log)
    const known = lasts.get(prefix)
    if (known !== undefined) return known
    const place = endOf(log)
    const stored = lastStored(log, prefix, place)
    if (stored === undefined) return undefined
    let last = stored
    for (const [id, row] of writes) if (row && id >= prefix && id < place && id > (last ?? '')) last = id
    lasts.set(prefix, last)
    return last
  }

  /** The last row of a log in the database that the request has not deleted. */
  function lastStored(log: EntryKey, prefix: string, end: string): string | null | undefined {
    for (let place = end; place > prefix;) {
      const name = nameBelow({ log, place })
      const last = place === end ? facts.ends.get(prefix) : facts.below.get(name)
      if (last === undefined) {
        if (place === end) lacking.ends.set(prefix, log)
        else lacking.below.set(name, { log, place })
      }
      if (!last) return last
      const bounds = cleared.find((it) => last >= it.start && last < it.end)
      // If the request has written the row, its own writes decide.
      if (!bounds && !writes.has(last)) return last
      place = bounds?.start ?? last
    }
    return null
  }

  const tx: Transaction = {
    get,
    last(log) {
      const id = lastOf(log)
      if (!id) return 0
      return lastNumber(log.key, keyIn(id), () => get({ part: log.part, key: keyIn(id) }, Infinity)?.value)
    },
    put,
    delete: remove,
    deleteRange: (part, start, end) => {
      if (start < end) clear({ start: nameOf({ part, key: start }), end: nameOf({ part, key: end }) })
    },
    deletePart: (part) => clear(boundsOf(part)),
  }

  const outcomes = applyCommits(commits, tx, now, answerBytes)
  if (outcomes.some(({ ok }) => ok)) {
    for (const id of expired) if (!writes.has(id) && !isCleared(id)) writes.set(id, null)
  }
  const rows = [...writes.values()].filter((row) => row !== null)

  return {
    outcomes,
    lacking: isNone(lacking) ? undefined : lacking,
    weight: rows.reduce((sum, { value }) => sum + value!.length, writes.size * ROW_BYTES),
    hasLong: rows.some(({ apart }) => apart !== undefined),
    hasDeletes: cleared.length > 0 || rows.length < writes.size,
    flush(entries, values) {
      // Ranges are deleted first. Rows written into them before the delete are no longer among the writes.
      for (const { start, end } of cleared) {
        entries.delete(between(start, end))
        values?.delete(between(start, end))
      }
      for (const [id, row] of writes) {
        const before = facts.rows.get(id)
        if (!row) entries.delete(id)
        else if (row.apart === undefined) entries.put({ ...row, value: owned(row.value!) })
        else {
          const { value, ...head } = row
          entries.put(head)
          values!.put({ id, version: row.version, value: owned(value!) })
        }
        // Deletes an earlier long value, unless there is known to be none.
        if (row?.apart === undefined && (before === undefined || before?.isApart)) values?.delete(id)
      }
    },
    teach() {
      for (const { start, end } of cleared) {
        for (const id of facts.rows.keys()) if (id >= start && id < end) facts.rows.delete(id)
      }
      if (cleared.length > 0) facts.ends.clear()
      for (const [id, row] of writes) {
        facts.rows.set(id, row && toHead(row))
        for (const prefix of prefixesOf(id, facts.ends)) {
          const last = lasts.get(prefix)
          // The log's end is not known here, or has just expired: it is read again when needed.
          if (last === undefined || (last === id && !row)) facts.ends.delete(prefix)
          else facts.ends.set(prefix, last)
        }
      }
    },
  }
}

/** The prefixes in `among` under which an id may be. */
function* prefixesOf(id: string, among: ReadonlyMap<string, unknown>): Iterable<string> {
  if (among.size === 0) return
  for (let at = id.indexOf(SEPARATOR, id.indexOf(JOIN)); at >= 0; at = id.indexOf(SEPARATOR, at + 1)) {
    const prefix = id.slice(0, at + 1)
    if (among.has(prefix)) yield prefix
  }
}

function current(
  key: string,
  { version, expiresAt = null }: { readonly version: string; readonly expiresAt?: number | null },
  value: Value | undefined,
  room: number,
): Current {
  const isGiven = value !== undefined && room > 0 && value.length <= room
  return { key, version, expiresAt, ...(isGiven && { value: owned(value) }) }
}

/** A copy with its own buffer: for a view, the browser would store the whole buffer. */
const owned = (value: Value): Value => (typeof value === 'string' ? value : new Uint8Array(value))
