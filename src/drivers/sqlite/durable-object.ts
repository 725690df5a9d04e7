/**
 * SQLite inside a Durable Object of Cloudflare Workers: `ctx.storage.sql`.
 *
 * A request is one `transactionSync`, which lets no other code of the object run in between. An answered commit may not
 * be on disk yet, but nothing leaves the object before it is: the output gate holds back responses and messages, and
 * resets the object if the disk fails. So `strict` and `relaxed` are the same here.
 *
 * @module
 */
import { writesOf } from '../shared/evaluate.ts'
import { requireInteger } from '../../core/arguments.ts'
import { type Clock, systemClock } from '../../core/clock.ts'
import type { Capabilities, Driver } from '../../core/driver.ts'
import { invalid } from '../../core/errors.ts'
import { toHoldfastError } from './errors.ts'
import type { SqliteHandle, SqliteRow, SqliteValue } from './handle.ts'
import { SHORT_BYTES } from './long-values.ts'
import { upgrade } from './migrations.ts'
import { applyIn } from './requests.ts'
import { sweeper } from './sweep.ts'
import { answering, transaction, whole } from './rows.ts'
import { prepareStatements } from './statements.ts'
import { requireOpen } from '../shared/require-open.ts'

/** The part of a cursor of `ctx.storage.sql` that the driver uses. */
export interface DurableObjectCursor {
  /** The rows as arrays. */
  raw(): Iterable<unknown[]>
  /** How many rows were written, including rows of indexes. */
  readonly rowsWritten: number
}

/** The part of a Durable Object's `ctx.storage` that the driver uses. */
export interface DurableObjectStorage {
  readonly sql: {
    /** Runs a statement. */
    exec(query: string, ...values: (string | number | null | Uint8Array)[]): DurableObjectCursor
  }
  /** Runs a function inside a transaction, which is rolled back if the function throws. */
  transactionSync<T>(body: () => T): T
}

/** The part of `ctx.storage` that handles alarms. */
export interface AlarmStorage {
  /** The time of the alarm, in milliseconds since 1970; `null` if none is set. */
  getAlarm(): Promise<number | null>
  /** Sets the object's only alarm. */
  setAlarm(time: number): Promise<void>
}

/** Options of {@link durableObject}. */
export interface DurableObjectOptions {
  /** `ctx.storage` of an object whose class is declared under `new_sqlite_classes`. */
  readonly storage: DurableObjectStorage
  /** Decides expiry, in milliseconds since 1970; the object's clock by default. */
  readonly clock?: Clock
  /**
   * How long a repeated request is recognised, in milliseconds. `0`, the default, turns this off: within one object,
   * every outcome is known. Set it if the driver is served to others.
   */
  readonly replayWindow?: number
}

const ANSWER_BYTES: number = 2 ** 23

const CAPABILITIES: Capabilities = {
  // Only one object of a name exists in the world.
  writers: 'one',
  reads: 'strict',
  durability: 'strict',
  clock: 'local',
  network: false,
  replayWindow: 0,
  limits: {
    // A row holds at most 2 MB, including its key.
    valueBytes: 1_900_000,
    // An object has 128 MB of memory.
    requestBytes: 2 ** 24,
    commitKeys: 10_000,
    requestCommits: 10_000,
    requestReads: 10_000,
    rangeEntries: 10_000,
    answerBytes: ANSWER_BYTES,
  },
}

/**
 * Creates a driver that stores everything in the SQLite database of a Durable Object. Creating one is cheap and does no
 * I/O.
 *
 * It creates its tables at the first call, and again if they are gone: after `storage.deleteAll()`, or if the owner
 * rolls back the transaction that created them. Everything then begins anew, including the seqs of logs.
 *
 * Opening, and later calls, throw: `QUOTA_EXCEEDED` if the object is full; `SCHEMA` if a newer release wrote the
 * database, or if it has foreign tables with the driver's names.
 *
 * @param options - the storage; also `clock` and `replayWindow` (milliseconds)
 * @returns a driver, which creates its tables at the first call
 * @throws `INVALID_ARGUMENT` for a malformed option
 *
 * @example
 * ```ts
 * import { createHoldfast } from 'holdfast'
 * import { type DurableObjectStorage, durableObject } from 'holdfast/durable-object'
 *
 * class Orders {
 *   readonly #holdfast
 *
 *   constructor(ctx: { storage: DurableObjectStorage }) {
 *     this.#holdfast = createHoldfast({ driver: durableObject({ storage: ctx.storage }) })
 *   }
 *
 *   placed = (runId: string) => this.#holdfast.persistence.append({ runId, workflow: 'order', kind: 'placed' })
 * }
 * ```
 */
