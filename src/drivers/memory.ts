/**
 * The memory driver: the reference for the contract, for tests and for state that may die with the process.
 *
 * All its promises hold within one process: commits are applied synchronously, so nothing can come between them. Bytes
 * are copied on the way in and out, as over a network.
 *
 * @module
 */
import { announcer } from './shared/announcer.ts'
import { type Transaction, applyCommits, changedParts, isLive, writesOf } from './shared/evaluate.ts'
import { type Clock, systemClock } from '../core/clock.ts'
import type { Answer, Capabilities, Current, Driver, Entry, EntryPage, EntryRange, Read } from '../core/driver.ts'
import { lastNumber, under, utf8Bytes } from '../core/keys.ts'
import { IN_PROCESS_LIMITS, type Room, entryBytes, roomFor } from '../core/limits.ts'
import { sortedMap } from './shared/sorted.ts'
import { JOIN, boundsOf, nameOf, partPage } from './shared/names.ts'
import { requireOpen } from './shared/require-open.ts'

/** Options of {@link memory}. */
export interface MemoryOptions {
  /** The clock that judges expiry, in milliseconds since 1970; the machine's clock by default. */
  readonly clock?: Clock
}

/** The most expired entries that one page removes. */
const MAX_EXPIRED = 10_000
/** The number of expiring entries checked per request, so that entries nobody reads are removed too. */
const SWEEP = 16
/** Text of this many characters or more counts as long. */
const LONG = 10_000

const CAPABILITIES: Capabilities = {
  writers: 'one',
  reads: 'strict',
  durability: 'none',
  clock: 'local',
  network: false,
  // Within one process no outcome is ever unknown.
  replayWindow: 0,
  limits: IN_PROCESS_LIMITS,
}

/**
 * Makes a driver that keeps everything in this process.
 *
 * @param options - the clock
 * @returns a driver; two drivers share no data
 *
 * @example
 * ```ts
 * import { createHoldfast, memory } from 'holdfast'
 *
 * const holdfast = createHoldfast({ driver: memory() })
 * await holdfast.state.set('greeting', 'hello')
 * console.log(await holdfast.state.get('greeting')) // hello
 * ```
 */
export function memory({ clock = systemClock }: MemoryOptions = {}): Driver {
  const { limits } = CAPABILITIES
  const entries = sortedMap<Entry>()
  const expiring = new Set<string>()
  /** Sizes of long text, which are slow to count. */
  const sizes = new WeakMap<Entry, number>()
  const { watch, announce } = announcer()
  let isOpen = true

  /** Entries that the request under way has replaced or removed. They are restored if it throws. */
  const undo: (readonly [name: string, before: Entry | undefined])[] = []

  function bytesOf(entry: Entry): number {
    const { value } = entry
    if (typeof value !== 'string') return value.length
    if (value.length < LONG) return utf8Bytes(value)
    const bytes = sizes.get(entry) ?? utf8Bytes(value)
    sizes.set(entry, bytes)
    return bytes
  }

  const set = (name: string, entry: Entry): void => {
    undo.push([name, entries.get(name)])
    entries.set(name, entry)
  }

  const remove = (name: string): void => {
    undo.push([name, entries.get(name)])
    entries.delete(name)
  }

  const tx: Transaction = {
    get({ part, key }, room) {
      const entry = entries.get(nameOf({ part, key }))
      if (!entry || room === 0) return entry ?? null
      return bytesOf(entry) <= room ? copied(entry) : headOf(entry)
    },
    last({ part, key }) {
      for (const [, last] of inside({ part, ...under(key), reverse: true })) {
        return lastNumber(key, last.key, () => last.value)
      }
      return 0
    },
    put({ part, key }, value, version, expiresAt) {
      const name = nameOf({ part, key })
      const entry = copied({ key, version, value, expiresAt })
      // Counts the bytes once, at the write; reads use the cached size.
      bytesOf(entry)
      set(name, entry)
      if (expiresAt !== null) expiring.add(name)
    },
    delete: (at) => remove(nameOf(at)),
    deleteRange: (part, start, end) => removeAll(part + JOIN + start, part + JOIN + end),
    deletePart(part) {
      const { start, end } = boundsOf(part)
      removeAll(start, end)
    },
  }

  const inside = ({ part, start, end, reverse }: Omit<EntryRange, 'limit'>): Iterable<[string, Entry]> =>
    entries.range(part + JOIN + start, part + JOIN + end, reverse)

  function removeAll(start: string, end: string): void {
    for (const removed of entries.deleteRange(start, end)) undo.push(removed)
  }

  function sweep(now: number, writes: number): void {
    let left = Math.max(SWEEP, writes)
    for (const name of expiring) {
      const entry = entries.get(name)
      expiring.delete(name)
      if (!isLive(entry, now)) entries.delete(name)
      // An entry that is not due goes to the end of the queue.
      else if (entry.expiresAt !== null) expiring.add(name)
      if (--left === 0) break
    }
  }

  function page(range: EntryRange, now: number, room: Room): EntryPage {
    const expired: string[] = []
    const found = livePage(range, now, room, expired)
    // The next page need not skip them again.
    for (const name of expired) {
      entries.delete(name)
      expiring.delete(name)
    }
    return found
  }

  function livePage(range: EntryRange, now: number, room: Room, expired: string[]): EntryPage {
    const found: Entry[] = []
    for (const [name, stored] of inside(range)) {
      if (!isLive(stored, now)) {
        if (expired.length < MAX_EXPIRED) expired.push(name)
        continue
      }
      const entry = range.keysOnly ? { ...stored, value: '' } : stored
      const bytes = entryBytes(headOf(stored)) + (range.keysOnly ? 0 : bytesOf(stored))
      if (found.length === range.limit || !room.takes(bytes, found.length === 0)) return { entries: found, more: true }
      found.push(copied(entry))
    }
    return { entries: found, more: false }
  }

  function answer(read: Read, now: number, room: Room): Answer {
    if ('range' in read) return page(read.range, now, room)
    if ('parts' in read) return partPage(entries, read.parts, room)
    const entry = entries.get(nameOf(read.get))
    return isLive(entry, now) ? copied(entry) : null
  }

  return {
    name: 'memory',
    capabilities: CAPABILITIES,
    async open() {
      isOpen = true
    },
    async read(reads) {
      requireOpen(isOpen)
      const now = clock()
      const room = roomFor(limits.answerBytes)
      return { now, answers: reads.map((read) => answer(read, now, room)) }
    },
    async commit({ commits }) {
      requireOpen(isOpen)
      const now = clock()
      // At least as many as are written; otherwise expired entries would pile up.
      sweep(now, writesOf({ commits }))
      let outcomes
      try {
        outcomes = applyCommits(commits, tx, now, limits.answerBytes)
      } catch (refusal) {
        for (const [name, before] of undo.toReversed()) {
          if (before) entries.set(name, before)
          else entries.delete(name)
        }
        throw refusal
      } finally {
        undo.length = 0
      }
      announce(() => changedParts(commits, outcomes))
      return { now, outcomes }
    },
    async close() {
      isOpen = false
    },
    watch,
  }
}

/** The same entry with its own copy of the bytes. */
const copied = (entry: Entry): Entry =>
  typeof entry.value === 'string' ? entry : { ...entry, value: new Uint8Array(entry.value) }

const headOf = ({ key, version, expiresAt }: Entry): Current => ({ key, version, expiresAt })
