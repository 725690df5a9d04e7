/**
 * The IndexedDB driver: one database of the browser, any number of tabs and workers.
 *
 * A request is written by one `readwrite` transaction, so a hundred commits cost little more than one. The transaction
 * is handed to the browser whole and never waits for code of its page. So a suspended tab, as by an alert, a breakpoint
 * or a long computation, keeps no other tab from writing. If a request depends on facts that this tab does not know, it
 * first reads them in a transaction of its own (see `facts.ts` and `commits.ts`).
 *
 * There are exceptions: a request that lost to other tabs' commits six times in a row, a request of more than 512 kB in
 * Firefox, a tab of WebKit that is suspended in the same turn in which it made a call, and reads that one request
 * cannot answer. If they matter, run the driver in a worker with `holdfast/channel`.
 *
 * A commit is answered when its transaction is complete, never before. `strict` asks the browser to sync to disk;
 * `relaxed` leaves that to the operating system. The commit is then announced to other tabs and workers over a
 * `BroadcastChannel`, if the browser has one.
 *
 * @module
 */
import { changedParts } from '../shared/evaluate.ts'
import { requireInteger } from '../../core/arguments.ts'
import { type Clock, idSource, systemClock } from '../../core/clock.ts'
import type { Capabilities, Driver, Limits } from '../../core/driver.ts'
import { invalid } from '../../core/errors.ts'
import { IN_PROCESS_LIMITS } from '../../core/limits.ts'
import { sweeps } from '../shared/sweep-schedule.ts'
import { announcements } from './announcements.ts'
import { type IdbFactory, storageManager } from './api.ts'
import { commit } from './commits.ts'
import { connection } from './connection.ts'
import { estimate } from './faults.ts'
import { read } from './reads.ts'

export type { IdbFactory } from './api.ts'

/** Options of {@link indexedDb}. */
export interface IndexedDbOptions {
  /** The name of the database, unique within the origin. */
  readonly name: string
  /** The factory to open it with, such as that of a storage bucket; by default that of the page or worker. */
  readonly indexedDB?: IdbFactory
  /** The clock that judges expiry, in milliseconds since 1970; the machine's clock by default. */
  readonly clock?: Clock
  /**
   * How long opening waits for other tabs that upgrade or delete the database, in milliseconds from 1; 10 000 by
   * default. After that, opening fails with `UNAVAILABLE`.
   */
  readonly openTimeout?: number
  /** The {@link IndexedDbReport.epoch} of the database when it was last used, to detect that it was deleted since. */
  readonly epoch?: string
  /**
   * Called when the opened database is not the one expected or used before, so the earlier data is gone. If that data
   * was in use, calls fail with `CLOSED` and `details.evicted` until the driver is opened again.
   */
  readonly onEvicted?: (epoch: string) => void
}

/** How safe the data is from deletion by the browser. */
export interface IndexedDbReport {
  /** Whether the browser has promised to keep the data. Request that with `navigator.storage.persist()`. */
  readonly persisted: boolean
  /** Whether the browser may delete the data when space runs out or the site is not visited for long. */
  readonly evictable: boolean
  /**
   * Bytes that the origin uses and may use; `undefined` if the browser does not say. Chromium reports a quota of 10 GiB
   * above the usage in any case, so only `QUOTA_EXCEEDED` shows that there is no more room.
   */
  readonly usage: number | undefined
  readonly quota: number | undefined
  /** Identifies this database among others of the same name over time. Keep it elsewhere to notice a deletion. */
  readonly epoch: string
}

/** A driver that reports how safe its data is. */
export interface IndexedDbDriver extends Driver {
  /**
   * Asks the browser how safe the data is.
   *
   * @throws `CLOSED` before the driver is open; `UNAVAILABLE` if the database cannot be reached
   */
  durability(): Promise<IndexedDbReport>
}

const LIMITS: Limits = {
  // Chromium refuses rows of 127 MB.
  ...IN_PROCESS_LIMITS,
  // Each page holds at least one entry, so as many rows are read at once.
  requestReads: 1000,
  // In Firefox, the time per row grows with the number of rows requested at once.
  rangeEntries: 500,
}

const CAPABILITIES: Capabilities = {
  writers: 'many',
  reads: 'strict',
  durability: 'strict',
  clock: 'local',
  network: false,
  // An answer is lost only with the connection, and the error then says so.
  replayWindow: 0,
  limits: LIMITS,
}

/**
 * Makes a driver over a browser database that many tabs and workers may use at once. Needs the package `idb`.
 *
 * @param options - the name of the database, and optional settings
 * @returns a driver; it connects in `open()`, which throws `UNSUPPORTED` if IndexedDB is missing or blocked, and
 *   `SCHEMA` if the database is of a newer release or was not made by holdfast
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

  /** The commit under way. The next one builds on its writes. */
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
      // After the connection, which may just have been opening.
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
