/**
 * The locks that a request takes, chosen so that it waits only for requests that share a key or a range with it.
 *
 * Keys are locked as rows of `holdfast_locks`. There can be any number of them, while the server's own lock table,
 * which all connections share, has room for 64 per connection. In addition, a request locks parts, to protect against
 * deletes of ranges: shared if it touches a key of the part, exclusively if it deletes a range of it. Locks of parts
 * are advisory locks. If a request touches many parts, only {@link MAX_ADVISORY} are locked this way and the rest as
 * rows; a delete of a range takes both.
 *
 * A new lock row belongs to the transaction that made it, so a row to be shared must be committed first: the function
 * creates the missing rows and asks to be called again. A part without entries needs no row, because nothing in it can
 * be deleted.
 *
 * All clients of a database must agree on these rules. A change of them must rename the function that takes the locks.
 *
 * @module
 */
import type { Commit } from '../../core/driver.ts'
import { hasher } from '../../core/hash.ts'
import { DIGITS } from '../../core/keys.ts'

/** Advisory locks of parts that one request shares. With all others this stays below the room for each connection. */
const MAX_ADVISORY = 48
/** A request with more keys locks all of them exclusively, in bulk: that is faster than checking each key. */
const MAX_SHARED = 16
/** Rows locked at once. */
const CHUNK = 16

/** Names of locks: for a request, and for a key in a part. They differ from each other and from names of parts. */
const lockOfRequest = (id: string): string => `\r${id}`
const lockOfKey = (part: string, key: string): string => `${part}\n${NUMBERED.test(key) ? key.slice(0, -DIGITS) : key}`
/** The entries of a log share its lock, so that nobody sees gaps in the numbers while the log grows. */
const NUMBERED = new RegExp(`!\\d{${DIGITS}}$`)

/** 52 bits, which a number holds exactly. Two names with the same hash only cause an unnecessary wait. */
function hashOf(name: string): number {
  const hash = hasher()
  hash.text(name)
  return Number.parseInt(hash.finish().slice(0, 13), 16)
}

/** The mode of a lock: `a` and `A` for advisory locks, `r` and `R` for rows. A capital letter means exclusive. */
type Mode = 'a' | 'A' | 'r' | 'R'

/** Locks of one mode that are taken together. Row locks of parts also name the parts. */
export type Locks = readonly [mode: Mode, ids: readonly number[], parts?: readonly string[]]

/**
 * The locks that a request needs, in the order of taking. The order is the same for all requests, so there is no
 * deadlock.
 */
export function locksOf(id: string, commits: readonly Commit[]): readonly Locks[] {
  const parts = new Map<string, { isExclusive: boolean; named: number }>()
  const keys = new Map<string, boolean>()
  const part = (name: string) => {
    const found = parts.get(name) ?? { isExclusive: false, named: 0 }
    if (found.named++ === 0) parts.set(name, found)
    return found
  }
  const lock = (name: string, key: string, isExclusive: boolean): void => {
    part(name)
    const lockName = lockOfKey(name, key)
    if (isExclusive || !keys.has(lockName)) keys.set(lockName, isExclusive)
  }
  for (const { checks, ops } of commits) {
    for (const check of checks) {
      const at = 'log' in check ? check.log : check.at
      lock(at.part, at.key, false)
    }
    for (const op of ops) {
      if ('append' in op) {
        lock(op.append.part, op.append.key, true)
        if (op.ref !== undefined) lock(op.append.part, op.ref, true)
      } else if ('put' in op) lock(op.put.part, op.put.key, true)
      else if ('delete' in op) lock(op.delete.part, op.delete.key, true)
      else if ('trim' in op) lock(op.trim.part, op.trim.key, true)
      else part('deletePart' in op ? op.deletePart : op.deleteRange.part).isExclusive = true
    }
  }

  // The most used parts get advisory locks: other requests use them too, and their rows would have to exist first.
  const byUse = [...parts].toSorted(([, a], [, b]) => b.named - a.named)
  const advisory = new Map<number, Mode>()
  const partRows = new Map<number, Mode>()
  const partNames = new Map<number, string>()
  let left = MAX_ADVISORY
  for (const [name, { isExclusive }] of byUse) {
    const hash = hashOf(name)
    if (isExclusive || left-- > 0) advisory.set(hash, isExclusive ? 'A' : 'a')
    if (isExclusive || left < 0) partRows.set(hash, isExclusive ? 'R' : 'r')
    partNames.set(hash, name)
  }
  advisory.set(hashOf(lockOfRequest(id)), 'A')
  const isLarge = keys.size > MAX_SHARED
  const keyRows = new Map<number, Mode>()
  for (const [name, isExclusive] of keys) keyRows.set(hashOf(name), isExclusive || isLarge ? 'R' : 'r')
  const named = inOrder(partRows).map(([mode, ids]): Locks => [mode, ids, ids.map((hash) => partNames.get(hash)!)])
  // Parts come last: whether a part has entries is checked once all keys are locked.
  return [...inOrder(advisory), ...inOrder(keyRows), ...named]
}

/** Sorts locks by number. Up to `CHUNK` neighbours of one mode are taken together. */
function inOrder(locks: ReadonlyMap<number, Mode>): readonly Locks[] {
  const groups: [Mode, number[]][] = []
  for (const [id, mode] of [...locks].toSorted(([a], [b]) => a - b)) {
    const last = groups.at(-1)
    if (last?.[0] === mode && last[1].length < CHUNK) last[1].push(id)
    else groups.push([mode, [id]])
  }
  return groups
}
