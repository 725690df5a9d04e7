/**
 * Group commit: calls made together are sent together.
 *
 * A call waits until the current turn of the event loop adds no more calls, or until the batch under way is answered.
 * It is then sent with all other waiting calls. A lone call waits a few microtasks; a hundred calls share one round
 * trip.
 *
 * @module
 */
import { whenAborted } from './abort.ts'
import { HoldfastError, aborted } from './errors.ts'
import { after, monotonic, turns } from './event-loop.ts'

/**
 * The number of microtasks in a row without a new call after which the turn counts as over. It is large enough for
 * callers that were resumed by the same answer to make their next call, even through several `await`s.
 */
const QUIET = 8
/** The longest that a batch of a synchronous driver should block the event loop, in milliseconds. */
const MAX_BLOCKING = 5
/** The smallest limit for a batch of a synchronous driver, in calls. */
const MIN_BATCH = 128
const FIRST_BATCH = 256
/** The largest limit: the callers of a batch are all resumed in one turn, which takes as long again. */
const MAX_BATCH = 2048
/** When more parts of pending calls than this are indexed, those whose calls are settled are removed. */
const MAX_INDEXED = 10_000
/**
 * How much longer a call under way waits than the driver's own timeout, in milliseconds: the driver's error says more.
 */
const GRACE = 500

/** One call, waiting or under way. */
export interface Call<Item, Result> {
  readonly items: readonly Item[]
  readonly bytes: number
  readonly resolve: (result: Result) => void
  readonly reject: (error: unknown) => void
  readonly signal: AbortSignal | undefined
  /** When the call was made, by the monotonic clock. */
  readonly madeAt: number
  /** Whether the caller has stopped waiting. */
  isGone: boolean
  /** Tells the batch under way that this caller has stopped waiting; absent while the call is queued. */
  leave?: () => void
}

/** The limits of batches and of the queue, and how batches are sent. */
export interface BatcherOptions<Item, Result> {
  /** The most items in one batch. */
  readonly maxItems: number
  /** The most bytes in one batch. */
  readonly maxBytes: number
  /** The most calls in the queue. */
  readonly maxQueuedCalls: number
  /** The most bytes in the queue. One call alone may exceed it. */
  readonly maxQueuedBytes: number
  /** The longest that a call may take, counted from when it was made, in milliseconds; unlimited by default. */
  readonly timeout?: number | undefined
  /** Whether calls share batches. */
  readonly group: boolean
  /** Whether a call that is given up while under way may have changed something. */
  readonly ambiguous: boolean
  /** The parts that an item changes, for {@link Batcher.settled}. */
  readonly partsOf: (item: Item) => readonly string[]
  /** Awaited before a batch is made. If it rejects, all waiting calls fail with its error, and nothing is sent. */
  readonly ready: () => Promise<void> | undefined
  /** Sends the batch and answers every call in it. Never rejects. */
  readonly send: (batch: readonly Call<Item, Result>[], signal: AbortSignal | undefined) => Promise<void>
}

/** Sends calls in batches, one batch at a time, in the order of the calls. */
export interface Batcher<Item, Result> {
  /** @throws `OVERLOADED` if the queue is full */
  add(items: readonly Item[], bytes: number, signal: AbortSignal | undefined): Promise<Result>
  /**
   * Resolves when an earlier call, and all before it, are settled; `undefined` if none is pending.
   *
   * @param concerns - picks the call: gets the number of the last pending call for each part, returns one of the
   *   numbers
   */
  settled(concerns: (pending: ReadonlyMap<string, number>) => number): Promise<void> | undefined
  /** Resolves when no call is waiting or under way. */
  idle(): Promise<void>
}

const nothing = (): void => {}

/** Makes a signal for the driver. It is aborted once every caller of the batch has stopped waiting. */
function joint<Item, Result>(batch: readonly Call<Item, Result>[], canLeave: boolean): AbortSignal | undefined {
  if (!canLeave && !batch.every((call) => call.signal)) {
    for (const call of batch) call.leave = nothing
    return undefined
  }
  const controller = new AbortController()
  let waiting = batch.length
  for (const call of batch) {
    call.leave = () => {
      if (--waiting === 0) controller.abort(call.signal?.reason)
    }
  }
  return controller.signal
}

