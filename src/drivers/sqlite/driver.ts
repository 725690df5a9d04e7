/**
 * The SQLite driver: one file, many processes, behind any engine that can be called synchronously.
 *
 * A request is one `BEGIN IMMEDIATE` transaction of prepared statements; SQLite's lock makes commits of all processes
 * one after the other, and a commit runs from its first statement to its last without giving way to other code of this
 * process. `strict` is `synchronous = FULL` in WAL mode (one sync to disk per request), `relaxed` is `NORMAL` (none).
 * Waiting for another process's lock blocks the event loop, for up to the busy timeout.
 *
 * @module
 */
import { writesOf } from '../shared/evaluate.ts'
import { requireInteger } from '../../core/arguments.ts'
import { type Clock, systemClock } from '../../core/clock.ts'
import type {
  Answer,
  Capabilities,
  CommitAnswer,
  CommitRequest,
  Driver,
  Durability,
  Read,
  ReadAnswer,
} from '../../core/driver.ts'
import { HoldfastError } from '../../core/errors.ts'
import { IN_PROCESS_LIMITS } from '../../core/limits.ts'
import { monotonic, turned } from '../../core/turns.ts'
import { resultOf, toHoldfastError } from './errors.ts'
import type { SqliteHandle } from './handle.ts'
import { shortBytes } from './long-values.ts'
import { migrate, versionOf } from './migrations.ts'
import { applyIn, sweeper } from './requests.ts'
import { type Reading, type RowTransaction, answering, entryAt, transaction } from './rows.ts'
import { type Statements, prepareStatements } from './statements.ts'

/** Options of every SQLite driver. */
export interface SqliteOptions {
  /** Judges expiry, in milliseconds since 1970; the machine's clock by default. The processes of a file share it. */
  readonly clock?: Clock
  /**
   * How long a repeated request is recognised, in milliseconds. By default `0`, not at all: inside one process no
   * outcome is ever unknown. Wanted where the driver is served to others.
   */
  readonly replayWindow?: number
  /**
   * How long to wait for a lock that another process holds, in milliseconds; 5000 by default. A database that is handed
   * in keeps its own setting unless this is given.
   */
  readonly busyTimeout?: number
  /**
   * Whether to put the file into WAL mode, which it then keeps; `true` by default. In other modes everything holds as
   * well, but commits are slower, and readers and writers wait for each other. WAL keeps two files beside the database
   * while it is open: in a directory that cannot be written, a file in this mode opens only where another process has it
   * open; otherwise that fails with `READ_ONLY`, on a read-only file system with `UNAVAILABLE`.
   */
  readonly wal?: boolean
}

/** How a driver gets at its SQLite. */
export interface SqliteEngine {
  readonly name: string
  /** Whether the connection is also used by its owner: then it stays open, and its settings are left as they are. */
  readonly isShared: boolean
  /** Whether the database is lost with the process. */
  readonly isMemory: boolean
  open(): SqliteHandle | Promise<SqliteHandle>
}

interface Connection {
  readonly handle: SqliteHandle
  readonly statements: Statements
  readonly tx: RowTransaction
  readonly sweep: ReturnType<typeof sweeper>
  /** The settings of `PRAGMA synchronous` that make good the promises, in the journal mode that the file has. */
  readonly levels: Readonly<Record<Durability, number>>
  /** What it is set to, as far as is known. */
  level: number
}

const DEFAULT_BUSY_TIMEOUT = 5000
/** The longest that a read keeps the event loop from turning where it has several steps, in milliseconds. */
const SLICE = 10
/** How often a read is begun anew because somebody wrote while the event loop turned. */
const MOST_RESTARTS = 3
/** A checkpoint copies a page once, however often it was written since the last one: 16 MB of pages of 8 kB. */
const CHECKPOINT_PAGES = 2000
/** In WAL mode a commit under NORMAL is not synced, yet never torn; elsewhere that takes one step more each. */
const LEVELS_IN_WAL = { relaxed: 1, strict: 2 }
const LEVELS_ELSEWHERE = { relaxed: 2, strict: 3 }

const { answerBytes: ANSWER_BYTES } = IN_PROCESS_LIMITS