export function durableObject({ storage, clock = systemClock, replayWindow = 0 }: DurableObjectOptions): Driver {
  if (typeof storage?.sql?.exec !== 'function')
    throw invalid('storage must be ctx.storage of a Durable Object with SQLite')
  requireInteger(replayWindow, 'replayWindow')
  const handle = handleOf(storage)
  const statements = prepareStatements(handle)
  // Another driver may use the same object.
  const tx = transaction(statements, true, SHORT_BYTES)
  const sweep = sweeper(statements, replayWindow)
  const readClock = (): number => Math.trunc(clock())
  let isOpen = false

  function atomically<T>(body: () => T): T {
    requireOpen(isOpen)
    return mapped(() => {
      try {
        return storage.transactionSync(body)
      } catch (cause) {
        // The owner deleted everything, or rolled back the transaction that created the tables.
        if (!/no such table: holdfast_/.test(String((cause as Error | null)?.message))) throw cause
      }
      return storage.transactionSync(() => {
        upgrade(handle)
        return body()
      })
    })
  }

  return {
    name: 'durable-object',
    capabilities: { ...CAPABILITIES, replayWindow },
    async open() {
      if (!isOpen) mapped(() => storage.transactionSync(() => upgrade(handle)))
      isOpen = true
    },
    async read(reads) {
      return atomically(() => {
        const now = readClock()
        return { now, answers: whole(answering(reads, statements, now, ANSWER_BYTES)) }
      })
    },
    async commit(request) {
      return atomically(() => {
        const now = readClock()
        sweep(now, writesOf(request))
        return { now, outcomes: applyIn(request, statements, tx, now, replayWindow, ANSWER_BYTES) }
      })
    },
    async close() {
      isOpen = false
    },
  }
}

/**
 * Makes sure that the object is woken in time: sets its alarm to `due`, unless an earlier alarm is set.
 *
 * If the object dies inside a step, the repeated alarm finds the claim of the dead worker. `nextDue` then returns the
 * expiry of that claim, so the run goes on at that time.
 *
 * @param storage - `ctx.storage`
 * @param due - the result of `timers.nextDue()`, in milliseconds since 1970; `undefined` sets no alarm
 * @returns the time of the alarm, in milliseconds since 1970; `null` if none is set
 *
 * @example
 * ```ts
 * import type { Holdfast } from 'holdfast'
 * import { type AlarmStorage, scheduleAlarm } from 'holdfast/durable-object'
 * import { defineWorkflow, drain } from 'holdfast/run'
 *
 * const order = defineWorkflow({ name: 'order' }, async (ctx) => {
 *   await ctx.step('charge', () => 'pay_81')
 *   await ctx.sleep('1 day')
 * })
 *
 * // The object's alarm().
 * async function alarm(storage: AlarmStorage, holdfast: Holdfast) {
 *   await drain(holdfast, [order])
 *   await plan(storage, holdfast)
 * }
 *
 * // Call this after creating a run, or sending it a message.
 * async function plan(storage: AlarmStorage, { timers }: Holdfast) {
 *   await scheduleAlarm(storage, await timers.nextDue({ workflows: [order.name] }))
 * }
 * ```
 */
export async function scheduleAlarm(storage: AlarmStorage, due: number | undefined): Promise<number | null> {
  const set = await storage.getAlarm()
  if (due === undefined || (set !== null && set <= due)) return set
  await storage.setAlarm(due)
  return due
}

function handleOf({ sql }: DurableObjectStorage): Pick<SqliteHandle, 'prepare' | 'exec'> {
  const prepare: SqliteHandle['prepare'] = (query) => {
    const all = (...values: SqliteValue[]): SqliteRow[] => [...sql.exec(query, ...values).raw()]
    return {
      all,
      get: (...values) => all(...values)[0],
      run: (...values) => ({ changes: sql.exec(query, ...values).rowsWritten }),
    }
  }
  return { prepare, exec: (query) => sql.exec(query) }
}

function mapped<T>(body: () => T): T {
  try {
    return body()
  } catch (cause) {
    throw toHoldfastError(cause)
  }
}
