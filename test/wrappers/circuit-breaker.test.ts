import { describe, expect, test } from 'vitest'
import { HoldfastError } from '../../src/core/errors.ts'
import { late } from '../../src/core/request-records.ts'
import { memory } from '../../src/drivers/memory.ts'
import { spyOn } from '../../src/testing/spy.ts'
import { type CircuitBreakerOptions, circuitBreaker } from '../../src/wrappers/circuit-breaker.ts'
import { retry } from '../../src/wrappers/retry.ts'
import { append, conformanceOver, entriesOf, errorOf, manualTime, put, request, unavailable } from './support.ts'

conformanceOver('memory behind a circuit breaker', (driver, clock) => circuitBreaker(driver, { clock }))

function setting(options: CircuitBreakerOptions = {}, inner = memory()) {
  const time = manualTime()
  const spy = spyOn(inner)
  const states: string[] = []
  const onChange = (state: string): void => void states.push(state)
  const driver = circuitBreaker(spy.driver, { failures: 3, cooldown: 1000, clock: time.clock, onChange, ...options })
  const fail = async (n: number, error: Error = unavailable()): Promise<void> => {
    for (let i = 0; i < n; i++) {
      spy.fail('read', error)
      await driver.read([]).catch(() => {})
    }
  }
  return { time, spy, states, driver, fail }
}

describe('closed', () => {
  test('it opens at so many failures in a row', async () => {
    const { spy, states, driver, fail } = setting()
    await fail(2)
    await driver.read([])
    await fail(2)
    expect(states).toEqual([])
    await fail(1)
    expect(states).toEqual(['open'])
    expect(spy.reads.length).toBe(6)
  })

  test('failures of all calls count together', async () => {
    const { spy, states, driver } = setting()
    spy.fail('open', new HoldfastError('TIMEOUT', 'Late'))
    spy.fail('read', new Error('A bare one'))
    spy.fail('commit', new HoldfastError('BACKEND', 'Broken'))
    await driver.open().catch(() => {})
    await driver.read([]).catch(() => {})
    await driver.commit(request(put('k', 'v'))).catch(() => {})
    expect(states).toEqual(['open'])
  })

  test('what tells of the call, or that somebody stopped it, opens nothing', async () => {
    const { states, fail } = setting()
    for (const code of ['INVALID_ARGUMENT', 'CONFLICT', 'QUOTA_EXCEEDED', 'ABORTED', 'CLOSED', 'OVERLOADED'] as const) {
      await fail(5, new HoldfastError(code, 'No'))
    }
    await fail(5, late(0))
    expect(states).toEqual([])
  })

  test('an answer that the backend gave ends the row, an aborted call does not', async () => {
    const { states, fail } = setting()
    await fail(2)
    for (const answer of [new HoldfastError('READ_ONLY', 'No'), late(0), new HoldfastError('CONFLICT', 'No')]) {
      await fail(1, answer)
      await fail(2)
    }
    await fail(1, new HoldfastError('ABORTED', 'Stop'))
    await fail(1, new HoldfastError('OVERLOADED', 'Too much'))
    expect(states).toEqual([])
    await fail(1)
    expect(states).toEqual(['open'])
  })
})

describe('open', () => {
  test('it refuses at once, certainly without effect, and says when to come back', async () => {
    const { time, spy, driver, fail } = setting()
    await fail(3)
    time.pass(400)
    const error = await errorOf(driver.commit(request(put('k', 'v'))))
    expect(error).toMatchObject({ code: 'UNAVAILABLE', retryable: true, ambiguous: false })
    expect(error.details).toEqual({ circuit: 'open', retryAfter: 600 })
    expect(spy.commits.length).toBe(0)
  })

  test('closing passes', async () => {
    const { spy, driver, fail } = setting()
    await fail(3)
    await driver.close()
    expect(spy.closes).toBe(1)
  })

  test('what comes back late from before changes nothing', async () => {
    let answer!: () => void
    const gate = new Promise<void>((resolve) => (answer = resolve))
    const late = async (): Promise<never> => {
      await gate
      throw unavailable()
    }
    const { time, states, driver, fail } = setting({}, { ...memory(), commit: late })
    const calls = [1, 2, 3].map((n) => errorOf(driver.commit(request(put('k', String(n))))))
    await fail(3)
    time.pass(1000)
    await driver.read([])
    answer()
    await Promise.all(calls)
    expect(states).toEqual(['open', 'half-open', 'closed'])
  })
})

