// @vitest-environment happy-dom
/** The conformance suite over an IndexedDB that is in memory: the fast loop. The real ones are in test/browsers. */
import { describe, it } from 'vitest'
import { indexedDb } from '../../../src/drivers/indexeddb/driver.ts'
import { type Harness, conformance } from '../../../src/testing/index.ts'
import type { Driver } from '../../../src/core/driver.ts'
import { dump, installFake, newFactory } from './support.ts'

installFake()

const harness: Harness = {
  name: 'indexeddb',
  async create() {
    const factory = newFactory()
    let time = Date.UTC(2026, 0, 1)
    const open = (): Driver => indexedDb({ name: 'app', indexedDB: factory, clock: () => time })
    return {
      driver: open(),
      reopen: async () => open(),
      advance: (ms) => void (time += ms),
      dump: () => dump(factory, 'app'),
    }
  },
}

conformance({ harness, describe, it })
