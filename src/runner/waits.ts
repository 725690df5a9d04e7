/**
 * The waits of a run in its process: for times, messages and other runs. One loop attends to all of them, and decides when
 * the process need not stay.
 *
 * @module
 */
import { bell } from '../core/bell.ts'

/** One wait. */
export interface Wait {
  /** Describes the wait in the run's position. */
  readonly label: string
  /** When the wait is over, in milliseconds since 1970. */
  readonly wakeAt?: number | undefined
  /** The name of the message that it waits for. */
  readonly name?: string | undefined
  /** The id of the run that it waits for. */
  readonly runId?: string | undefined
  /** Called when the wait may be over. Reads the state, and waits again if it is not. */
  fire(): void
}

/** Options of {@link waiting}. */
export interface WaitingOptions {
  now(): number
  /** The longest time to wait while nothing else happens, in milliseconds. */
  readonly maxWait: number
  /** How often to poll for changes that are not announced, in milliseconds. */
  readonly pollInterval: number
  /** Whether the run may park: no step, commit or delivery is in progress, and no verdict or signal is there. */
  isStill(): boolean
  /** Whether no step, commit or delivery is in progress, even if the run must not park. */
  isQuiet(): boolean
  /** Lets the code come to rest. */
  turn(): Promise<void>
  /** Returns the waits that are over. */
  look(waits: readonly Wait[]): Promise<readonly Wait[]>
  /** Called when the run may park, and the next wait ends later than `maxWait` allows. */
  onPark(until: number | undefined): void
  onError(error: unknown): void
  /** Waits. In tests the clock jumps instead, if nothing is in progress. */
  readonly pause: Pause
}

/** Waits this long, or until the bell rings. Resolves to `true` if a message or another run's end may have come. */
export type Pause = (
  ms: number,
  options: { readonly isStill: boolean; readonly signal: AbortSignal; wait(ms: number): Promise<void> },
) => Promise<boolean | void>

/** The waits of one run. */
export interface Waiting {
  readonly armed: ReadonlySet<Wait>
  arm(wait: Wait): void
  /** Makes the loop look at once. */
  ring(): void
  /** Makes the loop look at once, also for messages and other runs. */
  hint(): void
  /** Attends to the waits until the signal is aborted. */
  attend(signal: AbortSignal): Promise<void>
}

type Timed = Wait & { readonly wakeAt: number }

/** Inserts a wait into a list with the earliest last. Of two with the same time, the older one stays last. */
function insert(timed: Timed[], it: Timed): void {
  let [from, to] = [0, timed.length]
  while (from < to) {
    const middle = (from + to) >> 1
    if (timed[middle]!.wakeAt > it.wakeAt) from = middle + 1
    else to = middle
  }
  timed.splice(from, 0, it)
}

/** Waits in real time. */
export const realPause: Pause = (ms, { wait }) => wait(ms)

/** Creates the waits of one run. */
export function waiting(options: WaitingOptions): Waiting {
  const { now, maxWait, pollInterval, isStill, isQuiet, turn, look, onPark, onError, pause } = options
  /** `timed`: waits with a time, the earliest last. `others`: waits for messages and runs, with or without a time. */
  const timed: Timed[] = []
  const others = new Set<Wait>()
  const armed = new Set<Wait>()
  const { ring, silence, wait } = bell()
  let isHinted = false

  const fire = (it: Wait): void => {
    others.delete(it)
    if (armed.delete(it)) it.fire()
  }
  /** Takes the next wait that is over by this time. */
  function nextDue(time: number): Wait | undefined {
    for (;;) {
      const last = timed.at(-1)
      if (last && !armed.has(last)) timed.pop()
      else return last && last.wakeAt <= time ? (timed.pop(), last) : undefined
    }
  }

  async function attend(signal: AbortSignal): Promise<void> {
    let idleSince: number | undefined
    let lookAt = 0
    while (!signal.aborted) {
      silence()
      const time = now()
      for (let due = nextDue(time); due; due = nextDue(time)) fire(due)
      if (others.size > 0 && (isHinted || time >= lookAt)) {
        isHinted = false
        const isFirst = lookAt === 0
        lookAt = time + pollInterval
        // Each wait has looked when it began.
        if (!isFirst) for (const it of await look([...others])) fire(it)
      }
      if (signal.aborted) return
      if (isStill()) {
        await turn()
        await turn()
      }
      const isIdle = isStill() && armed.size > 0
      if (!isIdle) idleSince = undefined
      else idleSince ??= time
      const next = timed.at(-1)?.wakeAt ?? Infinity
      const end = idleSince === undefined ? Infinity : idleSince + maxWait
      if (isIdle && next > time && (next > end || time >= end) && (next !== Infinity || time >= end)) {
        onPark(next === Infinity ? undefined : next)
        return
      }
      const until = Math.min(next, end, others.size > 0 ? lookAt : Infinity)
      const ms = Math.max(until - now(), 0)
      isHinted = (await pause(ms, { isStill: isQuiet(), signal, wait: (ms) => wait(ms, signal) })) || isHinted
    }
  }

  /** Most runs wait for nothing most of the time: then the loop has nothing to look at. */
  function wake(): void {
    if (armed.size > 0) ring()
  }

  return {
    armed,
    arm(it) {
      armed.add(it)
      if (it.wakeAt === undefined || it.name !== undefined || it.runId !== undefined) others.add(it)
      if (it.wakeAt !== undefined) insert(timed, it as Timed)
      ring()
    },
    ring: wake,
    hint() {
      isHinted = true
      wake()
    },
    attend: (signal) =>
      attend(signal).catch((error: unknown) => {
        if (!signal.aborted) onError(error)
      }),
  }
}
