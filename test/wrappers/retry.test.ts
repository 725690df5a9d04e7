import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { HoldfastError } from '../../src/core/errors.ts'
import type { Driver } from '../../src/core/driver.ts'
import { late, lateAt } from '../../src/core/request-records.ts'
import { createHoldfast } from '../../src/holdfast.ts'
import { memory } from '../../src/drivers/memory.ts'
import { spyOn } from '../../src/testing/spy.ts'
import { replay } from '../../src/wrappers/replay.ts'
import { type Retry, type RetryOptions, retry } from '../../src/wrappers/retry.ts'
import { timeout } from '../../src/wrappers/timeout.ts'
import { slice } from '../support/slice.ts'
import { append, conformanceOver, entriesOf, errorOf, manualTime, put, request, unavailable } from './support.ts'

conformanceOver('memory with retries', (driver) => retry(driver), { cases: slice })
conformanceOver('memory that recognises repeats, with retries', (driver, clock) =>
  retry(replay(driver, { clock, window: 60_000 })),
)

/** A driver that fails as told, and its retries by a time that is moved by hand; no jitter. */
function setting(options: RetryOptions = {}, inner: Driver = memory()) {
  const time = manualTime()
  const spy = spyOn(inner)
  const retries: Retry[] = []
  const onRetry = (it: Retry): void => void retries.push(it)
  const driver = retry(spy.driver, { random: () => 1, onRetry, ...time, ...options })
  return { spy, time, driver, retries }
}

/** Loses so many answers: each after the commit took effect. */
function losing(inner: Driver, answers: number, error = unavailable({}, true)): Driver {
  return {
    ...inner,
    async commit(it, options) {
      const answer = await inner.commit(it, options)
      if (answers-- > 0) throw error
      return answer
    },
  }
}

describe('what is repeated', () => {
  test('a call that failed for a passing reason', async () => {
    const { spy, driver, retries } = setting()
    spy.fail('open', unavailable())
    spy.fail('read', unavailable())
    spy.fail('commit', unavailable())
    await driver.open()
    await driver.commit(request(put('k', 'v')))
    expect((await entriesOf(driver)).map((entry) => entry.value)).toEqual(['v'])
    expect(retries.map(({ operation, attempt, code }) => [operation, attempt, code])).toEqual([
      ['open', 1, 'UNAVAILABLE'],
      ['commit', 1, 'UNAVAILABLE'],
      ['read', 1, 'UNAVAILABLE'],
    ])
  })

  test.each(['INVALID_ARGUMENT', 'QUOTA_EXCEEDED', 'BACKEND'] as const)('not what cannot help: %s', async (code) => {
    const { spy, driver, time } = setting()
    spy.fail('commit', new HoldfastError(code, 'No'))
    expect(await errorOf(driver.commit(request(put('k', 'v'))))).toMatchObject({ code, ambiguous: false })
    expect([spy.commits.length, time.waits]).toEqual([1, []])
  })

  test.each(['ABORTED', 'CLOSED'] as const)('not what somebody wanted: %s', async (code) => {
    const { spy, driver } = setting()
    spy.fail('read', new HoldfastError(code, 'Stop', { retryable: true }))
    expect((await errorOf(driver.read([]))).code).toBe(code)
    expect(spy.reads.length).toBe(1)
  })

  test('nothing that a driver throws besides its errors', async () => {
    const { spy, driver } = setting()
    spy.fail('read', new TypeError('A defect'))
    await expect(driver.read([])).rejects.toThrow(TypeError)
    expect(spy.reads.length).toBe(1)
  })
})

