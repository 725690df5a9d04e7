import { describe, expect, it } from 'vitest'
import { aborted, HoldfastError, invalid, isHoldfastError } from '../../src/core/errors.ts'

describe('HoldfastError', () => {
  it('carries what it was given, and promises nothing else', () => {
    const cause = new Error('underneath')
    const error = new HoldfastError('CONFLICT', 'Taken', { cause, details: { seq: 1 } })
    expect(error).toMatchObject({ name: 'HoldfastError', code: 'CONFLICT', message: 'Taken', details: { seq: 1 } })
    expect([error.retryable, error.ambiguous, error.cause]).toEqual([false, false, cause])
    expect(new HoldfastError('BACKEND', 'x', { retryable: true, ambiguous: true })).toMatchObject({
      retryable: true,
      ambiguous: true,
      details: undefined,
    })
    expect(error).toBeInstanceOf(Error)
    expect('cause' in invalid('x')).toBe(false)
  })

  it('is told by name and code, also where it is of another copy of the package', () => {
    const other = Object.assign(new Error('x'), { name: 'HoldfastError', code: 'CLOSED' })
    for (const error of [new HoldfastError('CLOSED', 'x'), other, { name: 'HoldfastError', code: 'CLOSED' }]) {
      expect(isHoldfastError(error)).toBe(true)
      expect(isHoldfastError(error, 'CLOSED')).toBe(true)
      expect(isHoldfastError(error, 'ABORTED')).toBe(false)
    }
    for (const error of [new Error('x'), { code: 'CLOSED' }, { name: 'HoldfastError' }, null, undefined, 'CLOSED', 5]) {
      expect(isHoldfastError(error)).toBe(false)
      expect(isHoldfastError(error, 'CLOSED')).toBe(false)
    }
  })

  it('keeps the reason of an abort', () => {
    const reason = new Error('Changed my mind')
    expect(aborted(AbortSignal.abort(reason), true)).toMatchObject({ code: 'ABORTED', cause: reason, ambiguous: true })
    expect(aborted(AbortSignal.abort(reason), false)).toMatchObject({ retryable: true, ambiguous: false })
  })
})
