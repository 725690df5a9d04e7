/** The queue of a database's commits or reads: one request answers many calls, and none fails because of another. @module */
import { type Batcher, type BatcherOptions, type Call, batcher } from './group-commit.ts'
import type { CallOptions } from './driver.ts'
import { type ErrorCode, HoldfastError, isHoldfastError } from './errors.ts'

/** Options of {@link queue}. */
export interface QueueOptions<Item, Part, Reply extends { readonly now: number }> extends Omit<
  BatcherOptions<Item, readonly Part[]>,
  'send'
> {
  /** Sends the items of a batch. */
  readonly ask: (items: readonly Item[], options: CallOptions) => Promise<Reply>
  /** Called with the backend's time in every reply. */
  readonly heard: (now: number) => void
  /** The parts of a reply, one per item. */
  readonly partsIn: (reply: Reply) => readonly Part[]
}

/** Creates a queue of calls. Each call gets its share of the reply. */
export function queue<Item, Part, Reply extends { readonly now: number }>({
  ask,
  heard,
  partsIn,
  ...options
}: QueueOptions<Item, Part, Reply>): Batcher<Item, readonly Part[]> {
  async function send(batch: readonly Call<Item, readonly Part[]>[], signal: AbortSignal | undefined): Promise<void> {
    let reply
    try {
      const items = batch.length === 1 ? batch[0]!.items : batch.flatMap((call) => call.items)
      reply = await ask(items, { signal })
    } catch (cause) {
      const error = toHoldfastError(cause, options.ambiguous)
      if (batch.length > 1 && isOfOneCall(error)) {
        // One call must not fail because of another: send each half by itself, in the order of the calls.
        const half = batch.length >> 1
        await send(batch.slice(0, half), signal)
        return send(batch.slice(half), signal)
      }
      for (const call of batch) call.reject(error)
      return
    }
    heard(reply.now)
    const parts = partsIn(reply)
    let from = 0
    for (const call of batch) call.resolve(parts.slice(from, (from += call.items.length)))
  }
  return batcher({ ...options, send })
}

/** The error as callers get it. */
export const toHoldfastError = (cause: unknown, ambiguous: boolean): unknown =>
  isHoldfastError(cause) ? cause : new HoldfastError('BACKEND', 'The backend failed', { cause, ambiguous })

/** Errors that the content of one call can cause. Other calls of the same request must not fail with them. */
const OF_ONE_CALL = new Set<ErrorCode>([
  'INVALID_ARGUMENT',
  'PAYLOAD_TOO_LARGE',
  'QUOTA_EXCEEDED',
  'SERIALIZATION',
  'UNSUPPORTED',
])

const isOfOneCall = (error: unknown): boolean =>
  isHoldfastError(error) && !error.ambiguous && OF_ONE_CALL.has(error.code)
