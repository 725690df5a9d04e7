import { setTimeout as wait } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { sleep } from '../../src/core/abort.ts'
import { bell } from '../../src/core/bell.ts'
import { MAX_TIMER } from '../../src/core/clock.ts'

// Node fires a timer that is longer than 32 bits after 1 ms.
it.each([
  ['sleep', (ms: number, signal: AbortSignal) => sleep(ms, signal)],
  ['bell', (ms: number, signal: AbortSignal) => bell().wait(ms, signal)],
])('%s does not return at once if its time is longer than any timer', async (_, start) => {
  for (const ms of [MAX_TIMER + 1, Infinity]) {
    const stop = new AbortController()
    const waiting = start(ms, stop.signal)
    expect(await Promise.race([waiting.then(() => 'over'), wait(50, 'waiting')])).toBe('waiting')
    stop.abort()
    await expect(waiting).rejects.toMatchObject({ code: 'ABORTED' })
  }
})
