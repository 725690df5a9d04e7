/**
 * A request of commits in two bursts: everything it has to know is asked for at once, then judged in memory, and what
 * comes of it written at once. A transaction ends when nothing of it is under way, so nothing else may be waited for.
 *
 * @module
 */
import type { Transaction } from '../../core/apply.ts'
import type { Commit } from '../../core/driver.ts'
import { DIGITS, decodeNumber, under } from '../../core/keys.ts'
import { type IdbStore, type PromisedStore, between, upTo } from './api.ts'
import { type Row, boundsOf, idOf, toEntry } from './rows.ts'

/** What a request asks of the store before it can be judged. */
export interface Needs {
  readonly rows: ReadonlySet<string>
  /** Logs by the id of their prefix, and below which ids the last row is wanted. */
  readonly logs: ReadonlyMap<string, readonly string[]>
  /** Whether something is to expire some time after the commit, so that the moment of the commit has to be known. */
  readonly isTimed: boolean
}

/** What the store said. */
interface Known {
  readonly rows: Map<string, Row>
  /** Of each log the ids that may come to be its last, in order. */
  readonly logs: ReadonlyMap<string, string[]>
  /** Ids of rows that have expired. */
  readonly expired: readonly string[]
}

/** A transaction that gathers what it writes. */
export interface Batch extends Transaction {
  /** Writes it, all in one burst. */
  flush(store: IdbStore): void
}

/**
 * What commits need to know: the rows they check, and the ends of the logs they check or append to. Where they delete
 * from a log, its end moves down to what lies below: after any of the deletions, the last row is the last of all or the
 * last below one of the places where a deletion begins.
 */
export function needsOf(commits: readonly Commit[]): Needs {
  const rows = new Set<string>()
  const prefixes = new Map<string, { readonly part: string; readonly key: string }>()
  const cuts = new Map<string, string[]>()
  let isTimed = false
  const cut = (part: string, key: string): void => {
    const known = cuts.get(part)
    if (known) known.push(key)
    else cuts.set(part, [key])
  }
  for (const { checks, ops } of commits) {
    for (const check of checks) {
      if ('log' in check) prefixes.set(idOf(check.log), check.log)
      else rows.add(idOf(check.at))
    }
    for (const op of ops) {
      if ('append' in op) prefixes.set(idOf(op.append), op.append)
      else if ('delete' in op) cut(op.delete.part, op.delete.key)
      else if ('deleteRange' in op) cut(op.deleteRange.part, op.deleteRange.start)
      else if ('put' in op && op.expires) isTimed = true
    }
  }
  const logs = new Map<string, string[]>()
  for (const [id, { part, key }] of prefixes) {
    const { start, end } = under(key)
    const inside = (cuts.get(part) ?? []).filter((place) => place > start && place < end)
    logs.set(
      id,
      [...new Set([...inside, end])].map((place) => idOf({ part, key: place })),
    )
  }
  return { rows, logs, isTimed }
}

/**
 * Asks for it, all in one burst; where nothing is asked, nothing is waited for but microtasks.
 *
 * @param now - what expired until then is taken away along with the request
 * @param most - how many of those; none are looked for where it is 0
 */
export async function load(store: PromisedStore<Row>, needs: Needs, now: number, most: number): Promise<Known> {
  const expired = most > 0 ? store.index('expiresAt').getAllKeys(upTo(now), most) : []
  const rows = [...needs.rows].map((id) => store.get(id))
  const logs = [...needs.logs].map(async ([prefix, places]): Promise<[string, string[]]> => {
    const cursors = await Promise.all(places.map((place) => store.openKeyCursor(between(prefix, place), 'prev')))
    return [prefix, [...new Set(cursors.flatMap((cursor) => cursor?.key ?? []))].sort()]
  })
  const [foundExpired, foundRows, foundLogs] = await Promise.all([expired, Promise.all(rows), Promise.all(logs)])
  return {
    rows: new Map(foundRows.flatMap((row) => (row ? [[row.id, row] as const] : []))),
    logs: new Map(foundLogs),
    expired: foundExpired,
  }
}

/** Makes the transaction in which a request is judged. */
export function batch({ rows, logs, expired }: Known): Batch {
  /** What is written in the end: a key that many commits write is written once. `null`: taken away. */
  const writes = new Map<string, Row | null>()
  const cleared: { start: string; end: string }[] = []

  function clear(bounds: { start: string; end: string }): void {
    const isInside = (id: string): boolean => id >= bounds.start && id < bounds.end
    for (const ids of [rows, writes]) for (const id of ids.keys()) if (isInside(id)) ids.delete(id)
    for (const [prefix, ids] of logs)
      if (ids.some(isInside))
        replace(
          logs.get(prefix)!,
          ids.filter((id) => !isInside(id)),
        )
    cleared.push(bounds)
  }

  return {
    get(at) {
      const row = rows.get(idOf(at))
      return row ? toEntry({ ...row, value: owned(row.value) }) : null
    },
    last: (log) => {
      const id = logs.get(idOf(log))!.at(-1)
      return id === undefined ? 0 : decodeNumber(id)
    },
    put(at, value, version, expiresAt) {
      const id = idOf(at)
      const row = { id, version, value, ...(expiresAt !== null && { expiresAt }) }
      rows.set(id, row)
      writes.set(id, row)
      const log = logs.get(id.slice(0, -DIGITS))
      if (log) {
        const isLast = log.length === 0 || id > log.at(-1)!
        log.push(id)
        if (!isLast) replace(log, [...new Set(log)].sort())
      }
    },
    delete(at) {
      const id = idOf(at)
      rows.delete(id)
      writes.set(id, null)
      const log = logs.get(id.slice(0, -DIGITS))
      if (log?.includes(id)) log.splice(log.indexOf(id), 1)
    },
    deleteRange: (part, start, end) => {
      if (start < end) clear({ start: idOf({ part, key: start }), end: idOf({ part, key: end }) })
    },
    deletePart: (part) => clear(boundsOf(part)),
    flush(store) {
      for (const id of expired) store.delete(id)
      // Before what was put into the ranges afterwards; what was put before is no longer among the writes.
      for (const { start, end } of cleared) store.delete(between(start, end))
      for (const [id, row] of writes) {
        if (row) store.put({ ...row, value: owned(row.value) })
        else store.delete(id)
      }
    },
  }
}

const replace = <T>(list: T[], items: readonly T[]): void => void list.splice(0, list.length, ...items)

/** Bytes of its own: of a view, the browser would store all that it is a view of. */
const owned = (value: Row['value']): Row['value'] => (typeof value === 'string' ? value : new Uint8Array(value))
