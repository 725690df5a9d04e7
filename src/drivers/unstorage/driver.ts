/**
 * A driver over any storage of unstorage, for one process at a time.
 *
 * unstorage has no transactions and no conditional writes, so the driver makes commits atomic by a journal. It first
 * writes all changes of a request as one item, the note, then makes them item by item, then removes the note. The next
 * driver that opens the storage completes the changes of any note it finds; a note that was cut off counts as none. All
 * keys are kept in memory, read once at opening, so a range needs no listing. Two processes on one storage would
 * silently undo each other's work, and nothing here could prevent it. Hence the option `singleWriter`.
 *
 * A note that was given up and lands late, as after a client's timeout, has no effect. Other writes have no such
 * protection: **a write that failed must not land later**, or it undoes newer data. So let the storage wait for its
 * answers. If it has a timeout, the timeout must also end the write.
 *
 * The storage must list its items, and show every write at once. Cloudflare's KV may answer from a copy that is up to a
 * minute old, so a driver opened soon after another one misses its writes. KV also accepts only one write per second to
 * a name, and every note has the same name. unstorage's http driver lists only the root of its server. No name is
 * longer than 384 bytes, of the 512 that KV accepts; longer names are replaced by a hash.
 *
 * @module
 */
import { type Transaction, applyCommits, isLive } from '../shared/evaluate.ts'
import { type Clock, systemClock } from '../../core/clock.ts'
import type {
  Answer,
  Capabilities,
  Commit,
  Current,
  Driver,
  Entry,
  EntryPage,
  EntryRange,
  Read,
} from '../../core/driver.ts'
import { HoldfastError, invalid, isHoldfastError } from '../../core/errors.ts'
import { lastNumber, trimmedKey, under } from '../../core/keys.ts'
import { type Room, entryBytes, roomFor } from '../../core/limits.ts'
import { inParallel } from '../shared/parallel.ts'
import { sortedMap } from '../shared/sorted.ts'
import { decodeEntry, decodeName, encodeEntry, encodeName, hashName, isHash } from './items.ts'
import { type Writes, journal } from './journal.ts'
import type { UnstorageStorage } from './storage.ts'
import { JOIN, boundsOf, nameOf, partPage } from '../shared/names.ts'
import { requireOpen } from '../shared/require-open.ts'

export type { UnstorageStorage }

/** Options of {@link unstorage}. */
export interface UnstorageOptions {
  /** The storage. It is not disposed of when the driver is closed. */
  readonly storage: UnstorageStorage
  /**
   * The caller's promise that no other process, and no other driver of this process, writes under `base` while this
   * driver is open. All guarantees depend on it, so it is required.
   */
  readonly singleWriter: true
  /**
   * The prefix of all items: 1 to 32 lower-case letters and digits, `holdfast` by default. Other items are never
   * touched.
   */
  readonly base?: string
  /**
   * The durability of the storage: `relaxed`, the default, if items survive the end of the process; `none` for memory.
   */
  readonly durability?: 'relaxed' | 'none'
  /** The clock that judges expiry, in milliseconds since 1970; the machine's clock by default. */
  readonly clock?: Clock
}

const CAPABILITIES: Capabilities = {
  writers: 'one',
  reads: 'strict',
  durability: 'relaxed',
  clock: 'local',
  network: false,
  replayWindow: 0,
  limits: {
    valueBytes: 2 ** 22,
    // A request is written as one item, text inside text. KV accepts 25 MB, three times as much.
    requestBytes: 2 ** 23,
    commitKeys: 1000,
    requestCommits: 1000,
    requestReads: 1000,
    rangeEntries: 1000,
    answerBytes: 2 ** 23,
  },
}

const { answerBytes: ANSWER_BYTES } = CAPABILITIES.limits

/** Items read at once: this many entries of any size are held in addition to those that fit into an answer. */
const AT_ONCE = 16

/** The longest name of an item, base included. A prefix that a mount adds is not counted. */
const MAX_NAME_BYTES = 384

/**
 * Makes a driver over a storage of unstorage.
 *
 * Opening and later calls throw `BACKEND` if the storage fails; `ambiguous` if a commit may have been written to the
 * journal, and the next call then completes it or finds that it was not. They throw `SERIALIZATION` if an item was
 * changed by something else.
 *
 * @param options - the storage, `singleWriter: true`, and optional base, durability and clock
 * @returns a driver; it reads the names of all items at the first call
 * @throws `UNSUPPORTED` without `singleWriter: true`; `INVALID_ARGUMENT` for a malformed option
 *
 * @example
 * ```ts
 * import { createHoldfast } from 'holdfast'
 * import { unstorage } from 'holdfast/unstorage'
 * import { createStorage } from 'unstorage'
 *
 * const driver = unstorage({ storage: createStorage(), singleWriter: true, durability: 'none' })
 * const holdfast = createHoldfast({ driver })
 * await holdfast.state.set('greeting', 'hello')
 * ```
 */
