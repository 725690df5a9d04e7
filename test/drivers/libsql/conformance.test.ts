/** The suite over libSQL by its own client, in a file and over HTTP: the driver's part, and a slice of the stores. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Client, createClient } from '@libsql/client'
import { createClient as createWebClient } from '@libsql/client/web'
import { drizzle } from 'drizzle-orm/libsql'
import { afterAll, describe, expect, it } from 'vitest'
import { createHoldfast } from '../../../src/holdfast.ts'
import { sqlite } from '../../../src/drivers/sqlite/better-sqlite3.ts'
import { libsql } from '../../../src/drivers/sqlite/libsql.ts'
import type { Harness } from '../../../src/testing/index.ts'
import { register } from '../../../src/testing/suite.ts'
import { openBetterSqlite3 } from '../../support/engines.ts'
import { slice } from '../../support/slice.ts'
import { startHrana } from './hrana.ts'

const ENTRIES = `SELECT * FROM holdfast_entries
  WHERE expires_at IS NULL OR expires_at > unixepoch('subsec') * 1000 ORDER BY part, key`

/** Time is the database's and cases really sleep, so they sleep at the same time. */
const runner = { describe, it: it.concurrent }

const directory = mkdtempSync(join(tmpdir(), 'holdfast-libsql-'))
afterAll(() => rmSync(directory, { recursive: true }))

let files = 0
const overFile: Harness = {
  name: 'libSQL in a file',
  async create() {
    const url = `file:${join(directory, `${files++}.db`)}`
    const clients: Client[] = []
    async function client(): Promise<Client> {
      const made = createClient({ url, timeout: 5000 })
      clients.push(made)
      // What is lost with the machine does not matter here.
      await made.execute('PRAGMA synchronous = OFF')
      return made
    }
    const admin = await client()
    return {
      driver: libsql({ db: drizzle(await client()) }),
      reopen: async () => libsql({ db: await client() }),
      dump: async () => (await admin.execute(ENTRIES)).rows,
      dispose: async () => clients.forEach((it) => it.close()),
    }
  },
}

const overHttp: Harness = {
  name: 'libSQL over HTTP',
  async create() {
    const db = await openBetterSqlite3(':memory:')
    const server = await startHrana(db)
    const open = () => libsql({ db: drizzle(createWebClient({ url: server.url, authToken: 'secret' })) })
    return {
      driver: open(),
      reopen: async () => open(),
      dump: async () => db.prepare(ENTRIES).safeIntegers(false).all(),
      dispose: async () => (await server.close(), void db.close()),
    }
  },
}

for (const harness of [overFile, overHttp]) register(slice, { harness, ...runner })

it('goes on with a file of another driver of SQLite, and the other way round', async () => {
  const path = join(directory, 'shared.db')
  for (const [n, make] of [
    () => sqlite({ path }),
    () => libsql({ db: createClient({ url: `file:${path}`, timeout: 5000 }) }),
    () => sqlite({ path }),
  ].entries()) {
    const { state, close } = createHoldfast({ driver: make() })
    expect(await state.increment('opened')).toBe(n + 1)
    await close()
  }
})

describe('failures', () => {
  it('refuses what is no client', () => {
    for (const db of [undefined, {}, { $client: {} }]) {
      expect(() => libsql({ db } as unknown as Parameters<typeof libsql>[0])).toThrow(
        expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
      )
    }
  })

  it('says what is out of reach, and keeps the token to itself', async () => {
    const { url, close } = await startHrana(await openBetterSqlite3(':memory:'))
    const refused = libsql({ db: createWebClient({ url, authToken: 'wrong-token' }) }).open()
    await expect(refused).rejects.toMatchObject({
      code: 'UNAUTHORIZED',
      retryable: false,
      message: expect.not.stringContaining('wrong-token') as string,
    })
    await close()
    const away = libsql({ db: createWebClient({ url, authToken: 'secret' }) }).open()
    await expect(away).rejects.toMatchObject({ code: 'UNAVAILABLE', retryable: true })
  })

  it('takes what a server says of itself for what it is', async () => {
    const server = await startHrana(await openBetterSqlite3(':memory:'))
    const driver = libsql({ db: createWebClient({ url: server.url, authToken: 'secret' }), timeout: 3000 })
    await driver.open()
    let n = 0
    const append = async (): Promise<unknown> => {
      const id = `append-${n++}`
      const ops = [{ append: { part: 'p', key: 'log!' }, value: 'v' }]
      return (await driver.commit({ id, commits: [{ id, checks: [], ops, durability: 'strict' }] })).outcomes
    }
    server.failures.push({ status: 429 }, { status: 503 })
    expect(await append()).toEqual([{ ok: true, seqs: [1] }])
    server.failures.push({ status: 502, isLost: true }, { status: 500, isLost: true })
    expect(await append()).toEqual([{ ok: true, seqs: [2] }])
    for (const status of [401, 403]) {
      server.failures.push({ status })
      await expect(append()).rejects.toMatchObject({ code: 'UNAUTHORIZED', retryable: false, ambiguous: false })
    }
    for (const [failure, ambiguous] of [
      [{ status: 429 }, false],
      [{ status: 500, isLost: true }, true],
    ] as const) {
      server.failures.push(...Array<typeof failure>(100).fill(failure))
      await expect(append()).rejects.toMatchObject({ code: 'UNAVAILABLE', retryable: true, ambiguous })
      server.failures.length = 0
    }
    await server.close()
  })
})
