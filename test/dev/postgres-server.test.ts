/** What a PostgreSQL that does not start leaves behind: nothing. */
import { chmodSync, readdirSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { freePort } from '../../src/dev/ports.ts'
import { startPostgres } from '../../src/dev/postgres-server.ts'
import { bin } from '../drivers/postgres/support.ts'
import { withDirectory } from '../support/engines.ts'

afterEach(() => {
  vi.unstubAllEnvs()
  vi.useRealTimers()
})

/** Does work where temporary files are in a directory of its own, which the user `postgres` can enter. */
const withTemporary = (work: (directory: string) => Promise<void>): Promise<void> =>
  withDirectory(async (directory) => {
    chmodSync(directory, 0o755)
    vi.stubEnv('TMPDIR', directory)
    await work(directory)
  })

const isListening = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => (socket.destroy(), resolve(true)))
    socket.once('error', () => resolve(false))
  })

describe.skipIf(!bin)('a PostgreSQL that does not start', () => {
  it('leaves no directory where there is no program', () =>
    withTemporary(async (directory) => {
      const nowhere = join(directory, 'bin')
      await expect(startPostgres({ bin: nowhere })).rejects.toMatchObject({ code: 'ENOENT' })
      expect(readdirSync(directory)).toEqual([])
    }))

  it('leaves no process and no directory where it does not answer', () =>
    withTemporary(async (directory) => {
      vi.useFakeTimers({ toFake: ['Date'] })
      const elsewhere = await freePort()
      const failed = expect(startPostgres({ bin: bin!, fsync: false, settings: { port: elsewhere } })).rejects.toThrow(
        'PostgreSQL did not start',
      )
      await vi.waitUntil(() => isListening(elsewhere), { timeout: 60_000 })
      vi.setSystemTime(Date.now() + 60_000)
      await failed
      expect(await isListening(elsewhere)).toBe(false)
      expect(readdirSync(directory)).toEqual([])
    }))
})