describe('half open', () => {
  test('one call passes, the others are refused, and its success closes the circuit', async () => {
    const { time, spy, states, driver, fail } = setting()
    await fail(3)
    time.pass(1000)
    spy.hold()
    const probe = driver.read([])
    await spy.arrived(4)
    expect((await errorOf(driver.read([]))).details).toEqual({ circuit: 'half-open' })
    expect(spy.reads.length).toBe(4)
    spy.release()
    await probe
    await driver.read([])
    expect(states).toEqual(['open', 'half-open', 'closed'])
  })

  test('a probe that fails opens it for another cooldown', async () => {
    const { time, states, driver, fail } = setting()
    await fail(3)
    time.pass(1000)
    await fail(1)
    expect((await errorOf(driver.read([]))).details).toEqual({ circuit: 'open', retryAfter: 1000 })
    expect(states).toEqual(['open', 'half-open', 'open'])
  })

  test('a probe that came too late closes it: the backend has judged it', async () => {
    const { time, states, fail } = setting()
    await fail(3)
    time.pass(1000)
    await fail(1, late(0))
    expect(states).toEqual(['open', 'half-open', 'closed'])
  })

  test('a probe that was not sent makes room for the next', async () => {
    const { time, spy, states, driver, fail } = setting()
    await fail(3)
    time.pass(1000)
    await fail(1, new HoldfastError('OVERLOADED', 'Too much', { retryable: true }))
    expect(states).toEqual(['open', 'half-open'])
    await driver.read([])
    expect([states, spy.reads.length]).toEqual([['open', 'half-open', 'closed'], 5])
  })

  test('it takes as many successes as wanted', async () => {
    const { time, states, driver, fail } = setting({ successes: 2 })
    await fail(3)
    time.pass(1000)
    await driver.read([])
    expect(states).toEqual(['open', 'half-open'])
    await driver.read([])
    expect(states).toEqual(['open', 'half-open', 'closed'])
  })

  test('an aborted probe makes room for the next, and so does one that never ends', async () => {
    const { time, spy, states, driver, fail } = setting()
    await fail(3)
    time.pass(1000)
    await fail(1, new HoldfastError('ABORTED', 'Stop'))
    spy.hold()
    const stuck = driver.read([])
    await spy.arrived(5)
    time.pass(1000)
    spy.release()
    await driver.read([])
    await stuck
    expect(states).toEqual(['open', 'half-open', 'closed'])
  })
})

/** An outage of five seconds, as the runbooks have it: the caller halts, and the same driver recovers by itself. */
test('an outage of 5 s: nothing is sent while the circuit is open, and the same driver recovers', async () => {
  const time = manualTime()
  const inner = memory()
  const start = time.clock()
  const sent: number[] = []
  const flaky = {
    ...inner,
    async commit(it: Parameters<typeof inner.commit>[0]) {
      sent.push(time.clock() - start)
      if (time.clock() - start < 5000) throw unavailable()
      return inner.commit(it)
    },
  }
  const states: [number, string][] = []
  const breaker = circuitBreaker(flaky, {
    failures: 3,
    cooldown: 2000,
    clock: time.clock,
    onChange: (state) => void states.push([time.clock() - start, state]),
  })
  const halting = retry(breaker, { attempts: 3, deadline: 1000, random: () => 1, ...time })
  expect(await errorOf(halting.commit(request(append('halts'))))).toMatchObject({
    code: 'UNAVAILABLE',
    ambiguous: false,
  })
  expect(time.clock() - start).toBeLessThan(5000)
  const waiting = retry(breaker, { attempts: 30, deadline: 60_000, random: () => 1, ...time })
  expect((await waiting.commit(request(append('saved')))).outcomes).toEqual([{ ok: true, seqs: [1] }])
  expect((await entriesOf(inner)).map((entry) => entry.value)).toEqual(['saved'])
  expect(states).toEqual([
    [300, 'open'],
    [2300, 'half-open'],
    [2300, 'open'],
    [4300, 'half-open'],
    [4300, 'open'],
    [6700, 'half-open'],
    [6700, 'closed'],
  ])
  expect(sent).toEqual([0, 100, 300, 2300, 4300, 6700])
})

test('malformed thresholds are refused', () => {
  for (const options of [{ failures: 0 }, { successes: 1.5 }, { cooldown: -1 }]) {
    expect(() => circuitBreaker(memory(), options)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
  }
})
