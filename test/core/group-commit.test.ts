import { setImmediate as immediate } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { batcher, type BatcherOptions } from '../../src/core/group-commit.ts'

/** A batcher whose batches wait to be answered; every item is answered by itself. */
function gathering(options: Partial<BatcherOptions<string, readonly string[]>> = {}) {
  const batches: string[][] = []
  const signals: (AbortSignal | undefined)[] = []
  const waiting: (() => void)[] = []
  const it = batcher<string, readonly string[]>({
    maxItems: 100,
    maxBytes: 1000,
    maxQueuedCalls: 1000,
    maxQueuedBytes: 1e6,
    partsOf: (item) => [item],
    group: true,
    ambiguous: true,
    ready: () => undefined,
    send: (batch, signal) =>
      new Promise((resolve) => {
        batches.push(batch.flatMap((call) => call.items))
        signals.push(signal)
        waiting.push(() => {
          for (const call of batch) call.resolve(call.items)
          resolve()
        })
      }),
    ...options,
  })
  /** Two turns: a batch that the machine has held up waits for one of its own, asked for after ours. */
  async function turn(): Promise<void> {
    await immediate()
    await immediate()
  }
  return {
    batches,
    signals,
    turn,
    idle: it.idle,
    settled: (parts: readonly string[]) =>
      it.settled((pending) => Math.max(0, ...parts.map((part) => pending.get(part) ?? 0))),
    add: (items: string, bytes = 1, signal?: AbortSignal) => it.add(Array.from(items), bytes, signal),
    async answer() {
      await turn()
      waiting.shift()!()
      await turn()
    },
  }
}

describe('batcher', () => {
  it('sends what was added in one turn together, and what came meanwhile as the next', async () => {
    const b = gathering()
    const calls = [b.add('a'), b.add('bc')]
    await Promise.resolve()
    calls.push(b.add('d'))
    await b.turn()
    calls.push(b.add('e'), b.add('f'))
    await b.turn()
    expect(b.batches).toEqual([['a', 'b', 'c', 'd']])
    await b.answer()
    expect(b.batches).toEqual([
      ['a', 'b', 'c', 'd'],
      ['e', 'f'],
    ])
    await b.answer()
    expect(await Promise.all(calls)).toEqual([['a'], ['b', 'c'], ['d'], ['e'], ['f']])
  })

  it('splits by items and bytes between calls, never inside one', async () => {
    const b = gathering({ maxItems: 4, maxBytes: 10 })
    const calls = ['abc', 'de', 'fghijk', 'l'].map((items) => b.add(items))
    calls.push(b.add('m', 6), b.add('n', 6), b.add('o', 50))
    for (let i = 0; i < 6; i++) await b.answer()
    await Promise.all(calls)
    expect(b.batches.map((batch) => batch.join(''))).toEqual(['abc', 'de', 'fghijk', 'lm', 'n', 'o'])
  })

  it('sends every call by itself, in order, where grouping is off', async () => {
    const b = gathering({ group: false })
    const calls = [b.add('a'), b.add('bc'), b.add('d')]
    for (let i = 0; i < 3; i++) await b.answer()
    await Promise.all(calls)
    expect(b.batches).toEqual([['a'], ['b', 'c'], ['d']])
  })

  it('drops a call aborted while it waits, and does not send an empty batch', async () => {
    const b = gathering()
    const controller = new AbortController()
    const dropped = b.add('a', 1, controller.signal)
    controller.abort()
    await expect(dropped).rejects.toMatchObject({ code: 'ABORTED', ambiguous: false })
    await b.idle()
    expect(b.batches).toEqual([])
    const call = b.add('b')
    await b.answer()
    expect(await call).toEqual(['b'])
  })

  it('lets a call aborted under way go, and the driver only when all have gone', async () => {
    const b = gathering()
    const [one, two] = [new AbortController(), new AbortController()]
    const calls = [b.add('a', 1, one.signal), b.add('b', 1, two.signal)]
    await b.turn()
    one.abort('enough')
    await expect(calls[0]).rejects.toMatchObject({ code: 'ABORTED', ambiguous: true, cause: 'enough' })
    expect(b.signals[0]?.aborted).toBe(false)
    two.abort()
    await expect(calls[1]).rejects.toMatchObject({ code: 'ABORTED' })
    expect(b.signals[0]?.aborted).toBe(true)
    await b.answer()
    const next = b.add('c')
    await b.answer()
    expect(await next).toEqual(['c'])
    expect(b.signals[1]).toBeUndefined()
  })

  it('is idle when nothing waits and nothing is under way', async () => {
    const b = gathering()
    await b.idle()
    let idle = false
    const calls = [b.add('a')]
    await b.turn()
    calls.push(b.add('b'))
    void b.idle().then(() => (idle = true))
    await b.answer()
    expect(idle).toBe(false)
    await b.answer()
    expect(idle).toBe(true)
    await Promise.all(calls)
  })

  it('leaves no listener behind on a signal that outlives its calls', async () => {
    const b = gathering()
    const controller = new AbortController()
    let listeners = 0
    const { signal } = controller
    const [add, remove] = [signal.addEventListener.bind(signal), signal.removeEventListener.bind(signal)]
    signal.addEventListener = (...args: Parameters<typeof add>) => (listeners++, add(...args))
    signal.removeEventListener = (...args: Parameters<typeof remove>) => (listeners--, remove(...args))
    const call = b.add('a', 1, signal)
    expect(listeners).toBe(1)
    await b.answer()
    await call
    expect(listeners).toBe(0)
  })

  it('fails what waits when it cannot get ready, and tries again with the next call', async () => {
    const cause = new Error('Not yet')
    const answers: (Promise<void> | undefined)[] = [Promise.reject(cause), undefined]
    const b = gathering({ ready: () => answers.shift() })
    const failed = [b.add('a'), b.add('b')].map((call) => expect(call).rejects.toBe(cause))
    await Promise.all(failed)
    expect(b.batches).toEqual([])
    const next = b.add('c')
    await b.answer()
    expect(await next).toEqual(['c'])
  })

  it('is idle when all that waited for it to get ready have gone', async () => {
    const b = gathering({ ready: () => new Promise(() => {}) })
    const controller = new AbortController()
    const call = b.add('a', 1, controller.signal)
    await b.turn()
    controller.abort()
    await expect(call).rejects.toMatchObject({ code: 'ABORTED', ambiguous: false })
    await b.idle()
    expect(b.batches).toEqual([])
  })

  it('sends nothing before it is ready, also where all who waited have gone and others come', async () => {
    let open = () => {}
    const opening = new Promise<void>((resolve) => (open = resolve))
    let isOpen = false
    const b = gathering({ ready: () => (isOpen ? undefined : opening) })
    const controller = new AbortController()
    const gone = expect(b.add('a', 1, controller.signal)).rejects.toMatchObject({ code: 'ABORTED' })
    await b.turn()
    controller.abort()
    const call = b.add('b')
    await b.turn()
    expect(b.batches).toEqual([])
    isOpen = true
    open()
    await b.answer()
    expect(await call).toEqual(['b'])
    await gone
  })
})

