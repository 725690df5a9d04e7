/**
 * The timer store: moves runs on when the time they wait for has come.
 *
 * Nothing here keeps time: a process asks now and then, or sets an alarm for the earliest, and any number of processes
 * may. The index of what is due is written with every change of a run, so a run that waits cannot be missing in it.
 *
 * @module
 */
import { type Known, requireInteger, requireOptions } from '../../core/arguments.ts'
import { type Database, innerOf } from '../../core/database.ts'
import type { CallOptions } from '../../core/driver.ts'
import { isHoldfastError } from '../../core/errors.ts'
import { DIGITS, EVERYTHING, decodeId, tenantParts } from '../../core/keys.ts'
import { defined } from '../../core/objects.ts'
import { CALL, STORE, type StoreOptions, WRITE, type WriteOptions } from '../../core/options.ts'
import { type Page, type PageOptions, readPage } from '../../core/pages.ts'
import { completeStep, movedOn, stopped } from '../../runs/advance.ts'
import { inboxes } from '../../runs/inbox.ts'
import { ABILITIES, type Abilities, finder, requireAbilities } from '../../runs/dispatch.ts'
import { pendingSignal } from '../../runs/indexes.ts'
import { type RunProposal, changed, runRecords } from '../../runs/record.ts'
import type { SignalKind } from '../../runs/state.ts'
import { type Position, wakeAtOf } from '../../runs/status.ts'
import { stepRecords } from '../../runs/step-record.ts'

/** A run that was moved on. */
export interface AdvancedRun {
  readonly runId: string
  /** What it waited at: a delay, a message, a fork, several of them; or the request that has stopped it instead. */
  readonly kind: 'delay' | 'message' | 'fork' | 'wait' | SignalKind
  /** Where it waited. */
  readonly stepId: string
}

/** Options of {@link TimerStore.advanceDue}. */
export interface AdvanceOptions extends WriteOptions {
  /** The most runs that are moved on, from 1 to 10000; 100 by default. */
  readonly limit?: number | undefined
  /** Leaves the runs that were asked to stop to the workers, who are offered them; `false` by default. */
  readonly leaveSignalled?: boolean | undefined
}

/**
 * The timers of one tenant's runs.
 *
 * Every method throws `INVALID_ARGUMENT` for a malformed argument, `ABORTED` for an aborted signal, and `CLOSED` after
 * the close, before any I/O.
 */
export interface TimerStore {
  /**
   * Moves on the runs whose time has come by the backend's clock, the longest due first, each in a commit of its own.
   *
   * Behind a delay a run goes on at the next step, or is completed. A wait for a message takes one that is there, or else
   * has timed out: its step is completed without a result, marked `timedOut`, and the run goes on in the same way. At a
   * fork the run is woken. A run that was asked to stop is cancelled or paused instead. A paused run is not due until it
   * goes on.
   *
   * Any number of callers may do this at once: each run is moved on by one of them, who alone reports it.
   *
   * @param options - how many at most
   * @returns the runs that this call has moved on
   * @throws `CLAIM_LOST`, and what else has gone wrong. A run that fails does not hold up the others, and is told only
   *   where no run was moved on
   */
  advanceDue(options?: AdvanceOptions): Promise<readonly AdvancedRun[]>
  /**
   * By when somebody has to look again, for an alarm. That is the earliest of these:
   *
   * - now, if a step can be worked on and nobody claims it;
   * - the end of a claim on a step that could be worked on otherwise: its worker may be dead;
   * - the next attempt of a step that failed;
   * - the time until which a run waits.
   *
   * A claim that does not expire never ends. Ask after `drain` has run: what it left is then asked for again in time. If
   * the worker knows only some workflows or has only some tags, name them: for the rest, the answer would be "now" again
   * and again.
   *
   * @param options - what the one who looks can do; everything by default
   * @returns by the backend's clock, in milliseconds since 1970, maybe past; `undefined` if nothing is to be done until
   *   somebody changes a run
   */
  nextDue(options?: NextDueOptions): Promise<number | undefined>
}

/** Options of {@link TimerStore.nextDue}. */
export interface NextDueOptions extends CallOptions, Abilities {}

const ADVANCE: Known<AdvanceOptions> = { ...WRITE, limit: true, leaveSignalled: true }
const NEXT_DUE: Known<NextDueOptions> = { ...CALL, ...ABILITIES }

const DEFAULT_LIMIT = 100
const MAX_LIMIT = 10_000

/**
 * Makes a timer store.
 *
 * @param database - where it is kept
 * @param options - the tenant
 * @returns the store; making one is cheap and does no I/O
 * @throws `INVALID_ARGUMENT` for a malformed tenant
 *
 * @example
 * ```ts
 * import { createDatabase, memory, stateStore, timerStore } from 'holdfast'
 *
 * const db = createDatabase({ driver: memory() })
 * const state = stateStore(db, { tenant: 'acme' })
 * const timers = timerStore(db, { tenant: 'acme' })
 * const position = { kind: 'delay', stepId: 'nap', wakeAt: Date.now(), next: 'ship' } as const
 * await state.saveSnapshot({ runId: 'order-17', state: {}, position })
 * console.log((await timers.advanceDue())[0]?.kind) // delay
 * console.log((await state.loadSnapshot('order-17'))?.position) // { kind: 'step', stepId: 'ship' }
 * ```
 */
