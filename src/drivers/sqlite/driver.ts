/**
 * The SQLite driver: one file, many processes, over any engine with a synchronous API.
 *
 * A request is one `BEGIN IMMEDIATE` transaction of prepared statements. SQLite's lock orders the commits of all
 * processes, and a commit runs from its first statement to its last without letting other code of this process run. In
 * WAL mode, `strict` is `synchronous = FULL` (one sync to disk per request), and `relaxed` is `NORMAL` (none). Waiting
 * for the lock of another process blocks the event loop, for up to the busy timeout.
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
import { monotonic, turned } from '../../core/event-loop.ts'
import { resultOf, toHoldfastError } from './errors.ts'
import type { SqliteHandle } from './handle.ts'
import { shortBytes } from './long-values.ts'
import { migrate, versionOf } from './migrations.ts'
import { applyIn } from './requests.ts'
import { sweeper } from './sweep.ts'
import { type Reading, type RowTransaction, answering, entryAt, transaction } from './rows.ts'
import { type Statements, prepareStatements } from './statements.ts'
import { requireOpen } from '../shared/require-open.ts'

/** Options of every SQLite driver. */
export interface SqliteOptions {
  /** Decides expiry, in milliseconds since 1970; the machine's clock by default. All processes of a file share it. */
  readonly clock?: Clock
  /**
   * How long a repeated request is recognised, in milliseconds. `0`, the default, turns this off: within one process,
   * every outcome is known. Set it if the driver is served to others.
   */
  readonly replayWindow?: number
  /**
   * How long to wait for a lock that another process holds, in milliseconds; 5000 by default. A database passed as `db`
   * keeps its own setting unless this is given.
   */
  readonly busyTimeout?: number
  /**
   * Puts the file into WAL mode, which the file then keeps; `true` by default. Other modes keep all promises too, but
   * commits are slower, and readers and writers wait for each other. WAL keeps two files beside the database while it
   * is open. So in a directory that cannot be written, a WAL file opens only if another process has it open. Otherwise
   * opening fails with `READ_ONLY`, or on a read-only file system with `UNAVAILABLE`.
   */
  readonly wal?: boolean
}

/** The driver's access to a SQLite engine. */
export interface SqliteEngine {
  readonly name: string
  /** Whether the owner uses the connection, too. It then stays open, and keeps its settings. */
  readonly isShared: boolean
  /** Whether the database ends with the process. */
  readonly isMemory: boolean
  open(): SqliteHandle | Promise<SqliteHandle>
}

interface Connection {
  readonly handle: SqliteHandle
  readonly statements: Statements
  readonly tx: RowTransaction
  readonly sweep: ReturnType<typeof sweeper>
  /** The settings of `PRAGMA synchronous` that each durability level needs in the file's journal mode. */
  readonly levels: Readonly<Record<Durability, number>>
  /** The current setting, as far as the driver knows. */
  level: number
}

const DEFAULT_BUSY_TIMEOUT = 5000
/** The longest time that a read of several steps may block the event loop, in milliseconds. */
const SLICE = 10
/** How many times a read starts over because another writer committed between two steps. */
const MOST_RESTARTS = 3
/**
 * Pages of the WAL before a checkpoint: 16 MB of 8 kB pages. A checkpoint copies each page once, however often it
 * changed.
 */
const CHECKPOINT_PAGES = 2000
/**
 * In WAL mode, commits under NORMAL are not synced but never torn. Other modes need one level more for the same
 * promises.
 */
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
  // SQLite itself allows values of 1 GB.
  limits: IN_PROCESS_LIMITS,
}

/**
 * Creates a driver over an engine.
 *
 * @param engine - opens the connection
 * @param options - `clock`, `replayWindow`, `busyTimeout`, `wal`
 * @returns a driver, which connects in `open()`
 * @throws `INVALID_ARGUMENT` for a malformed option
 */
