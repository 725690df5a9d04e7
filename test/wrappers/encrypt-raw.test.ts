/** What lies in real backends when values and names are encrypted: nothing of them can be found there. */
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { RESP_TYPES } from 'redis'
import { afterAll, describe, expect, it } from 'vitest'
import type { Driver } from '../../src/core/driver.ts'
import { postgres } from '../../src/drivers/postgres/driver.ts'
import { sqlite } from '../../src/drivers/sqlite/better-sqlite3.ts'
import { upstash } from '../../src/drivers/upstash/driver.ts'
import { createHoldfast } from '../../src/holdfast.ts'
import { encrypt } from '../../src/wrappers/encrypt.ts'
import { part } from '../support/parts.ts'
import { type Endings, postgresPool, redisClient } from './servers.ts'

const SECRET = 'kelp-4711-limpet'
/** Of letters and digits, so that no encoding of ids changes it. */
const NAME = 'ada4711'
const TENANT = `${NAME}-tenant`
const RUN = `${NAME}-run`
const STEP = `${NAME}-step`

/** Stores the secret in everything that takes values, under the name in everything that takes names. */
async function tell(driver: Driver): Promise<void> {
  const { state, persistence, workflows, signals, claims, idempotency, close } = createHoldfast({
    driver,
    tenant: TENANT,
  })
  await state.set(`${NAME}-text`, SECRET)
  await state.set('bytes', new TextEncoder().encode(SECRET))
  await workflows.createRun({
    runId: RUN,
    workflow: `${NAME}-workflow`,
    tags: [`${NAME}-tag`],
    position: { kind: 'step', stepId: STEP },
  })
  const claim = await claims.claimTask({ runId: RUN, stepId: STEP, workerId: `${NAME}-worker`, ttl: 60_000 })
  const event = { runId: RUN, workflow: `${NAME}-workflow`, kind: `${NAME}-kind` }
  await persistence.append({ ...event, payload: { SECRET }, idempotencyKey: `${NAME}-once` })
  await persistence.saveIntervention(RUN, { targetStep: STEP, payload: SECRET })
  await workflows.updateContext(RUN, { SECRET })
  await workflows.saveTaskResult(RUN, STEP, SECRET, { claim: claim! })
  await signals.sendMessage(RUN, `${NAME}-news`, SECRET, { idempotencyKey: `${NAME}-sent` })
  await signals.storeSignal(RUN, 'cancel', { reason: SECRET })
  await state.set(`${NAME}-own`, SECRET, { runId: RUN })
  await state.saveSnapshot({ runId: RUN, state: { SECRET } })
  await idempotency.markCompensated({ runId: RUN, workflow: `${NAME}-workflow`, kind: `${NAME}-kind` })
  expect(await state.get(`${NAME}-own`, { runId: RUN })).toBe(SECRET)
  await close()
}

/** A backend that is empty, and all of its bytes. */
interface Raw {
  readonly driver: Driver
  bytes(): Promise<Buffer>
}

const random = (): Uint8Array => crypto.getRandomValues(new Uint8Array(32))
const encrypted = (driver: Driver): Driver => encrypt(driver, { keys: { k: random() }, current: 'k' })
const hidden = (driver: Driver): Driver => encrypt(driver, { keys: { k: random() }, current: 'k', names: random() })

/** Without encryption all is found, so the search is one; values go with it, and names with the option. */
async function search(make: () => Promise<Raw>): Promise<void> {
  const found = async (
    wrap: (driver: Driver) => Driver,
  ): Promise<{ readonly value: boolean; readonly name: boolean }> => {
    const { driver, bytes } = await make()
    await tell(wrap(driver))
    const all = await bytes()
    expect(all.length).toBeGreaterThan(500)
    const isThere = (text: string, length: number): boolean =>
      [text, Buffer.from(text).toString('base64').slice(0, length)].some((it) => all.includes(it))
    return { value: isThere(SECRET, 18), name: isThere(NAME, 8) }
  }
  expect(await found((driver) => driver)).toEqual({ value: true, name: true })
  expect(await found(encrypted)).toEqual({ value: false, name: true })
  expect(await found(hidden)).toEqual({ value: false, name: false })
}

describe('nothing is found', () => {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-raw-'))
  const endings: Endings = []
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
    const pool = await postgresPool(endings)
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
    const client = await redisClient(endings)
    const raw = client.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer })
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
