/**
 * What a driver knows of the database, as of one commit.
 *
 * Every commit, of any tab, adds a number to the store of commits: the next one. So two looks at the last number tell
 * whether anything was written in between, and a commit that was judged by what was known at number `n` adds `n + 1`
 * itself, which fails, and all of the transaction with it, if another commit came first. That is how a transaction can be
 * handed over whole: nothing in it has to be read and judged by the page, which may be halted.
 *
 * Numbers are taken away after a while. By then nobody may still count on one: what is known is used for {@link MAX_AGE}
 * and no longer, and numbers are kept for {@link KEPT}.
 *
 * @module
 */
import type { EntryKey, Value } from '../../core/driver.ts'
import { HoldfastError } from '../../core/errors.ts'
import { under } from '../../core/keys.ts'
import { type KeyCursor, type PromisedStore, between, numbers, upTo } from './api.ts'
import { type Row, type StoredValue, idOf, sizeOf } from './rows.ts'
import { COMMITS, ENTRIES, type Running, VALUES } from './transactions.ts'

/** For how long what is known is used, in milliseconds. */
export const MAX_AGE = 20_000
/** For how long numbers of commits are kept at least, in milliseconds. */
export const KEPT = 60_000
/** Requests that are made at once: with more, what is read would be a burden on the memory. */
const AT_ONCE = 1000
/** Rows and ends of logs remembered from call to call, and the longest value of a row that is. */
const MOST = 5000
const LONGEST = 300
/** Bytes of values that are kept for the length of one call, so that failed checks need not ask for them again. */
const KEPT_VALUES = 2 ** 23

/** What is known of an entry. */
export interface Head {
  readonly version: string
  readonly expiresAt: number | null
  /** Of the value, in bytes. */
  readonly size: number
  /** Whether the value is stored apart. */
  readonly isApart: boolean
  /** Absent where it was not kept. */
  readonly value?: Value
}

/** What has to be known. */
export interface Needs {
  /** Ids of rows. */
  readonly rows: Set<string>
  /** Ids of rows whose values are wanted. */
  readonly values: Set<string>
  /** Logs whose last rows are wanted, by the ids of their prefixes. */
  readonly ends: Map<string, EntryKey>
  /** Last rows of logs below some id, by {@link nameBelow}. */
  readonly below: Map<string, Below>
}

/** The last row of a log below some id. */
export interface Below {
  readonly log: EntryKey
  readonly place: string
}

/** The name of such a fact. */
export const nameBelow = ({ log, place }: Below): string => `${idOf(log)}\n${place}`

/** The id that comes behind all rows of a log. */
export const endOf = ({ part, key }: EntryKey): string => idOf({ part, key: under(key).end })

/** Makes an empty set of needs. */
export const noNeeds = (): Needs => ({ rows: new Set(), values: new Set(), ends: new Map(), below: new Map() })

/** Whether nothing has to be known. */
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
  /** The number of that commit; `undefined` where nothing is known. */
  generation: number | undefined
  /** Whether the database has long values: known for as long as it lives. */
  hasLong: boolean
  /** Entries by the ids of their rows; `null`: known to be absent. */
  readonly rows: Map<string, Head | null>
  /** Ids of the last rows of logs, by the ids of their prefixes; `null`: there is none. */
  readonly ends: Map<string, string | null>
  /** Of the last rows below some id, by {@link nameBelow}, for the length of one call. */
  readonly below: Map<string, string | null>
  /** Values for the length of one call. */
  readonly values: Map<string, Value>
  /** How old they are, in milliseconds: the larger of what two clocks tell, one of which may jump and one stop. */
  age(): number
  /** They were all true at a moment that began now. */
  confirm(at: Moment): void
  forget(): void
  /** Keeps no more than is good for the memory, between calls. */
  trim(): void
}

/** A moment, by both clocks. */
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
        // The longest known go, and some more, so that it need not be looked at each time.
        if (all.size > MOST) for (const id of [...all.keys()].slice(0, all.size - MOST / 2)) all.delete(id)
      }
    },
  }
  return facts
}

/** What is not known of what has to be, as much as is asked for at once; `undefined` where nothing is lacking. */
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
    // Where the row has gone meanwhile, nothing is wanted of it.
    (id) => facts.rows.get(id) !== null && !facts.values.has(id),
    (id) => lacking.values.add(id),
  )
  return isNone(lacking) ? undefined : lacking
}

/** What was found besides. */
export interface Learnt {
  /** Ids of rows that have expired. */
  readonly expired: readonly string[]
  /** Whether something else was committed since the facts were true: they were forgotten, but for what was just found. */
  readonly hasChanged: boolean
}

/** The stores that {@link learn} asks. */
export const storesFor = ({ values }: Needs): readonly string[] =>
  values.size > 0 ? [ENTRIES, COMMITS, VALUES] : [ENTRIES, COMMITS]

/** The number of the last commit. */
export const lastCommit = async (commits: PromisedStore<unknown>): Promise<number> =>
  ((await commits.openKeyCursor(numbers(), 'prev'))?.key ?? 0) as number

/**
 * Asks for what is lacking, all in one burst: with the call that made it, all of its requests are made.
 *
 * @param expired - the most of what has expired that is asked for, and until when
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
    entries.openKeyCursor(between(idOf(log), place), 'prev')
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
    // Asked for in vain, all in one view: it would be asked for without an end.
    if (!hasChanged && facts.rows.get(id) && !facts.values.has(id)) throw unreadable()
  }
  return { expired: ids, hasChanged }
}

/** What to keep of a row. */
export const toHead = ({ version, expiresAt, value, apart }: Row): Head => {
  const size = apart ?? sizeOf(value!)
  const isKept = typeof value === 'string' && value.length <= LONGEST
  return { version, expiresAt: expiresAt ?? null, size, isApart: apart !== undefined, ...(isKept && { value }) }
}

const idAt = (cursor: KeyCursor | null): string | null => (cursor ? (cursor.key as string) : null)

const isOf = ({ version }: StoredValue, head: Head | null | undefined): boolean =>
  head?.isApart === true && head.version === version

const unreadable = (): HoldfastError =>
  new HoldfastError('BACKEND', 'A stored value cannot be read any more; write it again or delete it')