describe('how long it waits', () => {
  test('up to twice as long each time, up to a bound', async () => {
    const { spy, driver, time } = setting({ attempts: 7, delay: 100, maxDelay: 1000 })
    spy.fail('read', ...Array.from({ length: 6 }, () => unavailable()))
    await driver.read([])
    expect(time.waits).toEqual([100, 200, 400, 800, 1000, 1000])
  })

  test('by full jitter: anything from nothing to the bound', async () => {
    const randoms = [0, 0.25, 0.5]
    const { spy, driver, time } = setting({ random: () => randoms.shift()! })
    spy.fail('read', unavailable(), unavailable(), unavailable())
    await driver.read([])
    expect(time.waits).toEqual([0, 50, 200])
  })

  test('as long as the backend asks, where that is longer', async () => {
    const { spy, driver, time } = setting()
    spy.fail(
      'read',
      unavailable({ retryAfter: 7000 }),
      unavailable({ retryAfter: 1 }),
      unavailable({ retryAfter: '?' }),
    )
    await driver.read([])
    expect(time.waits).toEqual([7000, 200, 400])
  })

  test('only as often as allowed', async () => {
    const { spy, driver } = setting({ attempts: 3 })
    spy.fail('read', unavailable(), unavailable(), unavailable({ last: true }))
    expect((await errorOf(driver.read([]))).details).toEqual({ last: true })
    expect(spy.reads.length).toBe(3)
  })

  test('never past the deadline, not even to find out that it has passed', async () => {
    const { spy, driver, time } = setting({ deadline: 1000, attempts: 100 })
    spy.fail('read', ...Array.from({ length: 99 }, () => unavailable()))
    await errorOf(driver.read([]))
    expect(time.waits).toEqual([100, 200, 400])
    spy.fail('commit', unavailable({ retryAfter: 5000 }))
    await errorOf(driver.commit(request(put('k', 'v'))))
    expect(spy.commits.length).toBe(1)
  })

  test('not after the caller has gone', async () => {
    const controller = new AbortController()
    const { spy, driver } = setting({ onRetry: () => controller.abort() })
    spy.fail('read', unavailable())
    expect((await errorOf(driver.read([], { signal: controller.signal }))).code).toBe('ABORTED')
    expect(spy.reads.length).toBe(1)
    const gone = setting()
    gone.spy.fail('read', unavailable())
    expect((await errorOf(gone.driver.read([], { signal: controller.signal }))).code).toBe('UNAVAILABLE')
    expect(gone.spy.reads.length).toBe(1)
  })

  test('whatever its hook throws', async () => {
    const { spy, driver } = setting({
      onRetry() {
        throw new Error('A defect of the observer')
      },
    })
    spy.fail('read', unavailable())
    expect((await driver.read([])).answers).toEqual([])
  })
})

describe('an unknown outcome', () => {
  const overReplay = (lost: number, error?: HoldfastError) => losing(replay(memory(), { window: 60_000 }), lost, error)

  test('is repeated under the same request, and takes effect once', async () => {
    const { spy, driver } = setting({}, overReplay(3))
    const it = request(append('once'))
    expect((await driver.commit(it)).outcomes).toEqual([{ ok: true, seqs: [1] }])
    expect(spy.commits).toEqual([it, it, it, it])
    expect(spy.commits.every((sent) => sent === it)).toBe(true)
    expect((await entriesOf(driver)).map((entry) => entry.value)).toEqual(['once'])
  })

  test('leaves one event in a log of a run', async () => {
    const { driver } = setting({}, overReplay(2))
    const { persistence, close } = createHoldfast({ driver })
    await persistence.append({ runId: 'r1', workflow: 'order', kind: 'paid' })
    expect((await persistence.load('r1'))!.events.map((event) => event.seq)).toEqual([1])
    await close()
  })

  test('is thrown where repeats are not recognised', async () => {
    const { spy, driver } = setting({}, losing(memory(), 1))
    expect(await errorOf(driver.commit(request(append('once'))))).toMatchObject({ ambiguous: true })
    expect(spy.commits.length).toBe(1)
    expect((await entriesOf(driver)).length).toBe(1)
  })

  test('is thrown where it would not be recognised any more', async () => {
    const { spy, driver } = setting({}, overReplay(1, unavailable({ retryAfter: 30_000 }, true)))
    expect(await errorOf(driver.commit(request(append('once'))))).toMatchObject({ ambiguous: true })
    expect(spy.commits.length).toBe(1)
  })

  test('stays unknown, whatever later attempts say', async () => {
    for (const last of [new HoldfastError('READ_ONLY', 'No'), unavailable(), new HoldfastError('ABORTED', 'Stop')]) {
      const { spy, driver } = setting({ attempts: 2 }, overReplay(1))
      const it = request(append('once'))
      let calls = 0
      const commit = spy.driver.commit
      const failing = {
        ...spy.driver,
        commit: async (r: typeof it) => (calls++ === 0 ? commit(r) : Promise.reject(last)),
      }
      const error = await errorOf(retry(failing, { attempts: 2, ...manualTime() }).commit(it))
      expect([error.code, error.ambiguous, error.cause]).toEqual([last.code, true, last])
      expect((await entriesOf(driver)).length).toBe(1)
    }
  })

  test('stays unknown when the caller goes while it waits', async () => {
    const controller = new AbortController()
    const { driver } = setting({ onRetry: () => controller.abort() }, overReplay(1))
    const error = await errorOf(driver.commit(request(append('once')), { signal: controller.signal }))
    expect([error.code, error.ambiguous]).toEqual(['ABORTED', true])
  })

  test('a refusal that was lost is told the second time', async () => {
    const { driver } = setting({}, overReplay(1))
    const it = request(append('never'))
    const refused = { ...it, commits: [{ ...it.commits[0]!, checks: [{ log: { part: 'p', key: 'log!' }, last: 5 }] }] }
    expect((await driver.commit(refused)).outcomes).toEqual([
      { ok: false, failed: [{ check: 0, current: { last: 0 } }] },
    ])
  })
})

