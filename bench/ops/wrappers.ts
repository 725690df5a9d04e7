/** What each wrapper adds to a call, over the memory driver. @module */
import { type Driver, createHoldfast, memory } from 'holdfast'
import { circuitBreaker } from 'holdfast/circuit-breaker'
import { compress } from 'holdfast/compress'
import { encrypt } from 'holdfast/encrypt'
import { observe } from 'holdfast/observe'
import { prefix } from 'holdfast/prefix'
import { replay } from 'holdfast/replay'
import { retry } from 'holdfast/retry'
import { timeout } from 'holdfast/timeout'
import { figure } from '../measure.ts'
import type { WrapperRow } from './report.ts'

const CALLS = 300
const VALUE = JSON.stringify(
  Array.from({ length: 12 }, (_, line) => ({ line, sku: `item-${line}`, note: 'kelp and limpets' })),
)
const keys = { k: new Uint8Array(32).fill(7) }

const WRAPPERS: Readonly<Record<string, (driver: Driver) => Driver>> = {
  prefix: (driver) => prefix(driver, 'acme'),
  replay: (driver) => replay(driver),
  retry: (driver) => retry(driver),
  'circuit breaker': (driver) => circuitBreaker(driver),
  timeout: (driver) => timeout(driver),
  observe: (driver) => observe(driver, { start: () => () => {} }),
  encrypt: (driver) => encrypt(driver, { keys, current: 'k' }),
  'encrypt, names hidden': (driver) => encrypt(driver, { keys, current: 'k', names: keys.k }),
  compress: (driver) => compress(driver),
}

async function timed(driver: Driver): Promise<{ readonly set: number; readonly get: number }> {
  const { state, close } = createHoldfast({ driver })
  const each = async (call: (i: number) => Promise<unknown>): Promise<number> => {
    const start = performance.now()
    for (let i = 0; i < CALLS; i++) await call(i)
    return ((performance.now() - start) * 1000) / CALLS
  }
  const set = await each((i) => state.set(`k${i}`, VALUE))
  const get = await each((i) => state.get(`k${i}`))
  await close()
  return { set, get }
}

/** @param rounds - in each, all wrappers have their turn beside the driver without one */
export async function measureWrappers(rounds: number): Promise<WrapperRow[]> {
  const found = new Map<string, { readonly set: number[]; readonly get: number[] }>()
  // The first round warms up.
  for (let round = -1; round < rounds; round++) {
    for (const [wrapper, wrap] of Object.entries(WRAPPERS)) {
      const bare = await timed(memory())
      const wrapped = await timed(wrap(memory()))
      if (round < 0) continue
      const times = found.get(wrapper) ?? { set: [], get: [] }
      found.set(wrapper, times)
      times.set.push(wrapped.set - bare.set)
      times.get.push(wrapped.get - bare.get)
    }
  }
  const rows = [...found].map(([wrapper, { set, get }]): WrapperRow => ({
    wrapper,
    set: figure(set),
    get: figure(get),
  }))
  return rows
}
