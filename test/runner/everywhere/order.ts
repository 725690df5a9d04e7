/** The workflow that every runtime runs. It uses all that a context offers, and nothing that only some runtimes have. */
import { type AnyWorkflow, type StepInfo, type WorkflowDefinition, defineWorkflow } from '../../../src/runner/index.ts'

/** The beginning of one attempt at a step. */
export interface Deed {
  readonly runId: string
  /** Differs from that of every other step of the run. */
  readonly what: string
  readonly attempt: number
  readonly key: string
}

/** Where the steps take effect. */
export interface World {
  /** Called by each attempt; the attempt continues when it resolves. */
  begin(deed: Deed): Promise<void>
  /** Sends a message to a run, once for each key. */
  send(runId: string, name: string, payload: unknown, idempotencyKey: string): Promise<unknown>
}

/** The input of a run. */
export interface Order {
  readonly items: readonly string[]
  /** Whether the order fails at the end, and all of it is undone. */
  readonly isReturned: boolean
}

/** What a completed run returns. */
export interface Receipt {
  /** Equal in every run of the same order. */
  readonly facts: unknown
  /** Equal in every replay of the run, and different in every other run. */
  readonly chance: { readonly number: string; readonly dice: number; readonly carrier: string; readonly times: unknown }
}

/** What a returned order fails with. */
export const RETURNED = 'The order came back'

/** The runs, by their ids. */
export const ORDERS: Readonly<Record<string, Order>> = Object.fromEntries(
  Array.from({ length: 6 }, (_, i) => [
    `order ${i}`,
    { items: ['kelp', 'rope', `buoy ${i}`], isReturned: i % 3 === 2 },
  ]),
)

/** The workflows, whose steps take effect in this world. */
export interface Workflows {
  readonly order: WorkflowDefinition<Order, Receipt>
  readonly all: readonly AnyWorkflow[]
}

/** Defines the workflows. */
export function workflowsIn(world: World): Workflows {
  const beginsIn =
    (runId: string) =>
    (what: string, { attempt, idempotencyKey }: StepInfo): Promise<void> =>
      world.begin({ runId, what, attempt, key: idempotencyKey })

  const parcel = defineWorkflow({ name: 'parcel' }, async (ctx, { of, items }: { of: string; items: number }) => {
    const begins = beginsIn(ctx.runId)
    const grams = await ctx.step('weigh', async (info) => (await begins('weigh', info), items * 250))
    await ctx.step('tell', async (info) => {
      await begins('tell', info)
      await world.send(of, 'weighed', new Map([['grams', BigInt(grams)]]), info.idempotencyKey)
    })
    return { grams, number: ctx.uuid() }
  })

  const order = defineWorkflow({ name: 'order' }, async (ctx, { items, isReturned }: Order): Promise<Receipt> => {
    const begins = beginsIn(ctx.runId)
    const dice = ctx.random()
    const placed = ctx.now()
    const payment = await ctx.step(
      'charge',
      async (info) => {
        await begins('charge', info)
        return {
          cents: 2n ** 70n,
          at: new Date(Date.UTC(2026, 0, 1)),
          lines: new Map(items.map((item) => [item, { count: 1 }])),
          tags: new Set<unknown>(['new', null]),
          receipt: Uint8Array.of(0, 127, 255),
          odd: [-0, Number.NaN, Number.POSITIVE_INFINITY, '\u{1F30A}'],
        }
      },
      { compensate: (_, info) => begins('refund', info) },
    )
    // All of one name: each has to get its own result.
    const packed = await Promise.all(
      items.map((item) =>
        ctx.step('pack', async (info) => (await begins(`pack ${item}`, info), `packed ${item}`), {
          compensate: (_, info) => begins(`unpack ${item}`, info),
        }),
      ),
    )
    const label = await ctx.step(
      'label',
      async (info) => {
        await begins('label', info)
        if (info.attempt === 1) throw new Error('The printer is busy')
        return 'printed'
      },
      { retry: { maxAttempts: 9, initialDelay: 10 } },
    )
    // Which one is first is chance; the log keeps it.
    const carrier = await Promise.race(
      ['north', 'south'].map((name) =>
        ctx.step(`ask ${name}`, async (info) => (await begins(`ask ${name}`, info), name)),
      ),
    )
    await ctx.step(`book ${carrier}`, (info) => begins('book', info))
    const child = await ctx.start(parcel, { input: { of: ctx.runId, items: items.length } })
    const weighed = await Promise.race([ctx.message('weighed'), ctx.sleep('1 hour')])
    const { grams, number } = await child.result()
    const before = ctx.now()
    await ctx.sleep(50)
    if (isReturned) throw new Error(RETURNED)
    return {
      facts: { payment, packed, label, weighed, grams },
      chance: { number: `${number} ${ctx.uuid()}`, dice, carrier, times: [placed, before, ctx.now()] },
    }
  })
  return { order, all: [order, parcel] }
}
