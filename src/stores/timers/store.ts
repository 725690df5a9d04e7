/**
 * The timer store: wakes runs when the time they wait for has come.
 *
 * The store keeps no clock of its own: a process asks now and then, or sets an alarm for the earliest due time. Any
 * number of processes may do so. The index of due runs is written with every change of a run, so no waiting run is
 * missing.
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

/** A run that was woken. */
export interface AdvancedRun {
  readonly runId: string
  /** The kind of its wait, or the request that stopped it instead. */
  readonly kind: 'delay' | 'message' | 'fork' | 'wait' | SignalKind
  /** The step at which it waited. */
  readonly stepId: string
}

/** Options of {@link TimerStore.advanceDue}. */
export interface AdvanceOptions extends WriteOptions {
  /** The most runs to wake, from 1 to 10000; 100 by default. */
  readonly limit?: number | undefined
  /** Skips runs with a pause or cancel request, which are offered to workers; `false` by default. */
  readonly leaveSignalled?: boolean | undefined
}

/**
 * The timers of one tenant's runs.
 *
 * Every method throws `INVALID_ARGUMENT` for a malformed argument, `ABORTED` for an aborted signal, and `CLOSED` once
 * the database is closed, before any I/O.
 */
export interface TimerStore {
  /**
   * Wakes the runs whose time has come by the backend's clock, the longest due first, each in its own commit.
   *
   * After a delay a run goes on at its next step, or completes if there is none. A wait for a message takes a stored
   * message; if there is none, the wait times out: its step completes without a result, marked `timedOut`, and the run
   * goes on. A run that waits at a fork continues there. A run with a pause or cancel request is paused or cancelled
   * instead. A paused run is not due until it is unpaused.
   *
   * Any number of callers may do this at once. Each run is woken by one of them, and only that caller reports it.
   *
   * @param options - how many runs at most, and whether to skip those that are to be stopped
   * @returns the runs that this call has woken
   * @throws `CLAIM_LOST` and other errors of the commits, but only if no run was woken. A run that fails does not hold
   *   up the others
   */
  advanceDue(options?: AdvanceOptions): Promise<readonly AdvancedRun[]>
  /**
   * Returns when to look for work again, for example to set an alarm. It is the earliest of these:
   *
   * - now, if a step is ready and not claimed;
   * - the expiry of a claim on a ready step: its worker may be dead;
   * - the next attempt of a failed step;
   * - the time until which a run waits.
   *
   * A claim without expiry never ends. Ask after `drain` has run, so that the work it left is picked up in time. If the
   * worker knows only some workflows or has only some tags, name them; otherwise work it cannot do makes the answer
   * "now" every time.
   *
   * @param options - the abilities of the worker that will look; everything by default
   * @returns milliseconds since 1970 by the backend's clock, possibly in the past; `undefined` if there is nothing to
   *   do until a run changes
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
 * Creates a timer store.
 *
 * @param database - the database that holds the runs
 * @param options - the tenant; `default` if left out
 * @returns the store. Creating one is cheap and does no I/O
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

  /** A page of due runs, the longest due first. Its cursor is absent if no later run is due. */
  async function findDue(options: PageOptions): Promise<Page<string>> {
    const page = await readPage(
      db,
      parts.due,
      EVERYTHING,
      ({ key }) => ({ wakeAt: wakeAtIn(key), runId: decodeId(key.slice(DIGITS + 1)) }),
      options,
      true,
    )
    // Read after the answer, which has just set the clock.
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
        // Each page continues after runs that other callers woke, that were skipped, or that cannot be read.
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

/** Whether the error concerns one record only. Any other error would repeat with the next run. */
const isUnreadable = (error: unknown): boolean => isHoldfastError(error, 'SERIALIZATION')

const wakeAtIn = (key: string): number => Number(key.slice(0, DIGITS))
