/**
 * What a run waits for in its process: times, messages, other runs. One loop looks after all of it, and says when the process
 * need not stay.
 *
 * @module
 */
import { bell } from '../core/bell.ts'

/** Something that is waited for. */
export interface Wait {
  /** In words, for whoever looks at the run. */
  readonly label: string
  /** When it is over, in milliseconds since 1970. */
  readonly wakeAt?: number | undefined
  /** The name of the message. */
  readonly name?: string | undefined
  /** The id of the run. */
  readonly runId?: string | undefined
  /** Its time has come, or what it waits for may be there: looks, and waits again where it is not. */
  fire(): void
}

/** What the loop asks of whoever runs the workflow. */
export interface WaitingOptions {
  now(): number
  /** For how long it may stay where nothing else is to be done, in milliseconds. */
  readonly maxWait: number
  /** How often to look for what is not announced, in milliseconds. */
  readonly pollInterval: number
  /** Whether nothing is under way: no step, no commit, no delivery. */
  isStill(): boolean
  /** The same, also where it must not park. */
  isQuiet(): boolean
  /** Lets the code come to rest. */
  turn(): Promise<void>
  /** Which of these have come. */
  look(waits: readonly Wait[]): Promise<readonly Wait[]>
  /** Nothing is under way, and what comes next is too far away. */
  onPark(until: number | undefined): void
  onError(error: unknown): void
  /** Waits; a testing clock jumps instead where nothing is under way. */
  readonly pause: Pause
}

/** Waits for so long, or until the bell rings. Resolves with `true` where something may have come from outside. */
export type Pause = (
  ms: number,
  options: { readonly isStill: boolean; readonly signal: AbortSignal; wait(ms: number): Promise<void> },
) => Promise<boolean | void>

/** The waits of one run. */
export interface Waiting {
  readonly armed: ReadonlySet<Wait>
  arm(wait: Wait): void
  /** Something has changed: looks at once. */
  ring(): void
  /** Something may have come from outside: looks for that, too. */
  hint(): void
  /** Looks after the waits until the signal is aborted. */
  attend(signal: AbortSignal): Promise<void>
}

type Timed = Wait & { readonly wakeAt: number }

/** Inserts before what is earlier, and before what has the same time and was there first. */
function insert(timed: Timed[], it: Timed): void {
  let [from, to] = [0, timed.length]
  while (from < to) {
    const middle = (from + to) >> 1
    if (timed[middle]!.wakeAt > it.wakeAt) from = middle + 1
    else to = middle
  }
  timed.splice(from, 0, it)
}

/** Timers of runtimes are 32 bits. */
const LONGEST = 2 ** 31 - 1

/** Real time. */
export const realPause: Pause = (ms, { wait }) => wait(Math.min(ms, LONGEST))

/** Makes the waits of one run. */
export function waiting(options: WaitingOptions): Waiting {
  const { now, maxWait, pollInterval, isStill, isQuiet, turn, look, onPark, onError, pause } = options
  /** What has a time, the earliest last; and what waits for something else, with or without a time. */
  const timed: Timed[] = []
  const others = new Set<Wait>()
  const armed = new Set<Wait>()
  const { ring, silence, wait } = bell()
  let isHinted = false

  const fire = (it: Wait): void => {
    others.delete(it)
    if (armed.delete(it)) it.fire()
  }
  /** The next that is over by then. */
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
        // Whoever begins to wait has looked by itself.
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
      isHinted =
        (await pause(ms, { isStill: isQuiet(), signal, wait: (ms) => wait(ms === Infinity ? LONGEST : ms, signal) })) ||
        isHinted
    }
  }

  return {
    armed,
    arm(it) {
      armed.add(it)
      if (it.wakeAt === undefined || it.name !== undefined || it.runId !== undefined) others.add(it)
      if (it.wakeAt !== undefined) insert(timed, it as Timed)
      ring()
    },
    ring,
    hint() {
      isHinted = true
      ring()
    },
    attend: (signal) =>
      attend(signal).catch((error: unknown) => {
        if (!signal.aborted) onError(error)
      }),
  }
}
