/**
 * The memory driver: the reference of the contract, for tests and for state that may die with the process.
 *
 * Everything it promises holds inside one process: commits are applied synchronously, so nothing can come in between.
 * Bytes are copied on the way in and out, as if they had travelled.
 *
 * @module
 */
import { announcer } from '../core/announcer.ts'
import { type Transaction, applyCommits, changedParts, isLive, writesOf } from '../core/apply.ts'
import { type Clock, systemClock } from '../core/clock.ts'
import type {
  Answer,
  Capabilities,
  Driver,
  Entry,
  EntryPage,
  PartPage,
  PartRange,
  Range,
  Read,
} from '../core/driver.ts'
import { decodeNumber, under } from '../core/keys.ts'
import { IN_PROCESS_LIMITS } from '../core/limits.ts'
import { sortedMap } from '../core/sorted.ts'

/** Options of {@link memory}. */
export interface MemoryOptions {
  /** Judges expiry; the machine's clock by default. */
  readonly clock?: Clock
}

/** Entries with an expiry looked at per request, so that what nobody asks for again goes too. */
const SWEEP = 16
/** Between part and key: sorts below everything either is made of, so the pairs sort as such. */
const JOIN = '\n'
/** Sorts above it. */
const AFTER = '\v'

const CAPABILITIES: Capabilities = {
  writers: 'one',
  reads: 'strict',
  durability: 'none',
  clock: 'local',
  network: false,
  // Inside one process no outcome is ever unknown.
  replayWindow: 0,
  limits: IN_PROCESS_LIMITS,
}

/**
 * Makes a driver that keeps everything in this process.
 *
 * @param options - the clock
 * @returns a driver; two of them share nothing
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
  const entries = sortedMap<Entry>()
  const expiring = new Set<string>()
  const { watch, announce } = announcer()

  const tx: Transaction = {
    get({ part, key }) {
      const entry = entries.get(part + JOIN + key)
      return entry ? copied(entry) : null
    },
    last({ part, key }) {
      for (const [, last] of inside({ part, ...under(key), reverse: true })) return decodeNumber(last.key)
      return 0
    },
    put({ part, key }, value, version, expiresAt) {
      const name = part + JOIN + key
      entries.set(name, copied({ key, version, value, expiresAt }))
      if (expiresAt !== null) expiring.add(name)
    },
    delete: ({ part, key }) => entries.delete(part + JOIN + key),
    deleteRange: (part, start, end) => remove(part + JOIN + start, part + JOIN + end),
    deletePart: (part) => remove(part + JOIN, part + AFTER),
  }

  const inside = ({ part, start, end, reverse }: Omit<Range, 'limit'>): Iterable<[string, Entry]> =>
    entries.range(part + JOIN + start, part + JOIN + end, reverse)

  function remove(start: string, end: string): void {
    for (const [name] of [...entries.range(start, end)]) entries.delete(name)
  }

  function sweep(now: number, writes: number): void {
    let left = Math.max(SWEEP, writes)
    for (const name of expiring) {
      const entry = entries.get(name)
      expiring.delete(name)
      if (!isLive(entry, now)) entries.delete(name)
      // What is not due yet goes to the end of the queue.
      else if (entry.expiresAt !== null) expiring.add(name)
      if (--left === 0) break
    }
  }

  function page(range: Range, now: number): EntryPage {
    const found: Entry[] = []
    for (const [, entry] of inside(range)) {
      if (!isLive(entry, now)) continue
      if (found.length === range.limit) return { entries: found, more: true }
      found.push(range.keysOnly ? { ...entry, value: '' } : copied(entry))
    }
    return { entries: found, more: false }
  }

  function partPage({ start, end, limit }: PartRange): PartPage {
    const parts: string[] = []
    for (let from = start; ;) {
      const [next] = entries.range(from, end)
      if (!next || parts.length === limit) return { parts, more: !!next }
      const part = next[0].split(JOIN)[0]!
      parts.push(part)
      from = part + AFTER
    }
  }

  function answer(read: Read, now: number): Answer {
    if ('range' in read) return page(read.range, now)
    if ('parts' in read) return partPage(read.parts)
    const entry = tx.get(read.get)
    return isLive(entry, now) ? entry : null
  }

  return {
    name: 'memory',
    capabilities: CAPABILITIES,
    open: async () => {},
    async read(reads) {
      const now = clock()
      return { now, answers: reads.map((read) => answer(read, now)) }
    },
    async commit({ commits }) {
      const now = clock()
      // As much as is written, at least: otherwise what expires would pile up.
      sweep(now, writesOf({ commits }))
      const outcomes = applyCommits(commits, tx, now)
      announce(() => changedParts(commits, outcomes))
      return { now, outcomes }
    },
    close: async () => {},
    watch,
  }
}

/** The same entry, with bytes of its own. */
const copied = (entry: Entry): Entry =>
  typeof entry.value === 'string' ? entry : { ...entry, value: new Uint8Array(entry.value) }
