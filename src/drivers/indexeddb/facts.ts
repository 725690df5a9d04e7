/**
 * The facts that a driver knows about the database, as of one commit.
 *
 * Every commit, by any tab, adds the next number to the store of commits. So reading the last number twice shows
 * whether anything was written in between. A commit judged by facts as of number `n` adds `n + 1` itself. If another
 * commit came first, that request fails, and the whole transaction with it. So a transaction can be handed over whole:
 * nothing in it must be read and judged by the page, which may be suspended.
 *
 * Numbers are deleted after a while. By then no facts may depend on them: facts are used for {@link MAX_AGE} at most,
 * and numbers are kept for {@link KEPT}.
 *
 * @module
 */
import type { EntryKey, Value } from '../../core/driver.ts'
import { HoldfastError } from '../../core/errors.ts'
import { under } from '../../core/keys.ts'
import { type KeyCursor, type PromisedStore, between, numbers, upTo } from './api.ts'
import { nameOf } from '../shared/names.ts'
import { type Row, type StoredValue, sizeOf } from './rows.ts'
import { COMMITS, ENTRIES, type Running, VALUES } from './transactions.ts'

/** How long facts are used, in milliseconds. */
export const MAX_AGE = 20_000
/** How long numbers of commits are kept at least, in milliseconds. */
export const KEPT = 60_000
/** The most requests made at once. More would hold too much in memory. */
const AT_ONCE = 1000
/** The most rows, and the most ends of logs, kept between calls. */
const MAX_REMEMBERED = 5000
/** The longest value kept with a row, in characters or bytes. */
const LONGEST = 300
/** The most bytes of values kept during one call, so that failed checks need not read them again. */
const KEPT_VALUES = 2 ** 23

/** The facts about an entry. */
export interface Head {
  readonly version: string
  readonly expiresAt: number | null
  /** The size of the value, in bytes. */
  readonly size: number
  /** Whether the value is in the store of long values. */
  readonly isApart: boolean
  /** Absent if it was not kept. */
  readonly value?: Value
}

/** The facts that a request needs. */
export interface Needs {
  /** Ids of rows. */
  readonly rows: Set<string>
  /** Ids of rows whose values are needed. */
  readonly values: Set<string>
  /** Logs whose last rows are needed, by the ids of their prefixes. */
  readonly ends: Map<string, EntryKey>
  /** Needed last rows of logs below an id, by {@link nameBelow}. */
  readonly below: Map<string, Below>
}

/** The last row of a log below an id. */
export interface Below {
  readonly log: EntryKey
  readonly place: string
}

/** The name of a {@link Below}. */
export const nameBelow = ({ log, place }: Below): string => `${nameOf(log)}\n${place}`

/** The first id after all rows of a log. */
export const endOf = ({ part, key }: EntryKey): string => nameOf({ part, key: under(key).end })

/** Makes an empty set of needs. */
export const noNeeds = (): Needs => ({ rows: new Set(), values: new Set(), ends: new Map(), below: new Map() })

/** Whether nothing is needed. */
export const isNone = ({ rows, values, ends, below }: Needs): boolean =>
  rows.size + values.size + ends.size + below.size === 0

/** Adds needs to others. */
export function addNeeds(to: Needs, more: Needs): void {
  for (const id of more.rows) to.rows.add(id)
  for (const id of more.values) to.values.add(id)
  for (const [id, log] of more.ends) to.ends.set(id, log)
  for (const [name, it] of more.below) to.below.set(name, it)
}

/** Facts that all hold as of one commit. */
export interface Facts {
  /** The number of that commit; `undefined` if nothing is known. */
  generation: number | undefined
  /** Whether the database has long values. Once true, it stays true. */
  hasLong: boolean
  /** Entries by the ids of their rows; `null` for an absent entry. */
  readonly rows: Map<string, Head | null>
  /** Ids of the last rows of logs, by the ids of their prefixes; `null` for an empty log. */
  readonly ends: Map<string, string | null>
  /** Ids of the last rows below an id, by {@link nameBelow}. Kept during one call. */
  readonly below: Map<string, string | null>
  /** Values, kept during one call. */
  readonly values: Map<string, Value>
  /** The age of the facts in milliseconds: the larger one of two clocks, of which one may jump and the other stop. */
  age(): number
  /** Marks the facts as true at this moment. */
  confirm(at: Moment): void
  forget(): void
  /** Frees memory between calls. */
  trim(): void
}

/** A moment on two clocks. */
export interface Moment {
  readonly wall: number
  readonly steady: number
}

/** The present moment. */
export const moment = (): Moment => ({ wall: Date.now(), steady: performance.now() })

/** Makes an empty set of facts. */
export function noFacts(): Facts {
  let confirmed = moment()
  const facts: Facts = {
    generation: undefined,
    hasLong: false,
    rows: new Map(),
    ends: new Map(),
    below: new Map(),
    values: new Map(),
    age() {
      const { wall, steady } = moment()
      return Math.max(Math.abs(wall - confirmed.wall), steady - confirmed.steady)
    },
    confirm: (at) => void (confirmed = at),
    forget() {
      facts.generation = undefined
      for (const all of [facts.rows, facts.ends, facts.below, facts.values]) all.clear()
    },
    trim() {
      for (const all of [facts.below, facts.values]) all.clear()
      for (const all of [facts.rows, facts.ends]) {
        // Evicts more than needed, oldest first, so that this does not happen each time.
        if (all.size > MAX_REMEMBERED)
          for (const id of [...all.keys()].slice(0, all.size - MAX_REMEMBERED / 2)) all.delete(id)
      }
    },
  }
  return facts
}

