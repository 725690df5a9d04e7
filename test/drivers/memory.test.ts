import { describe, it } from 'vitest'
import { memory } from '../../src/drivers/memory.ts'
import { type Harness, conformance } from '../../src/testing/index.ts'
import { register } from '../../src/testing/suite.ts'
import { prefix } from '../../src/wrappers/prefix.ts'
import { replay } from '../../src/wrappers/replay.ts'
import type { Clock } from '../../src/core/clock.ts'
import type { Driver } from '../../src/core/driver.ts'
import { driverSlice, slice } from '../support/slice.ts'

/** A clock that is moved by hand: nothing waits. */
const harness = (name: string, make: (clock: Clock) => Driver): Harness => ({
  name,
  async create() {
    let time = Date.UTC(2026, 0, 1)
    return { driver: make(() => time), advance: (ms) => void (time += ms) }
  },
})

conformance({ harness: harness('memory', (clock) => memory({ clock })), describe, it })
register(slice, {
  harness: harness('memory under a prefix', (clock) => prefix(memory({ clock }), 'app 1')),
  describe,
  it,
})
register(driverSlice, {
  harness: harness('memory that recognises repeats', (clock) => replay(memory({ clock }), { clock, window: 60_000 })),
  describe,
  it,
})
/** Cases that wait do so for real, so they wait at the same time. */
const byTheRealClock: Harness = { name: 'memory by the real clock', create: async () => ({ driver: memory() }) }
register(slice, { harness: byTheRealClock, describe, it: it.concurrent })
