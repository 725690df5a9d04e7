/** What lies in real backends when values are encrypted: nothing of them can be found there. */
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { RESP_TYPES, createClient } from 'redis'
import { afterAll, describe, expect, it } from 'vitest'
import type { Driver } from '../../src/core/driver.ts'
import { startPostgres } from '../../src/dev/postgres-server.ts'
import { startRedis } from '../../src/dev/redis-server.ts'
import { postgres } from '../../src/drivers/postgres/driver.ts'
import { sqlite } from '../../src/drivers/sqlite/better-sqlite3.ts'
import { upstash } from '../../src/drivers/upstash/driver.ts'
import { createHoldfast } from '../../src/holdfast.ts'
import { encrypt } from '../../src/wrappers/encrypt.ts'
import { part } from '../support/parts.ts'

const SECRET = 'kelp-4711-limpet'

/** Stores the secret in everything that takes values. */
async function tell(driver: Driver): Promise<void> {
  const { state, persistence, workflows, signals, close } = createHoldfast({ driver })
  await state.set('text', SECRET)
  await state.set('bytes', new TextEncoder().encode(SECRET))
  await persistence.append({ runId: 'r', workflow: 'w', kind: 'k', payload: { SECRET }, idempotencyKey: 'once' })
  await persistence.saveIntervention('r', { targetStep: 's', payload: SECRET })
  await workflows.updateContext('r', { SECRET })
  await workflows.saveTaskResult('r', 's', SECRET)
  await signals.sendMessage('r', 'news', SECRET)
  await signals.storeSignal('r', 'cancel', { reason: SECRET })
  await state.saveSnapshot({ runId: 'r', state: { SECRET } })
  await close()
}

/** A backend that is empty, and all of its bytes. */
interface Raw {
  readonly driver: Driver
  bytes(): Promise<Buffer>
}

const encrypted = (driver: Driver): Driver =>
  encrypt(driver, { keys: { k: crypto.getRandomValues(new Uint8Array(32)) }, current: 'k' })

/** Without encryption it is found, so the search is one; with it, it is not. */
async function search(make: () => Promise<Raw>): Promise<void> {
  const isThere = async ({ bytes }: Raw): Promise<boolean> => {
    const all = await bytes()
    expect(all.length).toBeGreaterThan(500)
    return [SECRET, Buffer.from(SECRET).toString('base64').slice(0, 18)].some((text) => all.includes(text))
  }
  const open = await make()
  await tell(open.driver)
  expect(await isThere(open)).toBe(true)
  const closed = await make()
  await tell(encrypted(closed.driver))
  expect(await isThere(closed)).toBe(false)
}

describe('no value is found', () => {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-raw-'))
  const endings: (() => Promise<unknown>)[] = []
  let made = 0
  afterAll(async () => {
    for (const end of endings.toReversed()) await end()
    rmSync(directory, { recursive: true })
  })

  it('in the files of SQLite', () =>
    search(async () => {
      const name = `${++made}.db`
      return {
        driver: sqlite({ path: join(directory, name) }),
        bytes: async () =>
          Buffer.concat(
            readdirSync(directory)
              .filter((file) => file.startsWith(name))
              .map((file) => readFileSync(join(directory, file))),
          ),
      }
    }))

  it.skipIf(!part('postgres'))('in the rows of PostgreSQL', async () => {
    const server = await startPostgres({ bin: part('postgres')!, fsync: false })
    const pool = new pg.Pool({ connectionString: server.url, max: 4 })
    endings.push(
      () => server.stop(),
      () => pool.end(),
    )
    await search(async () => {
      await pool.query('DROP SCHEMA public CASCADE; CREATE SCHEMA public')
      return {
        driver: postgres({ db: pool }),
        async bytes() {
          const { rows } = await pool.query<{ name: string }>(
            `SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public'`,
          )
          const found: Buffer[] = []
          for (const { name } of rows) {
            for (const row of (await pool.query<Record<string, unknown>>(`SELECT * FROM ${name}`)).rows) {
              for (const value of Object.values(row))
                found.push(Buffer.isBuffer(value) ? value : Buffer.from(String(value)))
            }
          }
          return Buffer.concat(found)
        },
      }
    })
  })

  it.skipIf(!part('redis'))('in the keys and values of Redis', async () => {
    const server = await startRedis()
    const client = await createClient({ url: server.url }).connect()
    const raw = client.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer })
    endings.push(
      () => server.stop(),
      async () => client.destroy(),
    )
    await search(async () => {
      await client.flushAll()
      return {
        driver: upstash({ redis: { send: (command) => client.sendCommand([...command]) } }),
        async bytes() {
          const found: Buffer[] = []
          for (const key of await client.keys('*')) {
            found.push(Buffer.from(key))
            const type = await client.type(key)
            if (type === 'hash') found.push(...Object.values(await raw.hGetAll(key)))
            else if (type === 'zset') found.push(...(await raw.zRange(key, 0, -1)))
            else if (type === 'string') found.push((await raw.get(key)) ?? Buffer.alloc(0))
            else throw new Error(`There is a ${type}, which is not searched`)
          }
          return Buffer.concat(found)
        },
      }
    })
  })
})
