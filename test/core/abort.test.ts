import { describe, expect, it } from 'vitest'
import { abortable, whenAborted } from '../../src/core/abort.ts'
import { createDatabase } from '../../src/core/database.ts'
import { memory } from '../../src/drivers/memory.ts'

/** A signal that counts its listeners. */
function counted() {
  const controller = new AbortController()
  const { signal } = controller
  const counts = { added: 0, now: 0 }
  const { addEventListener, removeEventListener } = signal
  signal.addEventListener = (...args: unknown[]) => {
    counts.added++
    counts.now++
    addEventListener.apply(signal, args as never)
  }
  signal.removeEventListener = (...args: unknown[]) => {
    counts.now--
    removeEventListener.apply(signal, args as never)
  }
  return { controller, signal, counts }
}

describe('a signal', () => {
  it('that many calls share has one listener, and none when they are done', async () => {
    const { signal, counts } = counted()
    const db = createDatabase({ driver: memory() })
    const calls = Array.from({ length: 1000 }, (_, i) => [
      db.commit({ ops: [{ put: { part: 'p', key: `k${i}` }, value: 'v' }] }, { signal }),
      db.read([{ get: { part: 'p', key: `k${i}` } }], { signal }),
    ])
    await Promise.all(calls.flat())
    // A read that waits for commits listens for itself, after they have left.
    expect(counts.added).toBeLessThan(10)
    expect(counts.now).toBe(0)
  })

  it('calls back everybody who still waits, once', () => {
    const { controller, signal, counts } = counted()
    const told: string[] = []
    const tell = (): void => void told.push('twice')
    const stops = [
      whenAborted(signal, () => {
        told.push('first')
        stops[1]!()
      }),
      whenAborted(signal, () => told.push('left while it was told')),
      whenAborted(signal, () => told.push('left before')),
      whenAborted(signal, tell),
      whenAborted(signal, tell),
    ]
    stops[2]!()
    stops[2]!()
    controller.abort()
    expect(told).toEqual(['first', 'twice', 'twice'])
    for (const stop of stops) stop()
    expect(counts).toEqual({ added: 1, now: 0 })
  })

  it('can be waited for again after all have left', async () => {
    const { controller, signal } = counted()
    await abortable(Promise.resolve(), signal)
    const waiting = abortable(new Promise(() => {}), signal)
    controller.abort()
    await expect(waiting).rejects.toMatchObject({ code: 'ABORTED' })
    await expect(abortable(new Promise(() => {}), signal)).rejects.toMatchObject({ code: 'ABORTED' })
  })
})
