/** One file and several processes, by the client of libSQL. */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { createClient } from '@libsql/client'
import { expect, test } from 'vitest'
import { libsql } from '../../../src/drivers/sqlite/libsql.ts'
import { createHoldfast } from '../../../src/holdfast.ts'
import { openBetterSqlite3, withDirectory } from '../../support/engines.ts'

const run = promisify(execFile)
const CHILD = join(import.meta.dirname, 'child.ts')
const LOCKER = join(import.meta.dirname, '../sqlite/child.ts')

/** Another process that holds the lock of a file: locks of one process do not keep it out itself. */
async function locked(path: string): Promise<{ release(): Promise<void> }> {
  const other = spawn(process.execPath, ['--import', 'tsx', LOCKER, 'lock', path], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const ended = once(other, 'exit')
  await once(other.stdout, 'data')
  return {
    async release() {
      other.stdin.end()
      expect(await ended).toEqual([0, null])
    },
  }
}

test('processes that write to one file at the same time all get on, and lose nothing', () =>
  withDirectory(async (directory) => {
    const path = join(directory, 'test.db')
    const reports = await Promise.all(
      Array.from({ length: 3 }, async () => {
        const { stdout } = await run(process.execPath, ['--import', 'tsx', CHILD, path, '4000'])
        return JSON.parse(stdout) as { appended: number; failures: string[] }
      }),
    )
    expect(reports.flatMap(({ failures }) => failures)).toEqual([])
    for (const { appended } of reports) expect(appended).toBeGreaterThan(0)
    const db = await openBetterSqlite3(path)
    const seqs = db.prepare(`SELECT CAST(substr(key, -16) AS INTEGER) FROM holdfast_entries ORDER BY key`).pluck().all()
    db.close()
    expect(seqs).toEqual(Array.from({ length: reports.reduce((sum, it) => sum + it.appended, 0) }, (_, i) => i + 1))
  }))

test('a client that has met a lock for longer than it waits goes on when the lock is gone', () =>
  withDirectory(async (directory) => {
    const path = join(directory, 'test.db')
    const client = createClient({ url: `file:${path}`, timeout: 1000 })
    const { state, close } = createHoldfast({ driver: libsql({ db: client, timeout: 1500 }) })
    await state.increment('n')
    const locking = await locked(path)
    await expect(state.increment('n')).rejects.toMatchObject({ code: 'UNAVAILABLE', retryable: true, ambiguous: false })
    await locking.release()
    expect(await state.increment('n')).toBe(2)
    const other = await locked(path)
    await other.release()
    expect(await state.increment('n')).toBe(3)
    await close()
    client.close()
  }))

test('a client that does not wait for other processes is refused, unless there are none', () =>
  withDirectory(async (directory) => {
    const url = `file:${join(directory, 'test.db')}`
    for (const [made, code] of [
      [createClient({ url }), 'UNSUPPORTED'],
      [createClient({ url, timeout: 100 }), 'UNSUPPORTED'],
      [createClient({ url, timeout: 1000 }), undefined],
      [createClient({ url: ':memory:' }), undefined],
    ] as const) {
      const opening = libsql({ db: made }).open()
      expect(
        await opening.then(
          () => undefined,
          (error: { code: string }) => error.code,
        ),
      ).toBe(code)
      made.close()
    }
  }))
