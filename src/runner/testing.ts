/**
 * Tests workflows: a clock that jumps, scheduled messages, a crash at every commit, and replays of recorded logs.
 *
 * @module
 */
import { requireGiven } from '../core/arguments.ts'
import type { Driver } from '../core/driver.ts'
import { HoldfastError, isHoldfastError } from '../core/errors.ts'
import { isSame } from '../core/objects.ts'
import type { Holdfast } from '../holdfast.ts'
import { type Duration, toMilliseconds } from '../core/duration.ts'
import type { LogEvent } from './events.ts'
import { runOne } from './run.ts'
import type { AnyWorkflow, Messages, RunOptions, RunOutcome, WorkflowDefinition } from './types.ts'
import type { Pause } from './waits.ts'

export { type RecordedRun, type Replayed, replay } from './replay.ts'

/** A clock that moves only on request. */
export interface JumpingClock {
  /** Returns the time in milliseconds since 1970. Pass the clock as `clock` to drivers and to `createHoldfast`. */
  (): number
  /**
   * Moves the clock forward.
   *
   * @param duration - from 0 ms
   * @throws `INVALID_ARGUMENT` for a malformed duration
   */
  jump(duration: Duration): void
}

/**
 * Creates a clock that moves only on request.
 *
 * @param start - the first time, in milliseconds since 1970; the beginning of 2030 by default
 * @returns the clock
 */
export function jumpingClock(start = 1_893_456_000_000): JumpingClock {
  let now = start
  return Object.assign(() => now, { jump: (duration: Duration) => void (now += toMilliseconds(duration, 'duration')) })
}

/** A message that {@link play} sends at a set time. */
export interface ScheduledMessage {
  readonly name: string
  readonly payload?: unknown
  /** The time after the start of the play; 0 by default. */
  readonly after?: Duration
}

/** Options of {@link play}. */
export interface PlayOptions<I> extends Omit<RunOptions<I>, 'runId' | 'maxWait' | 'signal'> {
  /** `'test'` by default. */
  readonly runId?: string
  /** The clock of the stores and of their driver. */
  readonly clock: JumpingClock
  /** The messages to send; none by default. */
  readonly messages?: readonly ScheduledMessage[]
}

/** The default lease: no jump of the clock must end the claim. */
const NEVER = '100000 days'

/** The result of a play. */
export interface Played<R> {
  readonly outcome: RunOutcome<R>
  /** The run's log. */
  readonly events: readonly LogEvent[]
  /** The time that passed on the clock, in milliseconds. */
  readonly elapsed: number
}

/**
 * Runs a workflow to its end without real waits. When the workflow only waits, the clock jumps to the next timer or
 * message.
 *
 * @param holdfast - the stores, over a driver and a database with the same clock
 * @param workflow - made by `defineWorkflow`
 * @param options - the clock, the input, and the messages to send
 * @returns the outcome, the log, and the time that passed on the clock
 * @throws `TIMEOUT` if the workflow waits for a message that never comes; also the errors of `run`
 *
 * @example
 * ```ts
 * import { createHoldfast, memory } from 'holdfast'
 * import { defineWorkflow } from 'holdfast/run'
 * import { jumpingClock, play } from 'holdfast/run/testing'
 *
 * const clock = jumpingClock()
 * const holdfast = createHoldfast({ driver: memory({ clock }), clock })
 * const patient = defineWorkflow({ name: 'patient' }, async (ctx) => {
 *   await ctx.sleep('30 days')
 *   return ctx.message('approved', { timeout: '2 days' })
 * })
 * const messages = [{ after: '31 days', name: 'approved', payload: 'yes' }] as const
 * const { outcome, elapsed } = await play(holdfast, patient, { clock, messages })
 * console.log(outcome, elapsed / 86_400_000) // { status: 'completed', result: 'yes' } 31
 * ```
 */
export const play = <I, R, M extends Messages>(
  holdfast: Holdfast,
  workflow: WorkflowDefinition<I, R, M>,
  options: PlayOptions<I>,
): Promise<Played<R>> => playSince(requireGiven(options, 'options').clock(), holdfast, workflow, options)

