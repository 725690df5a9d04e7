/**
 * The facade over a driver: group commit, limits, abort, life cycle, and the backend's time. Stores use this facade, never
 * a driver.
 *
 * @module
 */
import { abortable } from './abort.ts'
import { type Known, requireGiven, requireInteger, requireOptions, shown } from './arguments.ts'
import { backendTime } from './backend-time.ts'
import { type Clock, idSource, systemClock } from './clock.ts'
import type {
  Answer,
  CallOptions,
  Check,
  Commit,
  Driver,
  Durability,
  Entry,
  EntryPage,
  EntryKey,
  Op,
  Outcome,
  PartPage,
  PartRange,
  EntryRange,
  Read,
} from './driver.ts'
import { HoldfastError, aborted, invalid } from './errors.ts'
import { type FencedDraft, type Lease, fence, requireLease } from './fence.ts'
import { CALL, WRITE, type WriteOptions } from './options.ts'
import { type Reach, ongoing } from './ongoing.ts'
import { queue, toHoldfastError } from './queue.ts'
import { partOf } from './request-records.ts'
import { shareOf } from './sharing.ts'
import { monotonic } from './event-loop.ts'
import { readAfter } from './read-after.ts'
import { validateCommits, validateReads } from './validate.ts'

/** Options of {@link createDatabase}. */
export interface DatabaseOptions {
  /** The driver of the backend. Several databases may share one. */
  readonly driver: Driver
  /** Sends concurrent calls as one request; `true` by default. */
  readonly groupCommit?: boolean | undefined
  /** The durability of commits that set none; by default the strongest that the backend has. */
  readonly durability?: Durability | undefined
  /** This machine's clock, in milliseconds since 1970; the system clock by default. */
  readonly clock?: Clock | undefined
  /** Returns a globally unique id of printable ASCII; random ids by default. */
  readonly newId?: (() => string) | undefined
  /** The most calls that may wait for the backend, from 1; 100 000 by default. Further calls fail with `OVERLOADED`. */
  readonly maxQueuedCalls?: number | undefined
  /** The most bytes of writes that may wait, from 1; 64 MiB by default. Further calls fail with `OVERLOADED`. */
  readonly maxQueuedBytes?: number | undefined
}

/** The names of {@link DatabaseOptions}. */
export const DATABASE: Known<DatabaseOptions> = {
  driver: true,
  groupCommit: true,
  durability: true,
  clock: true,
  newId: true,
  maxQueuedCalls: true,
  maxQueuedBytes: true,
}

const MAX_QUEUED_CALLS = 100_000
const MAX_QUEUED_BYTES = 2 ** 26

/** A commit as a store proposes it: operations that apply only if every check holds. */
export interface Draft {
  /** The id of the commit, which is the version of the entries that it writes; a new id by default. */
  readonly id?: string
  readonly checks?: readonly Check[]
  readonly ops?: readonly Op[]
}

/** The type of the answer to a read. */
export type AnswerTo<R extends Read> = R extends { get: EntryKey }
  ? Entry | null
  : R extends { range: EntryRange }
    ? EntryPage
    : R extends { parts: PartRange }
      ? PartPage
      : Answer

/** The result of {@link Database.health}. */
export interface Health {
  /** How long the round trip took, in milliseconds. */
  readonly latency: number
  /** The backend's clock minus this machine's, in milliseconds. */
  readonly skew: number
}

