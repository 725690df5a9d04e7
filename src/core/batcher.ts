/**
 * Calls that are made together leave together.
 *
 * A call waits until the turn of the event loop has nothing more to add, or while an earlier batch is under way, and
 * then leaves with all that has gathered. A lone call pays a few microtasks for it; a hundred share one round trip.
 * Databases call it group commit.
 *
 * @module
 */
import { HoldfastError, aborted } from './errors.ts'
import { after, monotonic, turns } from './turns.ts'

/**
 * Microtasks in a row without a new call after which the turn counts as over: enough for callers that were resumed by
 * the same answer to make their next call, however many `await`s of ours and theirs lie between.
 */
const QUIET = 8
/** For how long a batch of a synchronous driver is to keep the event loop from turning, in milliseconds. */
const BLOCKING = 10
/** The smallest batch that such a driver gets, and the first. */
const FEW = 128
const FIRST = 256
/** How many parts of pending calls are looked through now and then, for those of settled ones. */
const MANY = 10_000
/** How much longer a call waits here than its driver tries it, in milliseconds: the driver's own error says more. */
const GRACE = 500

/** One call, waiting or under way. */
export interface Call<Item, Result> {
  readonly items: readonly Item[]
  readonly bytes: number
  readonly resolve: (result: Result) => void
  readonly reject: (error: unknown) => void
  readonly signal: AbortSignal | undefined
  /** On the clock that nobody sets. */
  readonly madeAt: number
  /** Nobody waits for it any more. */
  isGone: boolean
  /** Tells the batch that it is under way in that nobody waits for this call any more; absent while it waits. */
  leave?: () => void
}

/** How much leaves together, and who takes it away. */
export interface BatcherOptions<Item, Result> {
  /** How many items leave together. */
  readonly maxItems: number
  /** How many bytes leave together. */
  readonly maxBytes: number
  /** How many calls may wait. */
  readonly maxQueuedCalls: number
  /** How many bytes may wait: of more than one call. */
  readonly maxQueuedBytes: number
  /** How long a call may take from when it was made, in milliseconds; for as long as it needs by default. */
  readonly timeout?: number | undefined
  /** Whether calls share batches at all. */
  readonly group: boolean
  /** Whether a call under way that is given up may have changed something. */
  readonly ambiguous: boolean
  /** Which parts an item concerns, for {@link Batcher.settled}. */
  readonly partsOf: (item: Item) => readonly string[]
  /** Waited for before a batch is made up; where it throws, all that waits has failed, and nothing was sent. */
  readonly ready: () => Promise<void> | undefined
  /** Answers every call of the batch, and never rejects. */
  readonly send: (batch: readonly Call<Item, Result>[], signal: AbortSignal | undefined) => Promise<void>
}

/** Gathers calls into batches, one under way at a time, in the order of the calls. */
export interface Batcher<Item, Result> {
  /** @throws `OVERLOADED` where too much waits already */
  add(items: readonly Item[], bytes: number, signal: AbortSignal | undefined): Promise<Result>
  /** Resolves when the calls made so far that concern such a part are settled; `undefined` where there are none. */
  settled(concerns: (pending: ReadonlyMap<string, number>) => number): Promise<void> | undefined
  /** Resolves when nothing waits and nothing is under way. */
  idle(): Promise<void>
}

const nothing = (): void => {}