export function batcher<Item, Result>(options: BatcherOptions<Item, Result>): Batcher<Item, Result> {
  type C = Call<Item, Result>
  const { maxItems, timeout } = options
  /** Waiting calls, from index `first` on. Calls that were given up stay in it, so that an abort moves no others. */
  let queue: C[] = []
  let first = 0
  /** The number of waiting calls that were not given up. */
  let waiting = 0
  let waitingBytes = 0
  /** Calls are numbered in order. All calls up to this number are settled. */
  let settledThrough = 0
  /** The number of the first call in the queue. */
  let firstNumber = 1
  /** The calls of the batch under way. */
  let sent: readonly C[] = []
  /** Set while calls are waiting or under way. */
  let running: Promise<void> | undefined
  /** Called when the last waiting call is given up. */
  let onDeserted: (() => void) | undefined
  /** The most calls per batch: as many as do not block the event loop for too long. */
  let batchLimit = FIRST_BATCH
  let stopTimer: (() => void) | undefined
  const turn = turns()

  /** For each part, the number of its last call among those up to `indexed`. Filled only when asked for. */
  const pending = new Map<string, number>()
  let indexed = 0
  const settling = new Map<number, { promise: Promise<void>; resolve: () => void }>()

  const isWanted = (): boolean => waiting > 0
  /** Whether the next batch is full already. */
  const isFull = (): boolean => waiting >= batchLimit

  async function run(): Promise<void> {
    while (isWanted()) {
      await turn.take()
      const opening = options.ready()
      if (opening) {
        await opened(opening)
        continue
      }
      await gathered()
      await turn.overdue?.()
      // If all waiting calls were given up while opening, new ones may need another open.
      if (options.ready()) continue
      const batch = take()
      if (batch.length > 0) await dispatch(batch)
    }
    running = undefined
    // Only calls that were given up are left.
    firstNumber += queue.length - first
    queue = []
    first = 0
    settle()
    stopTimer?.()
    stopTimer = undefined
  }

  /** Waits until calls can be sent, or all were given up. If opening fails, all waiting calls fail. */
  async function opened(opening: Promise<void>): Promise<void> {
    try {
      await Promise.race([opening, new Promise<void>((resolve) => (onDeserted = resolve))])
    } catch (error) {
      for (const call of takeAll()) call.reject(error)
      settle()
    }
  }

  /** Waits until some microtasks in a row have added no call. */
  async function gathered(): Promise<void> {
    let seen = 0
    for (let quiet = 0; quiet <= QUIET && !isFull(); quiet++) {
      if (waiting > seen) quiet = 0
      seen = waiting
      await Promise.resolve()
    }
  }

  /** Takes the calls of one batch from the queue: at least one, and as many as fit. */
  function take(): C[] {
    const batch: C[] = []
    let items = 0
    let bytes = 0
    for (; first < queue.length; first++, firstNumber++) {
      const call = queue[first]!
      if (call.isGone) continue
      items += call.items.length
      bytes += call.bytes
      const isFurther = batch.length > 0
      if (isFurther && (!options.group || batch.length === batchLimit || items > maxItems || bytes > options.maxBytes))
        break
      batch.push(call)
    }
    return taken(batch)
  }

  function takeAll(): C[] {
    const calls = queue.slice(first).filter((call) => !call.isGone)
    firstNumber += queue.length - first
    first = queue.length
    return taken(calls)
  }

  function taken(calls: C[]): C[] {
    waiting -= calls.length
    for (const call of calls) waitingBytes -= call.bytes
    // The array is copied only now and then.
    if (first > FIRST_BATCH && first * 2 > queue.length) {
      queue = queue.slice(first)
      first = 0
    }
    return calls
  }

  async function dispatch(batch: readonly C[]): Promise<void> {
    sent = batch
    const start = monotonic()
    const sending = options.send(batch, joint(batch, timeout !== undefined))
    const blocked = monotonic() - start
    // A synchronous driver has finished its work by now.
    const fitting = blocked > 0 ? Math.floor((batch.length * MAX_BLOCKING) / blocked) : Infinity
    if (fitting < batchLimit || batch.length === batchLimit)
      batchLimit = Math.max(MIN_BATCH, Math.min(fitting, 2 * batchLimit, maxItems, MAX_BATCH))
    turn.sent?.(sending)
    await sending
    sent = []
    settle()
  }

  /** Marks all calls before the queue as settled. */
  function settle(): void {
    settledThrough = firstNumber - 1
    // Clearing an empty map takes longer than this check.
    if (waiting === 0) {
      if (pending.size > 0) pending.clear()
    } else if (pending.size > MAX_INDEXED)
      for (const [part, number] of pending) if (number <= settledThrough) pending.delete(part)
    if (settling.size === 0) return
    for (const [number, { resolve }] of settling) {
      if (number > settledThrough) continue
      settling.delete(number)
      resolve()
    }
  }

  /** Rejects calls that took too long, and sets the timer for the next one. */
  function expire(): void {
    const now = monotonic()
    let next = Infinity
    for (const call of sent) {
      const left = call.madeAt + timeout! + GRACE - now
      if (call.isGone) continue
      if (left > 0) next = Math.min(next, left)
      else {
        giveUp(call)
        call.reject(timedOut(timeout!, options.ambiguous))
      }
    }
    for (let i = first; i < queue.length; i++) {
      const call = queue[i]!
      if (call.isGone) continue
      const left = call.madeAt + timeout! - now
      if (left > 0) {
        next = Math.min(next, left)
        break
      }
      giveUp(call)
      call.reject(notSent(timeout!))
    }
    stopTimer = next === Infinity ? undefined : after(Math.ceil(next), expire)
  }

  function giveUp(call: C): void {
    if (call.isGone) return
    call.isGone = true
    if (call.leave) return call.leave()
    waiting--
    waitingBytes -= call.bytes
    if (waiting === 0) onDeserted?.()
  }

  function add(items: readonly Item[], bytes: number, signal: AbortSignal | undefined): Promise<Result> {
    if (waiting >= options.maxQueuedCalls || (waiting > 0 && waitingBytes + bytes > options.maxQueuedBytes)) {
      return Promise.reject(overloaded(waiting, waitingBytes))
    }
    let onAbort!: () => void
    const result = new Promise<Result>((resolve, reject) => {
      const madeAt = timeout === undefined ? 0 : monotonic()
      const call: C = { items, bytes, signal, resolve, reject, madeAt, isGone: false }
      onAbort = () => {
        const isSent = call.leave !== undefined
        giveUp(call)
        reject(aborted(signal!, options.ambiguous && isSent))
      }
      queue.push(call)
      waiting++
      waitingBytes += bytes
    })
    if (running === undefined) running = run()
    else turn.added()
    if (timeout !== undefined) stopTimer ??= after(timeout, expire)
    if (!signal) return result
    return result.finally(whenAborted(signal, onAbort))
  }

  function settled(concerns: (pending: ReadonlyMap<string, number>) => number): Promise<void> | undefined {
    if (running === undefined) return undefined
    const last = firstNumber + queue.length - first - 1
    const index = (call: C, number: number): void => {
      if (number <= indexed || call.isGone) return
      for (const item of call.items) for (const part of options.partsOf(item)) pending.set(part, number)
    }
    // The calls under way share one number: they are settled together.
    for (const call of sent) index(call, firstNumber - 1)
    for (let i = Math.max(first, first + indexed + 1 - firstNumber); i < queue.length; i++) {
      index(queue[i]!, firstNumber + i - first)
    }
    indexed = last
    const number = concerns(pending)
    if (number <= settledThrough) return undefined
    let waiter = settling.get(number)
    if (!waiter) {
      let resolve!: () => void
      waiter = { promise: new Promise((it) => (resolve = it)), resolve: () => resolve() }
      settling.set(number, waiter)
    }
    return waiter.promise
  }

  async function idle(): Promise<void> {
    turn.added()
    await running
  }

  return { add, settled, idle }
}

/** `TIMEOUT`: the call was sent, and not answered in time. */
export const timedOut = (timeout: number, ambiguous: boolean): HoldfastError =>
  new HoldfastError('TIMEOUT', `The backend did not answer within ${timeout} ms`, { retryable: true, ambiguous })

/** `UNAVAILABLE`: the call was not sent in time. */
export const notSent = (timeout: number): HoldfastError =>
  new HoldfastError('UNAVAILABLE', `The call waited ${timeout} ms for others and was not sent`, { retryable: true })

const overloaded = (calls: number, bytes: number): HoldfastError =>
  new HoldfastError(
    'OVERLOADED',
    `Too many calls wait for the backend: ${calls} calls, ${bytes} bytes; try again later`,
    {
      retryable: true,
      details: { calls, bytes },
    },
  )
