/**
 * Testing workflows: time that jumps, messages by schedule, a crash at every commit, and recorded logs.
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

/** A clock that moves when it is told to. */
export interface JumpingClock {
  /** Milliseconds since 1970; what drivers and `createHoldfast` take as `clock`. */
  (): number
  /** Moves it forward. */
  jump(duration: Duration): void
}

/**
 * Makes a clock that jumps.
 *
 * @param start - in milliseconds since 1970; the beginning of 2030 by default
 */
export function jumpingClock(start = 1_893_456_000_000): JumpingClock {
  let now = start
  return Object.assign(() => now, { jump: (duration: Duration) => void (now += toMilliseconds(duration, 'duration')) })
}

/** A message that comes at its time. */
export interface ScheduledMessage {
  readonly name: string
  readonly payload?: unknown
  /** So long after the beginning; at once by default. */
  readonly after?: Duration
}

/** What is played. */
export interface PlayOptions<I> extends Omit<RunOptions<I>, 'runId' | 'maxWait' | 'signal'> {
  /** `'test'` by default. */
  readonly runId?: string
  /** What the stores and the driver under them are made with. */
  readonly clock: JumpingClock
  readonly messages?: readonly ScheduledMessage[]
}

/** Time must not end the claim of what is played. */
const NEVER = '100000 days'

/** How a play has ended. */
export interface Played<R> {
  readonly outcome: RunOutcome<R>
  readonly events: readonly LogEvent[]
  /** How much time has passed in it, in milliseconds. */
  readonly elapsed: number
}

/**
 * Runs a workflow to its end in no time: where nothing is under way but waiting, the clock jumps to whatever comes next.
 *
 * @param holdfast - whose driver and database have the clock
 * @param workflow - what to run
 * @param options - the clock, the input, and the messages that come
 * @returns how it ended, and what was recorded
 * @throws `TIMEOUT` where it waits for a message that never comes, and what `run` throws
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

/** Goes on with a play that began at this time. */
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

  /** Sends what is due. */
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
      stop.abort(new HoldfastError('TIMEOUT', `Run ${JSON.stringify(runId)} waits for what never comes`))
      return
    }
    clock.jump(Math.max(next - clock(), 0))
    const isSent = await send()
    // The database learns the time from an answer.
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

/** What {@link crashEverywhere} makes its stores of. */
export interface CrashOptions<I> extends Omit<PlayOptions<I>, 'clock'> {
  /** Makes an empty backend by this clock. */
  driver(clock: JumpingClock): Driver | Promise<Driver>
  /** Makes the stores over it. */
  open(driver: Driver, clock: JumpingClock): Holdfast
  /** Called before each play, to set what the steps do back to the beginning. */
  reset?(): void
}

/**
 * Plays a workflow once undisturbed, and then once for each of its commits: the process dies before or after that commit,
 * and another one goes on.
 *
 * @param workflow - what to play
 * @param options - how to make the backend and the stores, and what is played
 * @returns how many plays there were
 * @throws `CONFLICT` where a play has ended in another way than the undisturbed one, with both outcomes in `details`
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
        throw new Error('The process is gone')
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
          `Killed ${isAfter ? 'after' : 'before'} commit ${n} it ended in another way`,
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