/** A driver with everything that is the same over every driver. */
export interface Database {
  /** The driver's name and capabilities. */
  readonly driver: Pick<Driver, 'name' | 'capabilities'>
  /**
   * Connects now instead of at the first call.
   *
   * @throws `ABORTED` by the signal; also the errors of the backend
   */
  open(options?: CallOptions): Promise<void>
  /**
   * Reads entries, ranges and parts in one round trip, from one consistent view. A read sees the effects of earlier commits
   * of this database, and of earlier changes by its stores, whether they were awaited or not.
   *
   * @param reads - what to read
   * @returns one answer per read, in the same order
   * @throws `INVALID_ARGUMENT` for a malformed read; `OVERLOADED` if too many calls wait; `ABORTED` by the signal; also the
   *   errors of the backend
   */
  read<const R extends readonly Read[]>(reads: R, options?: CallOptions): Promise<{ [I in keyof R]: AnswerTo<R[I]> }>
  /**
   * Applies one commit.
   *
   * @param draft - checks and operations
   * @returns the outcome; if a check failed, a conflict with the current entries, and nothing was applied
   * @throws `INVALID_ARGUMENT` for a malformed draft; `PAYLOAD_TOO_LARGE` over a limit of the backend; `CLAIM_LOST` if
   *   `options.claim` is no longer held; `OVERLOADED` if too many calls wait; `UNSUPPORTED` for `strict` durability if the
   *   backend has none; `ABORTED` by the signal; also the errors of the backend
   */
  commit(draft: Draft, options?: WriteOptions): Promise<Outcome>
  /**
   * Applies several commits in one request, in order. Each is atomic by itself.
   *
   * @param drafts - the commits
   * @returns one outcome per draft, in the same order
   * @throws the same errors as {@link commit}
   */
  commitAll(drafts: readonly Draft[], options?: WriteOptions): Promise<readonly Outcome[]>
  /**
   * Calls a listener for changes that the backend announces. Announcements are hints: they may be late, needless or lost.
   * Some backends announce nothing.
   *
   * @param concerns - returns whether a change of this part matters
   * @param listener - called when such a change may have happened, and once when the database is closed
   * @returns a function that stops the calls; calling it again does nothing
   * @throws `CLOSED` if the database is closed
   */
  watch(concerns: (part: string) => boolean, listener: () => void): () => void
  /** The backend's time by its last answer, in milliseconds since 1970. Before the first answer, this machine's time. */
  now(): number
  /**
   * Makes a round trip to the backend.
   *
   * @returns how long it took, and the difference of the clocks
   * @throws `ABORTED` by the signal; also the errors of the backend
   */
  health(options?: CallOptions): Promise<Health>
  /**
   * Closes the database: new calls fail with `CLOSED`, calls in progress finish first. Closes the driver unless another
   * database uses it. Calling it again returns the same promise.
   */
  close(): Promise<void>
}

/** The part of a database that only stores and operations need, see {@link innerOf}. */
export interface InnerDatabase extends Database {
  /** Like `commitAll`, if these leases and the claim of the options are held. @throws `CLAIM_LOST` if one is not */
  commitUnder(leases: readonly Lease[], drafts: readonly Draft[], options?: WriteOptions): Promise<readonly Outcome[]>
  /** Returns a globally unique id, for a commit whose version must be known before it is made. */
  newId(): string
  /**
   * Runs work that takes several requests. `close` waits for it.
   *
   * @param work - gets a database that keeps working while this one is closing
   * @param reaches - returns what the work changes. Reads of these that are called meanwhile wait until it has ended, and
   *   those of the database that the work gets do not. So the work must await no other read of these
   * @returns the result of the work
   * @throws `CLOSED` if the database is closed; `ABORTED` by the signal; also the errors of the work
   */
  hold<T>(work: (db: InnerDatabase) => Promise<T>, options?: CallOptions, reaches?: () => readonly Reach[]): Promise<T>
  /** Returns the value stored under a name, creating it on the first call. Stores share caches this way. */
  shared<T>(name: string, make: () => T): T
  /** Whether the backend announces changes. If not, {@link Database.watch} calls its listener only at the close. */
  readonly announces: boolean
}

/** The key of a database's inside. Every copy of this package uses the same key. */
const INNER = Symbol.for('holdfast.database')

/**
 * Returns the inside of a database. Its calls do not check options, because stores check those of their own callers.
 *
 * @param db - made by {@link createDatabase}, or already an inside
 * @throws `INVALID_ARGUMENT` for anything else
 */
export function innerOf(db: Database): InnerDatabase {
  const inner = (db as { readonly [INNER]?: InnerDatabase } | null | undefined)?.[INNER]
  if (inner) return inner
  throw invalid(`db must be made by createDatabase, not ${shown(db)}`)
}

/**
 * Creates a database over a driver.
 *
 * Calls made in the same turn of the event loop, or while a request is in flight, are sent as one request. Each keeps its
 * own checks and its own outcome. Commits apply in the order of the calls.
 *
 * @param options - the driver, and settings that differ from the defaults
 * @returns the database; it connects at the first call
 * @throws `INVALID_ARGUMENT` for unknown or malformed options; `UNSUPPORTED` for `strict` durability if the backend has
 *   none
 *
 * @example
 * ```ts
 * import { createDatabase, memory, stateStore } from 'holdfast'
 *
 * const db = createDatabase({ driver: memory() })
 * const state = stateStore(db, { tenant: 'acme' })
 * await state.set('greeting', 'hello')
 * await db.close()
 * ```
 */