export function timerStore(database: Database, options?: StoreOptions): TimerStore {
  const db = innerOf(database)
  const parts = tenantParts(requireOptions(options, STORE).tenant)
  const runs = runRecords(db, parts)
  const steps = stepRecords(db, parts)
  const open = inboxes(db, parts, steps)
  const find = finder(parts)

  /** A page of the runs that are due, the longest first; its cursor is absent where nothing behind it is due. */
  async function findDue(options: PageOptions): Promise<Page<string>> {
    const page = await readPage(
      db,
      parts.due,
      EVERYTHING,
      ({ key }) => ({ wakeAt: wakeAtIn(key), runId: decodeId(key.slice(DIGITS + 1)) }),
      options,
      true,
    )
    // The time of the answer: what was known before may be long past.
    const now = db.now()
    const items = page.items.filter(({ wakeAt }) => wakeAt <= now).map(({ runId }) => runId)
    return { items, ...(page.cursor !== undefined && items.length === page.items.length && { cursor: page.cursor }) }
  }

  async function advance(
    runId: string,
    { leaveSignalled, ...options }: AdvanceOptions,
  ): Promise<AdvancedRun | undefined> {
    const inbox = open(runId)
    return runs.change(
      runId,
      (run): RunProposal<AdvancedRun | undefined> => {
        const now = db.now()
        const { position } = run ?? {}
        const wakeAt = wakeAtOf(position)
        if (run?.status !== 'waiting' || !position || wakeAt === undefined || wakeAt > now) {
          return { done: () => undefined }
        }
        const { stepId } = position
        const { signal } = pendingSignal(run)
        if (signal && leaveSignalled) return { done: () => undefined }
        if (signal) {
          return { next: stopped(run, signal, stepId, now), done: () => ({ runId, kind: signal, stepId }) }
        }
        const { kind } = position as { kind: AdvancedRun['kind'] }
        const done = (): AdvancedRun => ({ runId, kind, stepId })
        if (position.kind === 'fork') {
          const awake = defined({ ...position, wakeAt: undefined })
          return { next: changed(run, { status: 'running', position: awake }, now), done }
        }
        if (position.kind === 'wait') return { next: movedOn(run, position.next, now), done }
        if (position.kind === 'message') {
          return { ...inbox.receive(run, position, now, undefined, true).proposal, done }
        }
        const step = completeStep(steps, runId, stepId, now)
        const { next } = position as Extract<Position, { kind: 'delay' }>
        return { next: movedOn(run, next, now), along: [step.along], ops: step.ops, done }
      },
      options,
    )
  }

  return {
    async advanceDue(given) {
      const { limit = DEFAULT_LIMIT, ...options } = requireOptions(given, ADVANCE)
      requireInteger(limit, 'limit', 1, MAX_LIMIT)
      const advanced: AdvancedRun[] = []
      const failures: unknown[] = []
      let cursor: string | undefined
      do {
        // What others have moved on meanwhile, what is left and what cannot be read makes way for what is due behind it.
        const due = await findDue({ limit: limit - advanced.length, cursor, signal: options.signal })
        for (const it of await Promise.allSettled(due.items.map((runId) => advance(runId, options)))) {
          if (it.status === 'rejected') failures.push(it.reason)
          else if (it.value) advanced.push(it.value)
        }
        cursor = due.cursor
      } while (cursor !== undefined && advanced.length < limit && failures.every(isUnreadable))
      if (failures.length > 0 && advanced.length === 0) throw failures[0]
      return advanced
    },
    async nextDue(given) {
      const { tags = [], workflows, ...options } = requireOptions(given, NEXT_DUE)
      requireAbilities({ tags, workflows })
      const range = { part: parts.due, ...EVERYTHING, limit: 1, keysOnly: true }
      const anybody = { workerId: '', tags, workflows, limit: 1, agingInterval: Infinity }
      const due = await db.hold(async (held) => {
        const [[{ entries }], { offers, next }] = await Promise.all([
          held.read([{ range }], options),
          find(held, anybody, options),
        ])
        return Math.min(entries[0] ? wakeAtIn(entries[0].key) : Infinity, offers[0]?.since ?? next)
      }, options)
      return due === Infinity ? undefined : due
    },
  }
}

/** Whether it is about one record: whatever else has failed will fail with the next run as well. */
const isUnreadable = (error: unknown): boolean => isHoldfastError(error, 'SERIALIZATION')

const wakeAtIn = (key: string): number => Number(key.slice(0, DIGITS))
