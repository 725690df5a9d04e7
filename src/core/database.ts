/**
 * The facade over a driver: group commit, limits, abort, life cycle, and the backend's time. Stores speak to this, never
 * to a driver.
 *
 * @module
 */
import { abortable } from './abort.ts'
import { type Known, requireGiven, requireInteger, requireOptions, shown } from './arguments.ts'
import { type Batcher, type Call, batcher } from './batcher.ts'
import { type Clock, idSource, systemClock } from './clock.ts'
import type {
  Answer,
  CallOptions,
  Check,
  Commit,
  CommitAnswer,
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
import { type ErrorCode, HoldfastError, aborted, invalid, isHoldfastError } from './errors.ts'
import { type FencedDraft, type Lease, fence, requireLease } from './fence.ts'
import { CALL, WRITE, type WriteOptions } from './options.ts'
import { lateAt, partOf } from './requests.ts'
import { shareOf } from './sharing.ts'
import { monotonic } from './turns.ts'
import { validateCommits, validateReads } from './validate.ts'

/** Options of {@link createDatabase}. */
export interface DatabaseOptions {
  readonly driver: Driver
  /** Whether concurrent calls leave as one request; `true` by default. */
  readonly groupCommit?: boolean | undefined
  /** The level of commits that name none; the strongest that the backend has by default. */
  readonly durability?: Durability | undefined
  /** This machine's clock, in milliseconds since 1970. */
  readonly clock?: Clock | undefined
  /** Makes globally unique ids of printable ASCII. */
  readonly newId?: (() => string) | undefined
  /** How many calls may wait for the backend, from 1; 100 000 by default. One more fails with `OVERLOADED`. */
  readonly maxQueuedCalls?: number | undefined
  /** How many bytes of writes may wait for the backend, from 1; 64 MiB by default. More fail with `OVERLOADED`. */
  readonly maxQueuedBytes?: number | undefined
}

/** The options of {@link createDatabase}. */
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

/** A commit as a store states it. */
export interface Draft {
  /** Given where the version of what it writes must be known beforehand. */
  readonly id?: string
  readonly checks?: readonly Check[]
  readonly ops?: readonly Op[]
}

/** The answer that belongs to a question. */
export type AnswerTo<R extends Read> = R extends { get: EntryKey }
  ? Entry | null
  : R extends { range: EntryRange }
    ? EntryPage
    : R extends { parts: PartRange }
      ? PartPage
      : Answer

/** What {@link Database.health} found. */
export interface Health {
  /** How long the round trip took, in milliseconds. */
  readonly latency: number
  /** The backend's clock minus this machine's, in milliseconds. */
  readonly skew: number
}

/** A driver with everything that is the same over every driver. */
export interface Database {
  readonly driver: Pick<Driver, 'name' | 'capabilities'>
  /** Connects now instead of at the first call. */
  open(options?: CallOptions): Promise<void>
  /** Asks everything in one round trip, from one consistent view. */
  read<const R extends readonly Read[]>(reads: R, options?: CallOptions): Promise<{ [I in keyof R]: AnswerTo<R[I]> }>
  /** Applies one commit; a lost race is a value. */
  commit(draft: Draft, options?: WriteOptions): Promise<Outcome>
  /** Applies commits next to each other in one request, in order, each atomic by itself. */
  commitAll(drafts: readonly Draft[], options?: WriteOptions): Promise<readonly Outcome[]>
  /**
   * Tells of changes that the backend announces. Announcements are hints: late, for nothing, or lost. Some backends
   * announce none.
   *
   * @param concerns - whether a change of this part matters
   * @param listener - called when one may have happened, and once when the database is closed
   * @returns what stops it; idempotent
   */
  watch(concerns: (part: string) => boolean, listener: () => void): () => void
  /** The backend's clock, as its last answer told it; this machine's before the first. */
  now(): number
  /** Reaches for the backend. */
  health(options?: CallOptions): Promise<Health>
  /** Refuses new calls, waits for those under way, lets go of the backend. Idempotent. */
  close(): Promise<void>
}

/** What only stores and operations need of a database: see {@link innerOf}. */
export interface InnerDatabase extends Database {
  /** As `commitAll` while these leases are held, and the claim of the options. @throws `CLAIM_LOST` where one is not */
  commitUnder(leases: readonly Lease[], drafts: readonly Draft[], options?: WriteOptions): Promise<readonly Outcome[]>
  /** A globally unique id, for a commit whose version must be known beforehand. */
  newId(): string
  /**
   * Does work that takes several requests as one call: a close waits for it.
   *
   * @param work - gets the database to do it with, which goes on while the other one is closing
   */
  hold<T>(work: (db: InnerDatabase) => Promise<T>, options?: CallOptions): Promise<T>
  /** What several stores share: made at the first call with this name, and the same from then on. */
  shared<T>(name: string, make: () => T): T
  /** Whether the backend announces changes. What it does not, {@link Database.watch} never tells. */
  readonly announces: boolean
}

/** Where a database keeps its inside: the same for every copy of this package. */
const INNER = Symbol.for('holdfast.database')

/**
 * The inside of a database, which checks no options: stores hand on what their own callers gave them.
 *
 * @param db - what {@link createDatabase} returned, or the inside of that
 * @throws `INVALID_ARGUMENT` for anything else
 */
export function innerOf(db: Database): InnerDatabase {
  const inner = (db as { readonly [INNER]?: InnerDatabase } | null | undefined)?.[INNER]
  if (inner) return inner
  throw invalid(`db must be what createDatabase returned, not ${shown(db)}`)
}

/**
 * Puts the facade over a driver.
 *
 * Calls made in the same turn of the event loop, or while a batch is under way, leave as one request; each keeps its
 * own checks and its own outcome, and the order of calls is the order of commits.
 *
 * @param options - the driver, and what to do differently
 * @returns a database; it connects at the first call
 * @throws `INVALID_ARGUMENT` for unknown or malformed options, `UNSUPPORTED` for `strict` durability where the backend has
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
  const newId = options.newId ?? idSource()
  const share = shareOf(driver)
  const { limits, durability, replayWindow, timeout } = driver.capabilities
  requireInteger(maxQueuedCalls, 'maxQueuedCalls', 1)
  requireInteger(maxQueuedBytes, 'maxQueuedBytes', 1)

  function levelOf(level = options.durability): Durability {
    if (level === 'strict' && durability !== 'strict') {
      throw new HoldfastError('UNSUPPORTED', 'The backend has no strict durability')
    }
    return level ?? (durability === 'relaxed' ? 'relaxed' : 'strict')
  }
  // Refused up front.
  levelOf()

  const commitFenced = fence()
  const things = new Map<string, unknown>()
  const opener = new AbortController()
  let opening: Promise<void> | undefined
  let isOpen = false
  let closing: Promise<void> | undefined
  let skew = 0
  /** The backend's clock minus the one that nobody sets; this machine's clock stands in for it before the first answer. */
  let offset: number | undefined
  /** Calls of {@link Database.hold} under way, and who waits for their end. */
  let held = 0
  let onReleased: (() => void) | undefined
  /** Who is told of changes, each by what tells it of the end. */
  const watchers = new Set<() => void>()

  /** A queue of calls, each to get its share of what one request answers. */
  const queue = <Item, Part, Reply extends { readonly now: number }>(
    maxItems: number,
    ambiguous: boolean,
    partsOf: (item: Item) => readonly string[],
    ask: (items: readonly Item[], options: CallOptions) => Promise<Reply>,
    sharesOf: (reply: Reply) => readonly Part[],
  ): Batcher<Item, readonly Part[]> => {
    async function send(batch: readonly Call<Item, readonly Part[]>[], signal: AbortSignal | undefined): Promise<void> {
      let reply
      try {
        const items = batch.length === 1 ? batch[0]!.items : batch.flatMap((call) => call.items)
        reply = await ask(items, { signal })
      } catch (cause) {
        const error = toHoldfastError(cause, ambiguous)
        if (batch.length > 1 && isOfOneCall(error)) {
          // Nobody fails for a neighbour: each half finds out by itself, in the order of the calls.
          const half = batch.length >> 1
          await send(batch.slice(0, half), signal)
          return send(batch.slice(half), signal)
        }
        for (const call of batch) call.reject(error)
        return
      }
      heard(reply.now)
      const shares = sharesOf(reply)
      let from = 0
      for (const call of batch) call.resolve(shares.slice(from, (from += call.items.length)))
    }
    return batcher({
      maxItems,
      maxBytes: limits.requestBytes,
      maxQueuedCalls,
      maxQueuedBytes,
      timeout,
      group: groupCommit,
      ambiguous,
      partsOf,
      ready: () => (isOpen ? undefined : open(true)),
      send,
    })
  }

  function heard(now: number): void {
    skew = now - clock()
    offset = now - monotonic()
  }

  /** Sends a request. One that was refused for its deadline alone is sent anew by the clock that it was told. */
  async function sendCommits(commits: readonly Commit[], options: CallOptions): Promise<CommitAnswer> {
    for (let attempt = 1; ; attempt++) {
      const now = offset === undefined ? clock() : monotonic() + offset
      const deadline = replayWindow > 0 ? { deadline: Math.trunc(now + replayWindow / 2) } : undefined
      try {
        return await driver.commit({ id: newId(), commits, ...deadline }, options)
      } catch (error) {
        const told = lateAt(error)
        if (told === undefined || (error as HoldfastError).ambiguous || attempt === MOST_LATE) throw error
        heard(told)
      }
    }
  }

  const commits = queue(
    limits.requestCommits,
    true,
    ({ ops }: Commit) => ops.map(partOf),
    sendCommits,
    ({ outcomes }) => outcomes,
  )
  const reads = queue(
    limits.requestReads,
    false,
    () => [],
    (items: readonly Read[], options) => driver.read(items, options),
    ({ answers }) => answers,
  )

  async function connect(ahead: boolean): Promise<void> {
    try {
      await share.open({ signal: opener.signal, ahead })
      isOpen = true
    } catch (cause) {
      // A failure is not kept: the next call tries again.
      opening = undefined
      throw toHoldfastError(cause, false)
    }
  }
  const open = (ahead = false): Promise<void> => (opening ??= connect(ahead))

  async function close(): Promise<void> {
    if (held > 0) await new Promise<void>((resolve) => (onReleased = resolve))
    await Promise.all([commits.idle(), reads.idle()])
    // Nobody waits for it any more.
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

  /** The database as it is seen from outside, or from inside of work that is held. */
  function face(isInside: boolean): InnerDatabase {
    function enter(signal: AbortSignal | undefined): void {
      if (signal !== undefined && typeof signal?.addEventListener !== 'function') {
        throw invalid('signal must be an AbortSignal')
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
        const before = commits.settled((pending) => lastOf(questions, pending))
        const ask = () => reads.add(questions, 0, signal) as Promise<{ [I in keyof R]: AnswerTo<R[I]> }>
        if (before === undefined) return ask()
        return database.hold(async () => {
          await abortable(before, signal)
          return ask()
        })
      },
      commit: async (draft, write) => (await commitAll([draft], write))[0]!,
      commitAll,
      commitUnder,
      now: () => Math.trunc(clock() + skew),
      newId,
      async hold(work, { signal } = {}) {
        enter(signal)
        held++
        try {
          return await work(inside)
        } finally {
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
        return { latency: monotonic() - start, skew }
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
  return outsideOf(face(false))
}

/** A database as applications see it, whose options are checked. */
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

const toHoldfastError = (cause: unknown, ambiguous: boolean): unknown =>
  isHoldfastError(cause) ? cause : new HoldfastError('BACKEND', 'The backend failed', { cause, ambiguous })

/** How often a request is sent anew because it came too late by the backend's clock. */
const MOST_LATE = 3

/** What the content of a call can be refused with. Whoever shares a batch with it must not fail for it. */
const OF_ONE_CALL = new Set<ErrorCode>([
  'INVALID_ARGUMENT',
  'PAYLOAD_TOO_LARGE',
  'QUOTA_EXCEEDED',
  'SERIALIZATION',
  'UNSUPPORTED',
])

const isOfOneCall = (error: unknown): boolean =>
  isHoldfastError(error) && !error.ambiguous && OF_ONE_CALL.has(error.code)

/** The number of the last pending call that one of the questions concerns; 0 where there is none. */
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
