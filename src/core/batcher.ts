/**
 * Calls that are made together leave together.
 *
 * A call waits until the turn of the event loop has nothing more to add, or while an earlier batch is under way, and
 * then leaves with all that has gathered. A lone call pays a few microtasks for it; a hundred share one round trip.
 * Databases call it group commit.
 *
 * @module
 */
import { systemClock } from './clock.ts'
import { aborted } from './errors.ts'

/**
 * Microtasks in a row without a new call after which the turn counts as over: enough for callers that were resumed by
 * the same answer to make their next call, however many `await`s of ours and theirs lie between.
 */
const QUIET = 8
/** The longest that synchronous drivers may keep the event loop from turning, in milliseconds. */
const MAX_TURN = 50
/** For how long after a turn none is asked for, in milliseconds: browsers make a timer for every batch dear. */
const TURNED = 25

/** One call, waiting or under way. */
export interface Call<Item, Result> {
  readonly items: readonly Item[]
  readonly bytes: number
  readonly resolve: (result: Result) => void
  readonly reject: (error: unknown) => void
  readonly signal: AbortSignal | undefined
  /** Tells the batch that it is under way in that nobody waits for this call any more. */
  leave?: () => void
}

/** How much leaves together, and who takes it away. */
export interface BatcherOptions<Item, Result> {
  readonly maxItems: number
  readonly maxBytes: number
  /** Whether calls share batches at all. */
  readonly group: boolean
  /** Whether an aborted call under way may have changed something. */
  readonly ambiguous: boolean
  /** Waited for before a batch is made up; where it throws, all that waits has failed, and nothing was sent. */
  readonly ready: () => Promise<void> | undefined
  /** Answers every call of the batch, and never rejects. */
  readonly send: (batch: readonly Call<Item, Result>[], signal: AbortSignal | undefined) => Promise<void>
}

/** A signal for the driver: aborted when every caller of the batch has gone, and never before. */
function joint<Item, Result>(batch: readonly Call<Item, Result>[]): AbortSignal | undefined {
  if (!batch.every((call) => call.signal)) return undefined
  const controller = new AbortController()
  let waiting = batch.length
  for (const call of batch) {
    call.leave = () => {
      if (--waiting === 0) controller.abort(call.signal!.reason)
    }
  }
  return controller.signal
}

/**
 * Makes what is called before every batch: it lets the event loop turn where that has not happened for a while. Answers
 * of a synchronous driver come in microtasks, and a loop of awaited calls would keep every timer and request waiting.
 */
function turns(): () => Promise<void> | undefined {
  let next: Promise<void> | undefined
  let askedAt = 0
  let turnedAt = 0
  return () => {
    const now = systemClock()
    if (next) return now - askedAt > MAX_TURN ? next : undefined
    if (Math.abs(now - turnedAt) < TURNED) return undefined
    askedAt = now
    next = new Promise((resolve) => {
      const turned = (): void => {
        next = undefined
        turnedAt = systemClock()
        resolve()
      }
      ;(globalThis.setImmediate ?? setTimeout)(turned)
    })
    return undefined
  }
}

/** Gathers calls into batches, one under way at a time, in the order of the calls. */
export interface Batcher<Item, Result> {
  add(items: readonly Item[], bytes: number, signal: AbortSignal | undefined): Promise<Result>
  /** Resolves when nothing waits and nothing is under way. */
  idle(): Promise<void>
}

export function batcher<Item, Result>(options: BatcherOptions<Item, Result>): Batcher<Item, Result> {
  type C = Call<Item, Result>
  const queue: C[] = []
  /** Set as long as something waits or is under way. */
  let running: Promise<void> | undefined
  /** Called when the last call that waited has gone. */
  let onDeserted: (() => void) | undefined
  const turn = turns()

  async function run(): Promise<void> {
    while (queue.length > 0) {
      await turn()
      await ready()
      await settled()
      const batch = queue.splice(0, countTogether())
      if (batch.length > 0) await options.send(batch, joint(batch))
    }
    running = undefined
  }

  /** Waits until a batch can be sent, or nobody wants one. */
  async function ready(): Promise<void> {
    // Asked again: where all have gone, others may have come since.
    while (queue.length > 0) {
      const it = options.ready()
      if (!it) return
      try {
        await Promise.race([it, new Promise<void>((resolve) => (onDeserted = resolve))])
      } catch (error) {
        for (const call of queue.splice(0)) call.reject(error)
      }
    }
  }

  /** Waits until nothing was added for some microtasks. */
  async function settled(): Promise<void> {
    let seen = 0
    for (let quiet = 0; quiet <= QUIET && queue.length < options.maxItems; quiet++) {
      if (queue.length > seen) quiet = 0
      seen = queue.length
      await Promise.resolve()
    }
  }

  /** How many of the calls that wait fit into one batch: at least the first. */
  function countTogether(): number {
    let items = 0
    let bytes = 0
    const tooMany = queue.findIndex((call, i) => {
      items += call.items.length
      bytes += call.bytes
      return i > 0 && (!options.group || items > options.maxItems || bytes > options.maxBytes)
    })
    return tooMany < 0 ? queue.length : tooMany
  }

  function add(items: readonly Item[], bytes: number, signal: AbortSignal | undefined): Promise<Result> {
    let onAbort!: () => void
    const result = new Promise<Result>((resolve, reject) => {
      const call: C = { items, bytes, signal, resolve, reject }
      onAbort = () => {
        const at = queue.indexOf(call)
        if (at >= 0) queue.splice(at, 1)
        if (queue.length === 0) onDeserted?.()
        call.leave?.()
        reject(aborted(signal!, options.ambiguous && at < 0))
      }
      queue.push(call)
    })
    running ??= run()
    if (!signal) return result
    signal.addEventListener('abort', onAbort)
    // A signal may outlive many calls, and must not collect their listeners.
    return result.finally(() => signal.removeEventListener('abort', onAbort))
  }

  return { add, idle: async () => running }
}