const CAPABILITIES: Capabilities = {
  writers: 'many',
  reads: 'strict',
  durability: 'strict',
  clock: 'local',
  network: false,
  replayWindow: 0,
  // SQLite itself would take values of 1 GB.
  limits: IN_PROCESS_LIMITS,
}

/**
 * Makes a driver over an engine.
 *
 * @param engine - opens the connection
 * @param options - clock, replay window, busy timeout, WAL
 * @returns a driver; it connects in `open()`
 * @throws `INVALID_ARGUMENT` for a malformed option
 */
export function sqliteDriver(engine: SqliteEngine, options: SqliteOptions = {}): Driver {
  const { clock = systemClock, replayWindow = 0, busyTimeout, wal = true } = options
  requireInteger(replayWindow, 'replayWindow')
  if (busyTimeout !== undefined) requireInteger(busyTimeout, 'busyTimeout')
  let opening: Promise<Connection> | undefined
  let connection: Connection | undefined

  // SQLite keeps integers, and an entry is live as long as its expiry is above the clock.
  const readClock = (): number => Math.trunc(clock())

  function connected(): Connection {
    if (connection === undefined) throw new HoldfastError('CLOSED', 'The database is not open; call open() first')
    return connection
  }

  async function connect(): Promise<Connection> {
    const patience = busyTimeout ?? DEFAULT_BUSY_TIMEOUT
    const handle = await engine.open()
    try {
      if (!engine.isShared || busyTimeout !== undefined) handle.exec(`PRAGMA busy_timeout = ${patience}`)
      // Without it, a sync on macOS ends in the cache of the disk.
      handle.exec('PRAGMA fullfsync = 1')
      if (!engine.isShared) {
        // Takes effect on a new file: values up to nearly 2 kB then lie in the rows of their keys.
        handle.exec('PRAGMA page_size = 8192')
        handle.exec(`PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES}`)
      }
      const isWal = await whileBusy(patience, () => prepareFile(handle, wal, engine.isMemory))
      const levels = isWal ? LEVELS_IN_WAL : LEVELS_ELSEWHERE
      const statements = prepareStatements(handle)
      const tx = transaction(statements, engine.isShared, shortBytes(Number(ask(handle, 'PRAGMA page_size'))))
      const sweep = sweeper(statements, replayWindow)
      return { handle, statements, tx, sweep, levels, level: readLevel(handle) }
    } catch (cause) {
      if (!engine.isShared) handle.close()
      throw cause
    }
  }

  function commit(request: CommitRequest, connection: Connection): CommitAnswer {
    // Read under the lock: waiting for it can take longer than an entry has to live.
    const now = readClock()
    connection.sweep(now, writesOf(request))
    return { now, outcomes: applyIn(request, connection.statements, connection.tx, now, replayWindow, ANSWER_BYTES) }
  }

  /**
   * Answers from one view, in as many transactions as it takes to let the event loop turn in between: what another one
   * finds is of the same view as long as nobody has written. Otherwise all begins anew, the last time in one go.
   */
  async function readInSlices(reads: readonly Read[], { handle, statements }: Connection): Promise<ReadAnswer> {
    const markOf = (): string => [statements.dataVersion, statements.totalChanges].map((it) => it.get()![0]).join()
    for (let left = MOST_RESTARTS; ; left--) {
      let now = 0
      let mark: string | undefined
      let reading: Reading<readonly Answer[]> | undefined
      const slice = (): readonly Answer[] | 'paused' | 'changed' => {
        if (mark !== undefined && mark !== markOf()) return 'changed'
        now ||= readClock()
        reading ??= answering(reads, statements, now, ANSWER_BYTES)
        const end = left > 0 ? monotonic() + SLICE : Infinity
        for (;;) {
          const { done, value } = reading.next()
          if (done) return value
          if (monotonic() < end) continue
          mark = markOf()
          return 'paused'
        }
      }
      for (;;) {
        const found = inTransaction(handle, statements.begin, statements, slice)
        if (found === 'changed') break
        if (found !== 'paused') return { now, answers: found }
        await turned()
      }
    }
  }

  return {
    name: engine.name,
    capabilities: {
      ...CAPABILITIES,
      replayWindow,
      ...(engine.isMemory && { writers: 'one', durability: 'none' }),
    },
    async open() {
      opening ??= connect()
      try {
        connection = await opening
      } catch (cause) {
        opening = undefined
        throw toHoldfastError(cause)
      }
    },
    async read(reads) {
      const connection = connected()
      const { statements } = connection
      try {
        // The owner of a shared connection may be inside a transaction, whose view is old: that is refused by `begin`.
        if (reads.length > 1 || engine.isShared) return await readInSlices(reads, connection)
        const [read] = reads
        const now = readClock()
        if (!read) statements.ping.get()
        else if ('get' in read) return { now, answers: [entryAt(read.get, statements, now)] }
        const { done, value } = answering(reads, statements, now, ANSWER_BYTES).next()
        // One statement has one view; several need a transaction.
        return done ? { now, answers: value } : await readInSlices(reads, connection)
      } catch (cause) {
        throw toHoldfastError(cause)
      }
    },
    async commit(request) {
      const connection = connected()
      const { handle, statements, levels, level: before } = connection
      const isStrict = request.commits.some((commit) => commit.durability === 'strict')
      const level = isStrict ? levels.strict : levels.relaxed
      try {
        // It cannot be changed inside of a transaction; the owner of a shared connection may have lowered it since.
        if (level !== before || (isStrict && engine.isShared)) setLevel(connection, level)
        try {
          return inTransaction(handle, statements.beginImmediate, statements, () => commit(request, connection))
        } finally {
          if (level !== before && engine.isShared) setLevel(connection, before)
        }
      } catch (cause) {
        connection.tx.forget()
        throw toHoldfastError(cause)
      }
    },
    async close() {
      const open = await opening?.catch(() => undefined)
      opening = undefined
      connection = undefined
      if (!engine.isShared) open?.handle.close()
    },
  }
}