describe('calls that leave the queue', () => {
  it('free their room at once, and move none of the others', async () => {
    const b = gathering({ maxQueuedCalls: 5, maxItems: 2 })
    const first = b.add('x')
    await b.turn()
    const controllers = Array.from({ length: 5 }, () => new AbortController())
    const calls = controllers.map(({ signal }, i) => b.add(String(i), 1, signal))
    await expect(b.add('y')).rejects.toMatchObject({ code: 'OVERLOADED', retryable: true, ambiguous: false })
    for (const i of [1, 3]) controllers[i]!.abort()
    for (const i of [1, 3]) await expect(calls[i]).rejects.toMatchObject({ code: 'ABORTED', ambiguous: false })
    calls.push(b.add('5'))
    for (let n = 0; n < 3; n++) await b.answer()
    await Promise.all([first, ...[0, 2, 4, 5].map((i) => calls[i])])
    expect(b.batches).toEqual([['x'], ['0', '2'], ['4', '5']])
  })

  it('are not waited for by who asks for what came before', async () => {
    const b = gathering()
    const first = b.add('a')
    await b.turn()
    const controller = new AbortController()
    const second = b.add('b', 1, controller.signal)
    const settled = b.settled(['b'])!
    controller.abort()
    await expect(second).rejects.toMatchObject({ code: 'ABORTED' })
    await b.answer()
    await Promise.all([first, settled])
    expect(b.settled(['a', 'b'])).toBeUndefined()
  })

  it('are waited for by who asks for their parts, and by no one else', async () => {
    const b = gathering({ maxItems: 1 })
    const calls = [b.add('a'), b.add('b'), b.add('c')]
    await b.turn()
    expect(b.settled(['x'])).toBeUndefined()
    const order: string[] = []
    const waiting = [b.settled(['b'])!.then(() => order.push('b')), b.settled(['a', 'c'])!.then(() => order.push('c'))]
    await b.answer()
    expect(order).toEqual([])
    await b.answer()
    expect(order).toEqual(['b'])
    await b.answer()
    await Promise.all([...calls, ...waiting])
    expect(order).toEqual(['b', 'c'])
  })
})
