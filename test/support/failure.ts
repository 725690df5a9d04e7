/** Calls that have to fail. */
import { type HoldfastError, isHoldfastError } from '../../src/core/errors.ts'

/** The error that a call fails with. */
export async function failureOf(call: Promise<unknown>): Promise<HoldfastError> {
  try {
    await call
  } catch (error) {
    if (isHoldfastError(error)) return error
    throw error
  }
  throw new Error('The call did not fail')
}
