/** Lost answers, broken at the server that speaks Neon's protocol. */
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createDatabase } from '../../../src/core/database.ts'
import { isHoldfastError } from '../../../src/core/errors.ts'
import type { PostgresServer } from '../../../src/dev/postgres-server.ts'
import { type PostgresHandle, postgres } from '../../../src/drivers/postgres/driver.ts'
import { persistenceStore } from '../../../src/stores/persistence/store.ts'
import { stateStore } from '../../../src/stores/state/store.ts'
import { bin, neonOver, start } from './support.ts'

describe.skipIf(!bin)('over HTTP', () => {
  let server: PostgresServer
  let neon: Awaited<ReturnType<typeof neonOver>>

  beforeAll(async () => {
    server = await start()
    neon = await neonOver(server)
    // Who gives up after a second has no time to make the schema on a busy machine.
    await postgres({ db: neon.open('postgres') }).open()
  })
  afterAll(async () => {
    await neon.end()
    await server.stop()
  })

  const over = (handle: PostgresHandle, options: { timeout?: number }) => {
    const db = createDatabase({ driver: postgres({ db: handle, ...options }) })
    return { db, state: stateStore(db), log: persistenceStore(db) }
  }
  const open = (options: { timeout?: number } = {}) => over(neon.open('postgres'), options)

  test('who gives up says that he does not know, and a repetition under the same key tells', async () => {
    const { db, log } = open({ timeout: 1000 })
    await db.open()
    neon.http.setFaults(() => ({ cut: 'answer' }))
    const event = { runId: 'given up', workflow: 'w', kind: 'paid', idempotencyKey: 'order 1' }
    const error: unknown = await log.append(event).catch((cause: unknown) => cause)
    neon.http.setFaults(undefined)
    expect(isHoldfastError(error, 'UNAVAILABLE') && [error.ambiguous, error.retryable]).toEqual([true, true])
    expect((await log.append(event)).seq).toBe(1)
    expect((await log.append({ ...event, idempotencyKey: 'order 2' })).seq).toBe(2)
  })

  test('what was never sent is not in doubt', async () => {
    const { db, state } = open({ timeout: 1000 })
    await db.open()
    neon.http.setFaults(() => ({ status: 429, body: { message: 'slow down' } }))
    const error: unknown = await state.get('k').catch((cause: unknown) => cause)
    neon.http.setFaults(undefined)
    expect(isHoldfastError(error, 'UNAVAILABLE') && [error.ambiguous, error.retryable]).toEqual([false, true])
  })

  test('what nobody listened to is not in doubt, over HTTP and over TCP', async () => {
    const gone = await neonOver(server)
    const dbs = [gone.open('postgres'), new pg.Pool({ host: '127.0.0.1', port: 1 })]
    await gone.http.close()
    for (const handle of dbs) {
      const { state } = over(handle, { timeout: 1000 })
      const error: unknown = await state.set('k', 'v').catch((cause: unknown) => cause)
      expect(isHoldfastError(error, 'UNAVAILABLE') && [error.ambiguous, error.retryable]).toEqual([false, true])
    }
    await gone.end()
  })
})