/** Plays a workflow. `began` is the start of the schedule: a play that continues after a crash keeps its first start. */
async function playSince<I, R, M extends Messages>(
  began: number,
  holdfast: Holdfast,
  workflow: WorkflowDefinition<I, R, M>,
  options: PlayOptions<I>,
): Promise<Played<R>> {
  const { clock, messages = [], runId = 'test', lease = NEVER, ...rest } = options
  const schedule = messages
    .map((it, i) => ({ ...it, i, at: began + toMilliseconds(it.after ?? 0, 'after') }))
    .toSorted((a, b) => a.at - b.at)

  /** Sends the messages that are due. Returns whether there were any. */
  async function send(): Promise<boolean> {
    const before = schedule.length
    while (schedule[0] && schedule[0].at <= clock()) {
      const { name, payload, i } = schedule.shift()!
      await holdfast.signals
        .sendMessage(runId, name, payload, { idempotencyKey: `scheduled ${i}` })
        .catch((error: unknown) => {
          if (!isHoldfastError(error, 'ALREADY_COMPLETED')) throw error
        })
    }
    return schedule.length < before
  }
  const stop = new AbortController()
  const pause: Pause = async (ms, { isStill, wait }) => {
    if (!isStill) return wait(Math.min(ms, 5))
    const next = Math.min(schedule[0]?.at ?? Infinity, clock() + ms)
    if (next === Infinity) {
      stop.abort(
        new HoldfastError(
          'TIMEOUT',
          `Run ${JSON.stringify(runId)} waits for a message that never comes. Add the message to messages`,
        ),
      )
      return
    }
    clock.jump(Math.max(next - clock(), 0))
    const isSent = await send()
    // The database learns the new time from the answer.
    await holdfast.db.health()
    return isSent
  }
  await holdfast.db.open()
  const given = { ...rest, runId, lease, signal: stop.signal } as RunOptions
  const outcome = (await runOne(holdfast, workflow, given, { pause, pollInterval: Infinity }).catch(
    (error: unknown) => {
      throw stop.signal.aborted ? stop.signal.reason : error
    },
  )) as RunOutcome<R>
  const { events = [] } = (await holdfast.persistence.load(runId)) ?? {}
  return { outcome, events, elapsed: clock() - began }
}

/** Options of {@link crashEverywhere}. */
export interface CrashOptions<I> extends Omit<PlayOptions<I>, 'clock'> {
  /** Creates a driver with this clock over an empty backend. */
  driver(clock: JumpingClock): Driver | Promise<Driver>
  /** Creates the stores over the driver. */
  open(driver: Driver, clock: JumpingClock): Holdfast
  /** Called before each play. Resets the test's own state, such as a list of effects. */
  reset?(): void
}

/**
 * Plays a workflow once without a crash, and then twice for each of its commits: the process dies once before and once
 * after that commit, and another process continues.
 *
 * @param workflow - made by `defineWorkflow`
 * @param options - how to create the driver and the stores, and what to play
 * @returns the number of plays
 * @throws `CONFLICT` if a play with a crash ended in another way than the first play, with both outcomes in `details`; also
 *   the errors of {@link play}
 */
export async function crashEverywhere<I>(workflow: AnyWorkflow, options: CrashOptions<I>): Promise<number> {
  const { driver: make, open, reset, ...rest } = requireGiven(options, 'options')
  const onError = (): void => {}

  async function attempt(n: number, isAfter: boolean): Promise<{ readonly outcome: unknown; readonly isCut: boolean }> {
    reset?.()
    const clock = jumpingClock()
    const began = clock()
    const driver = { ...(await make(clock)) }
    const close = driver.close
    driver.close = async () => {}
    let commits = 0
    const mortal: Driver = {
      ...driver,
      async commit(request, callOptions) {
        if (++commits < n) return driver.commit(request, callOptions)
        if (isAfter && commits === n) await driver.commit(request, callOptions)
        throw new Error('The process was killed')
      },
    }
    const first = open(mortal, clock)
    try {
      const whole = await play(first, workflow, { onError, ...rest, clock } as never)
      return { outcome: whole.outcome, isCut: false }
    } catch (error) {
      if (commits < n) throw error
    } finally {
      await first.close().catch(() => {})
    }
    const second = open(driver, clock)
    try {
      await second.claims.forceReleaseClaim(rest.runId ?? 'test')
      return {
        outcome: (await playSince(began, second, workflow, { onError, ...rest, clock } as never)).outcome,
        isCut: true,
      }
    } finally {
      await second.close()
      await close()
    }
  }

  const { outcome: expected } = await attempt(Infinity, false)
  let plays = 1
  for (const isAfter of [false, true]) {
    for (let n = 1; ; n++) {
      const { outcome: found, isCut } = await attempt(n, isAfter)
      plays++
      if (!isSame(found, expected)) {
        throw new HoldfastError(
          'CONFLICT',
          `A crash ${isAfter ? 'after' : 'before'} commit ${n} changed the outcome. Compare expected and found in details`,
          {
            details: { expected, found },
          },
        )
      }
      if (!isCut) break
    }
  }
  return plays
}