/** Tries again while the file is locked: switching to WAL does not wait for locks by itself. */
async function whileBusy<T>(patience: number, attempt: () => T): Promise<T> {
  const deadline = performance.now() + patience
  for (;;) {
    try {
      return attempt()
    } catch (cause) {
      if (resultOf(cause) !== 'BUSY' || performance.now() >= deadline) throw cause
    }
    await new Promise<void>((resolve) => setTimeout(resolve, 1 + Math.random() * 20))
  }
}

/** Journal mode and schema; tells whether the file is in WAL mode. */
function prepareFile(handle: SqliteHandle, wal: boolean, isMemory: boolean): boolean {
  // Before anything is changed: the journal mode of a file that is not for this release is none of its business.
  versionOf(handle)
  let mode = ask(handle, 'PRAGMA journal_mode')
  if (wal && mode !== 'wal' && !isMemory) {
    try {
      mode = ask(handle, 'PRAGMA journal_mode = WAL')
    } catch (cause) {
      // What cannot be written can still be read.
      if (resultOf(cause) !== 'READONLY') throw cause
    }
  }
  if (!isMemory && (mode === 'off' || mode === 'memory')) {
    throw new HoldfastError('UNSUPPORTED', `Under journal_mode = ${mode} a commit can be torn; use wal`)
  }
  migrate(handle)
  return mode === 'wal'
}

// Prepared anew each time: a prepared pragma would answer with what held when it was prepared.
const ask = (handle: SqliteHandle, pragma: string): unknown => handle.prepare(pragma).get()?.[0]

const readLevel = (handle: SqliteHandle): number => Number(ask(handle, 'PRAGMA synchronous'))

function setLevel(connection: Connection, level: number): void {
  connection.handle.exec(`PRAGMA synchronous = ${level}`)
  connection.level = level
}

function inTransaction<T>(handle: SqliteHandle, begin: Statements['begin'], { commit }: Statements, body: () => T): T {
  // A refusal to begin is not ours to roll back: the owner of a shared connection may be inside a transaction.
  begin.run()
  let isCommitting = false
  try {
    const result = body()
    isCommitting = true
    commit.run()
    return result
  } catch (cause) {
    try {
      handle.exec('ROLLBACK')
    } catch {
      // Some failures, such as a full disk, have rolled back already.
    }
    throw toHoldfastError(cause, isCommitting)
  }
}
