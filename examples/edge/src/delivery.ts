/** The workflow of a delivery: it forwards the delivery to every subscriber. */
import type { RetryPolicy } from 'holdfast'
import { type StepInfo, type WorkflowDefinition, defineWorkflow } from 'holdfast/run'

/** A webhook delivery as it was accepted. */
export interface Delivery {
  /** The original text, so that signatures over it stay valid. */
  readonly body: string
  readonly contentType: string
  /** The names of the subscribers, fixed on acceptance. Their addresses are looked up at every attempt. */
  readonly subscribers: readonly string[]
}

/** The parts that forward deliveries. */
export interface HandOver {
  /** Addresses by name. */
  readonly subscribers: Readonly<Record<string, string>>
  readonly fetch: typeof fetch
  readonly retry: RetryPolicy
}

/** The name of the workflow. */
export const WORKFLOW = 'delivery'

/** The name of the message that retries the failed subscribers. */
export const AGAIN = 'again'

/** The longest time that a subscriber may take to answer, in milliseconds. */
const TIMEOUT = 10_000

/** The name of the step for a subscriber, in the first round and in the rounds that an operator requests. */
export const stepOf = (subscriber: string, round = 1): string =>
  round === 1 ? `hand over to ${subscriber}` : `hand over to ${subscriber}#${round}`

/**
 * Makes the workflow of deliveries. All subscribers are served side by side, each is tried again by itself, and when one
 * has used up its attempts the run waits for an operator. A crash between a handover and its record repeats it, under
 * the same `idempotency-key`.
 */
export function deliveryWorkflow({ subscribers, fetch, retry }: HandOver): WorkflowDefinition<Delivery, void> {
  async function post(id: string, subscriber: string, delivery: Delivery, info: StepInfo): Promise<number> {
    const url = subscribers[subscriber]
    if (url === undefined) throw new Error('There is no such subscriber any more')
    const response = await fetch(url, {
      method: 'POST',
      headers: {
        'content-type': delivery.contentType,
        'webhook-id': id,
        'idempotency-key': `${id}/${subscriber}`,
        'webhook-attempt': String(info.attempt),
      },
      body: delivery.body,
      // A redirect must not send the delivery to another server.
      redirect: 'manual',
      signal: AbortSignal.any([info.signal, AbortSignal.timeout(TIMEOUT)]),
    })
    await response.body?.cancel()
    if (!response.ok) throw new Error(`It answered ${response.status}`)
    return response.status
  }

  return defineWorkflow({ name: WORKFLOW }, async (ctx, delivery: Delivery) => {
    /** Returns the subscribers that refused the delivery. */
    const handOver = async (subscriber: string): Promise<string[]> => {
      try {
        await ctx.step(stepOf(subscriber), (info) => post(ctx.runId, subscriber, delivery, info), { retry })
        return []
      } catch {
        return [subscriber]
      }
    }
    for (let left = delivery.subscribers; left.length > 0;) {
      left = (await Promise.all(left.map(handOver))).flat()
      if (left.length > 0) await ctx.message(AGAIN)
    }
  })
}