export function unstorage(options: UnstorageOptions): Driver {
  const { storage, base = 'holdfast', durability = 'relaxed', clock = systemClock } = options
  if (typeof storage?.getKeys !== 'function')
    throw invalid('storage must be a storage of unstorage, such as createStorage() returns')
  if (!/^[a-z0-9]{1,32}$/.test(base)) throw invalid(`base must be 1 to 32 lower-case letters and digits, not ${base}`)
  if (!options.singleWriter) {
    throw new HoldfastError(
      'UNSUPPORTED',
      'unstorage has no atomicity between processes; pass singleWriter: true if only this driver writes to it',
    )
  }
  const notes = journal(storage, base)
  let names = sortedMap<true>()
  /** Items whose names are hashes, by the name of their entry. */
  const hashed = new Map<string, string>()
  /** Entries found to have expired. The next commit removes them. */
  const expired = new Set<string>()
  let isOpen = false
  /** Whether a commit may be half done, so that the storage must be recovered before anything else. */
  let isTorn = true
  /** Whether the call under way has sent a note. It may be stored, whatever the answer. */
  let isSent = false
  let last: Promise<unknown> = Promise.resolve()

  /** Runs calls one after the other. */
  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = last.then(async () => {
      isSent = false
      try {
        requireOpen(isOpen)
        if (isTorn) await recover()
        return await work()
      } catch (cause) {
        if (isHoldfastError(cause)) throw cause
        throw new HoldfastError('BACKEND', 'The storage failed', { cause, ambiguous: isSent })
      }
    })
    last = turn.catch(() => {})
    return turn
  }

  async function itemOf(name: string): Promise<string> {
    const item = `${base}:${encodeName(name)}`
    if (item.length <= MAX_NAME_BYTES) return item
    const hash = hashed.get(name) ?? `${base}:${await hashName(name)}`
    hashed.set(name, hash)
    return hash
  }

  async function load(name: string): Promise<Entry | null> {
    if (names.get(name) === undefined) return null
    const item = await storage.getItem(await itemOf(name))
    return item === null ? null : decodeEntry(item).entry
  }

  async function loadLive(name: string, now: number): Promise<Entry | null> {
    const entry = await load(name)
    if (isLive(entry, now)) return entry
    if (entry) expired.add(name)
    return null
  }

  async function store(writes: Writes): Promise<void> {
    await inParallel([...writes], async ([name, entry]) => {
      const item = await itemOf(name)
      if (entry) await storage.setItem(item, encodeEntry(entry, hashed.has(name) ? name : undefined))
      else await storage.removeItem(item)
    })
  }

  /** The name of the entry in an item; `undefined` if it holds none. */
  async function nameIn(item: string): Promise<string | undefined> {
    const own = item.slice(base.length + 1)
    if (!isHash(own)) return decodeName(own)
    const content = await storage.getItem(item)
    if (content === null) return undefined
    const { name } = decodeEntry(content)
    hashed.set(name, item)
    return name
  }

  async function recover(): Promise<void> {
    const items = await storage.getKeys(`${base}:`)
    const redone = await notes.recover(items, store)
    const found = sortedMap<true>()
    for (const name of await inParallel(items, nameIn)) if (name && !redone.has(name)) found.set(name, true)
    for (const [name, entry] of redone) if (entry) found.set(name, true)
    names = found
    isTorn = false
  }

  /**
   * Loads the entries that a request checks, and the markers of its trimmed logs. Values are kept only for checks that
   * will fail, as far as the answer has room for them.
   */
  async function loadKnown(commits: readonly Commit[], now: number): Promise<Map<string, Current | null>> {
    /** Names, and the versions that checks expect. */
    const asked = new Map<string, Set<string | null>>()
    const marks = new Set<string>()
    for (const { checks, ops } of commits) {
      for (const check of checks) {
        if ('log' in check) marks.add(nameOf({ part: check.log.part, key: trimmedKey(check.log.key) }))
        else asked.set(nameOf(check.at), (asked.get(nameOf(check.at)) ?? new Set()).add(check.version))
      }
      for (const op of ops) {
        const log = 'append' in op ? op.append : 'trim' in op ? op.trim : undefined
        if (log) marks.add(nameOf({ part: log.part, key: trimmedKey(log.key) }))
      }
    }
    const entries = new Map<string, Current | null>()
    const room = roomFor(ANSWER_BYTES)
    for (const some of chunks([...asked.keys(), ...marks])) {
      const found = await inParallel(some, load)
      found.forEach((entry, i) => {
        const name = some[i]!
        const wanted = asked.get(name)
        const version = isLive(entry, now) ? entry.version : null
        const isRefused = wanted !== undefined && [...wanted].some((it) => it !== version)
        const isKept = entry && (marks.has(name) || (isRefused && room.takes(entryBytes(entry))))
        entries.set(name, isKept ? entry : withoutValue(entry))
      })
    }
    return entries
  }

  /** A transaction over the stored entries that collects the writes of a request. */
  function overlay(loaded: ReadonlyMap<string, Current | null>) {
    const writes = new Map<string, Entry | null>()
    /** The names it has added and removed, in order, to restore them if it is refused. */
    const undo: (readonly [name: string, wasThere: boolean])[] = []
    const remove = (start: string, end: string): void => {
      for (const [name] of [...names.range(start, end)]) write(name, null)
    }
    function write(name: string, entry: Entry | null): void {
      writes.set(name, entry)
      undo.push([name, names.get(name) === true])
      if (entry) names.set(name, true)
      else names.delete(name)
    }
    const stored = (name: string): Current | null => (writes.has(name) ? writes.get(name) : loaded.get(name)) ?? null
    const tx: Transaction = {
      get(at, room) {
        const entry = stored(nameOf(at))
        return room > 0 ? owned(entry) : entry
      },
      last({ part, key }) {
        const { start, end } = under(key)
        for (const [name] of names.range(part + JOIN + start, part + JOIN + end, true)) {
          return lastNumber(key, name.slice(part.length + JOIN.length), () => stored(name)?.value)
        }
        return 0
      },
      put: (at, value, version, expiresAt) => write(nameOf(at), { key: at.key, version, value, expiresAt }),
      delete: (at) => write(nameOf(at), null),
      deleteRange: (part, start, end) => remove(part + JOIN + start, part + JOIN + end),
      deletePart(part) {
        const { start, end } = boundsOf(part)
        return remove(start, end)
      },
    }
    function putBack(): void {
      for (const [name, wasThere] of undo.toReversed()) {
        if (wasThere) names.set(name, true)
        else names.delete(name)
      }
    }
    return { tx, writes, putBack }
  }

  async function page(range: EntryRange, now: number, room: Room, sizes: { last: number }): Promise<EntryPage> {
    const { part, start, end, limit, reverse, keysOnly } = range
    const entries: Entry[] = []
    const candidates = names.range(part + JOIN + start, part + JOIN + end, reverse)
    for (;;) {
      // One more than requested shows whether there is more. Expired entries make room for others.
      const fitting = Math.floor(room.left / sizes.last) + 1
      const some = take(candidates, Math.min(limit + 1 - entries.length, fitting, AT_ONCE))
      if (some.length === 0) return { entries, more: false }
      for (const found of await inParallel(some, (name) => loadLive(name, now))) {
        if (!found) continue
        const entry = keysOnly ? { ...found, value: '' } : found
        sizes.last = entryBytes(entry)
        if (entries.length === limit || !room.takes(sizes.last, entries.length === 0)) return { entries, more: true }
        entries.push(entry)
      }
    }
  }

  async function answerAll(reads: readonly Read[], now: number): Promise<Answer[]> {
    const room = roomFor(ANSWER_BYTES)
    const gets = reads.flatMap((read) => ('get' in read ? [nameOf(read.get)] : []))
    const found = await inParallel(gets, (name) => loadLive(name, now))
    const answers: Answer[] = []
    /** The bytes of the last entry: as many entries are loaded as are likely to fit. */
    const sizes = { last: 1 }
    for (const read of reads) {
      if ('range' in read) answers.push(await page(read.range, now, room, sizes))
      else answers.push('parts' in read ? partPage(names, read.parts, room) : found.shift()!)
    }
    return answers
  }

  function apply(commits: readonly Commit[], entries: ReadonlyMap<string, Current | null>, now: number) {
    const { tx, writes, putBack } = overlay(entries)
    try {
      return { outcomes: applyCommits(commits, tx, now, ANSWER_BYTES), writes }
    } catch (refusal) {
      putBack()
      throw refusal
    }
  }

  return {
    name: 'unstorage',
    capabilities: { ...CAPABILITIES, durability },
    async open() {
      isOpen = true
      await inTurn(async () => {})
    },
    read: (reads) =>
      inTurn(async () => {
        const now = clock()
        return { now, answers: await answerAll(reads, now) }
      }),
    commit: ({ commits }) =>
      inTurn(async () => {
        const now = clock()
        const { outcomes, writes } = apply(commits, await loadKnown(commits, now), now)
        for (const name of expired) if (!writes.has(name) && names.get(name)) writes.set(name, null)
        expired.clear()
        if (writes.size > 0) {
          // Memory is ahead of the storage until the note is removed.
          isTorn = true
          isSent = true
          await notes.begin(writes)
          await store(writes)
          await notes.end()
        }
        for (const [name, entry] of writes) if (!entry) names.delete(name)
        isTorn = false
        return { now, outcomes }
      }),
    async close() {
      await last
      isOpen = false
      isTorn = true
    },
  }
}

/** The same entry with its own copy of the bytes. */
const owned = (entry: Current | null): Current | null =>
  entry?.value instanceof Uint8Array ? { ...entry, value: new Uint8Array(entry.value) } : entry

function withoutValue(entry: Entry | null): Current | null {
  if (!entry) return null
  const { key, version, expiresAt } = entry
  return { key, version, expiresAt }
}

/** Takes the next names, at most `most`. */
function take(names: Generator<[string, unknown], void>, most: number): string[] {
  const some: string[] = []
  while (some.length < most) {
    const next = names.next()
    if (next.done) break
    some.push(next.value[0])
  }
  return some
}

function* chunks(names: readonly string[]): Generator<readonly string[]> {
  for (let from = 0; from < names.length; from += AT_ONCE) yield names.slice(from, from + AT_ONCE)
}
