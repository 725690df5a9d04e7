/** What happens to a delivery: it is handed over to every subscriber. */
import type { RetryPolicy } from 'holdfast'
import { type StepInfo, type WorkflowDefinition, defineWorkflow } from 'holdfast/run'

/** A webhook delivery as it was accepted. */
export interface Delivery {
  /** As it came: signatures over it stay valid. */
  readonly body: string
  readonly contentType: string
  /** Who is to get it. Fixed when it was accepted; their addresses are looked up at every attempt. */
  readonly subscribers: readonly string[]
}

/** What hands deliveries over. */
export interface HandOver {
  /** Addresses by name. */
  readonly subscribers: Readonly<Record<string, string>>
  readonly fetch: typeof fetch
  readonly retry: RetryPolicy
}

/** What its runs are of. */
export const WORKFLOW = 'delivery'

/** The message that has those tried again who did not take it. */
export const AGAIN = 'again'

/** For how long a subscriber may take to answer, in milliseconds. */
const TIMEOUT = 10_000

/** The step that is done for a subscriber, in the first round and in those that an operator has asked for. */
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
      // What was meant for a subscriber goes nowhere else.
      redirect: 'manual',
      signal: AbortSignal.any([info.signal, AbortSignal.timeout(TIMEOUT)]),
    })
    await response.body?.cancel()
    if (!response.ok) throw new Error(`It answered ${response.status}`)
    return response.status
  }

  return defineWorkflow({ name: WORKFLOW }, async (ctx, delivery: Delivery) => {
    /** Tells who did not take it. */
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
