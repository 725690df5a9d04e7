import { setImmediate as immediate, setTimeout as wait } from 'node:timers/promises'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { memory } from '../../src/drivers/memory.ts'
import { createHoldfast } from '../../src/holdfast.ts'

describe('turns of the event loop', () => {
  afterEach(() => {
    vi.useRealTimers()
    vi.unstubAllGlobals()
    vi.resetModules()
  })

  it.each([0, 60_000, -60_000])('come under fake timers whose clock has jumped by %i ms', async (jump) => {
    const { state } = createHoldfast({ driver: memory() })
    await state.set('before', '1')
    vi.useFakeTimers()
    for (let n = 0; n < 50; n++) {
      vi.setSystemTime(Date.now() + jump)
      await state.set('k', String(n))
      expect(await state.get('k')).toBe(String(n))
    }
    vi.useRealTimers()
  })

  it('come between the batches of ten thousand calls made at once', async () => {
    const { state } = createHoldfast({ driver: memory() })
    await state.set('before', '1')
    let turns = 0
    let isOver = false
    const tick = (): void => {
      turns++
      if (!isOver) setImmediate(tick)
    }
    const calls = Promise.all(Array.from({ length: 10_000 }, (_, i) => state.set(`k${i}`, 'v'.repeat(1000))))
    setImmediate(tick)
    await calls
    isOver = true
    await wait(1)
    expect(turns).toBeGreaterThan(1)
  })

  it('come over one channel for all databases where the runtime has no setImmediate: nothing would close others', async () => {
    const made: object[] = []
    vi.stubGlobal('setImmediate', undefined)
    vi.stubGlobal(
      'MessageChannel',
      class extends MessageChannel {
        constructor() {
          super()
          made.push(this)
          this.port1.unref()
          this.port2.unref()
        }
      },
    )
    vi.resetModules()
    const { nextTurn } = await import('../../src/core/event-loop.ts')
    const order: number[] = []
    const turn = async (n: number): Promise<void> => {
      await nextTurn()()
      order.push(n)
    }
    await Promise.all([...Array(20).keys()].map(turn))
    await turn(20)
    expect(order).toEqual([...Array(21).keys()])
    expect(made).toHaveLength(1)
  })

  it('are waited for again in Workers after one that did not come: in a local workerd the others wait for their timers', async () => {
    vi.stubGlobal('WebSocketPair', () => {})
    vi.stubGlobal('setTimeout', () => 0)
    vi.resetModules()
    const { turns } = await import('../../src/core/event-loop.ts')
    const turn = turns()
    for (let times = 0; times < 3; times++) {
      let waiting: Promise<void> | undefined
      for (let batches = 0; batches < 1000 && !waiting; batches++) {
        turn.sent?.(immediate())
        await immediate()
        waiting = turn.take()
      }
      expect(waiting).toBeInstanceOf(Promise)
      await immediate()
      // Another event makes a call.
      turn.added()
      await waiting
    }
  })
})
