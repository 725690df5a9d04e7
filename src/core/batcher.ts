/**
 * Calls that are made together leave together.
 *
 * A call waits until the turn of the event loop has nothing more to add, or while an earlier batch is under way, and
 * then leaves with all that has gathered. A lone call pays a few microtasks for it; a hundred share one round trip.
 * Databases call it group commit.
 *
 * @module
 */
import { aborted } from './errors.ts'

/**
 * Microtasks in a row without a new call after which the turn counts as over: enough for callers that were resumed by
 * the same answer to make their next call, however many `await`s of ours and theirs lie between.
 */
const QUIET = 6

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
  /** Answers every call of the batch, and never rejects. */
  readonly send: (batch: readonly Call<Item, Result>[], signal: AbortSignal | undefined) => Promise<void>
}

/** A signal for the driver: aborted when every caller of the batch has gone, and never before. */
function joint<Item, Result>(batch: readonly Call<Item, Result>[]): AbortSignal | undefined {
  if (batch.some((call) => call.signal === undefined)) return undefined
  const controller = new AbortController()
  let waiting = batch.length
  for (const call of batch) {
    call.leave = () => {
      if (--waiting === 0) controller.abort(call.signal!.reason)
    }
  }
  return controller.signal
}

/** Gathers calls into batches, one under way at a time, in the order of the calls. */
export interface Batcher<Item, Result> {
  add(items: readonly Item[], bytes: number, signal: AbortSignal | undefined): Promise<Result>
  /** Resolves when nothing waits and nothing is under way. */
  idle(): Promise<void>
}

export function batcher<Item, Result>(options: BatcherOptions<Item, Result>): Batcher<Item, Result> {
  type C = Call<Item, Result>
  let queue: C[] = []
  let busy = false
  let idlers: (() => void)[] = []

  function start(): void {
    busy = true
    settle(queue.length, QUIET)
  }

  /** Waits until nothing was added for some microtasks. */
  function settle(seen: number, left: number): void {
    queueMicrotask(() => {
      if (left === 0 || queue.length >= options.maxItems) void flush()
      else if (queue.length > seen) settle(queue.length, QUIET)
      else settle(seen, left - 1)
    })
  }

  async function flush(): Promise<void> {
    const batch = take()
    if (batch.length > 0) {
      await options.send(batch, joint(batch))
    }
    if (queue.length > 0) return start()
    busy = false
    for (const done of idlers.splice(0)) done()
  }

  function take(): C[] {
    let items = 0
    let bytes = 0
    let n = 0
    for (const call of queue) {
      items += call.items.length
      bytes += call.bytes
      if (n > 0 && (!options.group || items > options.maxItems || bytes > options.maxBytes)) break
      n++
    }
    const batch = n === queue.length ? queue : queue.slice(0, n)
    queue = n === queue.length ? [] : queue.slice(n)
    return batch
  }

  function add(items: readonly Item[], bytes: number, signal: AbortSignal | undefined): Promise<Result> {
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        const at = queue.indexOf(call)
        if (at >= 0) queue.splice(at, 1)
        call.leave?.()
        call.reject(aborted(signal!, options.ambiguous && at < 0))
      }
      // A signal may outlive many calls, and must not collect their listeners.
      const finish =
        <T>(settle: (outcome: T) => void) =>
        (outcome: T): void => {
          signal!.removeEventListener('abort', onAbort)
          settle(outcome)
        }
      const call: C = signal
        ? { items, bytes, signal, resolve: finish(resolve), reject: finish(reject) }
        : { items, bytes, signal, resolve, reject }
      signal?.addEventListener('abort', onAbort)
      queue.push(call)
      if (!busy) start()
    })
  }

  return { add, idle: () => new Promise((resolve) => (busy ? void idlers.push(resolve) : resolve())) }
}
