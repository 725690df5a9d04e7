/**
 * What locks a request takes, so that it waits for those who share a key or a range with it, and for nobody else.
 *
 * Locks of keys are rows of `holdfast_locks`. There can be any number of them, while the server's own table of locks,
 * which all connections share, has room for 64 of each. Parts are locked besides, for the sake of those who delete a
 * range: shared by everybody who touches a key of theirs, exclusively by who deletes a range of theirs. That is an
 * advisory lock. Of many parts only {@link MOST_ADVISORY} are locked so and the rest as rows; who deletes a range takes both.
 *
 * A row that is new is its maker's alone, so one that is to be shared has to be committed before: the function makes those
 * that it misses and asks to be called again. A part without entries needs none: nothing of it can be deleted.
 *
 * All clients of a database have to agree on this: a change wants another name for the function that takes the locks.
 *
 * @module
 */
import type { Commit } from '../../core/driver.ts'
import { hasher } from '../../core/hash.ts'
import { DIGITS } from '../../core/keys.ts'

/** Advisory locks of parts that one request shares: with all else it stays below what each connection has room for. */
const MOST_ADVISORY = 48
/** A request of more keys locks all of them exclusively, in bulk: that is quicker than to look at each. */
const MOST_SHARED = 16
/** Rows that are locked at once. */
const CHUNK = 16

/** Names of locks: of a request, of a part, and of a key in it. No two kinds are alike. */
const lockOfRequest = (id: string): string => `\r${id}`
const lockOfKey = (part: string, key: string): string => `${part}\n${NUMBERED.test(key) ? key.slice(0, -DIGITS) : key}`
/** Entries of a log share its lock, so that nobody sees the numbers in between while they grow. */
const NUMBERED = new RegExp(`!\\d{${DIGITS}}$`)

/** 52 bits, which a number holds: where two names have the same, a wait too many is all that comes of it. */
function hashOf(name: string): number {
  const hash = hasher()
  hash.text(name)
  return Number.parseInt(hash.finish().slice(0, 13), 16)
}

/** The mode of a lock: `a` and `A` for advisory ones, `r` and `R` for rows; a capital letter for exclusive ones. */
type Mode = 'a' | 'A' | 'r' | 'R'

/** Locks of one mode that are taken together; those of parts tell which. */
export type Locks = readonly [mode: Mode, ids: readonly number[], parts?: readonly string[]]

/** The locks that a request needs, in the order in which they are taken: the same for everybody, so nobody waits in a circle. */
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

  // Those that are named most are those that others are at, too: their rows would have to be there already.
  const byUse = [...parts].toSorted(([, a], [, b]) => b.named - a.named)
  const advisory = new Map<number, Mode>()
  const partRows = new Map<number, Mode>()
  const partNames = new Map<number, string>()
  let left = MOST_ADVISORY
  for (const [name, { isExclusive }] of byUse) {
    const hash = hashOf(name)
    if (isExclusive || left-- > 0) advisory.set(hash, isExclusive ? 'A' : 'a')
    if (isExclusive || left < 0) partRows.set(hash, isExclusive ? 'R' : 'r')
    partNames.set(hash, name)
  }
  advisory.set(hashOf(lockOfRequest(id)), 'A')
  const isLarge = keys.size > MOST_SHARED
  const keyRows = new Map<number, Mode>()
  for (const [name, isExclusive] of keys) keyRows.set(hashOf(name), isExclusive || isLarge ? 'R' : 'r')
  const named = inOrder(partRows).map(([mode, ids]): Locks => [mode, ids, ids.map((hash) => partNames.get(hash)!)])
  // Whether a part has entries is looked at when all keys are had.
  return [...inOrder(advisory), ...inOrder(keyRows), ...named]
}

/** In the order of their numbers; neighbours of one mode are taken together, as far as that ends soon. */
function inOrder(locks: ReadonlyMap<number, Mode>): readonly Locks[] {
  const groups: [Mode, number[]][] = []
  for (const [id, mode] of [...locks].toSorted(([a], [b]) => a - b)) {
    const last = groups.at(-1)
    if (last?.[0] === mode && last[1].length < CHUNK) last[1].push(id)
    else groups.push([mode, [id]])
  }
  return groups
}
