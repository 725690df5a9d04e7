/** What the suites of wrappers share: a clock that is moved by hand, and requests. */
import { describe, it } from 'vitest'
import type { Clock } from '../../src/core/clock.ts'
import type { CommitRequest, Driver, Entry, EntryPage, Op } from '../../src/core/driver.ts'
import { HoldfastError, isHoldfastError } from '../../src/core/errors.ts'
import { memory } from '../../src/drivers/memory.ts'
import type { Case, Harness, Skip } from '../../src/testing/index.ts'
import { register } from '../../src/testing/suite.ts'
import { costly } from '../support/slice.ts'

/** A time that passes when it is told to; waiting is letting it pass. */
export function manualTime() {
  let time = Date.UTC(2026, 0, 1)
  const waits: number[] = []
  return {
    waits,
    clock: () => time,
    pass: (ms: number) => void (time += ms),
    async sleep(ms: number, signal?: AbortSignal) {
      waits.push(ms)
      if (signal?.aborted) throw new HoldfastError('ABORTED', 'Aborted')
      time += ms
    },
  }
}

/** The whole suite over a wrapper around memory; a slice of it in a quick run. */
export function conformanceOver(
  name: string,
  wrap: (driver: Driver, clock: Clock) => Driver,
  options: { readonly skip?: readonly Skip[]; readonly cases?: readonly Case[] } = {},
): void {
  const harness: Harness = {
    name,
    async create() {
      let time = Date.UTC(2026, 0, 1)
      const clock = (): number => time
      return { driver: wrap(memory({ clock }), clock), advance: (ms) => void (time += ms) }
    },
  }
  const which = options.cases ?? costly
  const skip = (options.skip ?? []).map(({ reason, cases }) => ({
    reason,
    cases: cases.filter((id) => which.some((it) => it.id === id)),
  }))
  register(which, { harness, describe, it, skip, log: () => {} })
}

export const PART = 'default!values'
export const at = (key: string, part = PART) => ({ part, key })
export const put = (key: string, value: string | Uint8Array, part = PART): Op => ({ put: at(key, part), value })
export const append = (value: string | Uint8Array, ref?: string): Op => ({
  append: at('log!'),
  value,
  ...(ref !== undefined && { ref }),
})

let ids = 0
export function request(...ops: readonly Op[]): CommitRequest {
  const id = `id${++ids}`
  return { id, commits: [{ id, checks: [], ops, durability: 'strict' }] }
}

export async function get(driver: Driver, key: string, part = PART): Promise<Entry | null> {
  return (await driver.read([{ get: at(key, part) }])).answers[0] as Entry | null
}

export async function entriesOf(driver: Driver, part = PART): Promise<readonly Entry[]> {
  const { answers } = await driver.read([{ range: { part, start: ' ', end: '~~', limit: 1000 } }])
  return (answers[0] as EntryPage).entries
}

/** The error that a call fails with. */
export async function errorOf(call: Promise<unknown>): Promise<HoldfastError> {
  const error = await call.then(
    () => new Error('It did not fail'),
    (cause: unknown) => cause,
  )
  if (isHoldfastError(error)) return error
  throw error
}

export const unavailable = (details?: Record<string, unknown>, ambiguous = false): HoldfastError =>
  new HoldfastError('UNAVAILABLE', 'The backend cannot be reached', { retryable: true, ambiguous, details })