describe('time that passes unnoticed', () => {
  /** Stops the process while it waits, for so long. */
  const frozen = (ms: number, inner?: Driver) => {
    const time = manualTime()
    const sleep = async (wait: number): Promise<void> => {
      await time.sleep(wait)
      time.pass(ms)
    }
    return setting({ clock: time.clock, sleep }, inner)
  }
  const overReplay = (lost: number) => losing(replay(memory(), { window: 60_000 }), lost)

  test('ends what is repeated: no attempt begins after half of the window', async () => {
    const { spy, driver } = frozen(30_000, overReplay(1))
    const error = await errorOf(driver.commit(request(append('once'))))
    expect([error.code, error.ambiguous, spy.commits.length]).toEqual(['UNAVAILABLE', true, 1])
  })

  test('ends no sooner than it has to', async () => {
    const { spy, driver } = frozen(29_000, overReplay(1))
    expect((await driver.commit(request(append('once')))).outcomes).toEqual([{ ok: true, seqs: [1] }])
    expect(spy.commits.length).toBe(2)
  })

  test('ends calls whose outcome is known at the deadline', async () => {
    const { spy, driver } = frozen(30_000)
    spy.fail('read', unavailable())
    expect((await errorOf(driver.read([]))).code).toBe('UNAVAILABLE')
    expect(spy.reads.length).toBe(1)
  })

  test('is seen by default, though one of the clocks stands still', async () => {
    for (const still of ['performance', 'Date'] as const) {
      vi.useFakeTimers({ toFake: ['Date', 'performance'] })
      onTestFinished(() => void vi.useRealTimers())
      const { spy, driver } = setting(
        {
          clock: undefined as never,
          async sleep() {
            const now = { performance: performance.now(), Date: Date.now() }
            vi.advanceTimersByTime(40_000)
            vi.spyOn(globalThis[still], 'now').mockReturnValue(now[still])
          },
        },
        overReplay(1),
      )
      expect(await errorOf(driver.commit(request(append('once'))))).toMatchObject({ ambiguous: true })
      expect(spy.commits.length).toBe(1)
      vi.restoreAllMocks()
      vi.useRealTimers()
    }
  })
})

describe('a request that came too late', () => {
  test('is not repeated: that would be later still', async () => {
    const { spy, driver, time } = setting()
    spy.fail('commit', late(17))
    const error = await errorOf(driver.commit(request(append('never'))))
    expect([error.code, error.ambiguous, lateAt(error)]).toEqual(['UNAVAILABLE', false, 17])
    expect([spy.commits.length, time.waits]).toEqual([1, []])
  })

  test('may have taken effect where an earlier attempt was lost', async () => {
    const { spy, driver } = setting({}, losing(replay(memory(), { window: 60_000 }), 1))
    const it = request(append('once'))
    const commit = spy.driver.commit
    let calls = 0
    const failing: Driver = {
      ...spy.driver,
      commit: async (r) => (calls++ === 0 ? commit(r) : Promise.reject(late(17))),
    }
    const error = await errorOf(retry(failing, manualTime()).commit(it))
    expect([error.code, error.ambiguous, lateAt(error), calls]).toEqual(['UNAVAILABLE', true, 17, 2])
    expect((await entriesOf(driver)).length).toBe(1)
  })
})

test('a backend with too much to do is left alone for as long as it says', async () => {
  const { spy, driver, time } = setting()
  spy.fail('commit', new HoldfastError('OVERLOADED', 'Too much', { retryable: true, details: { retryAfter: 3000 } }))
  expect((await driver.commit(request(append('once')))).outcomes).toEqual([{ ok: true, seqs: [1] }])
  expect(time.waits).toEqual([3000])
})

test('declares how long it tries altogether, where the driver does', () => {
  expect(retry(memory()).capabilities.timeout).toBeUndefined()
  expect(retry(timeout(memory(), { commit: 2000 }), { deadline: 5000 }).capabilities.timeout).toBe(15_000)
})

test('malformed options are refused', () => {
  for (const options of [{ attempts: 0 }, { delay: 0.5 }, { maxDelay: -1 }, { deadline: Number.NaN }]) {
    expect(() => retry(memory(), options)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
  }
})
