/**
 * The order of a run: one queue of events, delivered to the workflow in the order of the log, in a first run and in a replay
 * alike.
 *
 * Before each delivery the code comes to rest: it may be about to make further calls, whose order counts. Nothing is begun
 * while events are left to be delivered. An event that no call waits for was written by other code, and that is found
 * before anything is done again.
 *
 * @module
 */
import { HoldfastError } from '../core/errors.ts'
import { type LogEvent, callOf, isNote } from './events.ts'

/** Something the workflow waits for. */
export interface Call {
  /** Kind, name and number, as in the log. */
  readonly key: string
  /** Begins its work, or goes on with it. Called once, when the log holds nothing more. */
  begin(): void
  /** The turn of an event of its own. */
  take(event: LogEvent): void
}

/** What the queue asks of whoever runs the workflow. */
export interface DeliveryOptions {
  readonly runId: string
  /** What the log held at the beginning. */
  readonly events: readonly LogEvent[]
  /** For how long code that is not at rest may keep the log waiting, in milliseconds. */
  readonly grace: number
  /** Resolves after a turn of the event loop. */
  turn(): Promise<void>
  /** Resolves after so many milliseconds. */
  pause(ms: number): Promise<void>
  /** Whether calls may begin their work. */
  mayBegin(): boolean
  /** Whether the workflow has ended, so that no further call is made. */
  hasEnded(): boolean
  /** An event of the run as a whole has come that nobody waits for yet; tells whether somebody does now. */
  meet(event: LogEvent): boolean
  /** The code is not the code that wrote the log. */
  onMismatch(error: HoldfastError): void
  /** All is delivered, and whatever may begin has begun. */
  onRest(): void
}

/** The queue of a run. */
export interface Deliveries {
  /** Makes a call outstanding. */
  add(call: Call): void
  /** An event was recorded just now. */
  push(event: LogEvent): void
  /** Looks again whether something can be delivered or begun. */
  pump(): void
  /** Delivers and begins nothing more. */
  stop(): void
  /** Whether a call of this key is outstanding. */
  has(key: string): boolean
  /** How many events of the beginning are left to be delivered. */
  readonly past: number
  /** Whether it delivers at this moment, or has something to deliver or begin. */
  readonly isBusy: boolean
  /** When the event delivered last was recorded; `undefined` before the first. */
  readonly now: number | undefined
}

/** Turns that code gets before time is measured: most of it needs none of them. */
const TURNS = 3

/** Makes the queue of a run. */
export function deliveries(options: DeliveryOptions): Deliveries {
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

  function mismatch({ seq, kind, stepId = '' }: LogEvent): HoldfastError {
    const recorded = `${kind.split('.')[0]!} ${JSON.stringify(stepId)}`
    const keys = [...outstanding.keys()].map((key) =>
      key.replace(/ (.*)$/s, (_, id: string) => ` ${JSON.stringify(id)}`),
    )
    const instead = hasEnded()
      ? 'has ended'
      : keys.length > 0
        ? `waits for ${keys.slice(0, 3).join(', ')}`
        : 'waits for nothing'
    return new HoldfastError(
      'NON_DETERMINISTIC',
      `Run ${JSON.stringify(runId)} recorded ${kind} ${stepId === '' ? '' : `${recorded} `}next, as number ${seq}, but the workflow ${instead}. ` +
        'Restore the code that wrote the log, or guard the change with ctx.patch()',
      { details: { runId, seq, recorded: kind, stepId, waitsFor: [...outstanding.keys()] } },
    )
  }

  async function deliver(event: LogEvent): Promise<void> {
    const key = callOf(event)!
    const note = isNote(event)
    if (!note || !outstanding.has(key)) await turn()
    // Commits that left together are answered one after the other: one of a lower number may have come.
    if (isOver || queue[delivered] !== event) return
    if (!outstanding.has(key) && !meet(event)) {
      await rest(key)
      if (isOver || queue[delivered] !== event) return
      if (!outstanding.has(key) && !meet(event)) {
        onMismatch(mismatch(event))
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
      // oxlint-disable-next-line no-unmodified-loop-condition -- whoever is called may stop it
      while (!isOver) {
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
      // The code may be about to make further calls in this very turn.
      queueMicrotask(() => void pump())
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