export function sqliteDriver(engine: SqliteEngine, options: SqliteOptions = {}): Driver {
  const { clock = systemClock, replayWindow = 0, busyTimeout, wal = true } = options
  requireInteger(replayWindow, 'replayWindow')
  if (busyTimeout !== undefined) requireInteger(busyTimeout, 'busyTimeout')
  let opening: Promise<Connection> | undefined
  let connection: Connection | undefined

  // Whole milliseconds, because SQLite keeps integers. An entry is live while its expiry is above the clock.
  const readClock = (): number => Math.trunc(clock())

  function connected(): Connection {
    requireOpen(connection)
    return connection
  }

  async function connect(): Promise<Connection> {
    const patience = busyTimeout ?? DEFAULT_BUSY_TIMEOUT
    const handle = await engine.open()
    try {
      if (!engine.isShared || busyTimeout !== undefined) handle.exec(`PRAGMA busy_timeout = ${patience}`)
      // Without fullfsync, a sync on macOS ends in the cache of the disk.
      handle.exec('PRAGMA fullfsync = 1')
      if (!engine.isShared) {
        // Affects only a new file: values up to nearly 2 kB then fit into the rows of their keys.
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
    // Read under the lock, because waiting for the lock can take longer than an entry lives.
    const now = readClock()
    connection.sweep(now, writesOf(request))
    return { now, outcomes: applyIn(request, connection.statements, connection.tx, now, replayWindow, ANSWER_BYTES) }
  }

  /**
   * Answers from one view. It lets the event loop run between transactions, which is safe as long as nobody has written
   * in between. Otherwise it starts over, and the last attempt runs in one go.
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
        // If the owner of a shared connection is inside a transaction, its view is old, so `begin` refuses.
        if (reads.length > 1 || engine.isShared) return await readInSlices(reads, connection)
        const [read] = reads
        const now = readClock()
        if (!read) statements.ping.get()
        else if ('get' in read) return { now, answers: [entryAt(read.get, statements, now)] }
        const { done, value } = answering(reads, statements, now, ANSWER_BYTES).next()
        // One statement has one view. Several need a transaction.
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
        // It cannot be changed inside a transaction, and the owner of a shared connection may have lowered it.
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

/** Tries again while the file is locked, because the switch to WAL does not wait for locks by itself. */
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

/** Sets the journal mode and migrates the schema. Returns whether the file is in WAL mode. */
function prepareFile(handle: SqliteHandle, wal: boolean, isMemory: boolean): boolean {
  // Checked before any change: the driver must not switch the journal mode of a file that it cannot use.
  versionOf(handle)
  let mode = ask(handle, 'PRAGMA journal_mode')
  if (wal && mode !== 'wal' && !isMemory) {
    try {
      mode = ask(handle, 'PRAGMA journal_mode = WAL')
    } catch (cause) {
      // A file that cannot be written can still be read.
      if (resultOf(cause) !== 'READONLY') throw cause
    }
  }
  if (!isMemory && (mode === 'off' || mode === 'memory')) {
    throw new HoldfastError('UNSUPPORTED', `A commit can be torn under journal_mode = ${mode}; use wal`)
  }
  migrate(handle)
  return mode === 'wal'
}

// Prepared each time, because a prepared pragma returns the value from the time of its preparation.
const ask = (handle: SqliteHandle, pragma: string): unknown => handle.prepare(pragma).get()?.[0]

const readLevel = (handle: SqliteHandle): number => Number(ask(handle, 'PRAGMA synchronous'))

function setLevel(connection: Connection, level: number): void {
  connection.handle.exec(`PRAGMA synchronous = ${level}`)
  connection.level = level
}

function inTransaction<T>(handle: SqliteHandle, begin: Statements['begin'], { commit }: Statements, body: () => T): T {
  // If `begin` fails there is nothing to roll back: the owner of a shared connection may be inside a transaction.
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
      // Some failures, such as a full disk, roll back by themselves.
    }
    throw toHoldfastError(cause, isCommitting)
  }
}