/** The needed facts that are not known, as many as may be read at once; `undefined` if none is missing. */
export function missing(facts: Facts, needs: Needs): Needs | undefined {
  const lacking = noNeeds()
  let left = AT_ONCE
  const take = <T>(all: Iterable<T>, isLacking: (it: T) => boolean, add: (it: T) => unknown): void => {
    for (const it of all) {
      if (left === 0) return
      if (!isLacking(it)) continue
      add(it)
      left--
    }
  }
  take(
    needs.rows,
    (id) => !facts.rows.has(id),
    (id) => lacking.rows.add(id),
  )
  take(
    needs.ends,
    ([id]) => !facts.ends.has(id),
    ([id, log]) => lacking.ends.set(id, log),
  )
  take(
    needs.below,
    ([name]) => !facts.below.has(name),
    ([name, it]) => lacking.below.set(name, it),
  )
  take(
    needs.values,
    // If the row is gone, its value is not needed.
    (id) => facts.rows.get(id) !== null && !facts.values.has(id),
    (id) => lacking.values.add(id),
  )
  return isNone(lacking) ? undefined : lacking
}

/** Other results of {@link learn}. */
export interface Learnt {
  /** Ids of rows that have expired. */
  readonly expired: readonly string[]
  /** Whether another commit came since. If so, all facts were forgotten except those just read. */
  readonly hasChanged: boolean
}

/** The stores that {@link learn} reads. */
export const storesFor = ({ values }: Needs): readonly string[] =>
  values.size > 0 ? [ENTRIES, COMMITS, VALUES] : [ENTRIES, COMMITS]

/** The number of the last commit. */
export const lastCommit = async (commits: PromisedStore<unknown>): Promise<number> =>
  ((await commits.openKeyCursor(numbers(), 'prev'))?.key ?? 0) as number

/**
 * Reads missing facts. All requests are made synchronously, before the first await.
 *
 * @param expired - the most expired rows to find, and the time by which they expired
 */
export async function learn(
  running: Running,
  facts: Facts,
  lacking: Needs,
  expired: { readonly most: number; readonly until: number },
): Promise<Learnt> {
  const began = moment()
  const entries = running.ask<Row>(ENTRIES)
  const apart = [...lacking.values].filter((id) => facts.rows.get(id)?.isApart)
  const longValues = apart.length > 0 ? running.ask<StoredValue>(VALUES) : undefined
  const heads = [...new Set([...lacking.rows, ...lacking.values])]
  const ends = [...lacking.ends]
  const below = [...lacking.below]
  const lastOf = (log: EntryKey, place: string): Promise<KeyCursor | null> =>
    entries.openKeyCursor(between(nameOf(log), place), 'prev')
  const asked = Promise.all([
    lastCommit(running.ask(COMMITS)),
    Promise.all(heads.map((id) => entries.get(id))),
    Promise.all(ends.map(([, log]) => lastOf(log, endOf(log)))),
    Promise.all(below.map(([, { log, place }]) => lastOf(log, place))),
    expired.most > 0 ? entries.index('expiresAt').getAllKeys(upTo(expired.until), expired.most) : [],
    Promise.all(apart.map((id) => longValues!.get(id))),
  ])
  const [generation, rows, lasts, lastsBelow, ids, values] = await asked
  const hasChanged = facts.generation !== generation
  if (hasChanged) facts.forget()
  facts.generation = generation
  facts.confirm(began)
  let kept = KEPT_VALUES
  rows.forEach((row, i) => {
    const head = row ? toHead(row) : null
    facts.rows.set(heads[i]!, head)
    facts.hasLong ||= head?.isApart === true
    if (row?.value === undefined || (head!.size > kept && !lacking.values.has(row.id))) return
    kept -= head!.size
    facts.values.set(row.id, row.value)
  })
  lasts.forEach((cursor, i) => facts.ends.set(ends[i]![0], idAt(cursor)))
  lastsBelow.forEach((cursor, i) => facts.below.set(below[i]![0], idAt(cursor)))
  for (const value of values)
    if (value && isOf(value, facts.rows.get(value.id))) facts.values.set(value.id, value.value)
  for (const id of lacking.values) {
    // A value missing in the same view as its row would be asked for again without end.
    if (!hasChanged && facts.rows.get(id) && !facts.values.has(id)) throw unreadable()
  }
  return { expired: ids, hasChanged }
}

/** The facts kept about a row. */
export const toHead = ({ version, expiresAt, value, apart }: Row): Head => {
  const size = apart ?? sizeOf(value!)
  const isKept = typeof value === 'string' && value.length <= LONGEST
  return { version, expiresAt: expiresAt ?? null, size, isApart: apart !== undefined, ...(isKept && { value }) }
}

const idAt = (cursor: KeyCursor | null): string | null => (cursor ? (cursor.key as string) : null)

const isOf = ({ version }: StoredValue, head: Head | null | undefined): boolean =>
  head?.isApart === true && head.version === version

const unreadable = (): HoldfastError =>
  new HoldfastError('BACKEND', 'A stored value can no longer be read; write it again or delete it')
