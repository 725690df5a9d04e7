/**
 * SQLite inside a Durable Object of Cloudflare Workers: `ctx.storage.sql`.
 *
 * A request is one `transactionSync`, without giving way to other code of the object. What is answered to code inside of
 * the object need not be on disk yet, but nothing leaves the object before it is: the output gate holds responses and
 * messages back until then, and resets the object when the disk fails. So `strict` and `relaxed` are the same here.
 *
 * @module
 */
import { writesOf } from '../shared/evaluate.ts'
import { requireInteger } from '../../core/arguments.ts'
import { type Clock, systemClock } from '../../core/clock.ts'
import type { Capabilities, Driver } from '../../core/driver.ts'
import { HoldfastError, invalid } from '../../core/errors.ts'
import { toHoldfastError } from './errors.ts'
import type { SqliteHandle, SqliteRow, SqliteValue } from './handle.ts'
import { SHORT_BYTES } from './long-values.ts'
import { upgrade } from './migrations.ts'
import { applyIn, sweeper } from './requests.ts'
import { answering, transaction, whole } from './rows.ts'
import { prepareStatements } from './statements.ts'

/** What is used of a cursor of `ctx.storage.sql`. */
export interface DurableObjectCursor {
  /** The rows as arrays. */
  raw(): Iterable<unknown[]>
  /** How many rows were written, those of indexes included. */
  readonly rowsWritten: number
}

/** What is used of `ctx.storage` of a Durable Object with SQLite. */
export interface DurableObjectStorage {
  readonly sql: {
    /** Runs a statement. */
    exec(query: string, ...values: (string | number | null | Uint8Array)[]): DurableObjectCursor
  }
  /** Runs a function inside of a transaction, undone when it throws. */
  transactionSync<T>(body: () => T): T
}

/** What is used of `ctx.storage` for alarms. */
export interface AlarmStorage {
  /** When the alarm goes off, in milliseconds since 1970; `null` where none is set. */
  getAlarm(): Promise<number | null>
  /** Sets the object's one alarm. */
  setAlarm(time: number): Promise<void>
}

/** Options of {@link durableObject}. */
export interface DurableObjectOptions {
  /** `ctx.storage` of an object whose class is declared under `new_sqlite_classes`. */
  readonly storage: DurableObjectStorage
  /** Judges expiry, in milliseconds since 1970; the object's clock by default. */
  readonly clock?: Clock
  /**
   * How long a repeated request is recognised, in milliseconds. By default `0`, not at all: inside one object no outcome
   * is ever unknown. Wanted where the driver is served to others.
   */
  readonly replayWindow?: number
}

const ANSWER_BYTES: number = 2 ** 23

const CAPABILITIES: Capabilities = {
  // There is one object of a name in the world.
  writers: 'one',
  reads: 'strict',
  durability: 'strict',
  clock: 'local',
  network: false,
  replayWindow: 0,
  limits: {
    // A row takes 2 MB, its key included.
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
 * Makes a driver that keeps everything in the SQLite of a Durable Object. Making one is cheap and does no I/O.
 *
 * Its tables are made at the first call, and again where the owner has deleted them: after `storage.deleteAll()`, or when a
 * transaction of the owner's is rolled back in which they were made. Everything then begins anew, numbers of logs
 * included.
 *
 * What opening and later calls throw: `QUOTA_EXCEEDED` where the object is full; `SCHEMA` where the database was written
 * by a newer release, or has foreign tables under names of ours.
 *
 * @param options - the storage, and clock, replay window
 * @returns a driver; its tables are made at the first call
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
  if (typeof storage?.sql?.exec !== 'function') throw invalid('storage must be that of a Durable Object with SQLite')
  requireInteger(replayWindow, 'replayWindow')
  const handle = handleOf(storage)
  const statements = prepareStatements(handle)
  // Another driver may be at work in the same object.
  const tx = transaction(statements, true, SHORT_BYTES)
  const sweep = sweeper(statements, replayWindow)
  const readClock = (): number => Math.trunc(clock())
  let isOpen = false

  function atomically<T>(body: () => T): T {
    if (!isOpen) throw new HoldfastError('CLOSED', 'The database is not open; call open() first')
    return mapped(() => {
      try {
        return storage.transactionSync(body)
      } catch (cause) {
        // The owner has deleted everything, or has rolled back the transaction in which the tables were made.
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
 * Has the object woken when there is something to do, at the latest: an alarm that goes off earlier stays.
 *
 * If the object dies inside a step, the alarm that is tried again finds the claim of the dead; `nextDue` tells when that is
 * over, so the run goes on then.
 *
 * @param storage - `ctx.storage`
 * @param due - what `timers.nextDue()` says, in milliseconds since 1970; `undefined` sets no alarm
 * @returns when the alarm goes off, in milliseconds since 1970; `null` where none is set
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
 * // To be called at the end of whatever creates a run, or gives it a message.
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
