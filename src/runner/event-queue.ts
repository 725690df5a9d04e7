/**
 * The event queue of a run. It delivers events to the workflow in the order of the log, in a first run and in a replay
 * alike.
 *
 * Before each delivery the queue lets the code come to rest: it may be about to make further calls, whose order counts. No
 * call begins while events are left to deliver. An event that no call waits for was written by other code, and this is
 * found before any step is repeated.
 *
 * @module
 */
import type { HoldfastError } from '../core/errors.ts'
import { type LogEvent, callOf, isNote } from './events.ts'
import { mismatch } from './mismatch.ts'

/** A call of the workflow that waits for an event. */
export interface Call {
  /** Kind, name and number, as in the log. */
  readonly key: string
  /** Begins or continues the work. Called once, after every event of the log was delivered. */
  begin(): void
  /** Takes an event of this call, in its turn. */
  take(event: LogEvent): void
}

/** Options of {@link eventQueue}. */
export interface EventQueueOptions {
  readonly runId: string
  /** The events of the log at the beginning. */
  readonly events: readonly LogEvent[]
  /** How long to wait for code that is not at rest, in milliseconds. */
  readonly grace: number
  /** Resolves after a turn of the event loop. */
  turn(): Promise<void>
  /** Resolves after this many milliseconds. */
  pause(ms: number): Promise<void>
  /** Whether calls may begin their work. */
  mayBegin(): boolean
  /** Whether the workflow has ended. It then makes no further calls. */
  hasEnded(): boolean
  /** Called for an event that no call waits for yet. Returns whether one does now. */
  meet(event: LogEvent): boolean
  /** Called if other code wrote the log. */
  onMismatch(error: HoldfastError): void
  /** Called when every event is delivered, and every call that may begin has begun. */
  onRest(): void
}

/** The queue of a run. */
export interface EventQueue {
  /** Adds a call that waits. */
  add(call: Call): void
  /** Adds an event that was just recorded. */
  push(event: LogEvent): void
  /** Delivers events and begins calls, if it can. */
  pump(): void
  /** Stops: no more deliveries, and no more calls begin. */
  stop(): void
  /** Whether a call of this key waits. */
  has(key: string): boolean
  /** How many events were delivered. */
  readonly delivered: number
  /** How many events of the loaded log are left to deliver. */
  readonly past: number
  /** Whether the queue is delivering, or has an event to deliver or a call to begin. */
  readonly isBusy: boolean
  /** When the last delivered event was recorded; `undefined` before the first. */
  readonly now: number | undefined
}

/** Turns of the event loop that the code gets before `grace` counts. Most code needs none of them. */
const TURNS = 3

/** Creates the queue of a run. */
export function eventQueue(options: EventQueueOptions): EventQueue {
  const { runId, grace, turn, pause, mayBegin, hasEnded, meet, onMismatch, onRest } = options
  const queue: LogEvent[] = [...options.events]
  const loaded = queue.length
  const outstanding = new Map<string, Call>()
  const fresh = new Set<Call>()
  let delivered = 0
  let isPumping = false
  let isOver = false
  let now: number | undefined
  let onCall: (() => void) | undefined

  const isThere = (key: string): boolean => isOver || outstanding.has(key)

  /** Gives the code time to make the call that an event belongs to. */
  async function rest(key: string): Promise<void> {
    for (let i = 0; i < TURNS && !isThere(key); i++) await turn()
    const end = performance.now() + grace
    while (!isThere(key) && !hasEnded()) {
      const left = end - performance.now()
      if (left <= 0) return
      await Promise.race([new Promise<void>((resolve) => (onCall = resolve)), pause(left)])
    }
  }

  async function deliver(event: LogEvent): Promise<void> {
    const key = callOf(event)!
    const note = isNote(event)
    if (!note || !outstanding.has(key)) await turn()
    // Commits sent together are answered one by one, so an event with a lower seq may have come meanwhile.
    if (isOver || queue[delivered] !== event) return
    if (!outstanding.has(key) && !meet(event)) {
      await rest(key)
      if (isOver || queue[delivered] !== event) return
      if (!outstanding.has(key) && !meet(event)) {
        onMismatch(mismatch(runId, event, [...outstanding.keys()], hasEnded()))
        return
      }
    }
    const call = outstanding.get(key)!
    delivered++
    if (!note) {
      now = event.at
      outstanding.delete(key)
      fresh.delete(call)
    }
    call.take(event)
  }

  async function pump(): Promise<void> {
    if (isPumping || isOver) return
    isPumping = true
    try {
      for (;;) {
        // A call may have stopped the queue.
        if (isOver) break
        const event = queue[delivered]
        if (event) {
          await deliver(event)
          continue
        }
        const [next] = mayBegin() ? fresh : []
        if (!next) break
        fresh.delete(next)
        next.begin()
      }
    } finally {
      isPumping = false
    }
    if (!isOver) onRest()
  }

  return {
    add(call) {
      outstanding.set(call.key, call)
      fresh.add(call)
      onCall?.()
      // The code may make further calls in this very turn.
      void Promise.resolve().then(pump)
    },
    push(event) {
      let at = queue.length
      while (at > delivered && queue[at - 1]!.seq > event.seq) at--
      queue.splice(at, 0, event)
      void pump()
    },
    pump: () => void pump(),
    stop() {
      isOver = true
      onCall?.()
    },
    has: (key) => outstanding.has(key),
    get delivered() {
      return delivered
    },
    get past() {
      return Math.max(loaded - delivered, 0)
    },
    get isBusy() {
      return isPumping || delivered < queue.length || (fresh.size > 0 && mayBegin())
    },
    get now() {
      return now
    },
  }
}