export function createDatabase(options: DatabaseOptions): Database {
  requireOptions(requireGiven(options, 'options'), DATABASE)
  const { driver, groupCommit = true, clock = systemClock } = options
  const { maxQueuedCalls = MAX_QUEUED_CALLS, maxQueuedBytes = MAX_QUEUED_BYTES } = options
  if (typeof driver?.commit !== 'function')
    throw invalid(`driver must be made by a function such as memory(), not ${typeof driver}`)
  const newId = options.newId ?? idSource()
  const share = shareOf(driver)
  const { limits, durability, replayWindow, timeout } = driver.capabilities
  requireInteger(maxQueuedCalls, 'maxQueuedCalls', 1)
  requireInteger(maxQueuedBytes, 'maxQueuedBytes', 1)

  function levelOf(level = options.durability): Durability {
    if (level === 'strict' && durability !== 'strict') {
      throw new HoldfastError('UNSUPPORTED', 'The backend has no strict durability. Use relaxed')
    }
    return level ?? (durability === 'relaxed' ? 'relaxed' : 'strict')
  }
  // Refuses an unsupported durability before the first call.
  levelOf()

  const commitFenced = fence()
  const changes = ongoing()
  const things = new Map<string, unknown>()
  const opener = new AbortController()
  let opening: Promise<void> | undefined
  let isOpen = false
  let closing: Promise<void> | undefined
  const time = backendTime(clock)
  /** The number of `hold` calls in progress. `onReleased` is called when the last one ends. */
  let held = 0
  let onReleased: (() => void) | undefined
  /** For each watcher, a function that tells it of the close. */
  const watchers = new Set<() => void>()

  const shared = {
    maxBytes: limits.requestBytes,
    maxQueuedCalls,
    maxQueuedBytes,
    timeout,
    group: groupCommit,
    heard: time.heard,
    ready: () => (isOpen ? undefined : open(true)),
  }
  const commits = queue({
    ...shared,
    maxItems: limits.requestCommits,
    ambiguous: true,
    partsOf: ({ ops }: Commit) => ops.map(partOf),
    ask: (items, call) =>
      time.send(replayWindow, (deadline) =>
        driver.commit({ id: newId(), commits: items, ...(deadline !== undefined && { deadline }) }, call),
      ),
    partsIn: ({ outcomes }) => outcomes,
  })
  const reads = queue({
    ...shared,
    maxItems: limits.requestReads,
    ambiguous: false,
    partsOf: () => [],
    ask: (items: readonly Read[], call) => driver.read(items, call),
    partsIn: ({ answers }) => answers,
  })

  async function connect(ahead: boolean): Promise<void> {
    try {
      await share.open({ signal: opener.signal, ahead })
      isOpen = true
    } catch (cause) {
      // The failure is not cached: the next call tries again.
      opening = undefined
      throw toHoldfastError(cause, false)
    }
  }
  const open = (ahead = false): Promise<void> => (opening ??= connect(ahead))

  async function close(): Promise<void> {
    if (held > 0) await new Promise<void>((resolve) => (onReleased = resolve))
    await Promise.all([commits.idle(), reads.idle()])
    // No call waits for the connection any more.
    opener.abort()
    await share.close()
  }

  function watch(concerns: (part: string) => boolean, listener: () => void): () => void {
    const unwatch = driver.watch?.((parts) => {
      if (parts.some(concerns)) listener()
    })
    const stop = (): void => {
      unwatch?.()
      watchers.delete(end)
    }
    const end = (): void => {
      stop()
      listener()
    }
    watchers.add(end)
    return stop
  }

  /**
   * The database as callers see it, or as held work sees it: held work continues while the database closes. Reads of work
   * that changes something do not wait for changes, because that work is one of them.
   */
  function face(isInside: boolean, isChanging = false): InnerDatabase {
    function enter(signal: AbortSignal | undefined): void {
      if (signal !== undefined && typeof signal?.addEventListener !== 'function') {
        throw invalid(`signal must be an AbortSignal, not ${shown(signal)}`)
      }
      if (closing !== undefined && !isInside) throw new HoldfastError('CLOSED', 'The database is closed')
      if (signal?.aborted) throw aborted(signal, false)
    }

    async function commitUnder(
      leases: readonly Lease[],
      drafts: readonly Draft[],
      { claim, ...options }: WriteOptions = {},
    ): Promise<readonly Outcome[]> {
      const all = claim ? [...leases, claim] : leases
      for (const lease of all) requireLease(lease)
      const named = drafts.map((draft): FencedDraft => ({ ...draft, id: draft.id ?? newId() }))
      return database.hold(
        (held) =>
          commitFenced(named, all, {
            commit: (fenced) => held.commitAll(fenced, options),
            read: async (at) => (await held.read([{ get: at }], options))[0],
          }),
        options,
        () => named.flatMap(({ ops = [] }) => ops.map((op) => ({ part: partOf(op) }))),
      )
    }

    async function commitAll(drafts: readonly Draft[], write: WriteOptions = {}): Promise<readonly Outcome[]> {
      if (write.claim) return commitUnder([], drafts, write)
      enter(write.signal)
      if (drafts.length === 0) return []
      const items = drafts.map(({ id = newId(), checks = [], ops = [] }) => ({
        id,
        checks,
        ops,
        durability: levelOf(write.durability),
      }))
      return commits.add(items, validateCommits(items, limits), write.signal)
    }

    const database: InnerDatabase & { readonly [INNER]: unknown } = {
      get [INNER]() {
        return database
      },
      driver,
      open: async (options = {}) => database.hold(() => abortable(open(), options.signal), options),
      async read<const R extends readonly Read[]>(questions: R, { signal }: CallOptions = {}) {
        enter(signal)
        validateReads(questions, limits)
        const changed = isChanging ? undefined : changes.settled(questions)
        const committed = commits.settled((pending) => lastOf(questions, pending))
        const ask = (signal: AbortSignal | undefined) =>
          reads.add(questions, 0, signal) as Promise<{ [I in keyof R]: AnswerTo<R[I]> }>
        if (changed === undefined && committed === undefined) return ask(signal)
        const earlier = changed && committed ? Promise.all([changed, committed]) : (changed ?? committed)!
        return database.hold(() => readAfter(earlier, ask, timeout, signal))
      },
      commit: async (draft, write) => (await commitAll([draft], write))[0]!,
      commitAll,
      commitUnder,
      now: time.now,
      newId,
      async hold(work, { signal } = {}, reaches) {
        enter(signal)
        held++
        const change = reaches && changes.begin(reaches)
        try {
          return await work(isChanging || reaches ? changing : inside)
        } finally {
          if (change) changes.end(change)
          if (--held === 0) onReleased?.()
        }
      },
      shared<T>(name: string, make: () => T) {
        if (!things.has(name)) things.set(name, make())
        return things.get(name) as T
      },
      announces: driver.watch !== undefined,
      watch(concerns, listener) {
        enter(undefined)
        return watch(concerns, listener)
      },
      async health({ signal } = {}) {
        const start = monotonic()
        await database.read([], { signal })
        return { latency: monotonic() - start, skew: time.skew }
      },
      close() {
        closing ??= close()
        for (const end of watchers) end()
        return closing
      },
    }
    return database
  }
  const inside = face(true)
  const changing = face(true, true)
  return outsideOf(face(false))
}

/** A database that checks the options of every call, for applications. */
function outsideOf(inner: InnerDatabase): Database {
  const outside: Database & { readonly [INNER]: InnerDatabase } = {
    [INNER]: inner,
    driver: inner.driver,
    open: async (options) => inner.open(requireOptions(options, CALL)),
    read: async (reads, options) => inner.read(reads, requireOptions(options, CALL)),
    commit: async (draft, options) => inner.commit(draft, requireOptions(options, WRITE)),
    commitAll: async (drafts, options) => inner.commitAll(drafts, requireOptions(options, WRITE)),
    watch: inner.watch,
    now: inner.now,
    health: async (options) => inner.health(requireOptions(options, CALL)),
    close: inner.close,
  }
  return outside
}

/** The number of the last pending commit that writes to a part that is read; 0 if there is none. */
function lastOf(questions: readonly Read[], pending: ReadonlyMap<string, number>): number {
  let last = 0
  for (const question of questions) {
    if ('parts' in question) {
      const { start, end } = question.parts
      for (const [part, number] of pending) if (part >= start && part < end) last = Math.max(last, number)
    } else last = Math.max(last, pending.get('get' in question ? question.get.part : question.range.part) ?? 0)
  }
  return last
}
