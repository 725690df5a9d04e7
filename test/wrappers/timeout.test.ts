import { describe, expect, test } from 'vitest'
import { memory } from '../../src/drivers/memory.ts'
import { spyOn } from '../../src/testing/spy.ts'
import { replay } from '../../src/wrappers/replay.ts'
import { retry } from '../../src/wrappers/retry.ts'
import { type TimeoutOptions, timeout } from '../../src/wrappers/timeout.ts'
import { append, conformanceOver, entriesOf, errorOf, put, request } from './support.ts'

conformanceOver('memory with timeouts', (driver) => timeout(driver))

const QUICK = { open: 20, read: 20, commit: 20 }

function setting(options: TimeoutOptions = QUICK) {
  const spy = spyOn(replay(memory()))
  return { spy, driver: timeout(spy.driver, options) }
}

describe('a call that takes too long', () => {
  test('ends with TIMEOUT, and says whether something may have happened', async () => {
    const { spy, driver } = setting()
    spy.hold('open')
    expect(await errorOf(driver.open())).toMatchObject({ code: 'TIMEOUT', retryable: true, ambiguous: false })
    spy.hold()
    expect(await errorOf(driver.read([]))).toMatchObject({ code: 'TIMEOUT', retryable: true, ambiguous: false })
    const error = await errorOf(driver.commit(request(put('k', 'v'))))
    expect(error).toMatchObject({ code: 'TIMEOUT', retryable: true, ambiguous: true })
    expect(error.details).toEqual({ operation: 'commit', timeout: 20 })
    spy.release()
  })

  test('has its signal aborted', async () => {
    const { spy, driver } = setting()
    spy.hold()
    const error = await errorOf(driver.read([]))
    expect(spy.signals.map((signal) => [signal?.aborted, signal?.reason])).toEqual([[true, error]])
    spy.release()
  })

  test('may take effect later; the same request then takes effect once', async () => {
    const { spy, driver } = setting()
    spy.hold()
    const it = request(append('once'))
    expect((await errorOf(driver.commit(it))).ambiguous).toBe(true)
    spy.release()
    expect((await driver.commit(it)).outcomes).toEqual([{ ok: true, seqs: [1] }])
    expect((await entriesOf(driver)).length).toBe(1)
  })

  test('is made again by retry, each attempt with a time of its own', async () => {
    const { spy, driver } = setting()
    spy.hold()
    const retried = retry(driver, { sleep: async () => spy.release() })
    expect((await retried.commit(request(append('once')))).outcomes).toEqual([{ ok: true, seqs: [1] }])
    expect(spy.commits.length).toBe(2)
    expect((await entriesOf(driver)).length).toBe(1)
  })

  test('that fails afterwards fails unheard', async () => {
    const { spy, driver } = setting()
    spy.hold()
    spy.fail('read', new Error('Too late'))
    expect((await errorOf(driver.read([]))).code).toBe('TIMEOUT')
    spy.release()
    await new Promise((resolve) => void setTimeout(resolve, 1))
    expect((await driver.read([])).answers).toEqual([])
  })
})

test('each kind of call has its own time, and the timer ends with the call', async () => {
  const waits: [number, AbortSignal][] = []
  const sleep = (ms: number, signal?: AbortSignal): Promise<void> => {
    waits.push([ms, signal!])
    return new Promise(() => {})
  }
  const { driver } = setting({ open: 1, read: 2, commit: 3, sleep })
  await driver.open()
  await driver.read([])
  await driver.commit(request(put('k', 'v')))
  expect(waits.map(([ms, signal]) => [ms, signal.aborted])).toEqual([
    [1, true],
    [2, true],
    [3, true],
  ])
})

test('how long a call is tried is declared', () => {
  expect(timeout(memory()).capabilities.timeout).toBe(10_000)
  expect(timeout(memory(), { read: 20, commit: 30 }).capabilities.timeout).toBe(30)
  // Who gives up earlier underneath still does.
  expect(timeout(timeout(memory(), { read: 5, commit: 6 }), { read: 20, commit: 30 }).capabilities.timeout).toBe(6)
})

test("the caller's signal reaches the driver underneath", async () => {
  const { spy, driver } = setting()
  const controller = new AbortController()
  const reason = new Error('Changed my mind')
  spy.hold()
  const call = driver.read([], { signal: controller.signal })
  await spy.arrived(1)
  controller.abort(reason)
  expect([spy.signals[0]?.aborted, spy.signals[0]?.reason]).toEqual([true, reason])
  spy.release()
  await call
  await driver.read([], { signal: controller.signal })
  expect(spy.signals[1]?.reason).toBe(reason)
})

test('what the driver throws itself is passed on', async () => {
  const { spy, driver } = setting()
  const error = new Error('Its own')
  spy.fail('read', error)
  await expect(driver.read([])).rejects.toBe(error)
})

test('malformed durations are refused', () => {
  for (const options of [{ open: 0 }, { read: 1.5 }, { commit: 2 ** 31 }]) {
    expect(() => timeout(memory(), options)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
  }
})
