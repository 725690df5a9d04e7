/** The conformance suite through the handler and its caller: in process, and over a socket. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'vitest'
import type { Clock } from '../../../src/core/clock.ts'
import type { Driver } from '../../../src/core/driver.ts'
import { memory } from '../../../src/drivers/memory.ts'
import { sqlite } from '../../../src/drivers/sqlite/better-sqlite3.ts'
import { type RemoteCapabilities, createHandler, remote } from '../../../src/served/http/index.ts'
import type { Harness } from '../../../src/testing/index.ts'
import { register } from '../../../src/testing/suite.ts'
import { replay } from '../../../src/wrappers/replay.ts'
import { costly, slice } from '../../support/slice.ts'
import { ENDPOINT, authorize, fetchFrom, listen } from './support.ts'

const headers = { authorization: 'tenant of the caller' }

const harness = (
  name: string,
  isSocket: boolean,
  capabilities: RemoteCapabilities,
  make: (path: string, clock: Clock) => Driver,
): Harness => ({
  name,
  async create() {
    let time = Date.UTC(2026, 0, 1)
    const directory = mkdtempSync(join(tmpdir(), 'holdfast-http-'))
    const driver = make(join(directory, 'test.db'), () => time)
    const handler = createHandler(driver, { authorize })
    const server = isSocket ? await listen(handler) : undefined
    const to = server ? { url: server.url } : { url: ENDPOINT, fetch: fetchFrom(handler) }
    const open = (): Driver => remote({ ...to, headers, capabilities })
    return {
      driver: open(),
      reopen: async () => open(),
      advance: (ms) => void (time += ms),
      async dispose() {
        await server?.close()
        await driver.close()
        rmSync(directory, { recursive: true })
      },
    }
  },
})

const overMemory = (_: string, clock: Clock): Driver => replay(memory({ clock }), { clock, window: 120_000 })
const overSqlite = (path: string, clock: Clock): Driver => sqlite({ path, clock, replayWindow: 120_000 })

const bySocket = harness('memory over HTTP by a socket', true, { durability: 'none' }, overMemory)
const inProcess = harness('better-sqlite3 over HTTP in process', false, {}, overSqlite)
register(costly, { harness: bySocket, describe, it })
register(slice, { harness: inProcess, describe, it })
