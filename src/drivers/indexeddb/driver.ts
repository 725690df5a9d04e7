/**
 * The IndexedDB driver: one database of the browser, any number of tabs and workers.
 *
 * A request is written by one `readwrite` transaction, so a hundred commits cost little more than one. The transaction is
 * handed to the browser whole and never waits for the code of its page: a tab that is halted, as by an alert, a breakpoint
 * or a long computation, keeps no other tab from writing. A request that has to know what this tab does not is read first, by
 * a transaction of its own (`facts.ts`, `commits.ts`). The exceptions: a tab that meets other tabs' commits six times in
 * a row, a request of more than 512 kB in Firefox, a tab of WebKit halted in the same turn as it made a call, and reads that
 * one request cannot answer. Where those matter, let the driver live in a worker, by `holdfast/channel`.
 *
 * A commit is answered when its transaction is complete, never before. `strict` asks the browser to sync to disk,
 * `relaxed` leaves that to the operating system. Then it is announced to the other tabs and workers over a
 * `BroadcastChannel`, where the browser has them.
 *
 * @module
 */
import { changedParts } from '../shared/evaluate.ts'
import { requireInteger } from '../../core/arguments.ts'
import { type Clock, idSource, systemClock } from '../../core/clock.ts'
import type { Capabilities, Driver, Limits } from '../../core/driver.ts'
import { invalid } from '../../core/errors.ts'
import { IN_PROCESS_LIMITS } from '../../core/limits.ts'
import { sweeps } from '../shared/sweeps.ts'
import { announcements } from './announcements.ts'
import { type IdbFactory, storageManager } from './api.ts'
import { commit } from './commits.ts'
import { connection } from './connection.ts'
import { estimate } from './faults.ts'
import { read } from './reads.ts'

export type { IdbFactory } from './api.ts'

/** Options of {@link indexedDb}. */
export interface IndexedDbOptions {
  /** The name of the database, which belongs to the origin. */
  readonly name: string
  /** Where to open it: the one of a storage bucket, for example; that of the page or worker by default. */
  readonly indexedDB?: IdbFactory
  /** Judges expiry, in milliseconds since 1970; the machine's clock by default. */
  readonly clock?: Clock
  /**
   * How long opening waits for other tabs that are about to upgrade or delete the database, in milliseconds from 1;
   * 10000 by default. Then it fails with `UNAVAILABLE`.
   */
  readonly openTimeout?: number
  /** The database that is expected: what {@link IndexedDbReport.epoch} was when it was last used. */
  readonly epoch?: string
  /**
   * Called when the database opened is not the one that was expected or used before: what was in that is gone. Where it
   * was in use, calls fail with `CLOSED` and `details.evicted` until the driver is opened again.
   */
  readonly onEvicted?: (epoch: string) => void
}

/** How safe the data is from the browser itself. */
export interface IndexedDbReport {
  /** Whether the browser has promised to keep it: ask by `navigator.storage.persist()`. */
  readonly persisted: boolean
  /** Whether the browser may delete it, when space runs out or the site is not visited for long. */
  readonly evictable: boolean
  /**
   * Bytes that the origin uses and may use; `undefined` where the browser does not say. Chromium names a quota that is
   * 10 GiB above what is used, whatever it is: only `QUOTA_EXCEEDED` tells that there is no more room.
   */
  readonly usage: number | undefined
  readonly quota: number | undefined
  /** Names this database, and no later one of the same name: keep it elsewhere to notice when this one is gone. */
  readonly epoch: string
}

/** A driver that can tell how safe its data is. */
export interface IndexedDbDriver extends Driver {
  /**
   * Asks the browser how safe the data is.
   *
   * @throws `CLOSED` before the driver is open, `UNAVAILABLE` where the database cannot be reached
   */
  durability(): Promise<IndexedDbReport>
}

const LIMITS: Limits = {
  // Chromium refuses rows of 127 MB.
  ...IN_PROCESS_LIMITS,
  // A page gives one entry at least, so as many rows are read at once.
  requestReads: 1000,
  // Firefox takes longer for a row the more of them are asked for at once.
  rangeEntries: 500,
}

const CAPABILITIES: Capabilities = {
  writers: 'many',
  reads: 'strict',
  durability: 'strict',
  clock: 'local',
  network: false,
  // No answer is lost on the way but with the connection, which the error then tells.
  replayWindow: 0,
  limits: LIMITS,
}

/**
 * Makes a driver over a database of the browser, to be used by many tabs and workers at once. Needs the package `idb`.
 *
 * @param options - the name of the database, and what to do differently
 * @returns a driver; it connects in `open()`, which throws `UNSUPPORTED` where IndexedDB is missing or blocked, and
 *   `SCHEMA` where the database is of a newer release or not ours
 * @throws `INVALID_ARGUMENT` for a malformed option
 *
 * @example
 * ```ts
 * import { createHoldfast } from 'holdfast'
 * import { indexedDb } from 'holdfast/indexeddb'
 *
 * const holdfast = createHoldfast({ driver: indexedDb({ name: 'my-app' }) })
 * await holdfast.state.set('greeting', 'hello')
 * ```
 */
export function indexedDb(options: IndexedDbOptions): IndexedDbDriver {
  const { name, indexedDB: factory, clock = systemClock, openTimeout = 10_000, onEvicted } = options
  if (typeof name !== 'string' || name === '') throw invalid('name must be text of at least one character')
  requireInteger(openTimeout, 'openTimeout', 1)
  let { epoch } = options
  const news = announcements(name)
  const context = { clock, swept: sweeps(), answerBytes: LIMITS.answerBytes }

  const connected = connection({
    name,
    factory,
    openTimeout,
    epoch,
    newEpoch: () => idSource()(),
    onOpen(found, isOther) {
      news.open()
      epoch = found
      if (isOther) onEvicted?.(found)
    },
  })

  /** The commit under way: the next one builds on what it has written. */
  let last: Promise<unknown> = Promise.resolve()
  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = last.then(work)
    last = turn.catch(() => {})
    return turn
  }

  return {
    name: 'indexeddb',
    capabilities: CAPABILITIES,
    open: () => connected.open(),
    read: (reads) => connected.use((opened) => read(reads, opened, clock, LIMITS.answerBytes)),
    commit: ({ commits }) =>
      inTurn(async () => {
        const answer = await connected.use((opened, attempt) => commit(commits, opened, attempt, context))
        news.announce(changedParts(commits, answer.outcomes))
        return answer
      }),
    async close() {
      await connected.close()
      // Behind the connection, which may just have been opening.
      news.close()
    },
    watch: news.watch,
    async durability() {
      await connected.use(async () => {})
      const [persisted = false, found] = await Promise.all([storageManager().persisted?.(), estimate()])
      return { persisted, evictable: !persisted, usage: found?.usage, quota: found?.quota, epoch: epoch! }
    },
  }
}
