import { describe, expect, it } from 'vitest'
import {
  type DeadLetterPolicy,
  type RetryPolicy,
  afterFailure,
  nextRetry,
  retryDelay,
} from '../../src/policies/retries.ts'
import { BAD_NUMBERS } from '../../src/testing/stores.ts'

const refused = expect.objectContaining({ code: 'INVALID_ARGUMENT' })
const delays = (policy: RetryPolicy, n: number): number[] =>
  Array.from({ length: n }, (_, i) => retryDelay(policy, i + 1))

// RV-30, SY-97.
describe('retryDelay', () => {
  it('starts at a second and doubles by default', () => {
    expect(delays({ maxAttempts: 9 }, 5)).toEqual([1000, 2000, 4000, 8000, 16_000])
  })

  it('starts at the initial delay and is multiplied by the factor', () => {
    expect(delays({ maxAttempts: 9, initialDelay: 100, factor: 3 }, 4)).toEqual([100, 300, 900, 2700])
    expect(delays({ maxAttempts: 9, initialDelay: 5, factor: 1.5 }, 4)).toEqual([5, 8, 11, 17])
  })

  it('stays the same with the factor 1', () => {
    expect(delays({ maxAttempts: 9, initialDelay: 250, factor: 1 }, 3)).toEqual([250, 250, 250])
  })

  it('is no longer than the longest', () => {
    expect(delays({ maxAttempts: 9, maxDelay: 3000 }, 4)).toEqual([1000, 2000, 3000, 3000])
    expect(delays({ maxAttempts: 9, maxDelay: 10 }, 2)).toEqual([10, 10])
  })

  it('stays a time after any number of failures', () => {
    expect(retryDelay({ maxAttempts: 1 }, 10_000)).toBe(8.64e15)
    expect(retryDelay({ maxAttempts: 1, initialDelay: 0 }, 10_000)).toBe(0)
    expect(retryDelay({ maxAttempts: 1, initialDelay: 7, factor: 1 }, Number.MAX_SAFE_INTEGER)).toBe(7)
  })

  it('is a random part of it with jitter', () => {
    const policy = { maxAttempts: 9, maxDelay: 3000, jitter: true }
    expect(retryDelay(policy, 1, { random: () => 0 })).toBe(0)
    expect(retryDelay(policy, 2, { random: () => 0.25 })).toBe(500)
    expect(retryDelay(policy, 9, { random: () => 0.5 })).toBe(1500)
    for (let i = 0; i < 100; i++) {
      const delay = retryDelay(policy, 1)
      expect(Number.isInteger(delay) && delay >= 0 && delay <= 1000).toBe(true)
    }
  })

  it('refuses what is malformed', () => {
    for (const n of BAD_NUMBERS as number[]) {
      expect(() => retryDelay({ maxAttempts: n }, 1)).toThrow(refused)
      expect(() => retryDelay({ maxAttempts: 1, initialDelay: n }, 1)).toThrow(refused)
      expect(() => retryDelay({ maxAttempts: 1, maxDelay: n }, 1)).toThrow(refused)
      expect(() => retryDelay({ maxAttempts: 1 }, n)).toThrow(refused)
    }
    for (const factor of [0, 0.99, -1, Number.NaN, Infinity, '2', null, {}] as number[]) {
      expect(() => retryDelay({ maxAttempts: 1, factor }, 1)).toThrow(refused)
    }
    expect(() => retryDelay({ maxAttempts: 0 }, 1)).toThrow(refused)
    expect(() => retryDelay({ maxAttempts: 1 }, 0)).toThrow(refused)
  })
})

describe('nextRetry', () => {
  it('is the delay until all attempts have failed', () => {
    const policy = { maxAttempts: 3, initialDelay: 10 }
    expect([1, 2, 3, 4].map((failed) => nextRetry(policy, failed))).toEqual([10, 20, undefined, undefined])
    expect(nextRetry({ maxAttempts: 1 }, 1)).toBeUndefined()
  })
})

// RV-31.
describe('afterFailure', () => {
  const retryThenSend = (maxAttempts: number): DeadLetterPolicy => ({
    kind: 'retryThenSend',
    retry: { maxAttempts, initialDelay: 10 },
  })

  /** What becomes of a step that fails so often: how it ended, and what was sent. */
  function play(failures: number, policyAt: (attempt: number) => DeadLetterPolicy) {
    const sent: number[] = []
    for (let attempt = 1; attempt <= failures; attempt++) {
      const { action } = afterFailure(policyAt(attempt), attempt)
      if (action === 'send') sent.push(attempt)
      if (action !== 'retry') return { end: action, sent }
    }
    return { end: 'succeeded', sent }
  }

  it('drops', () => expect(play(5, () => 'drop')).toEqual({ end: 'drop', sent: [] }))
  it('sends at once', () => expect(play(5, () => 'send')).toEqual({ end: 'send', sent: [1] }))
  it('retries, and sends nothing where that helped', () => {
    expect(afterFailure(retryThenSend(3), 2)).toEqual({ action: 'retry', delay: 20 })
    expect(play(2, () => retryThenSend(3))).toEqual({ end: 'succeeded', sent: [] })
  })
  it('sends once when all attempts have failed', () => {
    expect(play(9, () => retryThenSend(3))).toEqual({ end: 'send', sent: [3] })
  })
  it('goes by the policy as it is at the failure', () => {
    expect(play(9, (attempt) => (attempt < 3 ? retryThenSend(9) : 'drop'))).toEqual({ end: 'drop', sent: [] })
    expect(play(9, (attempt) => retryThenSend(attempt < 4 ? 4 : 6))).toEqual({ end: 'send', sent: [6] })
    expect(play(9, (attempt) => retryThenSend(attempt < 4 ? 9 : 2))).toEqual({ end: 'send', sent: [4] })
  })

  it('refuses what is malformed', () => {
    for (const policy of [undefined, null, 'retry', '', {}, { kind: 'send' }, { kind: 'retryThenSend' }] as never[]) {
      expect(() => afterFailure(policy, 1)).toThrow(refused)
    }
    expect(() => afterFailure('send', 0)).toThrow(refused)
    expect(() => afterFailure(retryThenSend(0), 1)).toThrow(refused)
  })
})