/** A signal for the driver: aborted when every caller of the batch has gone, and never before. */
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
  /** What waits, from `first` on, and among it calls that are gone: so aborting one moves none of the others. */
  let queue: C[] = []
  let first = 0
  /** Of what waits and is not gone. */
  let waiting = 0
  let waitingBytes = 0
  /** Calls are numbered as they are made; all up to this one are settled. */
  let settledThrough = 0
  /** The number of the first call in the queue. */
  let firstNumber = 1
  /** Under way. */
  let sent: readonly C[] = []
  /** Set as long as something waits or is under way. */
  let running: Promise<void> | undefined
  /** Called when the last call that waited has gone. */
  let onDeserted: (() => void) | undefined
  /** How many calls a batch holds at most: as many as do not keep the event loop for too long. */
  let most = FIRST
  let stopTimer: (() => void) | undefined
  const turn = turns()

  /** The last call of each part, of the calls up to `indexed`; made only while somebody asks. */
  const pending = new Map<string, number>()
  let indexed = 0
  const settling = new Map<number, { promise: Promise<void>; resolve: () => void }>()

  const isWanted = (): boolean => waiting > 0
  /** Whether the next batch is complete already. */
  const isFull = (): boolean => waiting >= most

  async function run(): Promise<void> {
    while (isWanted()) {
      await turn.take()
      const opening = options.ready()
      if (opening) {
        await opened(opening)
        continue
      }
      await gathered()
      // Where the last has gone meanwhile, others may have come since that want it opened again.
      if (options.ready()) continue
      const batch = take()
      if (batch.length > 0) await dispatch(batch)
    }
    running = undefined
    // What is left is gone.
    firstNumber += queue.length - first
    queue = []
    first = 0
    settle()
    stopTimer?.()
    stopTimer = undefined
  }

  /** Waits until calls can be sent, or nobody wants one. Where that fails, all that wait have failed. */
  async function opened(opening: Promise<void>): Promise<void> {
    try {
      await Promise.race([opening, new Promise<void>((resolve) => (onDeserted = resolve))])
    } catch (error) {
      for (const call of takeAll()) call.reject(error)
      settle()
    }
  }

  /** Waits until nothing was added for some microtasks. */
  async function gathered(): Promise<void> {
    let seen = 0
    for (let quiet = 0; quiet <= QUIET && !isFull(); quiet++) {
      if (waiting > seen) quiet = 0
      seen = waiting
      await Promise.resolve()
    }
  }

  /** Takes the calls of a batch from the queue: at least the first, and no more than fit. */
  function take(): C[] {
    const batch: C[] = []
    let items = 0
    let bytes = 0
    for (; first < queue.length; first++, firstNumber++) {
      const call = queue[first]!
      if (call.isGone) continue
      items += call.items.length
      bytes += call.bytes
      const isMore = batch.length > 0
      if (isMore && (!options.group || batch.length === most || items > maxItems || bytes > options.maxBytes)) break
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
    // Moves what is left now and then only.
    if (first > FIRST && first * 2 > queue.length) {
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
    // A driver that works synchronously has done so by now.
    const fitting = blocked > 0 ? Math.floor((batch.length * BLOCKING) / blocked) : Infinity
    if (fitting < most || batch.length === most) most = Math.max(FEW, Math.min(fitting, 2 * most, maxItems))
    await sending
    sent = []
    settle()
  }

  /** Everything before the queue is settled. */
  function settle(): void {
    settledThrough = firstNumber - 1
    if (waiting === 0) pending.clear()
    else if (pending.size > MANY)
      for (const [part, number] of pending) if (number <= settledThrough) pending.delete(part)
    for (const [number, { resolve }] of settling) {
      if (number > settledThrough) continue
      settling.delete(number)
      resolve()
    }
  }

  /** Gives up what has taken too long, and looks again when the next one will have. */
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
    else turn.askAgain()
    if (timeout !== undefined) stopTimer ??= after(timeout, expire)
    if (!signal) return result
    signal.addEventListener('abort', onAbort)
    // A signal may outlive many calls, and must not collect their listeners.
    return result.finally(() => signal.removeEventListener('abort', onAbort))
  }

  function settled(concerns: (pending: ReadonlyMap<string, number>) => number): Promise<void> | undefined {
    if (running === undefined) return undefined
    const last = firstNumber + queue.length - first - 1
    const index = (call: C, number: number): void => {
      if (number <= indexed || call.isGone) return
      for (const item of call.items) for (const part of options.partsOf(item)) pending.set(part, number)
    }
    // Those under way count as one: they are settled together.
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
    turn.askAgain()
    await running
  }

  return { add, settled, idle }
}

const timedOut = (timeout: number, ambiguous: boolean): HoldfastError =>
  new HoldfastError('TIMEOUT', `The backend did not answer within ${timeout} ms`, { retryable: true, ambiguous })

const notSent = (timeout: number): HoldfastError =>
  new HoldfastError('UNAVAILABLE', `The call waited ${timeout} ms behind others and was not sent`, { retryable: true })

const overloaded = (calls: number, bytes: number): HoldfastError =>
  new HoldfastError('OVERLOADED', `Too much waits for the backend already: ${calls} calls, ${bytes} bytes`, {
    retryable: true,
    details: { calls, bytes },
  })
