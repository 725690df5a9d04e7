/** The conformance suite over message ports. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MessageChannel } from 'node:worker_threads'
import { afterAll, describe, it } from 'vitest'
import { connect, serve } from '../../../src/served/channel/index.ts'
import type { Clock } from '../../../src/core/clock.ts'
import type { Driver } from '../../../src/core/driver.ts'
import { memory } from '../../../src/drivers/memory.ts'
import { sqlite } from '../../../src/drivers/sqlite/better-sqlite3.ts'
import type { Harness } from '../../../src/testing/index.ts'
import { register } from '../../../src/testing/suite.ts'
import { replay } from '../../../src/wrappers/replay.ts'
import { costly, slice } from '../../support/slice.ts'
import { thread } from './support.ts'
import type { Job } from './worker.ts'

/** One driver, served to every client over a port of its own. */
const harness = (name: string, make: (directory: string, clock: Clock) => Driver): Harness => ({
  name,
  async create() {
    let time = Date.UTC(2026, 0, 1)
    const directory = mkdtempSync(join(tmpdir(), 'holdfast-channel-'))
    const driver = make(directory, () => time)
    const ports: MessageChannel['port1'][] = []
    async function reopen(): Promise<Driver> {
      const { port1, port2 } = new MessageChannel()
      ports.push(port1)
      serve(driver, port1)
      return connect(port2)
    }
    return {
      driver: await reopen(),
      reopen,
      advance: (ms) => void (time += ms),
      async dispose() {
        for (const port of ports) port.close()
        await driver.close()
        rmSync(directory, { recursive: true })
      },
    }
  },
})

const overMemory = harness('memory over a port', (_, clock) => memory({ clock }))
const overReplay = harness('memory that recognises repeats, over a port', (_, clock) =>
  replay(memory({ clock }), { clock, window: 60_000 }),
)
const overSqlite = harness('better-sqlite3 over a port', (directory, clock) =>
  sqlite({ path: join(directory, 'test.db'), clock, replayWindow: 60_000 }),
)

/** The same over a real second thread, whose clock is shared memory. */
const worker = thread()
afterAll(() => worker.terminate())
let count = 0
const overThread: Harness = {
  name: 'memory in another thread',
  async create() {
    const name = `driver ${++count}`
    const time = new Float64Array(new SharedArrayBuffer(8))
    time[0] = Date.UTC(2026, 0, 1)
    const ports: MessageChannel['port1'][] = []
    async function reopen(): Promise<Driver> {
      const { port1: near, port2: port } = new MessageChannel()
      ports.push(near)
      worker.postMessage({ name, port, time } satisfies Job, [port])
      return connect(near)
    }
    return {
      driver: await reopen(),
      reopen,
      advance: (ms) => void (time[0]! += ms),
      dispose: async () => ports.forEach((port) => port.close()),
    }
  },
}

register(costly, { harness: overThread, describe, it })
for (const harness of [overMemory, overReplay, overSqlite]) register(slice, { harness, describe, it })
